"""A dashboard server on a real cache, and a real Chromium that notes what must not happen."""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.ui import made_cache
from tests.ui.conftest import many_root  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking", "--use-angle=swiftshader"]
ARGUMENTS += ["--disable-gpu-compositing"]  # pages put together by a graphics device that is only computed took a fifth longer
STREAMLITS_OWN = ("/_stcore/health", "/_stcore/host-config")  # two 404s of every page that is opened directly


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            if item.config.pluginmanager.hasplugin("rerunfailures"):
                item.add_marker(pytest.mark.flaky(reruns=2))  # a busy machine starves a browser


def start_server(cache_root: Path, log: Path) -> tuple[subprocess.Popen, str]:
    """A fresh server that answers: its process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    environment = os.environ | {"LEARNABILITY_CACHE": str(cache_root)}
    with open(log, "wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
            break
        time.sleep(0.2)
    return server, f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def serving(cache_root: Path, log: Path):
    """A fresh server; its address."""
    server, address = start_server(cache_root, log)
    try:
        yield address
    finally:
        server.terminate()
        server.wait(20)
        assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def server(many_root, tmp_path_factory):  # noqa: F811
    with serving(many_root, tmp_path_factory.mktemp("log") / "server.log") as address:
        yield address


@pytest.fixture(scope="session")
def launched():
    """launched(*arguments) -> a Chromium with them."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium: on Debian or Ubuntu apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[dev]'")
    with sync_api.sync_playwright() as playwright:
        yield lambda *arguments: playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])


@pytest.fixture(scope="session")
def chromium(launched):
    browser = launched()
    yield browser
    browser.close()


VIEW = {"viewport": {"width": 1400, "height": 900}}


class Watched:
    """A page, and everything it did that it must not do."""

    def __init__(self, page):
        self.page = page
        self.wrong: list[str] = []
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error {error}"))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)

    def _said(self, message):
        if message.type == "error" and not message.location.get("url", "").endswith(STREAMLITS_OWN):
            self.wrong.append(f"console {message.text} {message.location.get('url')}")

    def _asked(self, request):
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.wrong.append(f"request {request.url}")

    def open(self, address: str) -> "Watched":
        self.page.goto(address)
        self.page.locator("[data-testid=stMain] [data-testid=stElementContainer]").first.wait_for(state="attached", timeout=60_000)
        return self.still()  # before its first element a page is not running either

    def still(self) -> "Watched":
        """Waits until the script has run and its elements stand."""
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
        self.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton], [data-stale=true]')", timeout=60_000)
        return self

    def lasso(self, corners: list[tuple[float, float]]) -> int:
        """Draws around an area of the pair plot, corners as shares of its width and height; how many samples the page then counts."""
        page = self.page
        page.wait_for_selector(".heatmaplayer image", timeout=30_000)
        page.wait_for_timeout(500)
        plot = page.locator(".js-plotly-plot:has(.heatmaplayer image) .nsewdrag").first
        plot.evaluate("(plot) => plot.scrollIntoView({ block: 'center' })")
        page.wait_for_timeout(200)
        box = plot.bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in [*places[1:], places[0]]:
            page.mouse.move(*place, steps=6)
        page.mouse.up()
        page.get_by_text("samples selected").first.wait_for(timeout=30_000)
        return self.still().selected()

    def selected(self) -> int:
        return int(self.page.get_by_text("samples selected").first.inner_text().split()[0].replace(",", ""))

    def tile_ids(self, place: str = "gallery") -> list[int]:
        """Samples of a grid on the page."""
        names = self.page.locator(f".st-key-{place} .tile").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
        return [int(name.split(",")[0].removeprefix("sample ")) for name in names]

    def colours(self, selector: str) -> int:
        """Distinct colours of an element as it is painted; a blank one has few."""
        return len(np.unique(self.pixels(selector).reshape(-1, 3), axis=0))

    def pixels(self, selector: str) -> np.ndarray:
        element = self.page.locator(selector).first
        element.wait_for(timeout=30_000)
        return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"))


@pytest.fixture(scope="session")
def known(chromium):
    """A browser that was here before: what it loaded once it has."""
    context = chromium.new_context(**VIEW)
    yield context
    context.close()


@pytest.fixture
def watched(known):
    """watched(color_scheme="dark") -> a page; at the end of the test nothing forbidden may have happened in it."""
    made = []

    def new(color_scheme: str = "light") -> Watched:
        made.append(Watched(known.new_page()))
        made[-1].page.emulate_media(color_scheme=color_scheme)
        return made[-1]

    yield new
    for one in made:
        one.page.close()
        assert not one.wrong, one.wrong


def group(cache_root: Path, arch: str) -> str:
    run_id = next(run_id for run_id in made_cache.Cache(cache_root).run_ids("digits") if run_id.startswith(arch))
    return f"{arch}-{run_id.rsplit('-', 1)[1]}"
