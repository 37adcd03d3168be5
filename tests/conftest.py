"""What every test may use: a real small data set, prepared once a session."""

import os
import shutil
from pathlib import Path

import pytest

from learnability.store.paths import Cache

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with real CIFAR-10 and MNIST as Parquet; skips where it is absent."""
    folder = Path(os.environ.get("LEARNABILITY_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "cifar10" / "train.parquet").is_file():
        pytest.skip(f"no real data at {folder}: set LEARNABILITY_TEST_DATA to a folder with cifar10/train.parquet")
    return folder


@pytest.fixture(scope="session")
def digits_cache(tmp_path_factory) -> Cache:
    """A cache that holds the digits data set; not to be changed."""
    from learnability.prepare import prepare

    cache = Cache.at(tmp_path_factory.mktemp("digits") / "cache")
    prepare(cache, "digits")
    return cache


@pytest.fixture
def digits(digits_cache, tmp_path) -> Cache:
    """A copy of the digits cache for one test."""
    shutil.copytree(digits_cache.root, tmp_path / "cache")
    return Cache(tmp_path / "cache")
