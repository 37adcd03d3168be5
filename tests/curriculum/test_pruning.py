"""Subsets: sizes exact, ends right, strata even."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.curriculum import PRUNING_METHODS, class_shares, prune, pruning_warning, strata, strata_budget
from learnability.errors import InputError

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.35, 0.8, 1.0, np.nan]), min_size=2, max_size=80).map(np.array)


@pytest.mark.parametrize(
    ("sizes", "n", "expected"),
    [
        ([5, 0, 40, 3, 52], 30, [5, 0, 11, 3, 11]),
        ([5, 0, 40, 3, 52], 31, [5, 0, 11, 3, 12]),
        ([100, 100, 100], 10, [3, 3, 4]),
    ],
)
def test_golden_budget(sizes, n, expected):
    assert strata_budget(np.array(sizes), n).tolist() == expected


@given(st.lists(st.integers(0, 60), min_size=1, max_size=50), st.floats(0, 1))
def test_budget_spends_all_and_no_more_than_there_is(sizes, share):
    n = int(share * sum(sizes))
    budget = strata_budget(np.array(sizes), n)
    assert budget.sum() == n
    assert (budget <= sizes).all()


def test_strata_hold_the_upper_edge_and_a_constant_score():
    assert strata(np.array([-3.0, -2, -1]), 50).tolist() == [0, 25, 49]
    assert strata(np.zeros(4)).tolist() == [0, 0, 0, 0]


@given(
    SCORES, st.sampled_from(PRUNING_METHODS), st.sampled_from(["high", "low"]), st.booleans(), st.floats(0, 1), st.floats(0, 0.9), st.data()
)
def test_properties(score, method, easy_is, balance, share, beta, data):
    scored = np.flatnonzero(~np.isnan(score))
    keep = max(1, int(share * len(scored)))
    if len(scored) == 0:
        return
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(score), max_size=len(score))))
    ids = np.arange(len(score)) * 2 + 1
    kept = prune(score, easy_is, keep, method, labels_N=labels, balance=balance, beta=beta, sample_ids_N=ids)
    assert len(kept) == keep
    assert (np.diff(kept) > 0).all()
    assert set(kept) <= set(ids[scored])
    if balance:
        counts = np.bincount(labels[kept // 2], minlength=4)
        assert np.abs(counts - np.bincount(labels[scored], minlength=4) * keep / len(scored)).max() < 1


def test_ends():
    score = np.linspace(0, 1, 10)
    assert prune(score, "high", 3, "hard").tolist() == [0, 1, 2]
    assert prune(score, "high", 3, "easy").tolist() == [7, 8, 9]
    assert prune(score, "low", 3, "hard").tolist() == [7, 8, 9]


def test_each_class_keeps_its_own_count():
    score, labels = np.r_[np.linspace(0, 0.1, 6), np.linspace(0.9, 1, 3)], np.array([0] * 6 + [1] * 3)
    assert prune(score, "high", 3, "hard", labels_N=labels, balance=True).tolist() == [0, 1, 6]
    assert class_shares(np.array([6, 3]), 3).tolist() == [2, 1]
    assert class_shares(np.array([1, 1, 1]), 2).tolist() == [1, 1, 0]


def test_random_differs_between_seeds_and_larger_subsets_hold_smaller_ones():
    score = np.zeros(100)
    subsets = [prune(score, "high", 20, seed=seed) for seed in range(4)]
    assert len({tuple(ids) for ids in subsets}) == 4
    assert set(subsets[0]) <= set(prune(score, "high", 50))


def test_stratified_covers_the_range_and_drops_the_hardest():
    score = np.linspace(0, 1, 1000)
    kept = prune(score, "high", 100, "stratified")
    assert np.bincount(strata(score)[kept], minlength=50).tolist() == [2] * 50
    assert prune(score, "high", 100, "stratified", beta=0.3).min() >= 300
    assert len(prune(score, "high", 900, "stratified", beta=0.3)) == 900


def test_stratified_of_negative_and_constant_scores_loses_nobody():
    assert len(prune(np.linspace(-5, -1, 200), "high", 200, "stratified")) == 200
    assert len(prune(np.full(200, 0.5), "high", 50, "stratified")) == 50


def test_never_learned_samples_count_as_hardest():
    events, never = np.array([0, 0, 1, 3]), np.array([True, False, False, False])
    assert prune(events, "low", 1, "hard", never_learned_N=never).tolist() == [0]
    assert 0 not in prune(events, "low", 3, "stratified", never_learned_N=never, beta=0.25)


def test_warning_below_thirty_percent_of_one_side():
    assert pruning_warning("hard", 299, 1000)
    assert pruning_warning("easy", 100, 1000)
    assert pruning_warning("hard", 300, 1000) is None
    assert pruning_warning("random", 10, 1000) is None


@pytest.mark.parametrize(
    ("keep", "options", "message"),
    [
        (0, {}, "keep 0: expected 1 to 3"),
        (4, {}, "keep 4: expected 1 to 3"),
        (2, {"method": "best"}, "expected one of random"),
        (2, {"balance": True}, "expected the classes"),
        (2, {"beta": 1.0, "method": "stratified"}, "beta"),
    ],
)
def test_refused(keep, options, message):
    with pytest.raises(InputError, match=message):
        prune(np.array([0.1, 0.2, np.nan, 0.3]), "high", keep, **options)


def test_infinite_scores_have_no_strata():
    with pytest.raises(InputError, match="finite"):
        prune(np.array([0.0, np.inf]), "low", 1, "stratified")
