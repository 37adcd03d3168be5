"""Both reports opened from disk in a real Chromium without a network: drawn, harmless, silent."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from learnability.report.colleague import colleague_report
from learnability.report.paper import paper_report
from learnability.report.study import real_recipe
from learnability.store.datasets import ensure_labels
from tests.ui import made_cache


@pytest.fixture(scope="module")
def files(tmp_path_factory, many_root):  # noqa: F811
    """Both reports on digits with planted errors, and on a data set whose names are attacks."""
    folder = tmp_path_factory.mktemp("reports")
    shutil.copytree(many_root, folder / "cache")
    cache, hostile = made_cache.Cache(folder / "cache"), made_cache.hostile(folder / "hostile")
    ensure_labels(cache, "digits", None, "planted-0.02-0")
    made_cache.add_run(cache, "resnet20", 0, labels="planted-0.02-0")
    for one, name in ((cache, "digits"), (hostile, "hostile")):
        (folder / f"report-{name}.html").write_text(colleague_report(one, name, replicates=50))
        (folder / f"paper-{name}.html").write_text(paper_report(one, name, real_recipe(one, name), "python -m x", replicates=50))
    return folder


def pixels(element) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"))


@pytest.mark.parametrize(
    ("name", "plots", "scheme"),
    [
        ("paper-digits", 7, "dark"),
        ("report-hostile", 2, "light"),
        pytest.param("report-digits", 3, "dark", marks=pytest.mark.soak),
        pytest.param("paper-hostile", 3, "light", marks=pytest.mark.soak),
    ],
)
def test_a_report_is_drawn_without_any_request(name, plots, scheme, files, chromium):
    context = chromium.new_context(viewport={"width": 1200, "height": 900}, color_scheme=scheme, offline=True)
    page, address, wrong = context.new_page(), f"file://{files / f'{name}.html'}", []
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(f"error {error}"))
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda request: wrong.append(request.url) if not request.url.startswith((address, "data:")) else None)
    page.goto(address)
    page.wait_for_function("[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))", timeout=60_000)
    assert page.locator(".plot").count() == plots
    for i in range(plots):
        assert len(np.unique(pixels(page.locator(".plot").nth(i)).reshape(-1, 3), axis=0)) > 20, f"plot {i} is blank"
    tile = page.locator(".tile img").first
    assert len(np.unique(pixels(tile).reshape(-1, 3), axis=0)) > 3
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out at the side"
    ground = pixels(page.locator("h1"))[0, 0].astype(int).sum()
    assert (ground < 200) if scheme == "dark" else (ground > 700)
    assert not page.locator("[onerror], [onclick], [onload], img[src='x'], a").count()
    page.emulate_media(media="print")
    assert pixels(page.locator("h1"))[0, 0].astype(int).sum() > 700, "paper is white"
    context.close()
    assert not wrong, wrong
