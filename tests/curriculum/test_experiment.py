"""Differences between arms, paired within a seed."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from learnability.curriculum import check_no_leak, paired_difference
from learnability.errors import InputError


@pytest.mark.parametrize(("differences", "half"), [([0.4, 0.1, 0.7], 0.745), ([0.4, 0.1, 0.7, 0.3, 0.5], 0.278)])
def test_golden(differences, half):
    result = paired_difference(differences)
    assert result.mean == pytest.approx(0.4)
    assert result.half == pytest.approx(half, abs=5e-4)
    assert (result.low, result.high) == pytest.approx((0.4 - result.half, 0.4 + result.half))
    assert json.loads(json.dumps(asdict(result)))["seeds"] == len(differences)


def test_equals_the_paired_t_interval_of_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    interval = stats.ttest_rel(a, b).confidence_interval(0.9)
    result = paired_difference(a - b, confidence=0.9)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))


def test_one_seed_has_no_interval():
    assert math.isnan(paired_difference([0.3]).half)
    with pytest.raises(InputError, match="one finite difference a seed"):
        paired_difference([0.3, np.nan])


def test_leak():
    check_no_leak([0, 1, 2], [3, 4])
    with pytest.raises(InputError, match=r"seeds \[2\].*--first-seed 3"):
        check_no_leak([0, 1, 2], [2, 3])
