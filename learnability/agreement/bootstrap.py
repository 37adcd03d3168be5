"""Intervals for agreements: seeds drawn first, then samples, as weights over products of pairs of runs.

Fisher's interval over samples answers "these two runs, other samples"; what varies in truth is the run.
"""

import dataclasses
import math

import numpy as np

from learnability.errors import InputError

REPLICATES = 2000
LEAST_SEEDS = 3  # below, only samples are drawn
OVER_SEEDS = "over seeds and samples"
OVER_SAMPLES = "over samples, given these runs"

_SAMPLES_AT_ONCE = 8192
_REPLICATES_AT_ONCE = 500
_UNDEFINED_SHARE = 0.025  # more replicates without a value than the interval leaves out on one side


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """Percentiles 2.5 and 97.5 of the replicates; NaN with the reason where too many of them have no value."""

    low: float
    high: float
    over: str
    replicates: int
    undefined: int = 0
    reason: str | None = None


def check_replicates(replicates: int) -> None:
    """InputError for a count below 0."""
    if replicates < 0:
        raise InputError(f"replicates {replicates}: expected 0 (none) or more, for example {REPLICATES}.")


def interval(value_B: np.ndarray, over: str) -> Interval:
    """Percentile interval of bootstrap replicates, NaN replicates counted apart."""
    defined = value_B[~np.isnan(value_B)]
    undefined = len(value_B) - len(defined)
    if len(defined) == 0 or undefined > _UNDEFINED_SHARE * len(value_B):
        reason = f"not defined in {undefined} of {len(value_B)} replicates"
        return Interval(low=math.nan, high=math.nan, over=over, replicates=len(value_B), undefined=undefined, reason=reason)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Interval(low=float(low), high=float(high), over=over, replicates=len(value_B), undefined=undefined)


def replicated_correlations(z_RN: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """Pearson of every pair of runs in every replicate, (B, R, R), with N samples drawn with replacement, the same for all runs.

    z_RN  (R, N) standardised scores or ranks. The diagonal is 1, a constant run NaN.
    """
    R, N = z_RN.shape
    first, second = np.triu_indices(R)
    sums = np.zeros((replicates, R + len(first)))
    remaining_B = np.full(replicates, N)
    for start in range(0, N, _SAMPLES_AT_ONCE):
        part = z_RN[:, start : start + _SAMPLES_AT_ONCE]
        products = np.ascontiguousarray(np.concatenate([part, part[first] * part[second]]).T)
        share = min(1.0, part.shape[1] / (N - start))
        count_B = rng.binomial(remaining_B, share)  # how many of the N draws fall into this part
        remaining_B = remaining_B - count_B
        for block in range(0, replicates, _REPLICATES_AT_ONCE):
            counts = count_B[block : block + _REPLICATES_AT_ONCE]
            weights = np.empty((len(counts), part.shape[1]))
            for row, count in zip(weights, counts, strict=True):
                row[:] = np.bincount(rng.integers(0, part.shape[1], count), minlength=part.shape[1])
            sums[block : block + len(counts)] += weights @ products
    return _correlations_of(sums / N, R)


def drawn_seeds(S: int, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """How often each seed is drawn, (B, S): S draws with replacement; a draw with one distinct seed is drawn again."""
    counts_BS = rng.multinomial(S, np.full(S, 1 / S), size=replicates)
    while (again := (counts_BS > 0).sum(axis=1) < 2).any():
        counts_BS[again] = rng.multinomial(S, np.full(S, 1 / S), size=int(again.sum()))
    return counts_BS


def mean_within(r_BSS: np.ndarray, counts_BS: np.ndarray) -> np.ndarray:
    """Mean correlation over the drawn pairs of different seeds, (B,): a seed drawn twice is not a pair with itself."""
    pairs_BSS = counts_BS[:, :, None] * counts_BS[:, None, :] * (1 - np.eye(counts_BS.shape[1]))
    return (pairs_BSS * r_BSS).sum(axis=(1, 2)) / pairs_BSS.sum(axis=(1, 2))


def mean_across(r_BAB: np.ndarray, counts_BA: np.ndarray, counts_BB: np.ndarray) -> np.ndarray:
    """Mean correlation over all drawn pairs of a run of A and a run of B, (B,)."""
    pairs_BAB = counts_BA[:, :, None] * counts_BB[:, None, :]
    return (pairs_BAB * r_BAB).sum(axis=(1, 2)) / pairs_BAB.sum(axis=(1, 2))


def _correlations_of(means_BM: np.ndarray, R: int) -> np.ndarray:
    """Correlations from the weighted means of R runs and of their products."""
    mean_BR, products = means_BM[:, :R], means_BM[:, R:]
    first, second = np.triu_indices(R)
    cov_BRR = np.empty((len(means_BM), R, R))
    cov_BRR[:, first, second] = products - mean_BR[:, first] * mean_BR[:, second]
    cov_BRR[:, second, first] = cov_BRR[:, first, second]
    variance_BR = np.einsum("brr->br", cov_BRR).copy()
    variance_BR[variance_BR <= 1e-15] = np.nan
    sd_BR = np.sqrt(variance_BR)
    return cov_BRR / (sd_BR[:, :, None] * sd_BR[:, None, :])
