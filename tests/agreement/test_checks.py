"""The controls give what they must."""

import json

import numpy as np
import pytest

from learnability.agreement import KINDS, controls, pearson, to_json


@pytest.mark.parametrize("kind", KINDS)
def test_controls(kind):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 4000)
    truth = labels + rng.normal(size=4000)
    a, b = np.round(truth + rng.normal(size=(2, 4000)), 1)
    hits = truth > 1
    outside, within = 0, 0
    for _ in range(40):
        got = controls(a, b, labels, rng, kind, hits)
        assert set(got.itself.values()) == {1}
        assert len(got.itself) == 7
        outside += abs(got.permuted) > got.limit
        within += abs(got.class_within) > 1.1 * got.limit
        assert got.class_permuted > 0.3
    assert outside <= 6
    assert within <= 6
    assert json.loads(json.dumps(to_json(got), allow_nan=False))["N"] == 4000


@pytest.mark.parametrize(("N", "limit"), [(50_000, 0.0088), (10_000, 0.0196)])
def test_golden_limit(N, limit):
    rng = np.random.default_rng(N)
    got = controls(rng.random(N), rng.random(N), np.zeros(N, int), rng)
    assert got.limit == pytest.approx(limit, abs=5e-5)


def test_samples_not_seen_are_left_out():
    a, b = np.array([0.1, 0.4, np.nan, 0.3, 0.9]), np.array([0.1, np.nan, 0.5, 0.2, 0.8])
    assert controls(a, b, np.zeros(5, int), np.random.default_rng(0)).N == 3
    assert pearson(a, b) == pearson(a[[0, 3, 4]], b[[0, 3, 4]])
