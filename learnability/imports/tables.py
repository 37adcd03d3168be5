"""Tables that others wrote: Parquet, CSV, JSON lines."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from learnability.errors import InputError

KINDS = (".parquet", ".csv", ".jsonl")


def table_of(path: Path, text: tuple[str, ...] = ()) -> pa.Table:
    """The table in a file; in CSV the columns of `text` are never taken for numbers, so that key 007 stays 007."""
    if path.suffix not in KINDS:
        raise InputError(f"{path}: expected a name that ends in {', '.join(KINDS)}.")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. Check the path.")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path, partitioning=None)
        if path.suffix == ".csv":
            as_text = pyarrow.csv.ConvertOptions(column_types={name: pa.string() for name in text})
            return pyarrow.csv.read_csv(path, convert_options=as_text)
        return pyarrow.json.read_json(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:]}: {str(error).splitlines()[0]}") from error


def column(table: pa.Table, path: Path, *names: str) -> pa.ChunkedArray:
    """The first of these columns that is there; InputError names those that are."""
    for name in names:
        if name in table.column_names:
            return table[name]
    raise InputError(f"{path} has the columns {', '.join(table.column_names)}: expected {' or '.join(names)}.")


def texts(values: pa.ChunkedArray, what: str) -> list[str]:
    """Names as text, whole numbers without a point; InputError where one is missing."""
    if values.null_count:
        raise InputError(f"{what}: {values.null_count} of {len(values)} rows are empty. Expected one in every row.")
    if pa.types.is_floating(values.type):
        whole = values.cast(pa.int64(), safe=False)
        if not pc.all(pc.equal(values, whole.cast(values.type))).as_py():
            raise InputError(f"{what}: expected text or whole numbers, got {values.type}.")
        values = whole
    return values.cast(pa.string()).to_pylist()


def numbers(values: pa.ChunkedArray, what: str) -> np.ndarray:
    """float64, NaN where empty."""
    try:
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{what}: expected numbers, got {values.type} ({str(error).splitlines()[0]}).") from error


def whole_numbers(values: pa.ChunkedArray, what: str) -> np.ndarray:
    """int64; InputError for an empty cell or a fraction."""
    found = numbers(values, what)
    if len(found) and not (np.isfinite(found).all() and (found == np.round(found)).all()):
        raise InputError(f"{what}: expected a whole number in every row.")
    return found.astype(np.int64)


def places(names: list[str]) -> tuple[list[str], np.ndarray]:
    """(distinct names in the order of their first row, place of each row's name)."""
    encoded = pa.array(names, pa.string()).dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
