"""Saved selections: named sets of samples whose keys and hashes are frozen, so that they stay the same whatever scores become."""

import dataclasses
import datetime
import json

import numpy as np

from learnability.datasets import Dataset
from learnability.errors import DamagedFile, InputError, NewerFormat
from learnability.store.files import read_json, write_new_file
from learnability.store.identity import Identities, Sample, identities
from learnability.store.paths import Cache

FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """A named set of samples of a data set, by key and hash."""

    name: str
    data: str
    fingerprint: str  # data set version it was made on
    made: str  # UTC, ISO 8601
    said: str  # how it was made, in words
    note: str  # what its owner wrote
    samples: tuple[Sample, ...]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Placed:
    """A selection on one data set version: its sample ids, rising, and what this version holds otherwise or not at all."""

    sample_ids: np.ndarray
    changed: tuple[Sample, ...]  # the key is here with another picture
    gone: tuple[Sample, ...]


def save(
    cache: Cache, dataset: Dataset, name: str, sample_ids: np.ndarray, said: str, note: str = "", version: Identities | None = None
) -> None:
    """Keeps samples of a data set version under a name, for good; on disk when this returns. InputError if the name is taken.

    `version`: the identities of `dataset`, where they are at hand.
    """
    path = cache.selection(dataset.name, name)
    ids = np.unique(np.asarray(sample_ids, np.int64))
    if not len(ids):
        raise InputError(f"selection {name!r} of no samples: expected at least one. Choose some first.")
    content = {
        "format": FORMAT,
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "said": said,
        "note": note,
        "samples": [{"key": key, "hash": hashed} for key, hashed in (version or identities(dataset)).samples(ids)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_new_file(path, json.dumps(content, ensure_ascii=True).encode() + b"\n")
    except FileExistsError:
        raise InputError(f"selection {name!r} exists already and never changes. Choose another name.") from None


def load(cache: Cache, data: str, name: str) -> Selection:
    """A saved selection; NotFound, DamagedFile or NewerFormat name the file."""
    path = cache.selection(data, name)
    content = read_json(path)
    try:
        if content["format"] > FORMAT:
            raise NewerFormat(f"{path} has format {content['format']}; this version reads up to {FORMAT}. Update learnability.")
        samples = tuple((entry["key"], entry["hash"]) for entry in content["samples"])
        texts = {field: content.get(field, "") for field in ("fingerprint", "made", "said", "note")}
        if not all(isinstance(text, str) for sample in (*samples, tuple(texts.values())) for text in sample):
            raise TypeError("expected text")
        return Selection(name=name, data=data, samples=samples, **texts)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{path} is damaged: expected a format and samples with key and hash ({error!r}).") from error


def place(selection: Selection, version: Identities, rows: int | None = None) -> Placed:
    """Where the samples of a selection are in a data set version, joined by key and hash. `rows`: only the first, the train rows."""
    matched = version.match([key for key, _ in selection.samples], [hashed for _, hashed in selection.samples])
    here_n = (matched.rows_n >= 0) & (matched.rows_n < (len(version) if rows is None else rows))
    lost = np.flatnonzero(~here_n & ~matched.changed_n)
    return Placed(
        sample_ids=np.unique(matched.rows_n[here_n]),
        changed=tuple(selection.samples[i] for i in np.flatnonzero(matched.changed_n)),
        gone=tuple(selection.samples[i] for i in lost),
    )
