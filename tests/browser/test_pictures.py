"""The pictures of the README, from real training results, light and dark.

    LEARNABILITY_PICTURES=<cache with trained runs of digits> python -m pytest tests/browser -k pictures

makes them from a copy of that cache and keeps them in docs/images; without it they are skipped.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learnability.store.paths import Cache
from tests.browser.conftest import ROOT, group, serving

IMAGES = ROOT / "docs" / "images"
TRAINED = os.environ.get("LEARNABILITY_PICTURES")
SCHEMES = ("light", "dark")
pytestmark = pytest.mark.skipif(not TRAINED, reason="made when LEARNABILITY_PICTURES names a cache")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """(address, cache, folder for the pictures)."""
    top = tmp_path_factory.mktemp("pictures")
    shutil.copytree(TRAINED, top / "cache")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with serving(top / "cache", top / "server.log") as address:
        yield address, Cache(top / "cache"), IMAGES


def take(seen, folder: Path, name: str, scheme: str) -> None:
    seen.still()
    seen.page.mouse.move(5, 895)
    seen.page.wait_for_timeout(1500)
    file = folder / (f"{name}.png" if scheme == "light" else f"{name}-dark.png")
    seen.page.screenshot(path=file)
    assert file.stat().st_size > 30_000
    assert len(np.unique(seen.pixels("[data-testid=stMain]").reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pictures_of_what_was_learned(scheme, shown, watched):
    address, cache, folder = shown
    a, b = group(cache.root, "resnet20"), group(cache.root, "vgg16")
    for name, path in (("overview", f"/?a={a}"), ("gallery", f"/gallery?a={a}"), ("review", f"/review?a={a}")):
        seen = watched(color_scheme=scheme).open(address + path)
        if name == "review":
            seen.page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=60_000)
        take(seen, folder, name, scheme)
    seen = watched(color_scheme=scheme).open(f"{address}/compare?a={a}&b={b}")
    assert seen.lasso([(0.3, 0.96), (0.62, 0.97), (0.82, 0.62), (0.78, 0.3), (0.6, 0.22), (0.36, 0.5)]) > 0
    take(seen, folder, "compare", scheme)


@pytest.mark.skipif(not TRAINED, reason="test_while_training watches a run; this one only takes its picture")
def test_pictures_of_runs_while_one_trains(shown, watched):
    address, cache, folder = shown
    command = [sys.executable, "-m", "learnability", "train", "--cache", str(cache.root), "--data", "digits", "--arch", "resnet20"]
    command += ["--first-seed", "2", "--epochs", "200", "--precision", "fp32"]
    with open(cache.root.parent / "train.log", "wb") as log:
        training = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        seen = watched(color_scheme="light").open(address)
        seen.page.get_by_text("of 200 epochs").first.wait_for(timeout=120_000)
        (run_id,) = [run_id for run_id in cache.run_ids("digits") if run_id.startswith("resnet20-s2")]
        for scheme in SCHEMES:
            seen = watched(color_scheme=scheme).open(f"{address}/runs?job={run_id}")
            seen.page.get_by_text("Last sign of life").first.wait_for(timeout=60_000)
            take(seen, folder, "runs", scheme)
    finally:
        training.send_signal(signal.SIGINT)
        training.wait(60)
