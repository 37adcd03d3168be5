"""A cache of its own for each test."""

import pytest

from learnability.store.paths import Cache


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache.at(tmp_path / "cache")
