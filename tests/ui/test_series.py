"""Scores of runs and groups as pages hold them."""

import itertools

import numpy as np
import pytest

from ui.series import Series, joined


def series(score_RN, ids_N=None, looks: int = 30, metric: str = "learnability") -> Series:
    score_RN = np.asarray(score_RN, np.float64)
    ids_N = np.arange(score_RN.shape[1]) if ids_N is None else np.asarray(ids_N)
    return Series(
        key=("test",), id="a", name="a", metric=metric, sample_ids_N=ids_N, labels_N=np.zeros(len(ids_N), np.int64), score_RN=score_RN,
        runs=(), looks=(looks,) * len(score_RN), left_out=None,
    )  # fmt: skip


@pytest.mark.parametrize(("looks", "seeds"), [(12, 2), (30, 2), (30, 3), (200, 2)])
def test_equal_means_over_seeds_are_tied_although_scores_are_stored_in_single_precision(looks, seeds):
    few = range(0, looks + 1, max(1, looks // 25))
    hits = np.array(list(itertools.product(few, repeat=seeds))).T
    made = series((hits / looks).astype(np.float32), looks=looks)
    sums = hits.sum(0)
    assert len(np.unique(made.score_N)) == len(np.unique(sums))
    assert np.array_equal(np.argsort(made.score_N, kind="stable"), np.argsort(sums, kind="stable"))
    assert np.allclose(made.score_N, sums / looks / seeds, atol=1e-12)


def test_a_mean_that_is_no_whole_number_of_looks_stays_what_it_is():
    made = series([[0.5, 0.123456], [0.25, 0.2]], looks=4)
    assert made.score_N.tolist() == [0.375, np.mean([0.123456, 0.2])]
    assert series([[0.1], [0.2]], metric="mean_loss").score_N[0] == np.mean([0.1, 0.2])


def test_joined_holds_what_both_have_seen():
    one = series([[0.1, np.nan, 0.3, 0.4]])
    rows = joined(one, series([[np.nan, 0.2, 0.3, 0.5]]))
    assert [part.tolist() for part in rows] == [[2, 3], [2, 3], [2, 3]]
    rows = joined(one, series([[0.9, 0.8, 0.7]], ids_N=[0, 3, 9]))
    assert [part.tolist() for part in rows] == [[0, 3], [0, 1], [0, 3]]
