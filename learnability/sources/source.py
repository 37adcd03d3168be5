"""What every source gives: a list of its samples, and their images one after the other."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from learnability.errors import SourceError


@dataclasses.dataclass(frozen=True)
class Reject:
    """Stands where an image should be: why there is none. The words before a colon are the kind that reports count by."""

    reason: str


Payload = bytes | str | np.ndarray | Reject  # an encoded image, the path of a regular file, uint8 pixels (h, w[, 3]), or none


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What may be said about a source beside its spelling."""

    image_column: str | None = None  # Parquet, CSV; None: found by type or name
    label_column: str | None = None
    downloads: str | None = None  # folder for archives from the network; None: ~/.cache/learnability/downloads
    progress: Callable | None = None  # called as progress(0, None, downloaded="12 of 170 MB")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """M samples at their source, none decoded yet. `read(rows)` yields one payload a row; rows rise."""

    hint: str  # where it came from, in words; never needed to read what was prepared
    name: str  # proposal for the name of the data set
    keys: list[str]  # M, distinct
    labels_M: np.ndarray  # int64, index into class_names
    class_names: tuple[str, ...]
    read: Callable[[np.ndarray], Iterator[Payload]]
    test_M: np.ndarray | None = None  # bool, rows of the source's own test split; None: it has none
    split: str = "none"  # how the test rows came about, in words
    test_fraction: float | None = None  # the share that becomes test rows where nothing else is asked for
    encoded: bool = True  # payloads are files or bytes rather than pixels
    columns: pa.Table | None = None  # M rows of the source's own columns
    rejects: tuple[tuple[str, str], ...] = ()  # key and reason of what is no sample
    warnings: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.keys:
            found = (
                f": {len(self.rejects)} entries, all rejected, the first {self.rejects[0][0]!r}: {self.rejects[0][1]}"
                if self.rejects
                else ""
            )
            raise SourceError(f"{self.hint} holds no samples{found}. Expected labelled images.")
        assert len(self.keys) == len(self.labels_M) and (self.test_M is None or len(self.test_M) == len(self.keys))

    @property
    def M(self) -> int:
        return len(self.keys)


def joined(train: Source, test: Source) -> Source:
    """`train` with the samples of `test` (the test rows of `test` where it has its own split) as its test rows.

    Classes are matched by name; keys of test rows get `test/` in front.
    """
    ids = np.arange(test.M) if test.test_M is None or test.test_M.all() else np.flatnonzero(test.test_M)
    unknown = [name for name in test.class_names if name not in set(train.class_names)]
    if len(unknown) == len(test.class_names):
        raise SourceError(
            f"{test.hint} shares no class with {train.hint}: {', '.join(unknown[:5])}. Give a test source with the same class names."
        )
    position = {name: i for i, name in reversed(list(enumerate((*train.class_names, *unknown))))}
    mapped_K = np.array([position[name] for name in test.class_names], np.int64)

    def read(rows: np.ndarray) -> Iterator[Payload]:
        yield from train.read(rows[rows < train.M])
        yield from test.read(ids[rows[rows >= train.M] - train.M])

    return dataclasses.replace(
        train,
        hint=f"{train.hint}, test rows from {test.hint}",
        keys=train.keys + [f"test/{test.keys[i]}" for i in ids],
        labels_M=np.concatenate([train.labels_M, mapped_K[test.labels_M[ids]]]),
        class_names=(*train.class_names, *unknown),
        read=read,
        test_M=np.concatenate([np.zeros(train.M, bool), np.ones(len(ids), bool)]),
        split=f"test rows from {test.hint}",
        encoded=train.encoded or test.encoded,
        columns=_stacked(train.columns, train.M, None if test.columns is None else test.columns.take(ids), len(ids)),
        rejects=train.rejects + tuple((f"test/{key}", reason) for key, reason in test.rejects),
        warnings=train.warnings + test.warnings,
    )


def _stacked(first: pa.Table | None, first_rows: int, second: pa.Table | None, second_rows: int) -> pa.Table | None:
    """Two tables of columns, one above the other; a column that one lacks is null there, and text where types differ."""
    if first is None and second is None:
        return None
    names = list(dict.fromkeys([*(first.column_names if first else ()), *(second.column_names if second else ())]))
    stacked = {}
    for name in names:
        above, below = (table[name] if table is not None and name in table.column_names else None for table in (first, second))
        kind = (
            above.type
            if below is None or (above is not None and above.type == below.type)
            else below.type
            if above is None
            else pa.string()
        )
        parts = [
            pa.nulls(rows, kind) if part is None else part.cast(kind).combine_chunks()
            for part, rows in ((above, first_rows), (below, second_rows))
        ]
        stacked[name] = pa.chunked_array(parts, kind)
    return pa.table(stacked)
