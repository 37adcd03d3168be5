"""For whom a sample is hard, among all groups."""

import numpy as np
import pytest

from learnability.agreement import EVERY, SOME, Group, hard_for, hit_shares, only, quadrants
from learnability.errors import InputError

E = 30


def runs(rng, ease_N, S):
    """S runs of one network: hits over E looks, with noise of its own in each."""
    own_SN = ease_N + 0.3 * rng.normal(size=(S, len(ease_N)))
    return (rng.random((S, len(ease_N), E)) < 1 / (1 + np.exp(-own_SN))[:, :, None]).mean(axis=2)


def groups(*sizes):
    first = np.cumsum([0, *sizes])
    return [Group(name="ABC"[i], rows=tuple(range(first[i], first[i + 1])), seeds=tuple(range(S))) for i, S in enumerate(sizes)]


def three(rng, seeds, N=3000, own=200):
    """Three networks that order alike, but for the first `own` samples, which B alone finds hard."""
    ease_N = rng.normal(0, 1.5, N)
    ease_N[:own] = 3
    of_B = ease_N.copy()
    of_B[:own] = -3
    return np.concatenate([runs(rng, ease, S) for ease, S in zip((ease_N, of_B, ease_N), seeds, strict=True)])


def test_what_one_alone_finds_hard_is_found_and_little_else():
    score_RN = three(np.random.default_rng(0), (3, 3, 3))
    got = hard_for(score_RN, groups(3, 3, 3), 1 / E, np.random.default_rng(1))
    assert got.testable == (True, True, True)
    assert (got.only_N[:200] == 1).mean() > 0.9
    wrong = (got.only_N[200:] >= 0).sum()
    assert wrong <= 0.05 * (wrong + (got.only_N[:200] == 1).sum())
    assert got.counts[only("B")] == (got.only_N == 1).sum() == got.rows(only("B")).sum()
    assert sum(got.counts.values()) == 3000
    mean_GN = score_RN.reshape(3, 3, -1).mean(axis=1)
    assert np.array_equal(got.rows(EVERY), (mean_GN < 0.5 - 1e-9).all(axis=0))


def test_without_a_difference_nothing_is_claimed():
    rng = np.random.default_rng(2)
    ease_N = rng.normal(0, 1.5, 3000)
    score_RN = np.concatenate([runs(rng, ease_N, 3) for _ in range(3)])
    got = hard_for(score_RN, groups(3, 3, 3), 1 / E, np.random.default_rng(1))
    assert (got.only_N >= 0).sum() <= 1 and got.counts[SOME] > 100


def test_two_groups_are_the_quadrants():
    score_RN = three(np.random.default_rng(3), (3, 2, 1))[:5]
    got = hard_for(score_RN, groups(3, 2), 1 / E, np.random.default_rng(1))
    (pair,) = quadrants(score_RN, groups(3, 2), 1 / E, np.random.default_rng(1))
    assert list(got.counts.values()) == list(pair.counts.values())
    np.testing.assert_array_equal(got.place_N, pair.quadrant_N)


@pytest.mark.parametrize("seeds", [(1, 1, 3), (3, 1, 3), (3, 3, 1)])
def test_a_single_run_among_them_leaves_all_untold(seeds):
    score_RN = three(np.random.default_rng(4), seeds)
    got = hard_for(score_RN, groups(*seeds), 1 / E, np.random.default_rng(1))
    assert got.testable == (False, False, False)
    assert (got.only_N == -1).all() and np.isnan(got.adjusted_GN).all()
    alone = hard_for(score_RN[:1], groups(1), 1 / E, np.random.default_rng(1))
    assert alone.testable == (False,) and (alone.only_N == -1).all()
    assert alone.counts[EVERY] == (score_RN[0] < 0.5 - 1e-9).sum()


def test_a_sample_that_a_run_never_saw_has_no_place():
    score_RN = three(np.random.default_rng(5), (2, 2, 2), N=400, own=40)
    score_RN[3, 7] = np.nan
    got = hard_for(score_RN, groups(2, 2, 2), 1 / E, np.random.default_rng(1))
    assert got.place_N[7] == -1 and got.only_N[7] == -1 and got.N == 399


def test_an_unknown_place_is_refused():
    got = hard_for(np.random.default_rng(0).random((2, 50)), groups(1, 1), 1 / E, np.random.default_rng(1))
    with pytest.raises(InputError, match="every network"):
        got.rows("nobody")


def test_single_precision_moves_no_sample_across_the_border():
    score_SN = np.array([[10 / 12, 0.3, np.nan], [2 / 12, 1 / 3, 0.5]], np.float32)
    whole_SN = hit_shares(score_SN, (12, 12))
    assert score_SN.astype(float)[:, 0].mean() < 0.5 - 1e-9 and whole_SN[:, 0].mean() == 0.5
    assert whole_SN[0, 1] == np.float32(0.3) and whole_SN[1, 1] == 4 / 12 and np.isnan(whole_SN[0, 2])
