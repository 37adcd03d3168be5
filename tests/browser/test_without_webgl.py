"""A browser without WebGL: what does not need it works, and what does says so."""

import pytest

from bench import made_cache
from tests.browser.conftest import VIEW, Watched, serving


@pytest.fixture(scope="module")
def flat(launched, tmp_path_factory):
    """(page of a browser without WebGL, address): 4,000 samples, more than are drawn as ordinary points."""
    root = tmp_path_factory.mktemp("flat")
    cache = made_cache.make(root / "cache", 4_000, 5, 12, epochs=6, seeds=1, archs=("resnet20", "vgg16"))
    browser = launched("--disable-3d-apis")
    with serving(cache.root, root / "server.log") as address:
        yield Watched(browser.new_page(**VIEW)), f"{address}/compare?b={cache.run_ids(made_cache.NAME)[1]}"
    browser.close()


def test_counts_and_their_lasso_need_no_webgl(flat):
    seen, address = flat
    seen.open(address)
    assert seen.page.evaluate("() => document.createElement('canvas').getContext('webgl')") is None
    assert seen.lasso([(0.02, 0.98), (0.6, 0.98), (0.6, 0.4), (0.02, 0.4)]) > 50
    assert seen.colours(".js-plotly-plot .heatmaplayer") > 6 and len(seen.tile_ids("selected")) == 24
    assert not seen.wrong


def test_points_say_what_they_need(flat):
    seen, address = flat
    seen.open(f"{address}&view=Points")
    seen.page.locator(".js-plotly-plot").get_by_text("WebGL is not supported").first.wait_for(timeout=30_000)
    assert seen.page.get_by_text("choose Counts").is_visible()
    assert seen.page.locator("[data-testid=stException]").count() == 0
    assert not [said for said in seen.wrong if "WebGL" not in said]
