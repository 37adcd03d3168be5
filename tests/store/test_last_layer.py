"""Rows of a run's features, read without the rest."""

import numpy as np
import pytest

from learnability.errors import DamagedFile, NotFound
from learnability.store.last_layer import features_shape, load_feature_rows
from learnability.store.paths import Cache
from learnability.store.runs import load_features

RUN = "resnet20-s0-00000000"


@pytest.fixture
def kept(tmp_path):
    """(cache, features) of a run that has them."""
    cache = Cache(tmp_path)
    features_Nd = np.random.default_rng(3).normal(size=(50, 7)).astype("<f2")
    cache.run_folder("toy", RUN).mkdir(parents=True)
    np.save(cache.run_folder("toy", RUN) / "features.npy", features_Nd)
    return cache, features_Nd


def test_rows_are_those_of_the_whole(kept):
    cache, features_Nd = kept
    rows = np.array([49, 0, 7, 7])
    assert features_shape(cache, "toy", RUN) == (50, 7)
    assert load_feature_rows(cache, "toy", RUN, rows).tobytes() == features_Nd[rows].tobytes()
    assert np.array_equal(load_features(cache, "toy", RUN), features_Nd)
    assert load_feature_rows(cache, "toy", RUN, np.zeros(0, int)).shape == (0, 7)


def test_before_the_end_of_the_run_there_are_none(tmp_path):
    assert features_shape(Cache(tmp_path), "toy", RUN) is None
    with pytest.raises(NotFound, match="no features yet"):
        load_feature_rows(Cache(tmp_path), "toy", RUN, np.array([0]))


@pytest.mark.parametrize("keep", [0, 20, 128, 500])
def test_a_file_that_is_cut_is_named(kept, keep):
    cache, _ = kept
    path = cache.run_folder("toy", RUN) / "features.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedFile, match="features.npy is damaged"):
        load_feature_rows(cache, "toy", RUN, np.array([49]))


def test_another_kind_of_array_is_refused(kept):
    cache, _ = kept
    np.save(cache.run_folder("toy", RUN) / "features.npy", np.zeros((4, 2), np.float64))
    with pytest.raises(DamagedFile, match="expected float16"):
        features_shape(cache, "toy", RUN)
