"""Orders: direction, ties, classes, samples without a score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.curriculum import balanced, order, shuffled
from learnability.errors import InputError

SCORES = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, np.nan]), min_size=1, max_size=60).map(np.array)


def test_golden_balance():
    labels = np.array([0, 0, 0, 1, 1, 2, 0])
    assert balanced(np.array([3, 0, 1, 2, 5, 4, 6]), labels).tolist() == [3, 0, 5, 1, 4, 2, 6]


def test_direction_comes_from_the_metric():
    score = np.array([0.1, 0.9, 0.5])
    assert order(score, "high", balance=False).ids_N.tolist() == [1, 2, 0]
    assert order(score, "low", balance=False).ids_N.tolist() == [0, 2, 1]
    assert order(score, "high", "hard_first", balance=False).ids_N.tolist() == [0, 2, 1]


def test_never_learned_samples_are_hardest():
    events, never = np.array([0, 0, 2, 1]), np.array([True, False, False, False])
    assert order(events, "low", never_learned_N=never, balance=False).ids_N.tolist() == [1, 3, 2, 0]
    assert order(events, "low", "hard_first", never_learned_N=never, balance=False).ids_N.tolist() == [0, 2, 3, 1]


def test_ties_follow_the_words_and_hard_first_does_not_reverse_them():
    expected = shuffled(0, 1, 0, 8).tolist()
    assert order(np.ones(8), "high", balance=False).ids_N.tolist() == expected
    assert order(np.ones(8), "high", "hard_first", balance=False).ids_N.tolist() == expected
    assert order(np.ones(8), "high", seed=1, balance=False).ids_N.tolist() != expected


def test_random_is_one_seeded_shuffle_that_differs_between_seeds():
    score, labels = np.linspace(0, 1, 100), np.arange(100) % 10
    orders = [order(score, "high", "random", seed=seed, labels_N=labels).ids_N for seed in range(5)]
    assert len({tuple(ids) for ids in orders}) == 5
    assert (order(score[::-1], "high", "random", labels_N=labels).ids_N == orders[0]).all()
    assert (order(score, "high", "random", balance=False).ids_N == shuffled(0, 2, 0, 100)).all()


def test_hard_first_is_balanced_after_it_is_reversed():
    score, labels = np.array([0.1, 0.2, 0.3, 0.9]), np.array([0, 0, 0, 1])
    assert order(score, "high", "hard_first", labels_N=labels).ids_N.tolist() == [0, 3, 1, 2]


def test_samples_without_a_score_stand_last_and_are_in_no_pool_unless_asked_for():
    score = np.array([np.nan, 0.5, np.nan, 1.0])
    for arm in ("easy_first", "hard_first", "random", "standard"):
        made = order(score, "high", arm, balance=False)
        assert made.scored == 2
        assert set(made.in_play()) == {1, 3}
        assert set(made.unscored_ids) == {0, 2}
        assert set(made.in_play(unscored=True)) == {0, 1, 2, 3}


def test_a_subset_keeps_ids_and_words():
    score, ids = np.ones(6), np.array([2, 3, 5, 8, 9, 11])
    whole = order(np.ones(12), "high", balance=False).ids_N
    assert order(score, "high", balance=False, sample_ids_N=ids).ids_N.tolist() == [i for i in whole if i in set(ids)]


def test_infinite_scores_have_a_place():
    assert order(np.array([np.inf, 0, -np.inf]), "high", balance=False).ids_N.tolist() == [0, 1, 2]


@given(SCORES, st.sampled_from(["high", "low"]), st.sampled_from(["easy_first", "hard_first", "random", "standard"]), st.integers(0, 99))
def test_every_order_is_a_permutation_and_sorted_by_score(score, easy_is, arm, seed):
    made = order(score, easy_is, arm, seed=seed, balance=False)
    assert sorted(made.ids_N) == list(range(len(score)))
    placed = score[made.in_play()]
    assert not np.isnan(placed).any()
    if arm.endswith("_first"):
        rising = (arm == "easy_first") == (easy_is == "low")
        assert (np.diff(placed) >= 0).all() if rising else (np.diff(placed) <= 0).all()


@given(SCORES, st.integers(1, 4), st.integers(0, 99))
def test_balanced_prefixes_hold_the_classes_evenly(score, classes, seed):
    labels = np.random.default_rng(seed).integers(0, classes, len(score))
    ids = order(score, "high", labels_N=labels, seed=seed).in_play()
    totals = np.bincount(labels[~np.isnan(score)], minlength=classes)
    for k in range(1, len(ids) + 1):
        counts = np.bincount(labels[ids[:k]], minlength=classes)
        largest = counts.max()
        assert all(count >= min(largest - 1, total) for count, total in zip(counts, totals, strict=True))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1.0, 2.0], "neither"), {"balance": False}, "name the direction"),
        (([1.0, 2.0], "high", "sideways"), {"balance": False}, "expected one of easy_first"),
        (([1.0, 2.0], "high"), {}, "expected the classes"),
        (([[1.0, 2.0]], "high"), {"balance": False}, "shape"),
        (([1.0, 2.0], "high"), {"balance": False, "sample_ids_N": [2, 1]}, "rising"),
        (([1.0, 2.0], "high"), {"balance": False, "never_learned_N": [True]}, "never_learned_N"),
    ],
)
def test_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        order(np.array(arguments[0]), *arguments[1:], **options)
