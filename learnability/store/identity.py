"""Which rows of a data set version are the samples that something else names: joined by key and hash, never by row."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from learnability.datasets import Dataset
from learnability.errors import NotFound
from learnability.store.files import read_table

Sample = tuple[str, str]  # key and hash


@dataclasses.dataclass(frozen=True, eq=False)
class Matched:
    """Where n named samples are in a data set version.

    rows_n      int64, sample ids; -1 where the version does not hold the sample
    changed_n   bool, the key is there with another picture: rows_n is -1 all the same
    """

    rows_n: np.ndarray
    changed_n: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Identities:
    """Keys and hashes of every row of a data set version, train rows first, then test rows. Keys are distinct."""

    keys: pa.Array
    hashes: pa.Array

    def __len__(self) -> int:
        return len(self.keys)

    def samples(self, sample_ids: Sequence[int] | np.ndarray) -> list[Sample]:
        """(key, hash) of the rows named. NotFound for a row that is not there."""
        ids = np.asarray(sample_ids, np.int64)
        if len(ids) and (ids.min() < 0 or ids.max() >= len(self)):
            odd = ids[(ids < 0) | (ids >= len(self))][0]
            raise NotFound(f"no sample {odd} in this data set version: expected 0 to {len(self) - 1}.")
        return list(zip(self.keys.take(pa.array(ids)).to_pylist(), self.hashes.take(pa.array(ids)).to_pylist(), strict=True))

    def find(self, keys: Sequence[str]) -> np.ndarray:
        """Sample ids of keys. NotFound names the first that is not there."""
        rows = pc.index_in(_array(keys), value_set=self.keys).fill_null(-1).to_numpy()
        if len(rows) and rows.min() < 0:
            odd = keys[int(np.argmin(rows))]
            raise NotFound(f"no sample {odd!r} in this data set version; keys look like {self.keys[0].as_py()!r}.")
        return rows.astype(np.int64)

    def match(self, keys: Iterable[str] | pa.Array, hashes: Iterable[str] | pa.Array) -> Matched:
        """The rows of n samples given by key and hash; they may repeat."""
        keys, hashes = _array(keys), _array(hashes)
        distinct = pc.unique(keys)
        row_of = np.full(len(distinct), -1, np.int64)
        here = pc.index_in(self.keys, value_set=distinct).fill_null(-1).to_numpy()
        found = np.flatnonzero(here >= 0)
        row_of[here[found]] = found
        rows_n = row_of[pc.index_in(keys, value_set=distinct).to_numpy()] if len(keys) else np.zeros(0, np.int64)
        known_n = rows_n >= 0
        same_n = np.zeros(len(rows_n), bool)
        if known_n.any():
            same = pc.equal(hashes.filter(pa.array(known_n)), self.hashes.take(pa.array(rows_n[known_n])))
            same_n[known_n] = same.to_numpy(zero_copy_only=False)
        return Matched(np.where(same_n, rows_n, -1), known_n & ~same_n)


def identities(dataset: Dataset) -> Identities:
    """Keys and hashes of all rows of a data set version, test rows included."""
    table = read_table(dataset.folder / "samples.parquet", ["key", "hash"])
    return Identities(_array(table["key"]), _array(table["hash"]))


def _array(values: Iterable[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # more than 2 GB of text
        values = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in values.chunks])
    return values if isinstance(values, pa.Array) else pa.array(values, pa.string())
