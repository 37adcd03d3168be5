"""Agreement of sets and of single decisions: overlap of the hardest samples, error consistency."""

import dataclasses
import itertools
import math

import numpy as np

from learnability.agreement.bootstrap import REPLICATES
from learnability.agreement.correlation import as_scores, known
from learnability.errors import InputError

_DRAWN = 1 << 22  # numbers drawn at once


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

    Of groups the means over all pairs of runs for which it is defined.

    pairs      kappa of each pair, NaN where both runs are right for all samples, or wrong for all
    largest    the largest kappa that runs of these accuracies can have
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
    pairs: tuple[float, ...]
    reason: str | None = None


def error_consistency(hits_a: np.ndarray, hits_b: np.ndarray, rng: np.random.Generator, replicates: int = REPLICATES) -> ErrorConsistency:
    """Kappa of two runs, hits (N,), or of every run of one group with every run of another, hits (S, N)."""
    a_SN, b_SN = (np.atleast_2d(np.asarray(hits)) for hits in (hits_a, hits_b))
    if a_SN.ndim != 2 or b_SN.ndim != 2 or a_SN.shape[1] != b_SN.shape[1] or not a_SN.size or {a_SN.dtype, b_SN.dtype} != {np.dtype(bool)}:
        raise InputError(
            f"hits: expected two bool arrays (N,) or (S, N) of the same samples, got {a_SN.dtype} {np.shape(hits_a)} and {b_SN.dtype} "
            f"{np.shape(hits_b)}."
        )
    pairs = list(itertools.product(range(len(a_SN)), range(len(a_SN), len(a_SN) + len(b_SN))))
    return _consistency(np.concatenate([a_SN, b_SN]), pairs, rng, replicates)


def seed_consistency(hits_SN: np.ndarray, rng: np.random.Generator, replicates: int = REPLICATES) -> ErrorConsistency | None:
    """Kappa of every pair of seeds of one group, hits (S, N): as far as errors of one architecture agree. None of one seed."""
    pairs = list(itertools.combinations(range(len(hits_SN)), 2))
    return _consistency(np.asarray(hits_SN), pairs, rng, replicates) if pairs else None


@dataclasses.dataclass(frozen=True)
class SharedErrors:
    """Whether two groups err on the same samples, beside what two seeds of each do (None of one seed)."""

    between: ErrorConsistency
    of_a: ErrorConsistency | None
    of_b: ErrorConsistency | None


def shared_errors(a_SN: np.ndarray, b_SN: np.ndarray, rng: np.random.Generator, replicates: int = REPLICATES) -> SharedErrors:
    """Of hits (S, N) of the seeds of both; an interval only between them."""
    of_a, of_b = (seed_consistency(hits_SN, rng, 0) for hits_SN in (a_SN, b_SN))
    return SharedErrors(error_consistency(a_SN, b_SN, rng, replicates), of_a, of_b)


def _consistency(hits_RN: np.ndarray, pairs: list[tuple[int, int]], rng: np.random.Generator, replicates: int) -> ErrorConsistency:
    """Samples are drawn by their pattern of hits over all runs, of which there are few."""
    N = hits_RN.shape[1]
    pattern_N = np.zeros(N, np.int64)
    for hits_N in hits_RN:
        pattern_N = np.unique(2 * pattern_N + hits_N, return_inverse=True)[1]
    _, first_P, count_P = np.unique(pattern_N, return_index=True, return_counts=True)
    cell_QP = np.stack([2 * hits_RN[i, first_P] + hits_RN[j, first_P] for i, j in pairs])

    def of_pairs(share_BP: np.ndarray) -> np.ndarray:
        """kappa, c_obs, c_exp, a1, a2 of every pair, (5, Q, B)."""
        return np.stack([_kappa(share_BP @ (cell_P[:, None] == np.arange(4))) for cell_P in cell_QP], axis=1)

    kappa_Q, observed_Q, expected_Q, a_Q, b_Q = of_pairs(count_P[None] / N)[:, :, 0]
    defined_Q = ~np.isnan(kappa_Q)
    undefined = not defined_Q.any()
    several, replicate_B = max(1, _DRAWN // len(count_P)), [np.zeros(0)]
    for start in range(0, 0 if undefined else replicates, several):
        drawn_BP = rng.multinomial(N, count_P / N, size=min(several, replicates - start)) / N
        kappa_QB = of_pairs(drawn_BP)[0]
        known_QB = ~np.isnan(kappa_QB)
        replicate_B.append(np.where(known_QB, kappa_QB, 0).sum(0)[known_QB.any(0)] / known_QB.sum(0)[known_QB.any(0)])
    found_B = np.concatenate(replicate_B)
    low, high = np.percentile(found_B, [2.5, 97.5]) if len(found_B) else (math.nan, math.nan)
    room_Q = np.where(defined_Q, 1 - expected_Q, math.nan)
    return ErrorConsistency(
        N=N,
        kappa=math.nan if undefined else float(kappa_Q[defined_Q].mean()),
        accuracy_a=float(a_Q.mean()),
        accuracy_b=float(b_Q.mean()),
        observed=float(observed_Q.mean()),
        expected=float(expected_Q.mean()),
        largest=math.nan if undefined else float(((1 - np.abs(a_Q - b_Q) - expected_Q) / room_Q)[defined_Q].mean()),
        low=float(low),
        high=float(high),
        replicates=replicates,
        pairs=tuple(map(float, kappa_Q)),
        reason="the runs are right for all samples, or wrong for all" if undefined else None,
    )


def _kappa(share_B4: np.ndarray) -> np.ndarray:
    """kappa, c_obs, c_exp, a1, a2 as (5, B), of the shares of (both miss, b alone hits, a alone hits, both hit)."""
    a1, a2 = share_B4[:, 2] + share_B4[:, 3], share_B4[:, 1] + share_B4[:, 3]
    observed = 1 - share_B4[:, 1] - share_B4[:, 2]
    expected = a1 * a2 + (1 - a1) * (1 - a2)
    room = np.where(1 - expected > 1e-12, 1 - expected, np.nan)
    return np.stack([(observed - expected) / room, observed, expected, a1, a2])
