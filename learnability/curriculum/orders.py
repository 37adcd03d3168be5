"""Score to order: which sample comes first, ties and classes handled openly."""

import dataclasses

import numpy as np

from learnability.curriculum.randomness import PURPOSES, words
from learnability.errors import InputError

ARMS = ("easy_first", "hard_first", "random", "standard")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """Samples in the order in which a curriculum brings them into play.

    ids_N      (N,) sample ids, first in play first; those without a score (NaN) stand last
    scored     how many of them have a score; `ids_N[scored:]` are the marked rest
    """

    ids_N: np.ndarray
    scored: int
    arm: str
    seed: int
    balanced: bool

    @property
    def unscored_ids(self) -> np.ndarray:
        """Sample ids without a score: in no pool unless asked for."""
        return self.ids_N[self.scored :]

    def in_play(self, unscored: bool = False) -> np.ndarray:
        """Sample ids a pool may draw on: those with a score, the rest only when asked for by `unscored=True`."""
        return self.ids_N if unscored else self.ids_N[: self.scored]


def order(
    score_N: np.ndarray,
    easy_is: str,
    arm: str = "easy_first",
    *,
    seed: int = 0,
    labels_N: np.ndarray | None = None,
    balance: bool = True,
    never_learned_N: np.ndarray | None = None,
    sample_ids_N: np.ndarray | None = None,
) -> Order:
    """The samples sorted from easy to hard (or hard to easy, or at random), each class coming in evenly.

    score_N          (N,) scores of any real type; NaN stands last in every arm, marked
    easy_is          "high" or "low": the end of the score at which samples are easy
    arm              one of ARMS; `random` is the control with the same pacing, `standard` keeps the ids rising
    labels_N         (N,) classes, needed when `balance` is on
    never_learned_N  (N,) bool, samples that are hardest whatever their score (for forgetting events)
    sample_ids_N     (N,) rising ids of the rows; default 0..N-1. A subset keeps its ids and its words
    Ties are broken by a seeded random permutation, never by file order; `hard_first` is reversed before that.
    """
    if balance and arm != "standard" and labels_N is None:
        raise InputError("labels_N: expected the classes of the samples for a balanced order, got none. Give them, or balance=False.")
    ids_N = checked_ids(score_N, sample_ids_N)
    rows_N, scored = ordered_rows(score_N, easy_is, arm, seed, never_learned_N, ids_N)
    balance = balance and arm != "standard"
    if balance:
        labels_N = np.asarray(labels_N)
        rows_N = np.concatenate([balanced(rows_N[:scored], labels_N), balanced(rows_N[scored:], labels_N)])
    return Order(ids_N=ids_N[rows_N], scored=scored, arm=arm, seed=seed, balanced=balance)


def ordered_rows(
    score_N: np.ndarray, easy_is: str, arm: str, seed: int, never_learned_N: np.ndarray | None, ids_N: np.ndarray
) -> tuple[np.ndarray, int]:
    """Rows in the order of the arm, classes not balanced, NaN scores last; and how many rows have a score."""
    if arm not in ARMS:
        raise InputError(f"arm {arm!r}: expected one of {', '.join(ARMS)}.")
    difficulty_N = difficulty(score_N, easy_is)
    if arm == "standard":
        rows_N = np.arange(len(ids_N))
    elif arm == "random":
        rows_N = np.argsort(words_of(ids_N, seed, "random_order"), kind="stable")
    else:
        sign = 1 if arm == "easy_first" else -1
        never_N = _checked_flags(never_learned_N, len(ids_N))
        rows_N = np.lexsort((words_of(ids_N, seed, "ties"), sign * difficulty_N, sign * never_N.astype(int)))
    unscored_N = np.isnan(difficulty_N)[rows_N]
    return np.concatenate([rows_N[~unscored_N], rows_N[unscored_N]]), int((~unscored_N).sum())


def balanced(order_N: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """The order regrouped so that every class comes in evenly: round j holds the j-th sample of each class that still has one.

    order_N  (n,) rows;  labels_N  class of every row, indexed by row. Inside a round the old ranks decide.
    """
    order_N = np.asarray(order_N)
    by_class = np.argsort(labels_N[order_N], kind="stable")
    sorted_labels = labels_N[order_N][by_class]
    starts = np.searchsorted(sorted_labels, sorted_labels, side="left")
    round_N = np.empty(len(order_N), np.int64)
    round_N[by_class] = np.arange(len(order_N)) - starts
    return order_N[np.argsort(round_N, kind="stable")]


def difficulty(score_N: np.ndarray, easy_is: str) -> np.ndarray:
    """The score turned so that larger means harder, (N,) float64; NaN stays NaN."""
    if easy_is not in ("high", "low"):
        raise InputError(
            f"easy_is {easy_is!r}: expected 'high' or 'low'. This metric is low at the easy end and at the hopeless end, "
            f"or has no order at all: name the direction yourself, or choose another metric."
        )
    score_N = np.asarray(score_N, np.float64)
    return -score_N if easy_is == "high" else score_N


def words_of(ids_N: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """The words of these sample ids, index 0: a subset keeps those of the whole."""
    return words(seed, PURPOSES[purpose], 0, int(ids_N.max(initial=-1)) + 1)[ids_N]


def checked_ids(score_N: np.ndarray, sample_ids_N: np.ndarray | None) -> np.ndarray:
    """The ids of the rows of a score, 0..N-1 unless given; refuses what is no score or no rising ids."""
    score_N = np.asarray(score_N)
    if score_N.ndim != 1 or score_N.dtype.kind not in "bifu":
        raise InputError(f"score_N: expected one number a sample, shape (N,), got {score_N.dtype} {score_N.shape}.")
    ids_N = np.arange(len(score_N)) if sample_ids_N is None else np.asarray(sample_ids_N)
    if ids_N.shape != score_N.shape or (np.diff(ids_N) <= 0).any() or (ids_N < 0).any():
        raise InputError(f"sample_ids_N: expected {len(score_N)} rising ids of at least 0, none twice, got {ids_N}. Sort samples by id.")
    return ids_N


def _checked_flags(flags_N: np.ndarray | None, n: int) -> np.ndarray:
    flags_N = np.zeros(n, bool) if flags_N is None else np.asarray(flags_N, bool)
    if flags_N.shape != (n,):
        raise InputError(f"never_learned_N: expected shape ({n},), got {flags_N.shape}.")
    return flags_N
