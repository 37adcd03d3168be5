"""Which samples a gallery shows, and in which order."""

import numpy as np

from learnability.metrics import ranking
from ui import words
from ui.series import Series

SHEET = 100
WALK = 2000  # samples that previous and next walk along
WHICH = {  # as written on the page and in the URL -> the order
    "Hardest": "hardest",
    "Easiest": "easiest",
    "Middle": "middle",
    "Hardest in each class": "within",
    "Suspicious labels": "suspicious",
}
QUADRANTS = {  # the same, with A and B chosen -> the quadrant
    "Hard for both": "hard for both",
    "Hard for A only": "hard for A only",
    "Hard for B only": "hard for B only",
    "Easy for both": "easy for both",
    "Not told apart": "not told apart from seed noise",
}
COPIES = "Exact copies"
LEVELS = ("raw", "removed")


def order(made: Series, which: str, aum: Series | None, never: Series | None) -> np.ndarray:
    """Rows of the series in the order asked for; ties by margin (AUM), then by sample id; never seen last."""
    direction = words.metric_named(made.metric).easy_is if words.ordered(made.metric) else "high"
    rows = ranking(
        made.score_N, made.metric, hardest_first=which != "easiest", easy_is=direction, sample_ids_N=made.sample_ids_N,
        aum_N=None if aum is None else aum.of(made.sample_ids_N),
        never_learned_N=None if never is None else never.of(made.sample_ids_N) >= 0.5,
    )  # fmt: skip
    if which == "middle":
        known = rows[np.isfinite(made.score_N[rows])]
        away = np.abs(np.arange(len(known)) - (len(known) - 1) / 2)
        return known[np.argsort(away, kind="stable")]
    if which == "within":
        return by_turns(rows, made.labels_N)
    return rows


def by_turns(rows: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """The hardest of each class, then the second hardest of each, and so on: small classes get their place."""
    by_class = np.argsort(labels_N[rows], kind="stable")
    labels = labels_N[rows][by_class]
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]]) if len(labels) else np.zeros(0, np.int64)
    turn = np.arange(len(labels)) - np.repeat(first, np.diff(np.r_[first, len(labels)]))
    return rows[by_class[np.lexsort((labels, turn))]]


def copies(image_N: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """Rows whose image occurs more than once, copies side by side, images under more than one label first.

    `image_N` (N,) int tells images apart; rows without a label, -1, are left out.
    """
    rows = np.flatnonzero(labels_N >= 0)
    _, image_n = np.unique(image_N[rows], return_inverse=True)
    labels_n, count = labels_N[rows], int(image_n.max(initial=-1)) + 1
    first, low, high = (np.full(count, start) for start in (len(labels_N), np.iinfo(np.int64).max, -1))
    np.minimum.at(first, image_n, rows)
    np.minimum.at(low, image_n, labels_n)
    np.maximum.at(high, image_n, labels_n)
    repeated = np.flatnonzero(np.bincount(image_n, minlength=count)[image_n] > 1)
    image = image_n[repeated]
    return rows[repeated[np.lexsort((repeated, first[image], low[image] == high[image]))]]


def said(made: Series, which: str) -> str:
    """How the list is ordered, in words."""
    if which == COPIES:
        return "each with its exact copies beside it, pictures under more than one label first"
    name = words.label(made.metric)
    if not words.ordered(made.metric) and which in ("hardest", "easiest"):
        return (
            f"ordered by {name}, {'lowest' if which == 'hardest' else 'highest'} first (it has no easy end); ties by margin, then sample id"
        )
    first = {
        "hardest": f"ordered by {name} of {made.name}, hardest first",
        "easiest": f"ordered by {name} of {made.name}, easiest first",
        "middle": f"around the median of {name} of {made.name}",
        "within": f"each class's own hardest by turns, by {name} of {made.name}",
        "suspicious": f"ordered by {name} of {made.name}, most suspicious first",
    }[which]
    return f"{first}; ties by margin (AUM), then sample id"


def cut_in_tie(made: Series, rows: np.ndarray, first: int, stop: int) -> str | None:
    """Says so when the sheet ends inside a group of equal scores."""
    if stop >= len(rows) or stop == first:
        return None
    score, last = made.score_N[rows], made.score_N[rows[stop - 1]]
    if made.score_N[rows[stop]] != last:
        return None
    equal, shown = int((score == last).sum()), int((score[first:stop] == last).sum())
    return f"The last {shown} shown are from {equal:,} samples with the same score."
