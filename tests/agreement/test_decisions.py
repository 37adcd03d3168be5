"""Overlap of the hardest samples and error consistency."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from learnability.agreement import decisions, error_consistency, hardest_overlap, seed_consistency, to_json
from learnability.errors import InputError

A = np.array([5, 5, 5, 4, 3, 3, 1, 0]) / 5
B = np.array([5, 4, 5, 5, 3, 2, 0, 1]) / 5


def hits(text):
    return np.array([int(digit) for digit in text], bool)


def test_golden_overlap():
    got = hardest_overlap(A, B, 3)
    assert (got.k_a, got.k_b, got.shared, got.chance) == (2, 3, 2, 0.75)
    assert (got.jaccard, got.corrected) == pytest.approx((0.6667, 1), abs=5e-5)
    got = hardest_overlap(A, B, 5)
    assert (got.k_a, got.k_b, got.shared, got.chance) == (5, 5, 4, 3.125)
    assert (got.jaccard, got.corrected) == pytest.approx((0.6667, 0.4667), abs=5e-5)


@pytest.mark.parametrize(("k", "chance"), [(5000, 0.0526), (500, 0.0050)])
def test_golden_chance(k, chance):
    rng = np.random.default_rng(k)
    got = hardest_overlap(rng.permutation(50_000), rng.permutation(50_000), k)
    assert got.chance_jaccard == pytest.approx(chance, abs=5e-5)
    assert got.corrected == pytest.approx(0, abs=0.02)


def test_a_large_first_tie_is_taken_whole():
    got = hardest_overlap(np.array([0, 0, 0, 0, 1]), np.array([0, 1, 2, 3, 4]), 1)
    assert (got.k_a, got.k_b, got.shared) == (4, 1, 1)
    whole = hardest_overlap(np.zeros(4), np.arange(4), 4)
    assert (whole.k_a, whole.k_b, whole.jaccard) == (4, 4, 1)
    assert math.isnan(whole.corrected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=50), st.data())
def test_overlap_properties(pairs, data):
    a, b = np.array(pairs).T
    k = data.draw(st.integers(1, len(a)))
    got, turned, itself = hardest_overlap(a, b, k), hardest_overlap(b, a, k), hardest_overlap(a, a, k)
    assert (got.shared, got.jaccard) == (turned.shared, turned.jaccard)
    assert itself.jaccard == 1
    assert itself.corrected == 1 or math.isnan(itself.corrected)
    sizes = np.cumsum(np.unique(a, return_counts=True)[1])
    assert got.k_a in sizes
    assert abs(got.k_a - k) == np.abs(sizes - k).min()
    order = np.random.default_rng(0).permutation(len(a))
    assert hardest_overlap(a[order], b[order], k) == got or math.isnan(got.corrected)


def test_overlap_refused():
    with pytest.raises(InputError, match="expected 1 to 8"):
        hardest_overlap(A, B, 9)


def test_golden_kappa():
    got = error_consistency(hits("1110010110"), hits("1100110100"), np.random.default_rng(0))
    assert (got.accuracy_a, got.accuracy_b, got.observed, got.expected) == pytest.approx((0.6, 0.5, 0.7, 0.5))
    assert (got.kappa, got.largest) == pytest.approx((0.4, 0.8))
    assert got.low < 0.4 < got.high
    assert json.loads(json.dumps(to_json(got), allow_nan=False))["N"] == 10


def test_kappa_of_a_run_with_itself_is_exactly_one():
    for seed in range(50):
        run = np.random.default_rng(seed).random(97) < 0.7
        assert error_consistency(run, run, np.random.default_rng(0), 10).kappa == 1


def test_kappa_is_undefined_without_errors():
    got = error_consistency(np.ones(5, bool), np.ones(5, bool), np.random.default_rng(0))
    assert math.isnan(got.kappa)
    assert math.isnan(got.low)
    assert "right for all" in got.reason


def test_kappa_interval_covers():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(40):
        both = rng.random(2000) < 0.5
        a, b = np.where(both, rng.random((2, 2000)) < 0.9, rng.random((2, 2000)) < 0.5)
        got = error_consistency(a, b, rng, 300)
        inside += got.low <= (0.5 * 0.82 + 0.5 * 0.5 - 0.58) / 0.42 <= got.high
    assert inside >= 34


def several(N, accuracies, common=0.6, seed=0):
    """Hits (S, N): runs that answer alike where a sample is decided for all of them, each by itself elsewhere."""
    draw = np.random.default_rng(seed)
    decided_N, lot_N = draw.random(N) < common, draw.random(N)
    return np.stack([np.where(decided_N, lot_N, draw.random(N)) < accuracy for accuracy in accuracies])


def test_kappa_of_groups_is_that_of_sklearn_over_all_pairs():
    a_SN, b_SN = several(500, (0.8, 0.7, 0.75)), several(500, (0.6, 0.9))
    got = error_consistency(a_SN, b_SN, np.random.default_rng(0), 50)
    expected = [cohen_kappa_score(a, b) for a in a_SN for b in b_SN]
    assert got.pairs == pytest.approx(expected) and got.kappa == pytest.approx(np.mean(expected))
    assert (got.accuracy_a, got.accuracy_b) == pytest.approx((a_SN.mean(), b_SN.mean()))
    assert got.kappa < got.largest <= 1
    seeds = seed_consistency(a_SN, np.random.default_rng(0), 50)
    assert seeds.pairs == pytest.approx([cohen_kappa_score(a_SN[i], a_SN[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert seed_consistency(a_SN[:1], np.random.default_rng(0)) is None


def kappa_of_each(a_BN, b_BN) -> np.ndarray:
    """(B,) Cohen's kappa by its definition; scikit-learn's takes 2.5 ms a call."""
    a, b = a_BN.mean(axis=1), b_BN.mean(axis=1)
    by_chance = a * b + (1 - a) * (1 - b)
    return ((a_BN == b_BN).mean(axis=1) - by_chance) / (1 - by_chance)


def test_its_interval_is_that_of_drawing_samples(monkeypatch):
    a_SN, b_SN = several(300, (0.8, 0.7)), several(300, (0.6, 0.9))
    draw = np.random.default_rng(1)
    drawn_BN = draw.integers(0, 300, (2000, 300))
    expected = np.mean([kappa_of_each(a[drawn_BN], b[drawn_BN]) for a in a_SN for b in b_SN], axis=0)
    first = [cohen_kappa_score(a_SN[0][rows], b_SN[0][rows]) for rows in drawn_BN[:20]]
    assert kappa_of_each(a_SN[0][drawn_BN[:20]], b_SN[0][drawn_BN[:20]]) == pytest.approx(first)
    monkeypatch.setattr(decisions, "_DRAWN", 1000)  # in many parts
    got = error_consistency(a_SN, b_SN, np.random.default_rng(0), 2000)
    assert (got.low, got.high) == pytest.approx(np.percentile(expected, [2.5, 97.5]), abs=0.012)


def test_a_pair_without_errors_does_not_count():
    b_SN = np.stack([np.ones(200, bool), several(200, (0.7,))[0]])
    got = error_consistency(b_SN, b_SN, np.random.default_rng(0), 100)
    assert math.isnan(got.pairs[0]) and got.pairs[1:] == pytest.approx((0, 0, 1))
    assert got.kappa == pytest.approx(1 / 3) and got.reason is None and np.isfinite([got.low, got.high, got.largest]).all()
    json.dumps(to_json(got), allow_nan=False)


def test_kappa_refused():
    with pytest.raises(InputError, match="two bool arrays"):
        error_consistency(np.ones(3, bool), np.ones(4, bool), np.random.default_rng(0))
    with pytest.raises(InputError, match="two bool arrays"):
        error_consistency(np.ones(3), np.ones(3, bool), np.random.default_rng(0))
