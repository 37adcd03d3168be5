"""The way through the dashboard as somebody takes it: seen, clicked, drawn and typed in a real browser."""

import http.client
import io
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability.store.scores import load_scores
from tests.browser.conftest import group, serving
from tests.ui import made_cache

PLOT = ".js-plotly-plot .plot-container"


def test_overview_compare_gallery_from_a_cold_link(server, many_root, watched):
    seen = watched()
    page = seen.page
    seen.open(f"{server}/overview?a={group(many_root, 'resnet20')}&b={group(many_root, 'vgg16')}")
    assert page.get_by_text("12 hardest").first.is_visible()
    assert page.url == f"{server}/?b={group(many_root, 'vgg16')}", "typed by its name it is the same page; A is the default"
    assert page.get_by_role("dialog").count() == 0
    assert seen.colours(".tile .picture") > 4, "a tile is painted"
    assert seen.colours(PLOT) > 10

    page.get_by_role("link", name="Compare").click()
    seen.still()
    page.wait_for_selector(".heatmaplayer image", timeout=30_000)
    assert seen.colours(".js-plotly-plot .heatmaplayer") > 6, "the counts are not blank"

    selected = seen.lasso([(0.008, 0.992), (0.6, 0.992), (0.6, 0.4), (0.008, 0.4)])  # no edge on a score that there is
    assert selected > 50
    assert len(seen.tile_ids("selected")) == 24 and seen.colours(".tile .picture") > 4

    page.get_by_role("button", name="Show all in the gallery").click()
    page.wait_for_url("**/gallery?**")
    seen.still()
    page.get_by_text("Inside the area drawn").wait_for(timeout=30_000)
    assert f"{selected:,} samples" in page.locator("[data-testid=stMain]").inner_text()
    area = parse_qs(urlparse(page.url).query)["in"][0]
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.locator(".st-key-download-gallery-parquet button").click()
    table = pq.read_table(io.BytesIO(download.value.path().read_bytes()))
    expected = inside(area, *(means(many_root, arch) for arch in ("resnet20", "vgg16")))
    assert sorted(table["sample_id"].to_pylist()) == expected and len(expected) == selected
    assert seen.tile_ids() == table["sample_id"].to_pylist()[:100], "the sheet shows them in the table's order"


def means(root: Path, arch: str) -> np.ndarray:
    """Learnability of a network, the mean over its seeds."""
    columns = load_scores(made_cache.Cache(root), "digits").columns
    return np.mean([score_N for name, score_N in columns.items() if name.startswith(arch)], axis=0)


def inside(area: str, x_N: np.ndarray, y_N: np.ndarray) -> list[int]:
    """Sample ids in the polygon of a link, by the angle it turns around each point."""
    corners = np.array([[float(part) for part in corner.split(",")] for corner in area.split(";")])
    to_corner = corners[:, :, None] - np.stack([x_N, y_N])
    angle = np.arctan2(to_corner[:, 1], to_corner[:, 0])
    turn = (np.diff(angle, axis=0, append=angle[:1]) + np.pi) % (2 * np.pi) - np.pi
    return np.flatnonzero(np.abs(turn.sum(0)) > np.pi).tolist()


def test_the_grid_by_keyboard_and_the_way_back(server, many_root, watched):
    seen = watched()
    page, a = seen.page, group(many_root, "vgg16")
    seen.open(f"{server}/gallery?a={a}&which=Easiest&class=3")
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
    assert f"a={a}" in page.url, "loaded anew it is the same page"
    assert page.get_by_text("5 of 146").first.is_visible() or page.get_by_text("5 of ").first.is_visible()
    assert seen.colours(PLOT) > 4
    page.get_by_role("button", name="Next").click()
    seen.still()
    assert page.get_by_text("6 of ").first.is_visible()
    page.get_by_role("button", name="Back to the list").click()
    page.wait_for_url("**/gallery?**")
    seen.still()
    assert "which=Easiest" in page.url and "class=3" in page.url and f"a={a}" in page.url
    assert page.locator(".tile").count() == 100


