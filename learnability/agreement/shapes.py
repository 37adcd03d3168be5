"""The shape of a score comes first: ties, ends, classes, and what they do to a correlation."""

import dataclasses
import math

import numpy as np

from learnability.agreement.correlation import Correlation, as_scores, correlation, known, undefined_because
from learnability.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """Mean, shares at the two ends and number of distinct values of a score."""

    N: int
    mean: float
    share_low: float
    share_high: float
    distinct: int
    tied: int  # samples that share their value with another


def shape(score_N: np.ndarray, low: float = 0.0, high: float = 1.0) -> Shape:
    """Shape of a score over the samples seen; `low` and `high` are the ends of its range."""
    score_N = as_scores(score_N)
    score_N = score_N[~np.isnan(score_N)]
    N = len(score_N)
    counts = np.unique(score_N, return_counts=True)[1]
    return Shape(
        N=N,
        mean=float(score_N.mean()) if N else math.nan,
        share_low=float((score_N == low).mean()) if N else math.nan,
        share_high=float((score_N == high).mean()) if N else math.nan,
        distinct=len(counts),
        tied=int(counts[counts > 1].sum()),
    )


def nontrivial(a_N: np.ndarray, b_N: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """(N,) bool: samples seen by both and not at the same end of the range in both (arXiv 2110.05922).

    A second view, never the headline: the choice uses the same noisy scores. For groups give the means over seeds.
    """
    a_N, b_N = as_scores(a_N), as_scores(b_N)
    same_end = ((a_N == low) & (b_N == low)) | ((a_N == high) & (b_N == high))
    return known(np.stack([a_N, b_N])) & ~same_end


def within_class(score_RN: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Scores with the mean of their class taken off in each run, (R, N); a class without spread is exactly 0."""
    score_RN = np.atleast_2d(as_scores(score_RN))
    labels_N = np.asarray(labels_N)
    if labels_N.shape != score_RN.shape[1:]:
        raise InputError(f"labels_N: expected {score_RN.shape[1]} classes, one a sample, got {labels_N.shape}.")
    centred_RN = np.empty_like(score_RN)
    classes, label_N = np.unique(labels_N, return_inverse=True)
    for row, score_N in zip(centred_RN, score_RN, strict=True):
        seen = ~np.isnan(score_N)
        counts = np.bincount(label_N[seen], minlength=len(classes))
        mean = np.bincount(label_N[seen], weights=score_N[seen], minlength=len(classes)) / np.maximum(counts, 1)
        low, high = np.full(len(classes), np.inf), np.full(len(classes), -np.inf)
        np.minimum.at(low, label_N[seen], score_N[seen])
        np.maximum.at(high, label_N[seen], score_N[seen])
        mean = np.where(low == high, low, mean)
        row[:] = score_N - mean[label_N]
    return centred_RN


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithinClass:
    """Agreement inside the classes: overall after the class means are taken off, and class by class.

    per_class  correlation by class, NaN where a class has no spread;  mean, low, high  over the classes that have one
    """

    overall: Correlation
    per_class: dict[int, float]
    mean: float
    low: float
    high: float


def within_class_correlation(a_N: np.ndarray, b_N: np.ndarray, labels_N: np.ndarray, kind: str = "pearson") -> WithinClass:
    """A high overall correlation with a low one within classes says "the classes differ", not "the samples do"."""
    labels_N = np.asarray(labels_N)
    pair_2N = np.stack([as_scores(a_N), as_scores(b_N)])
    seen = known(pair_2N)
    pair_2N, labels_N = pair_2N[:, seen], labels_N[seen]
    overall = correlation(*within_class(pair_2N, labels_N), kind)
    per_class = {}
    for label in np.unique(labels_N).tolist():
        a_n, b_n = pair_2N[:, labels_N == label]
        undefined = undefined_because(a_n, kind) or undefined_because(b_n, kind)
        per_class[label] = math.nan if undefined else correlation(a_n, b_n, kind).value
    defined = [r for r in per_class.values() if not math.isnan(r)] or [math.nan]
    return WithinClass(overall=overall, per_class=per_class, mean=float(np.mean(defined)), low=min(defined), high=max(defined))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Counts of samples per cell of two scores: `counts[i, j]` samples with a in cell i and b in cell j.

    a_edges, b_edges  cell borders, one more than cells; halfway between values where there is one cell a value
    """

    a_edges: np.ndarray
    b_edges: np.ndarray
    counts: np.ndarray


def cells(a_N: np.ndarray, b_N: np.ndarray, most: int = 256) -> Cells:
    """The scatter of two scores as counts: one cell a value up to `most` values a side, else `most` cells of equal width."""
    pair_2N = np.stack([as_scores(a_N), as_scores(b_N)])
    a_n, b_n = pair_2N[:, known(pair_2N)]
    a_edges, b_edges = _edges(a_n, most), _edges(b_n, most)
    counts = np.histogram2d(a_n, b_n, bins=(a_edges, b_edges))[0].astype(np.int64)
    return Cells(a_edges=a_edges, b_edges=b_edges, counts=counts)


def _edges(value_n: np.ndarray, most: int) -> np.ndarray:
    values = np.unique(value_n)
    if len(values) > most:
        return np.linspace(values[0], values[-1], most + 1)
    if len(values) < 2:
        centre = values[0] if len(values) else 0.0
        return np.array([centre - 0.5, centre + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
