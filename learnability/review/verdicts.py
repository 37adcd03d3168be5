"""What the log says of each sample now, and of the rows of a data set version."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from learnability.datasets import Dataset
from learnability.review.log import VERDICTS, Action, Log
from learnability.store.identity import Identities, Sample


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """Verdicts and tags by key and hash; for each the last action that was not undone holds, and neither touches the other.

    verdicts   sample -> the action that decided it, in the order of the decisions
    tags       sample -> its tags, sorted
    """

    verdicts: dict[Sample, Action]
    tags: dict[Sample, tuple[str, ...]]

    @property
    def class_names(self) -> list[str]:
        """Classes that standing relabels name, sorted."""
        return sorted({action.class_name for action in self.verdicts.values() if action.class_name is not None})

    @property
    def tag_names(self) -> list[str]:
        return sorted({tag for several in self.tags.values() for tag in several})


@dataclasses.dataclass(frozen=True, eq=False)
class Resolved:
    """A state laid on one data set version of `rows` rows, train rows first.

    decided_n   sample ids with a verdict, in the order of the decisions
    actions_n   the action that decided each of them
    tags        sample id -> its tags
    changed     samples of the log whose key is here with another picture: what was decided of the old one does not count
    gone        samples of the log that this version does not hold
    """

    rows: int
    decided_n: np.ndarray
    actions_n: tuple[Action, ...]
    tags: dict[int, tuple[str, ...]]
    changed: tuple[Sample, ...]
    gone: tuple[Sample, ...]

    @functools.cached_property
    def by_id(self) -> dict[int, Action]:
        """sample id -> the action that decided it."""
        return dict(zip(self.decided_n.tolist(), self.actions_n, strict=True))

    @functools.cached_property
    def codes(self) -> np.ndarray:
        """(rows,) uint8: 0 undecided, else 1 + position in VERDICTS."""
        codes = np.zeros(self.rows, np.uint8)
        codes[self.decided_n] = [1 + VERDICTS.index(action.verdict) for action in self.actions_n]
        return codes

    def to_arrow(self) -> pa.Table:
        """One row for every sample with a verdict or a tag: sample_id, verdict, class, by, why, when, action, tags."""
        ids = sorted(self.by_id.keys() | self.tags.keys())
        actions = [self.by_id.get(i) for i in ids]
        columns = {"verdict": "verdict", "class": "class_name", "by": "by", "why": "why", "when": "when", "action": "id"}
        told = {name: pa.array([getattr(one, field) if one else None for one in actions], pa.string()) for name, field in columns.items()}
        tags = pa.array([list(self.tags.get(i, ())) for i in ids], pa.list_(pa.string()))
        return pa.table({"sample_id": pa.array(ids, pa.int64()), **told, "tags": tags})


def state(log: Log) -> State:
    """Verdicts and tags of every sample that the log names."""
    verdicts: dict[Sample, Action] = {}
    tags: dict[Sample, set[str]] = {}
    for action in log.holding:
        if action.verdict is not None:
            for sample in action.samples:
                verdicts.pop(sample, None)
                verdicts[sample] = action
        else:
            for sample in action.samples:
                tags[sample] = tags.get(sample, set()).difference(action.tags_removed).union(action.tags_added)
    return State(verdicts, {sample: tuple(sorted(several)) for sample, several in tags.items() if several})


def resolve(found: State, version: Identities) -> Resolved:
    """The state on the rows of a data set version, joined by key and hash; what cannot be joined is told, never applied."""
    decided = list(found.verdicts)
    others = [sample for sample in found.tags if sample not in found.verdicts]
    samples = decided + others
    matched = version.match([key for key, _ in samples], [hashed for _, hashed in samples])
    here_n = matched.rows_n[: len(decided)]
    row_of = dict(zip(samples, matched.rows_n.tolist(), strict=True))
    again = {samples[i][0] for i in np.flatnonzero(matched.rows_n >= 0)}  # keys whose present picture was looked at too
    return Resolved(
        rows=len(version),
        decided_n=here_n[here_n >= 0],
        actions_n=tuple(found.verdicts[decided[i]] for i in np.flatnonzero(here_n >= 0)),
        tags={row_of[sample]: several for sample, several in found.tags.items() if row_of[sample] >= 0},
        changed=tuple(samples[i] for i in np.flatnonzero(matched.changed_n) if samples[i][0] not in again),
        gone=tuple(samples[i] for i in np.flatnonzero((matched.rows_n < 0) & ~matched.changed_n)),
    )


def real_errors(resolved: Resolved, original: Dataset) -> np.ndarray:
    """(n,) bool beside `decided_n`: dropped, or relabelled to another class than its own."""
    labels_n = np.concatenate([original.labels_N, original.test_labels_T])[resolved.decided_n]
    own_n = [original.class_names[label] for label in labels_n.tolist()]
    pairs = zip(own_n, resolved.actions_n, strict=True)
    return np.array([action.verdict == "drop" or action.class_name not in (None, own) for own, action in pairs], bool)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the review of the train samples is. Of the last `last` decided, `errors` were real: dropped or given another class."""

    decided: int
    left: int
    verdicts: dict[str, int]  # how many samples have each
    last: int
    errors: int


def progress(resolved: Resolved, original: Dataset, last: int = 100) -> Progress:
    """Decided, left, and real errors among the last decided; `original` is the data set under its original labels."""
    train_n = resolved.decided_n < original.N
    verdicts = [action.verdict for action, is_train in zip(resolved.actions_n, train_n, strict=True) if is_train]
    errors = real_errors(resolved, original)[train_n]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    decided, found = len(verdicts), int(errors[-last:].sum())
    return Progress(decided=decided, left=original.N - decided, verdicts=counts, last=min(last, decided), errors=found)


def class_choices(found: State, class_names: Sequence[str]) -> list[str]:
    """Classes to relabel to: the data set's own, then those that relabels brought."""
    return [*class_names, *(name for name in found.class_names if name not in set(class_names))]