OTHERS = [pytest.param(name, marks=pytest.mark.soak) for name in ("compare", "gallery", "review", "sample")]


@pytest.mark.parametrize("page_name", ["curriculum", "runs", *OTHERS])
def test_every_page_opens_cold_with_frame_and_menu_in_the_dark_and_in_the_light(page_name, server, many_root, watched):
    seen = watched(color_scheme="dark")
    seen.open(f"{server}/{page_name}?b={group(many_root, 'vgg16')}")
    assert seen.page.get_by_role("link", name="Overview").is_visible()
    assert seen.page.locator("[data-testid=stSidebar]").get_by_text("Data set").is_visible()
    assert seen.page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    dark = seen.pixels("[data-testid=stMain]")
    assert np.median(dark) < 60 and len(np.unique(dark.reshape(-1, 3), axis=0)) > 50
    seen.page.emulate_media(color_scheme="light")
    seen.page.wait_for_timeout(400)
    light = seen.still().pixels("[data-testid=stMain]")
    assert np.median(light) > 200 and len(np.unique(light.reshape(-1, 3), axis=0)) > 50
    assert unnamed(seen.page) == [], "every button, picture and box says what it is"


def unnamed(page) -> list[str]:
    """What a screen reader would call by no name."""
    return page.evaluate("""() => [...document.querySelectorAll("button, img, input:not([type=hidden]), [role=button], [role=slider]")]
      .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden=true]"))
      .filter((one) => !(one.innerText?.trim() || one.getAttribute("aria-label") || one.alt || one.title || one.labels?.length
        || one.getAttribute("aria-labelledby") || one.closest("label")))
      .map((one) => one.outerHTML.slice(0, 160))""")


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


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["each page", "each list of it"])
def test_hostile_names_are_text_on_every_page(tmp_path, watched, every):
    """Class names, keys, columns, notes, logs, reviews, links: no dialog, no request to elsewhere, no element made of them."""
    cache = made_cache.hostile(tmp_path / "cache")
    second = next(run_id for run_id in cache.run_ids("hostile") if run_id.startswith("vgg16"))
    evil = "%3Cimg%20src%3Dx%20onerror%3Dalert(9)%3E"
    paths = [f"/?metric={evil}", f"/gallery?class={evil}&selection={evil}", f"/compare?view=Points&b={second}", "/sample?id=3"]
    paths += [f"/runs?data={evil}", "/review?queue=Log", f"/curriculum?order={evil}"]
    if every:
        paths += ["/gallery?plain=1", "/review", *(f"/review?queue={part}" for part in ("By+pair+of+classes&taken=In+any+epoch", "Export"))]
    with serving(cache.root, tmp_path / "server.log") as address:
        seen = watched()
        for path in paths:
            seen.open(address + path)
            seen.page.wait_for_timeout(300)
            assert seen.page.locator("img[src=x], [data-testid=stMain] script, img[src*='evil.example'], svg[onload]").count() == 0, path
        page = seen.open(f"{address}/gallery").page
        assert "onerror" in page.locator(".tile .caption").first.inner_text()
        page.locator(".tile").first.hover()
        page.locator(".tile").first.click()
        seen.still()
        page.locator(".st-key-details-gallery .nsewdrag").first.hover()
        seen.open(f"{address}/runs")
        page.get_by_text("Log, its last lines").click()
        page.get_by_text("</code></pre>").first.wait_for(timeout=30_000)
        seen.open(f"{address}/gallery").page.get_by_role("combobox", name=re.compile("^Class")).first.click()
        page.get_by_role("option").first.wait_for(timeout=30_000)
        page.wait_for_timeout(500)
        assert page.locator("img[src=x]").count() == 0
        page.goto("about:blank")  # a page that is open when its server ends complains


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
