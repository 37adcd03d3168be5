"""The way through the dashboard as somebody takes it: seen, clicked, drawn and typed in a real browser."""

import http.client
import os
from pathlib import Path

import pytest

from tests.browser.conftest import group, groups, serving
from tests.ui import made_cache

PLOT = ".js-plotly-plot .plot-container"
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def test_overview_compare_gallery_from_a_cold_link(server, many_root, watched):
    seen = watched()
    page = seen.page
    seen.open(f"{server}/?b={group(many_root, 'vgg16')}")
    assert page.get_by_text("12 hardest").first.is_visible()
    assert seen.colours(".tile .picture") > 4, "a tile is painted"
    assert seen.colours(PLOT) > 10

    page.get_by_role("link", name="Compare").click()
    seen.still()
    page.wait_for_selector(".heatmaplayer image", timeout=30_000)
    page.wait_for_timeout(500)
    assert seen.colours(".js-plotly-plot .heatmaplayer") > 6, "the counts are not blank"

    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    corners = [(0.02, 0.98), (0.6, 0.98), (0.6, 0.4), (0.02, 0.4), (0.02, 0.98)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    page.get_by_text("samples selected").first.wait_for(timeout=30_000)
    seen.still()
    selected = page.get_by_text("samples selected").first.inner_text().split()[0]
    assert int(selected.replace(",", "")) > 50
    assert page.locator(".tile").count() == 24 and seen.colours(".tile .picture") > 4

    page.get_by_role("button", name="Show all in the gallery").click()
    page.wait_for_url("**/gallery?**")
    seen.still()
    page.get_by_text("Inside the area drawn").wait_for(timeout=30_000)
    assert f"{selected} samples" in page.locator("[data-testid=stMain]").inner_text()
    assert "in=" in page.url and page.locator(".tile").count() > 50


def test_the_grid_by_keyboard_and_the_way_back(server, watched):
    seen = watched()
    page = seen.page
    seen.open(f"{server}/gallery?which=Easiest&class=3")
    assert page.get_by_text("Shown: 1 to 100").is_visible()
    tiles = page.locator(".tile")
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    name = page.evaluate(
        "() => { let a = document.activeElement; while (a.shadowRoot) a = a.shadowRoot.activeElement; return a.getAttribute('aria-label') }"
    )
    assert name == tiles.nth(1).get_attribute("aria-label") and name.startswith("sample ") and "learnability" in name
    tiles.nth(4).click()
    seen.still()
    chosen = tiles.nth(4).get_attribute("aria-label").split(",")[0].removeprefix("sample ")
    assert page.get_by_text(f"sample {int(chosen):,}").first.is_visible()
    assert tiles.nth(4).get_attribute("aria-pressed") == "true"

    tiles.nth(4).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/sample?id={chosen}*")
    seen.still()
    assert page.get_by_text("5 of 146").first.is_visible() or page.get_by_text("5 of ").first.is_visible()
    assert seen.colours(PLOT) > 4
    page.get_by_role("button", name="Next").click()
    seen.still()
    assert page.get_by_text("6 of ").first.is_visible()
    page.get_by_role("button", name="Back to the list").click()
    page.wait_for_url("**/gallery?**")
    seen.still()
    assert "which=Easiest" in page.url and "class=3" in page.url
    assert page.locator(".tile").count() == 100


@pytest.mark.parametrize("page_name", ["compare", "gallery", "sample", "runs"])
def test_every_page_opens_cold_with_frame_and_menu(page_name, server, many_root, watched):
    seen = watched(color_scheme="dark")
    seen.open(f"{server}/{page_name}?b={group(many_root, 'vgg16')}")
    assert seen.page.get_by_role("link", name="Overview").is_visible()
    assert seen.page.locator("[data-testid=stSidebar]").get_by_text("Data set").is_visible()
    assert seen.page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0


def test_a_link_copied_opens_the_same_page(server, many_root, watched):
    seen = watched()
    seen.open(f"{server}/gallery?b={group(many_root, 'vgg16')}&which=Hard+for+both")
    seen.page.get_by_role("button", name="Link").click()
    link = seen.page.locator("[data-testid=stPopoverBody] code").inner_text().strip()
    assert link.startswith(f"{server}/gallery?data=digits&recipe=")
    before = seen.page.locator(".tile").first.get_attribute("aria-label")
    other = watched().open(link)
    assert other.page.locator(".tile").first.get_attribute("aria-label") == before
    assert other.page.locator("[data-testid=stAlert]").count() == 0


def test_hostile_names_are_text_on_every_page(tmp_path, watched):
    cache = made_cache.hostile(tmp_path / "cache")
    second = next(run_id for run_id in cache.run_ids("hostile") if run_id.startswith("vgg16"))
    evil = "%3Cimg%20src%3Dx%20onerror%3Dalert(9)%3E"
    with serving(cache.root, tmp_path / "server.log") as address:
        seen = watched()
        for path in (f"/?metric={evil}", "/gallery", f"/compare?view=Points&b={second}", "/sample?id=3", f"/runs?data={evil}"):
            seen.open(address + path)
            seen.page.wait_for_timeout(700)
            assert seen.page.locator("img[src=x]").count() == 0
        assert "onerror" in seen.open(f"{address}/gallery").page.locator(".tile .caption").first.inner_text()


@pytest.mark.parametrize(("host", "origin"), [("evil.example", "http://evil.example"), (None, "http://evil.example")])
def test_a_forged_host_and_a_foreign_origin_are_refused(host, origin, server):
    address = server.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=30)
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    connection.request("GET", "/_stcore/stream", headers=headers | {"Host": host or address, "Origin": origin})
    assert connection.getresponse().status == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_for_the_readme(scheme, server, many_root, watched, tmp_path):
    """With LEARNABILITY_PICTURES=<cache with trained runs of digits> they are made from that cache and kept in docs/images."""
    trained = os.environ.get("LEARNABILITY_PICTURES")
    if not trained:
        _take_pictures(watched(color_scheme=scheme), server, many_root, tmp_path, scheme)
        return
    IMAGES.mkdir(parents=True, exist_ok=True)
    with serving(Path(trained), tmp_path / "server.log") as address:
        _take_pictures(watched(color_scheme=scheme), address, Path(trained), IMAGES, scheme)


def _take_pictures(seen, address: str, root: Path, folder: Path, scheme: str) -> None:
    a, b = groups(root)[:2]
    for name, path in (("overview", f"/?a={a}"), ("compare", f"/compare?a={a}&b={b}"), ("gallery", f"/gallery?a={a}")):
        seen.open(address + path)
        seen.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=60_000)
        seen.page.wait_for_timeout(1500)
        file = folder / (f"{name}.png" if scheme == "light" else f"{name}-dark.png")
        seen.page.screenshot(path=file)
        assert file.stat().st_size > 30_000
