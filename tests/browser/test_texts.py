"""Sentences as tiles in a real browser: their text stands there as it is, and a click shows it beside the grid."""

import pytest

from tests.browser.conftest import serving
from tests.ui import made_texts


@pytest.mark.soak  # the pages' own tests are the short form
def test_tiles_of_a_data_set_without_pictures_show_their_texts(tmp_path, watched):
    root = made_texts.reviews(tmp_path / "cache").root
    with serving(root, tmp_path / "server.log") as address:
        seen = watched()
        seen.open(f"{address}/gallery")
        tiles = seen.page.locator(".st-key-gallery .tile.words .text")
        tiles.first.wait_for(timeout=30_000)
        assert tiles.first.inner_text() == made_texts.HOSTILE and tiles.count() == made_texts.N
        box = seen.page.locator(".st-key-gallery .tile").nth(1).bounding_box()
        assert box["width"] > 120 and box["height"] < 220, "long texts are cut, so that tiles stay tiles"
        second = seen.tile_ids()[1]
        seen.page.locator(".st-key-gallery .tile").nth(1).click()
        seen.still()
        beside = seen.page.locator(".st-key-details-gallery")
        beside.get_by_text(f"sentence number {second} about").first.wait_for(timeout=30_000)
        assert not seen.wrong, seen.wrong
