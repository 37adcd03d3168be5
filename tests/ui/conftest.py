"""Caches for the dashboard's tests, made once a session and copied for tests that change them."""

import shutil

import pytest

from tests.ui import made_cache


@pytest.fixture(scope="session")
def many_root(tmp_path_factory):
    """digits with six runs of three architectures, one of them unfinished."""
    return made_cache.three_networks(tmp_path_factory.mktemp("many")).root


@pytest.fixture
def many(many_root, monkeypatch):
    """The cache with six runs as the dashboard's own; not to be changed."""
    monkeypatch.setenv("LEARNABILITY_CACHE", str(many_root))
    return made_cache.Cache(many_root)


@pytest.fixture
def own_many(many_root, tmp_path, monkeypatch):
    """A copy of it for one test."""
    shutil.copytree(many_root, tmp_path / "cache")
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    return made_cache.Cache(tmp_path / "cache")
