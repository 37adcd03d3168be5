"""The caches of tests/ui, for whole pages; and how a page is opened by a link."""

import functools
import shutil
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from tests.ui import made_cache
from tests.ui.conftest import many, many_root, own_many  # noqa: F401

FRAME = Path(__file__).resolve().parents[2] / "ui" / "frame.py"


@pytest.fixture(scope="session", autouse=True)
def scanned_once():
    """Streamlit reads the metadata of all installed packages for every AppTest: 0.4 s each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture
def open_page():
    """open_page("gallery", b="vgg16-...") -> the page as a cold link opens it."""

    def opened(page: str = "overview", **query: str) -> AppTest:
        app = AppTest.from_file(str(FRAME), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return (app if page == "overview" else app.switch_page(f"../pages/{page}.py")).run()

    return opened


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "empty"))
    return tmp_path / "empty"


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory):
    return made_cache.digits(tmp_path_factory.mktemp("norun")).root


@pytest.fixture
def no_run(digits_root, tmp_path, monkeypatch):
    """digits without a run; a copy for one test."""
    shutil.copytree(digits_root, tmp_path / "cache")
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    return made_cache.Cache(tmp_path / "cache")
