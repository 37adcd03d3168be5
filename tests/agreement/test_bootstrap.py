"""Bootstrap replicates against brute force and scipy."""

import itertools
import math
import time

import numpy as np
import pytest
from scipy import stats

from learnability.agreement.bootstrap import (
    drawn_seeds,
    interval,
    mean_across,
    mean_within,
    replicated_correlations,
)
from learnability.agreement.correlation import standardised


@pytest.mark.parametrize("N", [300, 20_000])  # within one block of samples, and over several
def test_replicates_spread_as_those_of_scipy(N):
    rng = np.random.default_rng(N)
    base = rng.normal(size=N)
    score = standardised(np.stack([base, base + rng.normal(size=N), 0.3 * base + rng.normal(size=N)]))
    r_BRR = replicated_correlations(score, 1000, rng)
    assert np.einsum("brr->br", r_BRR) == pytest.approx(1)
    assert (r_BRR == r_BRR.transpose(0, 2, 1)).all()
    for i, j in itertools.combinations(range(3), 2):
        reference = stats.bootstrap(
            (score[i], score[j]),
            lambda a, b, axis: stats.pearsonr(a, b, axis=axis).statistic,
            paired=True,
            vectorized=True,
            n_resamples=500,
            batch=50,
            method="percentile",
            rng=rng,
        )
        spread = reference.standard_error
        assert np.percentile(r_BRR[:, i, j], 2.5) == pytest.approx(reference.confidence_interval.low, abs=0.5 * spread)
        assert np.percentile(r_BRR[:, i, j], 97.5) == pytest.approx(reference.confidence_interval.high, abs=0.5 * spread)
        assert r_BRR[:, i, j].std() == pytest.approx(spread, rel=0.15)


def test_identical_runs_stay_identical_and_constant_runs_undefined():
    score = standardised(np.stack([np.arange(50.0), 2 * np.arange(50.0), np.ones(50)]))
    r_BRR = replicated_correlations(score, 20, np.random.default_rng(0))
    assert r_BRR[:, 0, 1] == pytest.approx(1)
    assert np.isnan(r_BRR[:, 0, 2]).all()


def test_a_seed_drawn_twice_is_no_pair_with_itself():
    r_BSS = np.tile([[1, 0.8, 0.5], [0.8, 1, 0.2], [0.5, 0.2, 1]], (3, 1, 1))
    counts = np.array([[2, 1, 0], [1, 1, 1], [0, 1, 2]])
    assert mean_within(r_BSS, counts) == pytest.approx([0.8, 0.5, 0.2])


def test_means_equal_loops_over_drawn_runs():
    rng = np.random.default_rng(1)
    r_BRR = rng.random((6, 7, 7))
    r_BRR = (r_BRR + r_BRR.transpose(0, 2, 1)) / 2
    a, b = drawn_seeds(4, 6, rng), drawn_seeds(3, 6, rng)
    within, across = mean_within(r_BRR[:, :4, :4], a), mean_across(r_BRR[:, :4, 4:], a, b)
    for r_RR, of_a, of_b, w, x in zip(r_BRR, a, b, within, across, strict=True):
        runs_a, runs_b = np.repeat(range(4), of_a), np.repeat(range(4, 7), of_b)
        assert w == pytest.approx(np.mean([r_RR[i, j] for i, j in itertools.combinations(runs_a, 2) if i != j]))
        assert x == pytest.approx(np.mean([r_RR[i, j] for i in runs_a for j in runs_b]))


def test_drawn_seeds():
    counts = drawn_seeds(3, 5000, np.random.default_rng(0))
    assert (counts.sum(axis=1) == 3).all()
    assert ((counts > 0).sum(axis=1) >= 2).all()
    # of the 27 draws, 3 have one distinct seed and are drawn again: 6 of the other 24 hold all three
    assert ((counts > 0).sum(axis=1) == 3).mean() == pytest.approx(0.25, abs=0.02)


def test_interval_counts_what_is_undefined():
    made = interval(np.r_[np.linspace(0, 1, 999), np.nan], "samples")
    assert (made.low, made.high, made.undefined) == (pytest.approx(0.025), pytest.approx(0.975), 1)
    lost = interval(np.r_[np.linspace(0, 1, 90), [np.nan] * 10], "samples")
    assert math.isnan(lost.low)
    assert lost.reason == "not defined in 10 of 100 replicates"


def test_nine_runs_of_fifty_thousand_samples_stay_cheap():
    score = standardised(np.random.default_rng(0).normal(size=(9, 50_000)))
    start = time.process_time()
    replicated_correlations(score, 500, np.random.default_rng(0))
    # 0.3 s of processor time measured, 1.0 s for the usual 2,000; gathering rows for every replicate takes some 15 s
    assert time.process_time() - start < 5
