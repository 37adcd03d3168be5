"""What new labels changed: the scores of two groups, sample by sample and class by class, joined by key and hash."""

import dataclasses
import functools
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from learnability.agreement.comparable import Origin, check_comparable
from learnability.review.scores import GroupScores
from learnability.store.identity import identities

STATUS = ("same label", "relabelled", "only before", "only after")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class BeforeAfter:
    """One metric under two label versions.

    samples   key, hash, label_before, label_after, score_before, score_after, change (after - before), status (of STATUS);
              a sample dropped by the review, or gone from the data set, is "only before": it has no score after
    classes   class, size_before, size_after, mean_before, mean_after (over its own samples on each side), and over the samples
              that carry this label on both sides: kept, kept_before, kept_after, change
    notes     what else differs between the two groups, one sentence each
    """

    metric: str
    samples: pa.Table
    classes: pa.Table
    notes: tuple[str, ...]

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """How many samples have each status."""
        found = {entry["values"]: entry["counts"] for entry in self.samples["status"].value_counts().to_pylist()}
        return {status: found.get(status, 0) for status in STATUS}


def before_after(before: GroupScores, after: GroupScores, metric: str, allow: Iterable[str] = ("labels", "fingerprint")) -> BeforeAfter:
    """Compares the mean score of two groups over their runs. InputError where looks or recording mode differ, unless in `allow`."""
    origins = [_origin(run, metric) for run in (*before.runs, *after.runs)]
    notes = check_comparable(origins, allow)
    sides = [_Side(before, metric), _Side(after, metric)]
    at_n = sides[1].rows_of(sides[0])
    both_n = at_n >= 0
    new = np.setdiff1d(np.arange(len(sides[1].score_n)), at_n[both_n], assume_unique=True)
    rows = [np.concatenate([np.arange(len(at_n)), np.full(len(new), -1)]), np.concatenate([at_n, new])]
    labels = [side.labels(part) for side, part in zip(sides, rows, strict=True)]
    scores = [side.scores(part) for side, part in zip(sides, rows, strict=True)]
    names = list(dict.fromkeys([*before.dataset.class_names, *after.dataset.class_names]))
    codes = [_codes(side, label, names) for side, label in zip(sides, labels, strict=True)]
    status = np.select([rows[1] < 0, rows[0] < 0, codes[0] != codes[1]], [2, 3, 1], 0)
    samples = pa.table({
        "key": pa.concat_arrays([sides[0].keys, sides[1].keys.take(pa.array(new))]),
        "hash": pa.concat_arrays([sides[0].hashes, sides[1].hashes.take(pa.array(new))]),
        "label_before": _named(names, codes[0]),
        "label_after": _named(names, codes[1]),
        "score_before": scores[0],
        "score_after": scores[1],
        "change": scores[1] - scores[0],
        "status": pa.array(STATUS).take(pa.array(status)),
    })  # fmt: skip
    return BeforeAfter(metric=metric, samples=samples, classes=_classes(names, codes, scores), notes=notes)


class _Side:
    """Samples of one group: keys, hashes, label numbers, mean scores."""

    def __init__(self, group: GroupScores, metric: str):
        self.version, self.fingerprint = identities(group.dataset), group.dataset.fingerprint
        self.ids_n = group.sample_ids_N
        self.keys, self.hashes = self.version.keys.take(pa.array(self.ids_n)), self.version.hashes.take(pa.array(self.ids_n))
        self.labels_n, self.score_n, self.names = group.labels_N, group.mean_N(metric), group.dataset.class_names

    def rows_of(self, other: "_Side") -> np.ndarray:
        """Where the samples of `other` are among these, -1 where they are not."""
        ids_n = other.ids_n if other.fingerprint == self.fingerprint else self.version.match(other.keys, other.hashes).rows_n
        row_of = np.full(len(self.version) + 1, -1, np.int64)  # the last one stands for -1
        row_of[self.ids_n] = np.arange(len(self.ids_n))
        return row_of[ids_n]

    def labels(self, rows: np.ndarray) -> np.ndarray:
        return np.where(rows >= 0, self.labels_n[rows], -1) if len(self.labels_n) else np.full(len(rows), -1)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        return np.where(rows >= 0, self.score_n[rows], np.nan) if len(self.score_n) else np.full(len(rows), np.nan)


def _origin(run, metric: str) -> Origin:
    config = run.config
    return Origin(
        name=run.label, fingerprint=config.fingerprint, labels=config.labels, looks=run.looks, metric=metric, recipe=run.recipe,
        record=config.record if config.folds is None else "held-out",
    )  # fmt: skip


def _codes(side: _Side, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Label numbers of a side as numbers in `names`; -1 stays."""
    number = {name: i for i, name in enumerate(names)}
    return np.array([*(number[name] for name in side.names), -1], np.int64)[labels]


def _named(names: Sequence[str], codes: np.ndarray) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes, pa.int64(), mask=codes < 0))


def _classes(names: Sequence[str], codes: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> pa.Table:
    K = len(names)
    columns = {"class": pa.array(names, pa.string())}
    for when, code, score in zip(("before", "after"), codes, scores, strict=True):
        columns[f"size_{when}"] = np.bincount(code[code >= 0], minlength=K)
        columns[f"mean_{when}"] = _means(code, score, K)
    kept = np.where((codes[0] == codes[1]) & ~np.isnan(scores[0]) & ~np.isnan(scores[1]), codes[0], -1)
    columns["kept"] = np.bincount(kept[kept >= 0], minlength=K)
    columns |= {"kept_before": _means(kept, scores[0], K), "kept_after": _means(kept, scores[1], K)}
    columns["change"] = columns["kept_after"] - columns["kept_before"]
    return pa.table(columns)


def _means(code: np.ndarray, score: np.ndarray, K: int) -> np.ndarray:
    """Mean score of each class over its scored samples, NaN where there is none."""
    scored = (code >= 0) & ~np.isnan(score)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.bincount(code[scored], weights=score[scored], minlength=K) / np.bincount(code[scored], minlength=K)
