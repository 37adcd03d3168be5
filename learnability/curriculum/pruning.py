"""Score to subset: which samples to keep when some are left out."""

import numpy as np

from learnability.curriculum.orders import checked_ids, difficulty, ordered_rows, words_of
from learnability.errors import InputError

METHODS = ("random", "hard", "easy", "stratified")
STRATA = 50


def prune(
    score_N: np.ndarray,
    easy_is: str,
    keep: int,
    method: str = "random",
    *,
    seed: int = 0,
    labels_N: np.ndarray | None = None,
    balance: bool = False,
    beta: float = 0.0,
    never_learned_N: np.ndarray | None = None,
    sample_ids_N: np.ndarray | None = None,
) -> np.ndarray:
    """Ids of the samples kept, (keep,) rising: at random, the hardest, the easiest, or evenly over the score.

    keep        how many; samples without a score (NaN) are kept by no method, `random` included
    balance     each class keeps its own share of `keep`, in proportion to its size (needs labels_N)
    beta        stratified only: share of the samples, the hardest, left out before (if `keep` samples remain)
    The other arguments are those of `order`. Stratified is the coverage-centric selection of arXiv 2210.15809.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}.")
    if not 0 <= beta < 1:
        raise InputError(f"beta {beta!r}: expected a share from 0 to below 1, for example 0.2.")
    ids_N = checked_ids(score_N, sample_ids_N)
    rows_N, scored = ordered_rows(score_N, easy_is, "hard_first" if method == "hard" else "easy_first", seed, never_learned_N, ids_N)
    rows = rows_N[:scored]
    if not 1 <= keep <= scored:
        raise InputError(f"keep {keep!r}: expected 1 to {scored}, the samples that have a score.")
    word_N = words_of(ids_N, seed, "pruning")
    hard_N = _hardness(score_N, easy_is, never_learned_N)
    kept = []
    for part, count in _shares(rows, labels_N, balance, keep):
        if method == "stratified":
            kept.append(_stratified(part, hard_N, word_N, count, beta))
        else:
            kept.append((part[np.argsort(word_N[part], kind="stable")] if method == "random" else part)[:count])
    return ids_N[np.sort(np.concatenate(kept))]


def strata_budget(sizes: np.ndarray, n: int) -> np.ndarray:
    """How many of n each stratum gives: strata by rising size, each min(its size, floor(what remains / strata left))."""
    sizes = np.asarray(sizes, np.int64)
    if n > sizes.sum():
        raise InputError(f"n {n}: expected at most {sizes.sum()}, all samples of the strata together.")
    budget = np.zeros(len(sizes), np.int64)
    remains = n
    for done, stratum in enumerate(np.argsort(sizes, kind="stable")):
        budget[stratum] = min(sizes[stratum], remains // (len(sizes) - done))
        remains -= budget[stratum]
    return budget


def strata(value_n: np.ndarray, count: int = STRATA) -> np.ndarray:
    """Stratum 0..count-1 of each value: equal widths from the smallest to the largest value, the upper edge included."""
    value_n = np.asarray(value_n, np.float64)
    if not np.isfinite(value_n).all():
        raise InputError("stratified: expected finite scores, got infinite ones. Choose another metric, or ranks.")
    width = np.ptp(value_n)
    if width == 0:
        return np.zeros(len(value_n), np.int64)
    return np.minimum((count * ((value_n - value_n.min()) / width)).astype(np.int64), count - 1)


def pruning_warning(method: str, keep: int, N: int) -> str | None:
    """A sentence when a one-sided method keeps less than 30 %, where it has fallen below random subsets; else None."""
    if method not in ("hard", "easy") or keep >= 0.3 * N:
        return None
    return (
        f"Keeping only the {'hardest' if method == 'hard' else 'easiest'} {100 * keep / N:.0f} % has done worse than a random subset of "
        f"the same size in published work. Use 'random' or 'stratified' below 30 %, and always draw the random line beside it."
    )


def class_shares(sizes: np.ndarray, n: int) -> np.ndarray:
    """How many of n each class keeps, in proportion to its size; what rounding leaves goes to the largest remainders."""
    sizes = np.asarray(sizes, np.int64)
    exact = sizes * n
    total = int(sizes.sum())
    share = exact // total
    left = n - int(share.sum())
    share[np.argsort(-(exact % total), kind="stable")[:left]] += 1
    return share


def _shares(rows: np.ndarray, labels_N: np.ndarray | None, balance: bool, keep: int) -> list[tuple[np.ndarray, int]]:
    """(rows in their order, how many of them to keep), one pair for all or one a class."""
    if not balance:
        return [(rows, keep)]
    if labels_N is None:
        raise InputError("labels_N: expected the classes of the samples for a balanced subset, got none. Give them, or balance=False.")
    label_n = np.asarray(labels_N)[rows]
    classes, sizes = np.unique(label_n, return_counts=True)
    return [(rows[label_n == c], int(count)) for c, count in zip(classes, class_shares(sizes, keep), strict=True)]


def _hardness(score_N: np.ndarray, easy_is: str, never_learned_N: np.ndarray | None) -> np.ndarray:
    """Difficulty with never-learned samples at the hard end, as strata need it."""
    hard_N = difficulty(score_N, easy_is)
    if never_learned_N is None or np.isnan(hard_N).all():
        return hard_N
    return np.where(np.asarray(never_learned_N) & ~np.isnan(hard_N), np.nanmax(hard_N), hard_N)


def _stratified(rows: np.ndarray, hard_N: np.ndarray, word_N: np.ndarray, keep: int, beta: float) -> np.ndarray:
    """Rows kept of those given from easy to hard: the hardest share beta left out if `keep` remain, then strata filled evenly."""
    dropped = int(beta * len(rows) + 1e-9)
    if len(rows) - dropped >= keep:
        rows = rows[: len(rows) - dropped]
    if keep == 0:
        return rows[:0]
    stratum = strata(hard_N[rows])
    budget = strata_budget(np.bincount(stratum, minlength=STRATA), keep)
    by_stratum = np.lexsort((word_N[rows], stratum))
    stratum = stratum[by_stratum]
    place = np.arange(len(rows)) - np.searchsorted(stratum, stratum)
    return rows[by_stratum[place < budget[stratum]]]
