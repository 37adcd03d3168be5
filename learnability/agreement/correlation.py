"""Two scores of the same samples to one number: Pearson, Spearman, Kendall's tau-b."""

import dataclasses
import math

import numpy as np

from learnability.errors import InputError

KINDS = ("pearson", "spearman", "kendall")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Correlation:
    """How far two scores order the samples alike, -1..1; NaN with the reason where it is not defined, never 0 instead.

    N  samples both sides saw
    """

    value: float
    N: int
    kind: str
    reason: str | None = None


def correlation(a_N: np.ndarray, b_N: np.ndarray, kind: str = "pearson") -> Correlation:
    """Correlation of two scores over the samples that both saw (neither is NaN)."""
    pair_2N = np.stack([as_scores(a_N), as_scores(b_N)])
    pair_2N = pair_2N[:, known(pair_2N)]
    value = float(correlations(pair_2N, kind)[0, 1])
    reasons = (undefined_because(score_N, kind) for score_N in pair_2N)
    reason = next((f"the {side} score is {why}" for side, why in zip(("first", "second"), reasons, strict=True) if why), None)
    return Correlation(value=value, N=pair_2N.shape[1], kind=kind, reason=reason)


def pearson(a_N: np.ndarray, b_N: np.ndarray) -> float:
    """Pearson's r of two scores, NaN for a constant one."""
    return correlation(a_N, b_N, "pearson").value


def spearman(a_N: np.ndarray, b_N: np.ndarray) -> float:
    """Spearman's rho: Pearson's r of the mid-ranks."""
    return correlation(a_N, b_N, "spearman").value


def kendall_tau_b(a_N: np.ndarray, b_N: np.ndarray) -> float:
    """Kendall's tau-b: (C - D) / sqrt((P - T_a)(P - T_b)) over the P pairs of samples."""
    return correlation(a_N, b_N, "kendall").value


def correlations(score_RN: np.ndarray, kind: str = "pearson") -> np.ndarray:
    """Correlation of every run with every other, (R, R), over scores without NaN; NaN in the rows of a constant run."""
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: expected one of {', '.join(KINDS)}.")
    R = len(score_RN)
    r_RR = np.empty((R, R))
    if kind == "kendall":
        prepared, of_pair = [_dense_ranks(score_N) for score_N in score_RN], _tau_b
    else:
        prepared, of_pair = standardised(score_RN, kind), _product_moment
    for i in range(R):
        for j in range(i, R):
            r_RR[i, j] = r_RR[j, i] = of_pair(prepared[i], prepared[j])
    return r_RR


def standardised(score_RN: np.ndarray, kind: str = "pearson") -> np.ndarray:
    """Scores, or their mid-ranks (`spearman`), with mean 0 and largest deviation 1 in each run; zeros for a constant run."""
    if kind == "spearman":
        score_RN = np.stack([mid_ranks(score_N) for score_N in score_RN])
    if not score_RN.shape[1]:
        return np.asarray(score_RN, np.float64)
    undefined_R = np.array([undefined_because(score_N, kind) is not None for score_N in score_RN])
    score_RN = np.where(undefined_R[:, None], 0.0, score_RN)
    centred_RN = score_RN - score_RN.mean(axis=1, keepdims=True)
    centred_RN[undefined_R] = 0
    largest_R = np.abs(centred_RN).max(axis=1, initial=0)
    return centred_RN / np.where(largest_R > 0, largest_R, 1)[:, None]


def undefined_because(score_N: np.ndarray, kind: str) -> str | None:
    """Why a score has no correlation, or None: too few samples, constant (up to rounding), infinite."""
    if len(score_N) < 2:
        return "seen for fewer than two samples"
    if kind == "pearson" and not np.isfinite(score_N).all():
        return "infinite for some samples"
    low, high = score_N.min(), score_N.max()
    return "constant" if low == high else None


def mid_ranks(value_N: np.ndarray) -> np.ndarray:
    """Ranks 1..N of the values, ties sharing their mean rank; NaN ranks NaN."""
    value_N = np.asarray(value_N, np.float64)
    ranks_N = np.full(len(value_N), np.nan)
    seen = ~np.isnan(value_N)
    _, inverse, counts = np.unique(value_N[seen], return_inverse=True, return_counts=True)
    ranks_N[seen] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks_N


def as_scores(score: np.ndarray) -> np.ndarray:
    """Any real scores as float64."""
    score = np.asarray(score)
    if score.dtype.kind not in "bifu":
        raise InputError(f"scores: expected real numbers, got {score.dtype} {score.shape}.")
    return score.astype(np.float64)


def known(score_RN: np.ndarray) -> np.ndarray:
    """(N,) bool: samples that every run has a score for."""
    return ~np.isnan(score_RN).any(axis=0)


def _product_moment(u_N: np.ndarray, v_N: np.ndarray) -> float:
    # elementwise sums, not a dot product: a run with itself must give exactly 1, and so must every order of memory
    norm = math.sqrt(np.sum(u_N * u_N) * np.sum(v_N * v_N))
    return min(1.0, max(-1.0, np.sum(u_N * v_N) / norm)) if norm > 0 else math.nan


def _dense_ranks(value_N: np.ndarray) -> np.ndarray:
    return np.unique(value_N, return_inverse=True)[1]


def _tau_b(x_N: np.ndarray, y_N: np.ndarray) -> float:
    """tau-b of dense ranks, from whole counts of pairs; O(N log N)."""
    N = len(x_N)
    pairs, tied_x, tied_y = N * (N - 1) // 2, _tied_pairs(np.bincount(x_N)), _tied_pairs(np.bincount(y_N))
    if tied_x == pairs or tied_y == pairs:
        return math.nan
    levels = int(y_N.max()) + 1
    by_x_then_y = np.sort(x_N * levels + y_N)
    borders = np.flatnonzero(np.diff(by_x_then_y, prepend=-1, append=-1))
    tied_both = _tied_pairs(np.diff(borders))
    discordant = _inversions(by_x_then_y % levels)
    concordant = pairs - tied_x - tied_y + tied_both - discordant
    return (concordant - discordant) / math.sqrt((pairs - tied_x) * (pairs - tied_y))


def _tied_pairs(sizes: np.ndarray) -> int:
    """Pairs of samples inside tie groups of these sizes."""
    return int(np.sum(sizes * (sizes - 1) // 2))


def _inversions(rank_N: np.ndarray) -> int:
    """Pairs i < j with rank_i > rank_j: one pass a bit, from the highest, over blocks of equal higher bits."""
    total, rank_N = 0, rank_N.astype(np.int64)
    for bit in reversed(range(int(rank_N.max(initial=0)).bit_length())):
        block_N = rank_N >> (bit + 1)
        ones_N = (rank_N >> bit) & 1
        starts_N = np.searchsorted(block_N, block_N, side="left")
        before_N = np.concatenate([[0], np.cumsum(ones_N)])
        ones_before_N = before_N[:-1] - before_N[starts_N]
        total += int(ones_before_N[ones_N == 0].sum())
        rank_N = rank_N[np.argsort(rank_N >> bit, kind="stable")]
    return total
