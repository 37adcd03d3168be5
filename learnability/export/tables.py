"""Tables that leave the cache: Parquet, exact; CSV, safe to open in a spreadsheet."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from learnability.errors import InputError
from learnability.store.files import table_bytes

FORMATS = ("parquet", "csv")
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def table_file(table: pa.Table, kind: str, metadata: dict[str, str] | None = None) -> bytes:
    """`table` as the bytes of a Parquet or CSV file. In CSV, text that a spreadsheet takes for a formula gets an apostrophe."""
    if kind == "parquet":
        return table_bytes(table, metadata)
    if kind == "csv":
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(safe_cells(_as_text(_without_lists(table))), sink)
        return sink.getvalue().to_pybytes()
    raise InputError(f"file type {kind!r}: expected {' or '.join(FORMATS)}.")


def safe_cells(table: pa.Table) -> pa.Table:
    """`table` with a leading apostrophe at every text cell and column name that begins with = + - @, tab or return."""
    for i, column in enumerate(table.columns):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            risky = pc.match_substring_regex(column, r"^[=+\-@\t\r]")
            table = table.set_column(i, table.column_names[i], pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column))
    return table.rename_columns([f"'{name}" if name.startswith(_RISKY) else name for name in table.column_names])


def _as_text(table: pa.Table) -> pa.Table:
    """Every kind of text as the one that CSV and `safe_cells` know: sources bring others, such as large_string."""
    for i, column in enumerate(table.columns):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if kind != pa.string() and (pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_duration(kind)):
            kind = pa.string()
        if kind != column.type:
            table = table.set_column(i, table.column_names[i], column.cast(kind))
    return table


def _without_lists(table: pa.Table) -> pa.Table:
    """CSV has no lists: theirs become JSON text, an empty list an empty cell."""
    for i, column in enumerate(table.columns):
        if pa.types.is_list(column.type):
            texts = [json.dumps(cell, ensure_ascii=False) if cell else None for cell in column.to_pylist()]
            table = table.set_column(i, table.column_names[i], pa.array(texts, pa.string()))
    return table
