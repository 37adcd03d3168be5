"""Nearest neighbours of a sample, in one's memory or read from the disk class by class."""

import numpy as np
import pytest

from learnability.store.runs import load_features, load_runs
from ui import data, neighbours, recorded


@pytest.fixture
def done(many):
    """(a finished run of digits, its data set)."""
    run = next(run for run in load_runs(many, "digits") if run.state == "done")
    return run, data.dataset("digits")


def nearest_by_hand(features_Nd: np.ndarray, row: int, among: np.ndarray) -> list[int]:
    far = np.linalg.norm(features_Nd[among].astype(np.float64) - features_Nd[row].astype(np.float64), axis=1)
    return among[np.argsort(far, kind="stable")].tolist()


def test_all_samples_are_searched_where_they_fit(done, many):
    run, opened = done
    ids, distances, everywhere = recorded.nearest(run, opened, 7)
    features_Nd = load_features(many, "digits", run.id)
    assert everywhere and ids.tolist() == nearest_by_hand(features_Nd, 7, np.delete(np.arange(opened.N), 7))[:12]
    assert (np.diff(distances) >= 0).all()


def test_of_a_large_run_only_the_samples_of_the_class_are_read(done, many, monkeypatch):
    run, opened = done
    monkeypatch.setattr(neighbours, "EXACT", 1000)
    ids, _, everywhere = recorded.nearest(run, opened, 7)
    same = np.flatnonzero(opened.labels_N == opened.labels_N[7])
    assert not everywhere and ids.tolist() == nearest_by_hand(load_features(many, "digits", run.id), 7, same[same != 7])[:12]
