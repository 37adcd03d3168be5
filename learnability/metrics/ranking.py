"""Score to order: which rows a list shows first. Scores are never jittered; ties are broken the same way every time."""

from collections.abc import Sequence

import numpy as np

from learnability.errors import InputError
from learnability.metrics.table import METRICS

SHARES = ("learnability", "consensus_share")  # metrics in steps of 1 / looks


def ranking(
    score_N: np.ndarray,
    metric: str,
    *,
    hardest_first: bool = False,
    easy_is: str | None = None,
    aum_N: np.ndarray | None = None,
    sample_ids_N: np.ndarray | None = None,
    never_learned_N: np.ndarray | None = None,
) -> np.ndarray:
    """Rows in the order of a metric, easiest first or hardest first: (N,) row numbers.

    score_N           (N,) scores; NaN (never seen) stands last in both orders
    metric            a name of METRICS; it says which end is easy
    easy_is           "high" or "low", for a score without a direction of its own (`neither`, an imported score)
    aum_N             (N,) breaks ties: the larger margin is easier; without it, or where it is NaN, the sample id decides
    sample_ids_N      (N,) breaks what is left, lowest first in both orders; default 0..N-1
    never_learned_N   (N,) bool or 0/1, needed by `forgetting_events`: never learned is hardest, whatever its count
    """
    hardness_N = np.asarray(score_N, np.float64) * {"low": 1, "high": -1}[_easy_end(metric, easy_is)]
    if metric == "forgetting_events":
        if never_learned_N is None:
            raise InputError(
                "never_learned_N: expected the scores of never_learned, got none. Without them never learned looks like never forgotten."
            )
        hardness_N = np.where((np.asarray(never_learned_N) == 1) & ~np.isnan(hardness_N), np.inf, hardness_N)
    tie_N = np.zeros(len(hardness_N)) if aum_N is None else -np.asarray(aum_N, np.float64)
    if hardest_first:
        hardness_N, tie_N = -hardness_N, -tie_N
    ids_N = np.arange(len(hardness_N)) if sample_ids_N is None else sample_ids_N
    return np.lexsort((ids_N, tie_N, hardness_N))  # NaN sorts last


def mean_of_runs(score_RN: np.ndarray, metric: str, looks: Sequence[int]) -> np.ndarray:
    """The mean over R runs, (N,) float64. `looks` of each run.

    Scores are stored in single precision: of metrics that are shares of the looks, means that are equal in whole looks are equal again.
    """
    mean_N = np.mean(score_RN, axis=0, dtype=np.float64)
    if metric not in SHARES or len(set(looks)) > 1:
        return mean_N
    steps = looks[0] * len(score_RN)
    whole_N = np.rint(mean_N * steps) / steps
    return np.where(np.abs(whole_N - mean_N) < 1e-6, whole_N, mean_N)


def tie_sizes(score_N: np.ndarray) -> np.ndarray:
    """How many samples share each sample's score, itself included: (N,) int; 0 for NaN."""
    _, inverse_N, sizes = np.unique(score_N, return_inverse=True, return_counts=True)
    return np.where(np.isnan(score_N), 0, sizes[inverse_N])


def _easy_end(metric: str, easy_is: str | None) -> str:
    if metric in METRICS and METRICS[metric].easy_is == "none":
        raise InputError(f"metric {metric!r} names a class and gives no order. Choose another metric.")
    if easy_is is None:
        if metric not in METRICS:
            raise InputError(f"metric {metric!r}: expected one of {', '.join(METRICS)}. For another score give easy_is, 'high' or 'low'.")
        easy_is = METRICS[metric].easy_is
    if easy_is not in ("high", "low"):
        raise InputError(f"easy_is {easy_is!r} of {metric!r}: expected 'high' or 'low'. This score has no easy end of its own; name one.")
    return easy_is
