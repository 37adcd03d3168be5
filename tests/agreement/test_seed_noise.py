"""Quadrants: only differences beyond seed noise count."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learnability.agreement import QUADRANTS, Group, benjamini_hochberg, hard_samples, level_removed, quadrants, to_json
from learnability.agreement.seed_noise import balanced_splits, noise_variance, relabelled_p, split_statistics
from learnability.errors import InputError

E = 30


def pair_of(S_A, S_B):
    return (
        Group(name="A", rows=tuple(range(S_A)), seeds=tuple(range(S_A))),
        Group(name="B", rows=tuple(range(S_A, S_A + S_B)), seeds=tuple(range(S_B))),
    )


def simulated(rng, S_A, S_B, N, different=0.0, level=0.0):
    """Learnability of runs with persistent noise of their own; `different` of the samples are easier or harder for B by 0.4."""
    base_N = rng.beta(2, 0.7, N)
    changed_N = np.zeros(N, bool)
    changed_N[: int(different * N)] = True
    of_b = np.clip(base_N + changed_N * np.where(base_N > 0.5, -0.4, 0.4) - level * base_N, 0, 1)
    truth_RN = np.concatenate([np.tile(base_N, (S_A, 1)), np.tile(of_b, (S_B, 1))])
    return rng.binomial(E, np.clip(truth_RN + rng.normal(0, 0.06, truth_RN.shape), 0, 1)) / E, changed_N


def test_golden_t():
    runs = np.array([[0.9], [0.8], [1.0], [0.2], [0.3], [0.1]])
    assert noise_variance(runs[:3], runs[3:], 1e-6) == pytest.approx(0.01)
    variance = np.full((6, 1), 0.04)
    assert split_statistics(runs, range(3), variance)[0] == pytest.approx(4.2866, abs=5e-5)
    splits = balanced_splits(3, 3, np.random.default_rng(0))
    null = sorted(float(split_statistics(runs, chosen, variance)[0]) for chosen in splits)
    assert null == pytest.approx([0.6124, 1.0206, 1.0206, 1.4289, 1.4289, 1.4289, 1.8371, 1.8371, 2.2454], abs=5e-5)
    assert relabelled_p(runs, 3, variance, splits)[0] == 0.1


def test_golden_benjamini_hochberg():
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216])
    adjusted = benjamini_hochberg(p)
    assert adjusted == pytest.approx([0.010, 0.040, 0.084, 0.084, 0.084, 0.100, 0.1057, 0.216, 0.216, 0.216], abs=5e-5)
    assert (adjusted <= 0.05).sum() == 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_benjamini_hochberg_equals_scipy(p):
    assert benjamini_hochberg(np.array(p)) == pytest.approx(stats.false_discovery_control(p))


@pytest.mark.parametrize(
    ("sizes", "count"),
    [((3, 3), 9), ((2, 2), 2), ((1, 1), 0), ((2, 1), 2), ((1, 2), 2), ((3, 2), 6), ((5, 5), 30), ((4, 4), 18), ((10, 10), 30)],
)
def test_splits_are_other_balanced_and_different(sizes, count):
    splits = balanced_splits(*sizes, np.random.default_rng(0))
    assert len(splits) == count
    halves = {frozenset([frozenset(chosen), frozenset(range(sum(sizes))) - frozenset(chosen)]) for chosen in splits}
    original = frozenset([frozenset(range(sizes[0])), frozenset(range(sizes[0], sum(sizes)))])
    if sizes[0] == sizes[1]:
        assert len(halves) == count
        assert original not in halves
    for chosen in splits:
        assert len(set(chosen)) == sizes[0]
        assert set(chosen) != set(range(sizes[0]))


def test_pooled_null_equals_counting_by_hand():
    rng = np.random.default_rng(4)
    runs, variance = rng.integers(0, 6, (4, 40)) / 5, np.repeat(rng.random((2, 40)) + 0.1, 2, axis=0)
    splits = balanced_splits(2, 2, rng)
    t = split_statistics(runs, range(2), variance)
    null = np.concatenate([split_statistics(runs, chosen, variance) for chosen in splits])
    expected = [(1 + (null >= value - 1e-7).sum()) / (1 + len(null)) for value in t]
    assert relabelled_p(runs, 2, variance, splits) == pytest.approx(expected)


def test_variance_is_that_of_samples_alike_and_never_below_the_grain():
    rng = np.random.default_rng(0)
    runs, _ = simulated(rng, 3, 3, 2000)
    variance = noise_variance(runs[:3], runs[3:], 1 / E)
    assert variance.min() >= 1 / (12 * E**2)
    for group_N, own in zip(variance, (runs[:3], runs[3:]), strict=True):
        assert len(np.unique(group_N)) <= 100
        assert group_N.mean() == pytest.approx(own.var(axis=0, ddof=1).mean(), rel=0.02)
    assert noise_variance(np.ones((2, 9)), np.ones((2, 9)), 0.1) == pytest.approx(0.01 / 12)


def test_four_quadrants_and_the_untold():
    score = np.tile([0.1, 0.9, 0.1, 0.9, 0.5], (6, 40))
    score[3:, 2::5], score[3:, 3::5] = 0.9, 0.1
    score[3:, 4::5] = 0.45
    score += np.random.default_rng(0).normal(0, 0.002, score.shape)
    got = quadrants(score, pair_of(3, 3), 1 / E, np.random.default_rng(0))[0]
    names = np.array(QUADRANTS)[got.quadrant_N].reshape(40, 5)
    assert (names[:, 0] == "hard for both").all()
    assert (names[:, 1] == "easy for both").all()
    assert set(names[:, 4]) <= {"hard for both", "not told apart from seed noise"}
    assert not got.significant_N.reshape(40, 5)[:, [0, 1, 4]].any()
    assert sum(got.counts.values()) == 200
    assert "hard for A only" in got.counts


def test_true_differences_are_found_and_false_ones_are_rare():
    rng = np.random.default_rng(7)
    score, changed = simulated(rng, 5, 5, 5000, different=0.05)
    got = quadrants(score, pair_of(5, 5), 1 / E, rng)[0]
    assert got.significant_N.sum() > 0.2 * changed.sum()
    assert (got.significant_N & ~changed).sum() <= 0.1 * got.significant_N.sum()
    found = np.isin(got.quadrant_N, [2, 3])
    assert found.sum() > 20
    assert (found <= got.significant_N).all()
    assert (np.where(got.quadrant_N == 2, got.a_N, got.b_N)[found] < 0.5).all()


def discoveries(datasets, N, S=3):
    """Data sets without a true difference in which something is found."""
    count = 0
    for seed in range(datasets):
        rng = np.random.default_rng([seed, S])
        got = quadrants(simulated(rng, S, S, N)[0], pair_of(S, S), 1 / E, rng)[0]
        count += bool(got.significant_N.any())
    return count


@pytest.mark.parametrize("S", [2, 3])
def test_nothing_is_found_where_nothing_is(S):
    assert discoveries(8, 3000, S) <= 1


@pytest.mark.soak
@pytest.mark.parametrize("S", [2, 3, 5])
def test_nothing_is_found_where_nothing_is_in_full(S):
    assert discoveries(100, 20_000, S) <= 10


def test_level_removed():
    rng = np.random.default_rng(3)
    score, _ = simulated(rng, 3, 3, 3000, level=0.3)
    mapped = level_removed(score)
    means = mapped.mean(axis=1)
    assert np.ptp(means) < 0.01
    assert np.ptp(score.mean(axis=1)) > 0.1
    for before, after in zip(score, mapped, strict=True):
        order = np.argsort(before)
        assert (np.diff(after[order]) >= -1e-12).all()  # ranks are kept, but for ties where the pool has fewer values
        assert stats.spearmanr(before, after).statistic > 0.999
    raw = quadrants(score, pair_of(3, 3), 1 / E, rng)[0]
    level = quadrants(score, pair_of(3, 3), 1 / E, rng, remove_level=True)[0]
    assert level.level_removed
    assert level.significant_N.sum() < raw.significant_N.sum()


def test_order_of_samples_and_of_runs_within_a_group_changes_nothing():
    rng = np.random.default_rng(9)
    score, _ = simulated(rng, 3, 3, 500, different=0.2)
    order = rng.permutation(500)
    got = quadrants(score, pair_of(3, 3), 1 / E, np.random.default_rng(0))[0]
    moved = quadrants(score[[2, 0, 1, 5, 3, 4]][:, order], pair_of(3, 3), 1 / E, np.random.default_rng(0))[0]
    assert moved.p_N == pytest.approx(got.p_N[order])
    assert (moved.quadrant_N == got.quadrant_N[order]).all()


def test_samples_not_seen_and_single_seeds():
    score = np.array([[0.1, 0.9, np.nan, 0.2], [0.2, 0.9, 0.5, 0.9]])
    got = quadrants(score, pair_of(1, 1), 1 / E, np.random.default_rng(0))[0]
    assert got.quadrant_N.tolist() == [0, 1, -1, 4]
    assert got.reason == "seed noise unknown: one seed per architecture"
    assert np.isnan(got.p_N).all()
    assert not got.significant_N.any()
    assert math.isnan(got.a_N[2])
    plain = json.loads(json.dumps(to_json(got), allow_nan=False))
    assert "quadrant_N" not in plain
    assert to_json(got, samples=True)["quadrant_N"] == [0, 1, -1, 4]


@pytest.mark.parametrize(("S_A", "S_B", "single"), [(1, 3, "A"), (5, 1, "B")])
def test_a_single_run_is_not_tested_by_the_noise_of_the_other_group(S_A, S_B, single):
    """Twice as noisy as the other group, it would be called different all over."""
    rng = np.random.default_rng(0)
    base_N, noise = rng.uniform(0.4, 0.65, 2000), [0.12 if S == 1 else 0.06 for S in (S_A, S_B) for _ in range(S)]
    score_RN = np.clip(base_N + np.array(noise)[:, None] * rng.normal(size=(S_A + S_B, 2000)), 0, 1)
    got = quadrants(np.round(score_RN * E) / E, pair_of(S_A, S_B), 1 / E, rng)[0]
    assert not got.significant_N.any() and np.isnan(got.p_N).all() and got.splits == 0
    assert got.reason == f"seed noise unknown: {single} has one seed"


def test_the_noisier_group_with_fewer_seeds_is_not_called_different():
    """Pooled, the noise of the quiet five would stand in for that of the two: some ten false discoveries in each data set."""
    found = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        base_N, noise = rng.uniform(0.4, 0.65, 2000), np.repeat([0.12, 0.06], [2, 5])[:, None]
        score_RN = np.round(np.clip(base_N + noise * rng.normal(size=(7, 2000)), 0, 1) * E) / E
        found += int(quadrants(score_RN, pair_of(2, 5), 1 / E, rng)[0].significant_N.sum())
    assert found <= 2


def test_all_pairs_are_adjusted_together():
    rng = np.random.default_rng(1)
    score, _ = simulated(rng, 6, 3, 300, different=0.2)
    groups = [Group(name=name, rows=tuple(range(3 * i, 3 * i + 3)), seeds=(0, 1, 2)) for i, name in enumerate("ABC")]
    got = quadrants(score, groups, 1 / E, rng)
    assert [(pair.a, pair.b) for pair in got] == [("A", "B"), ("A", "C"), ("B", "C")]
    together = benjamini_hochberg(np.concatenate([pair.p_N for pair in got]))
    assert np.concatenate([pair.adjusted_N for pair in got]) == pytest.approx(together)


def test_one_group_alone():
    assert hard_samples(np.array([[0.1, 0.5, 0.9, np.nan], [0.4, 0.5, 0.2, 0.1]])).tolist() == [True, False, False, False]
    assert quadrants(np.ones((2, 3)), pair_of(2, 1)[:1], 1 / E, np.random.default_rng(0)) == ()


def test_grain_refused():
    with pytest.raises(InputError, match="grain"):
        quadrants(np.ones((4, 3)), pair_of(2, 2), 0, np.random.default_rng(0))
