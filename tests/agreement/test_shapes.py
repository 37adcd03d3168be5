"""Shape of a score, subsets, classes, cells."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.agreement import cells, nontrivial, pearson, shape, within_class, within_class_correlation
from learnability.errors import InputError

A = np.array([5, 5, 5, 4, 3, 3, 1, 0]) / 5
B = np.array([5, 4, 5, 5, 3, 2, 0, 1]) / 5


def test_shape():
    got = shape(np.array([0, 0, 1, 0.5, np.nan, 0.5]))
    assert (got.N, got.mean, got.share_low, got.share_high, got.distinct, got.tied) == (5, 0.4, 0.4, 0.2, 3, 4)
    assert math.isnan(shape(np.array([np.nan])).mean)


def test_golden_nontrivial():
    keep = nontrivial(A, B)
    assert keep.sum() == 6
    assert pearson(A[keep], B[keep]) == pytest.approx(0.8613, abs=5e-5)


def test_nontrivial_keeps_samples_at_opposite_ends():
    assert nontrivial(np.array([0, 1, 0, 1, np.nan]), np.array([1, 0, 0, 1, 0.5])).tolist() == [True, True, False, False, False]


def test_golden_class():
    a, b, labels = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9]), np.array([0.3, 0.2, 0.1, 0.9, 0.8, 0.7]), np.array([0, 0, 0, 1, 1, 1])
    assert pearson(a, b) == pytest.approx(0.8621, abs=5e-5)
    got = within_class_correlation(a, b, labels)
    assert got.overall.value == pytest.approx(-1)
    assert got.per_class == {0: pytest.approx(-1), 1: pytest.approx(-1)}
    assert (got.mean, got.low, got.high) == pytest.approx((-1, -1, -1))


def test_classes_without_spread_have_no_correlation():
    labels = np.array([0, 0, 0, 1, 1, 1])
    got = within_class_correlation(np.array([0.1, 0.1, 0.1, 0.7, 0.7, 0.7]), np.arange(6.0), labels)
    assert math.isnan(got.overall.value)
    assert got.overall.reason == "the first score is constant"
    assert all(math.isnan(r) for r in got.per_class.values())
    half = within_class_correlation(np.array([0.1, 0.1, 0.1, 1, 2, 3]), np.array([1, 2, 3, 1, 2, 3]), labels)
    assert half.mean == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10)), min_size=1, max_size=50))
def test_within_class_means_are_zero(pairs):
    labels, score = np.array(pairs).T
    centred = within_class(score / 10, labels)[0]
    for label in np.unique(labels):
        assert centred[labels == label].mean() == pytest.approx(0, abs=1e-12)


def test_within_class_skips_what_was_not_seen():
    assert within_class(np.array([1, 3, np.nan]), np.array([0, 0, 0]))[0][:2].tolist() == [-1, 1]
    with pytest.raises(InputError, match="labels_N"):
        within_class(np.ones(3), np.ones(2))


def test_cells_hold_one_value_each():
    got = cells(A, B)
    assert got.counts.shape == (5, 6)
    assert got.counts.sum() == 8
    assert got.counts[4, 5] == 2
    assert ((got.a_edges[:-1] < np.unique(A)) & (np.unique(A) < got.a_edges[1:])).all()


@given(st.lists(st.tuples(*[st.one_of(st.floats(-5, 5, width=16), st.just(np.nan))] * 2), max_size=60), st.integers(1, 8))
def test_cells_lose_nobody(pairs, most):
    pair = np.array(pairs).reshape(-1, 2)
    got = cells(pair[:, 0], pair[:, 1], most)
    assert got.counts.sum() == (~np.isnan(pair).any(axis=1)).sum()
    assert max(got.counts.shape) <= most or most == 1
