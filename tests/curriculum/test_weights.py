"""Importance weights stay unbiased, whatever the cap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.curriculum import effective_sample_size, importance, rank_difficulty, weighted_draw
from learnability.errors import InputError

LEARNABILITY = np.array([1, 0.6, 0, 0.4])


def test_golden():
    weights = importance(1 - LEARNABILITY, looks=5)
    assert weights.p_N == pytest.approx([0.0714, 0.2143, 0.4286, 0.2857], abs=5e-5)
    assert weights.w_N == pytest.approx([3.5, 1.1667, 0.5833, 0.875], abs=5e-5)
    assert weights.in_play == pytest.approx(3.1613, abs=5e-5)
    assert weights.effective_fraction == pytest.approx(0.6531, abs=5e-5)


def test_golden_cap():
    weights = importance(1 - LEARNABILITY, looks=5, cap=3)
    assert weights.p_N == pytest.approx([0.1333, 0.2, 0.4, 0.2667], abs=5e-5)
    assert weights.w_N == pytest.approx([1.875, 1.25, 0.625, 0.9375])
    assert weights.in_play == pytest.approx(3.4615, abs=5e-5)
    assert weights.effective_fraction == pytest.approx(0.8533, abs=5e-5)


@given(
    st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), min_size=1, max_size=40).filter(lambda d: not np.isnan(d).all()),
    st.integers(1, 200),
    st.floats(0, 3),
    st.floats(1, 50),
)
def test_properties(difficulty, looks, alpha, cap):
    difficulty = np.array(difficulty)
    weights, known = importance(difficulty, looks, alpha, cap), ~np.isnan(difficulty)
    assert weights.p_N.sum() == pytest.approx(1)
    assert np.sum(weights.p_N * weights.w_N) == pytest.approx(1)
    assert (weights.p_N[~known] == 0).all()
    assert weights.p_N[known].max() <= cap * weights.p_N[known].min() * (1 + 1e-9)
    assert 0 < weights.effective_fraction <= 1 + 1e-9
    assert 1 - 1e-9 <= weights.in_play <= known.sum() * (1 + 1e-9)
    loss = np.random.default_rng(0).random(len(difficulty))
    assert np.sum(weights.p_N * weights.w_N * loss) == pytest.approx(loss[known].mean())


def test_draw_follows_p_and_the_weighted_mean_is_unbiased():
    weights = importance(np.array([0, 0.4, 1, np.nan, 0.6]), looks=5)
    rows = weighted_draw(weights, 40_000, seed=3, step=0)
    assert np.bincount(rows, minlength=5) / 40_000 == pytest.approx(weights.p_N, abs=0.01)
    loss = np.array([1.0, 5, 2, np.nan, 8])
    assert (weights.w_N[rows] * loss[rows]).mean() == pytest.approx(4, abs=0.1)
    assert effective_sample_size(weights.w_N[rows]) / 40_000 == pytest.approx(weights.effective_fraction, abs=0.01)
    assert (weighted_draw(weights, 10, seed=3, step=1) != rows[:10]).any()


def test_effective_sample_size():
    assert effective_sample_size(np.ones(7)) == 7
    assert effective_sample_size([1, 1, 0, 0]) == 2


def test_a_steep_alpha_does_not_overflow():
    steep = importance(np.array([0.1, 1.0, 1.0]), looks=5, alpha=5000, cap=4)
    assert steep.p_N.tolist() == pytest.approx([1 / 9, 4 / 9, 4 / 9])


def test_warning_below_half():
    assert importance(1 - LEARNABILITY, looks=5).warning is None
    skewed = importance(np.r_[np.zeros(95), np.ones(5)], looks=100, alpha=3, cap=1e6)
    assert "effective" in skewed.warning


def test_rank_difficulty():
    assert rank_difficulty(np.array([9.0, 1, np.nan, 1]), "high").tolist()[:2] == pytest.approx([1 / 6, 2 / 3])
    assert np.isnan(rank_difficulty(np.array([9.0, 1, np.nan, 1]), "high")[2])


@pytest.mark.parametrize(
    ("difficulty", "options"),
    [([2.0], {}), ([np.nan], {}), ([0.5], {"cap": 0.5}), ([0.5], {"alpha": -1}), ([0.5], {"alpha": np.nan}), ([0.5], {"cap": np.inf})],
)
def test_refused(difficulty, options):
    with pytest.raises(InputError, match="expected"):
        importance(np.array(difficulty), looks=5, **options)
