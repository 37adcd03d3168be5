"""What may be compared with what, and which rows are the same samples."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from learnability.errors import InputError

_MEANING = {
    "fingerprint": "data set fingerprint",
    "labels": "label version",
    "looks": "number of looks",
    "record": "recording mode",
    "metric": "metric",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a score comes from: what must be equal before two scores are compared.

    name    what the messages call it, for example `resnet20-s0`
    looks   E;  record  "train", "eval" or "unknown";  recipe  recipe key, or None where there is none
    """

    name: str
    fingerprint: str
    labels: str
    looks: int
    record: str
    metric: str
    recipe: str | None = None


def check_comparable(origins: Sequence[Origin], allow: Iterable[str] = ()) -> tuple[str, ...]:
    """What differs although it may, one sentence each, to stand beside the number; raises InputError for what may not.

    allow  fields of Origin that were asked for by name. Real and planted labels never mix, whatever is allowed.
    Recipes may differ, and are then named.
    """
    allow = frozenset(allow)
    if unknown := sorted(allow - set(_MEANING)):
        raise InputError(f"allow {', '.join(unknown)}: expected some of {', '.join(_MEANING)}.")
    notes = []
    for other in origins[1:]:
        first = origins[0]
        if first.labels.startswith("planted-") != other.labels.startswith("planted-"):
            raise InputError(f"{_both(first, other, 'labels')}. Real and planted labels never mix: score them apart.")
        for field in _MEANING:
            if getattr(first, field) == getattr(other, field):
                continue
            if field not in allow:
                raise InputError(
                    f"{_both(first, other, field)}. Compare scores with the same {_MEANING[field]}, or allow it by name ({field})."
                )
            notes.append(f"{_both(first, other, field)}.")
        if first.recipe != other.recipe:
            notes.append(f"recipe: {first.name} {first.recipe}, {other.name} {other.recipe}.")
    return tuple(dict.fromkeys(notes))


def common_rows(*identities: np.ndarray) -> list[np.ndarray]:
    """Rows of the samples that all sides hold, one array a side, aligned.

    identities  sample ids of one data set version, or arrays of strings `key + hash` across versions; none twice a side
    """
    arrays = [np.asarray(identity) for identity in identities]
    for array in arrays:
        if len(np.unique(array)) < len(array):
            raise InputError("samples: expected every identity once a side, got some twice. Join by key and hash together.")
    shared = arrays[0]
    for array in arrays[1:]:
        shared = shared[np.isin(shared, array)]
    rows = []
    for array in arrays:
        sorter = np.argsort(array, kind="stable")
        rows.append(sorter[np.searchsorted(array, shared, sorter=sorter)] if len(shared) else np.zeros(0, np.int64))
    return rows


def oriented(score: np.ndarray, easy_is: str) -> np.ndarray:
    """The score turned so that a larger value is easier."""
    if easy_is not in ("high", "low"):
        raise InputError(f"easy_is {easy_is!r}: expected 'high' or 'low'. Name the direction of this metric.")
    score = np.asarray(score, np.float64)
    return score if easy_is == "high" else -score


def _both(first: Origin, other: Origin, field: str) -> str:
    return f"{_MEANING[field]}: {first.name} has {getattr(first, field)!r}, {other.name} has {getattr(other, field)!r}"
