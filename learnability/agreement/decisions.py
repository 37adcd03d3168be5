"""Agreement of sets and of single decisions: overlap of the hardest samples, error consistency."""

import dataclasses
import math

import numpy as np

from learnability.agreement.bootstrap import REPLICATES
from learnability.agreement.correlation import as_scores, known
from learnability.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overlap:
    """How many of the hardest samples two scores share.

    asked         the size asked for;  k_a, k_b  the nearest sizes that split no tie
    chance        shared samples to expect of two random sets, k_a k_b / N
    jaccard       shared / (k_a + k_b - shared);  chance_jaccard  the same of the shared samples to expect
    corrected     (shared - chance) / (min(k_a, k_b) - chance): 1 as alike as the sizes allow, 0 chance; NaN for whole sets
    """

    N: int
    asked: int
    k_a: int
    k_b: int
    shared: int
    chance: float
    jaccard: float
    chance_jaccard: float
    corrected: float


def hardest_overlap(a_N: np.ndarray, b_N: np.ndarray, k: int) -> Overlap:
    """Overlap of the k hardest samples of two scores, turned so that larger is easier (see `oriented`)."""
    pair_2N = np.stack([as_scores(a_N), as_scores(b_N)])
    pair_2N = pair_2N[:, known(pair_2N)]
    N = pair_2N.shape[1]
    if not 1 <= k <= N:
        raise InputError(f"k {k!r}: expected 1 to {N}, the samples both scores saw.")
    hard_2N = np.stack([score_N <= cut_without_split(score_N, k) for score_N in pair_2N])
    k_a, k_b = (int(hard_N.sum()) for hard_N in hard_2N)
    shared = int(hard_2N.all(axis=0).sum())
    chance = k_a * k_b / N
    room = min(k_a, k_b) - chance
    return Overlap(
        N=N,
        asked=k,
        k_a=k_a,
        k_b=k_b,
        shared=shared,
        chance=chance,
        jaccard=shared / (k_a + k_b - shared),
        chance_jaccard=chance / (k_a + k_b - chance),
        corrected=(shared - chance) / room if room > 0 else math.nan,
    )


def cut_without_split(score_N: np.ndarray, k: int) -> float:
    """Largest score of the k lowest, k moved to the nearest size that splits no tie (the smaller on a draw, at least 1)."""
    values, counts = np.unique(score_N, return_counts=True)
    return float(values[np.argmin(np.abs(np.cumsum(counts) - k))])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorConsistency:
    """Cohen's kappa of the hits of two runs at one look: do they err on the same samples, beyond what accuracy explains?

    largest    the largest kappa two runs of these accuracies can have
    low, high  percentiles 2.5 and 97.5 over samples. Many published differences are not significant (arXiv 2507.06645)
    """

    N: int
    kappa: float
    accuracy_a: float
    accuracy_b: float
    observed: float
    expected: float
    largest: float
    low: float
    high: float
    replicates: int
    reason: str | None = None


def error_consistency(
    hits_a_N: np.ndarray, hits_b_N: np.ndarray, rng: np.random.Generator, replicates: int = REPLICATES
) -> ErrorConsistency:
    """Kappa of the hits of two runs, with its interval over samples; NaN with the reason where both are always right or wrong."""
    hits_a_N, hits_b_N = np.asarray(hits_a_N), np.asarray(hits_b_N)
    if hits_a_N.shape != hits_b_N.shape or hits_a_N.ndim != 1 or hits_a_N.dtype != bool or hits_b_N.dtype != bool or not len(hits_a_N):
        raise InputError(
            f"hits: expected two bool arrays of one length, got {hits_a_N.dtype} {hits_a_N.shape} and {hits_b_N.dtype} {hits_b_N.shape}."
        )
    N = len(hits_a_N)
    cells = np.bincount(2 * hits_a_N + hits_b_N, minlength=4)
    kappa, observed, expected, accuracy_a, accuracy_b = (float(value) for value in _kappa(cells[None] / N)[:, 0])
    replicate_B = _kappa(rng.multinomial(N, cells / N, size=replicates) / N)[0]
    defined = replicate_B[~np.isnan(replicate_B)]
    undefined = math.isnan(kappa)
    low, high = (math.nan, math.nan) if undefined or not len(defined) else np.percentile(defined, [2.5, 97.5])
    return ErrorConsistency(
        N=N,
        kappa=kappa,
        accuracy_a=accuracy_a,
        accuracy_b=accuracy_b,
        observed=observed,
        expected=expected,
        largest=math.nan if undefined else (1 - abs(accuracy_a - accuracy_b) - expected) / (1 - expected),
        low=float(low),
        high=float(high),
        replicates=replicates,
        reason="both runs are right for all samples, or wrong for all" if undefined else None,
    )


def _kappa(share_B4: np.ndarray) -> np.ndarray:
    """kappa, c_obs, c_exp, a1, a2 as (5, B), of the shares of (both miss, b alone hits, a alone hits, both hit)."""
    a1, a2 = share_B4[:, 2] + share_B4[:, 3], share_B4[:, 1] + share_B4[:, 3]
    observed = 1 - share_B4[:, 1] - share_B4[:, 2]
    expected = a1 * a2 + (1 - a1) * (1 - a2)
    room = np.where(1 - expected > 1e-15, 1 - expected, np.nan)
    return np.stack([(observed - expected) / room, observed, expected, a1, a2])
