"""Correlations against worked examples, scipy and their own symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from learnability.agreement import KINDS, correlation, correlations, kendall_tau_b, mid_ranks, pearson, spearman
from learnability.errors import InputError

A = np.array([5, 5, 5, 4, 3, 3, 1, 0]) / 5
B = np.array([5, 4, 5, 5, 3, 2, 0, 1]) / 5

SCIPY = {
    "pearson": lambda a, b: stats.pearsonr(a, b).statistic,
    "spearman": lambda a, b: stats.spearmanr(a, b).statistic,
    "kendall": lambda a, b: stats.kendalltau(a, b).statistic,
}

TIED = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 6), min_size=n, max_size=n)] * 2).map(lambda pair: np.array(pair) / 6)
)
FREE = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.floats(-1e6, 1e6, width=32), min_size=n, max_size=n)] * 2).map(lambda pair: np.array(pair))
)


def test_golden_ties():
    assert pearson(A, B) == pytest.approx(0.9072, abs=5e-5)
    assert spearman(A, B) == pytest.approx(0.8679, abs=5e-5)
    assert kendall_tau_b(A, B) == pytest.approx(0.7348, abs=5e-5)
    assert kendall_tau_b(A, B) == pytest.approx((20 - 2) / math.sqrt((28 - 4) * (28 - 3)))
    assert mid_ranks(A).tolist() == [7, 7, 7, 5, 3.5, 3.5, 2, 1]


@given(st.one_of(TIED, FREE), st.sampled_from(KINDS))
def test_equals_scipy(pair, kind):
    a, b = pair
    got = correlation(a, b, kind)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert math.isnan(got.value)
        assert "constant" in got.reason
    elif kind != "pearson" or min(np.ptp(a), np.ptp(b)) > 1e-3:
        assert got.value == pytest.approx(SCIPY[kind](a, b), abs=1e-9)
        assert got.reason is None


@pytest.mark.parametrize("distinct", [31, 4000, 10**9])
def test_equals_scipy_on_many_samples(distinct):
    rng = np.random.default_rng(distinct)
    a = rng.integers(0, distinct, 20_000)
    b = a + rng.integers(0, distinct, 20_000)
    for kind in KINDS:
        assert correlation(a, b, kind).value == pytest.approx(SCIPY[kind](a, b), abs=1e-12)


@given(TIED, st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_symmetries(pair, kind, random):
    a, b = pair
    value = correlation(a, b, kind).value
    if math.isnan(value):
        return
    order = np.array(random.sample(range(len(a)), len(a)))
    assert correlation(b, a, kind).value == value
    assert correlation(-a, b, kind).value == pytest.approx(-value, abs=1e-12)
    assert correlation(a[order], b[order], kind).value == pytest.approx(value, abs=1e-12)
    assert correlation(3 * a + 1, b, kind).value == pytest.approx(value, abs=1e-9)
    assert correlation(a, a, kind).value == 1
    assert correlation(a, -a, kind).value == -1


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_itself_is_exactly_one(kind):
    rng = np.random.default_rng(1)
    for scale in (1e-300, 1, 1e300):
        score = rng.normal(size=9973) * scale
        assert correlation(score, score.copy(), kind).value == 1
    assert (np.diag(correlations(rng.integers(0, 30, (5, 999)) / 30, kind)) == 1).all()


def test_tau_counts_pairs_exactly_at_a_million_samples():
    score = np.arange(1_200_000) % 997
    assert kendall_tau_b(score, score) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_constant_scores_have_no_correlation(kind):
    got = correlation(np.ones(9), np.arange(9), kind)
    assert math.isnan(got.value)
    assert got.reason == "the first score is constant"
    assert correlation(np.arange(9), np.full(9, 0.1), kind).reason == "the second score is constant"
    assert "fewer than two" in correlation([1.0, np.nan], [1.0, 2.0], kind).reason
    assert "fewer than two" in correlation([], [], kind).reason


def test_infinite_scores_have_ranks_only():
    a, b = np.array([0, 1, np.inf]), np.array([0, 1, 2.0])
    assert correlation(a, b).reason == "the first score is infinite for some samples"
    assert spearman(a, b) == 1
    assert kendall_tau_b(a, b) == 1


def test_samples_that_one_side_never_saw_are_left_out():
    a, b = np.array([1, 2, np.nan, 4, 7]), np.array([1, 3, 9, np.nan, 7.0])
    got = correlation(a, b)
    assert got.N == 3
    assert got.value == pytest.approx(stats.pearsonr([1, 2, 7], [1, 3, 7]).statistic)


def test_refused():
    with pytest.raises(InputError, match="expected one of pearson, spearman, kendall"):
        correlation(A, B, "cosine")
    with pytest.raises(InputError, match="expected real numbers"):
        correlation(["a", "b"], ["b", "a"])
