"""A score that was made elsewhere: one number a sample, by key, and by hash where the file has one."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.errors import InputError
from learnability.imports.tables import column, numbers, table_of, texts
from learnability.store import imported
from learnability.store.datasets import open_dataset
from learnability.store.identity import identities
from learnability.store.paths import Cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportedScore:
    """What became of the rows of a file."""

    name: str
    samples: int  # that have a score now
    empty: int  # rows without a number
    changed: int  # rows whose picture is another one in the data set: left out
    unknown: int  # rows that the data set does not hold
    without: int  # train samples that have no score
    example: str | None  # a key that is not known


def import_score(
    cache: Cache, path: Path, data: str, name: str, direction: str, *, key: str = "key", value: str | None = None, said: str | None = None
) -> ImportedScore:
    """Keeps a column of a Parquet, CSV or JSON lines file as a score of the data set's newest version.

    direction   "hard", "easy" or "none": what high values mean
    key, value  columns; `value` is by default the one called `name`, or the only one with numbers
    """
    table = table_of(path, text=(key, "hash"))
    keys = texts(column(table, path, key), key)
    chosen = _value_column(table, path, name, value, key)
    score_n = numbers(table[chosen], chosen)
    dataset = open_dataset(cache, data)
    version = identities(dataset)
    if "hash" in table.column_names:
        matched = version.match(keys, texts(table["hash"], "hash"))
        rows_n, changed_n = matched.rows_n, matched.changed_n
    else:
        place = {key: row for row, key in enumerate(version.keys.to_pylist())}
        rows_n = np.array([place.get(key, -1) for key in keys], np.int64)
        changed_n = np.zeros(len(rows_n), bool)
    known = np.flatnonzero(rows_n >= 0)
    if not len(known):
        raise InputError(
            f"{path}: none of its {len(keys):,} keys are in data set {data!r}; they look like {keys[0]!r}, those of the data set like "
            f"{version.keys[0].as_py()!r}. Name the column with --key."
        )
    if len(np.unique(rows_n[known])) < len(known):
        raise InputError(f"{path}: {len(known) - len(np.unique(rows_n[known])):,} rows repeat a key. Expected one row a sample.")
    used = known[np.isfinite(score_n[known])]
    told = said or f"Imported from {path.name}, column {chosen}."
    imported.save(cache, dataset, name, rows_n[used], {imported.SCORE: score_n[used]}, high_is=direction, sentence=told)
    unknown = np.flatnonzero((rows_n < 0) & ~changed_n)
    return ImportedScore(
        name=name, samples=len(used), empty=len(known) - len(used), changed=int(changed_n.sum()), unknown=len(unknown),
        without=dataset.N - int((rows_n[used] < dataset.N).sum()), example=keys[unknown[0]] if len(unknown) else None,
    )  # fmt: skip


def _value_column(table: pa.Table, path: Path, name: str, value: str | None, key: str) -> str:
    if value is not None:
        column(table, path, value)
        return value
    if name in table.column_names:
        return name
    numeric = [
        field.name
        for field in table.schema
        if field.name not in (key, "sample_id") and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    if len(numeric) != 1:
        raise InputError(f"{path} has {len(numeric)} columns of numbers ({', '.join(numeric) or 'none'}). Name one with --column.")
    return numeric[0]
