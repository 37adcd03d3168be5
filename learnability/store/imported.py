"""Scores made elsewhere, one number a sample, by key and hash: imported/<data set>/<score>.parquet.

A score is of the samples themselves (how much people disagree), or of each run (a metric of one's own): then it has a column a run.
"""

import dataclasses
import datetime
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.config import FORMAT, checked_name
from learnability.datasets import Dataset
from learnability.errors import DamagedFile, InputError, LearnabilityError, NewerFormat, NotFound
from learnability.metrics import METRICS, Metric
from learnability.store.files import read_table, table_metadata, write_table
from learnability.store.identity import identities
from learnability.store.paths import Cache

SCORE = "score"  # column of a score of the samples themselves
EASY = {"hard": "low", "easy": "high", "none": "neither"}  # what high values mean -> which end is easy


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Imported:
    """A score on one data set version: columns by run id, or one column SCORE; NaN where a sample has none."""

    metric: Metric
    columns: Mapping[str, np.ndarray]  # (rows of the version,) each, train rows first
    changed: int  # samples whose picture is another one now: left out
    gone: int  # samples that this version does not hold


def names(cache: Cache, data: str) -> list[str]:
    """Names of the scores of a data set that were made elsewhere, sorted."""
    return sorted(entry.stem for entry in cache.imported_folder(data).glob("*.parquet") if not entry.name.startswith("."))


def spelled(data: str, name: str) -> str:
    """How an imported score is told from a metric: `<data set>/<score>`."""
    return f"{data}/{name}"


def save(
    cache: Cache, dataset: Dataset, name: str, rows: np.ndarray, columns: Mapping[str, np.ndarray], *, high_is: str, sentence: str
) -> None:
    """Keeps a score of the rows named, by key and hash; another one of that name is replaced.

    high_is   "hard", "easy" or "none": what high values mean
    """
    checked_name(name, "score")
    if name in METRICS:
        raise InputError(f"score {name!r}: expected a name that no metric of ours has. Choose another, for example own-{name}.")
    if high_is not in EASY:
        raise InputError(f"direction {high_is!r}: expected hard, easy or none - what high values mean.")
    values = {column: np.asarray(score, np.float64) for column, score in columns.items()}
    if any(np.isinf(score).any() for score in values.values()) or not any(np.isfinite(score).any() for score in values.values()):
        raise InputError(f"score {name!r}: expected finite numbers, got infinite ones or none at all.")
    keys, hashes = zip(*identities(dataset).samples(rows), strict=True)
    table = pa.table({"key": pa.array(keys, pa.string()), "hash": pa.array(hashes, pa.string()), **values})
    told = {"format": str(FORMAT), "high_is": high_is, "sentence": sentence, "fingerprint": dataset.fingerprint}
    path = cache.imported(dataset.name, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, table, told | {"made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")})


def metric_of(cache: Cache, data: str, name: str) -> Metric:
    """How to read an imported score: its direction and what it tells. NotFound, DamagedFile or NewerFormat name the file."""
    path = cache.imported(data, name)
    try:
        return _metric(path, data, name, path.stat().st_mtime_ns)
    except FileNotFoundError:
        there = ", ".join(names(cache, data)) or "none"
        raise NotFound(
            f"no imported score {name!r} of data set {data!r}; there is: {there}. Import it: python -m learnability scores import FILE"
        ) from None


@functools.lru_cache(256)
def _metric(path: Path, data: str, name: str, changed_ns: int) -> Metric:
    told = table_metadata(path)
    try:
        if int(told["format"]) > FORMAT:
            raise NewerFormat(f"{path} has format {told['format']}; this version reads up to {FORMAT}. Update learnability.")
        easy_is, sentence = EASY[told["high_is"]], told["sentence"]
    except (KeyError, ValueError) as error:
        raise DamagedFile(f"{path} is damaged: {error!r}.") from error
    return Metric(
        name=spelled(data, name), label=f"{name} (imported)", sentence=sentence, easy_is=easy_is, range=lambda E, K: (-np.inf, np.inf),
        never="not known", needs=(), formula=_not_of_a_recording, recorded="not known", source="imported",
    )  # fmt: skip


def _not_of_a_recording(*_):
    raise InputError("an imported score is not made of a recording: expected a metric of ours.")


def problems(cache: Cache, dataset: Dataset) -> Iterator[str]:
    """What is wrong with the scores of a data set that were made elsewhere, a sentence each."""
    for name in names(cache, dataset.name):
        try:
            load(cache, dataset, name)
        except LearnabilityError as error:
            yield f"{error} Import it again: python -m learnability scores import FILE --data {dataset.name} --name {name}"


def load(cache: Cache, dataset: Dataset, name: str, columns: Sequence[str] | None = None) -> Imported:
    """The score on a data set version, joined by key and hash; of `columns` those that are there."""
    metric = metric_of(cache, dataset.name, name)
    path = cache.imported(dataset.name, name)
    table = read_table(path)
    own = [column for column in table.column_names if column not in ("key", "hash") and (columns is None or column in columns)]
    try:
        matched = identities(dataset).match(table["key"], table["hash"])
        here = matched.rows_n >= 0
        found = {}
        for column in own:
            score = np.full(dataset.info["train"] + dataset.info["test"], np.nan)
            score[matched.rows_n[here]] = table[column].to_numpy()[here]
            found[column] = score
    except (KeyError, pa.ArrowException, ValueError) as error:
        raise DamagedFile(f"{path} is damaged: expected key, hash and scores ({error!r}).") from error
    gone = int((~here & ~matched.changed_n).sum())
    return Imported(metric=metric, columns=found, changed=int(matched.changed_n.sum()), gone=gone)
