"""Numbers that must come out as known, shown in small print beside the matrix."""

import dataclasses
import math

import numpy as np

from learnability.agreement.correlation import KINDS, as_scores, correlation, known
from learnability.agreement.decisions import error_consistency, hardest_overlap
from learnability.agreement.shapes import within_class


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controls:
    """Three controls of a pair of scores.

    itself           every number of the first score with itself: exactly 1
    permuted         correlation after the second score is permuted over samples: 0 within `limit` (19 times in 20)
    class_permuted   the same after it is permuted within classes: what is left is class difficulty
    class_within     within-class correlation after that: 0 within `limit`
    limit            1.96 / sqrt(N - 1)
    """

    N: int
    kind: str
    itself: dict[str, float]
    permuted: float
    class_permuted: float
    class_within: float
    limit: float


def controls(
    a_N: np.ndarray,
    b_N: np.ndarray,
    labels_N: np.ndarray,
    rng: np.random.Generator,
    kind: str = "pearson",
    hits_N: np.ndarray | None = None,
) -> Controls:
    """The controls of two scores in which larger is easier; `hits_N` of one run at one look adds kappa."""
    pair_2N = np.stack([as_scores(a_N), as_scores(b_N)])
    seen_N = known(pair_2N)
    a_n, b_n = pair_2N[:, seen_N]
    label_n = np.asarray(labels_N)[seen_N]
    N = len(a_n)
    itself = {name: correlation(a_n, a_n, name).value for name in KINDS}
    itself |= {f"jaccard of the hardest {share} %": hardest_overlap(a_n, a_n, max(1, N * share // 100)).jaccard for share in (1, 5, 10)}
    if hits_N is not None:
        itself["kappa"] = error_consistency(hits_N, hits_N, rng).kappa
    within_n = _permuted_within(b_n, label_n, rng)
    return Controls(
        N=N,
        kind=kind,
        itself=itself,
        permuted=correlation(a_n, rng.permutation(b_n), kind).value,
        class_permuted=correlation(a_n, within_n, kind).value,
        class_within=correlation(*within_class(np.stack([a_n, within_n]), label_n), kind).value,
        limit=1.96 / math.sqrt(max(N - 1, 1)),
    )


def _permuted_within(score_n: np.ndarray, label_n: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The scores of each class dealt out anew among its samples."""
    permuted = np.empty_like(score_n)
    permuted[np.argsort(label_n, kind="stable")] = score_n[np.lexsort((rng.random(len(score_n)), label_n))]
    return permuted
