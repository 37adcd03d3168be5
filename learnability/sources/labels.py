"""From what a source calls its labels to class numbers 0..K-1; what cannot be a label is refused with its rows."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from learnability.errors import SourceError

MAX_CLASSES = 65_536
_MISSING_TEXTS = {"", "nan", "none", "null"}


def labels_from_column(column: pa.ChunkedArray, keys: list[str], names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """labels_M and class names from a typed column: whole numbers (with `names` where the source declares them), truth values or text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    readable = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or _is_text(kind)
    if not readable:
        raise SourceError(
            f"the label column is of type {kind}: expected whole numbers or text, one a row. Choose another with --label-column."
        )
    missing_M = pc.is_null(column, nan_is_null=pa.types.is_floating(kind)).to_numpy()
    _refuse(missing_M, column, keys, "missing")
    if _is_text(kind):
        _refuse(pc.equal(column, pa.scalar("", kind)).to_numpy(), column, keys, "empty")
        return _of_texts(column)
    if pa.types.is_boolean(kind):
        return _of_texts(pc.if_else(column, "true", "false"))
    values_M = column.to_numpy()
    if pa.types.is_floating(kind):
        _refuse(~(np.isfinite(values_M) & (values_M == np.floor(values_M)) & (np.abs(values_M) < 2**53)), column, keys, "no whole numbers")
    elif values_M.dtype == np.uint64:
        _refuse(values_M > np.uint64(2**63 - 1), column, keys, "out of range")
    return _of_numbers(values_M.astype(np.int64), keys, names)


def labels_from_texts(texts: list[str], keys: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """labels_M and class names from cells of a CSV file: all whole numbers, or all words; a mixture is refused."""
    missing_M = np.array([text.strip().lower() in _MISSING_TEXTS for text in texts], bool)
    _refuse(missing_M, texts, keys, "missing")
    number_M = np.array([_is_number(text) for text in texts], bool)
    if not number_M.any():
        return _of_texts(pa.chunked_array([pa.array(texts, pa.string())]))
    if not number_M.all():
        odd_M = number_M if 2 * number_M.sum() < len(texts) else ~number_M
        what = "of mixed types: numbers beside words (name the classes alike, for example 'digit-7' beside 'cat')"
        _refuse(odd_M, texts, keys, what)
    values_M = np.array([float(text) for text in texts])
    _refuse(~(np.isfinite(values_M) & (values_M == np.floor(values_M)) & (np.abs(values_M) < 2**53)), texts, keys, "no whole numbers")
    return _of_numbers(values_M.astype(np.int64), keys, None)


def _of_numbers(values_M: np.ndarray, keys: list[str], names: tuple[str, ...] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    _refuse(values_M < 0, values_M, keys, "below 0 (-1 often stands for a test set without labels)")
    if names is not None:
        _refuse(values_M >= len(names), values_M, keys, f"out of range: the source names {len(names)} classes")
        checked_class_count(len(names), keys, values_M)
        return values_M, names
    distinct, labels_M = np.unique(values_M, return_inverse=True)
    checked_class_count(len(distinct), keys, values_M)
    return labels_M.astype(np.int64), tuple(str(value) for value in distinct)


def _of_texts(column: pa.ChunkedArray) -> tuple[np.ndarray, tuple[str, ...]]:
    encoded = column.combine_chunks().dictionary_encode()
    encoded = pa.concat_arrays(encoded.chunks) if isinstance(encoded, pa.ChunkedArray) else encoded
    found = encoded.dictionary.to_pylist()
    checked_class_count(len(found), None, found)
    class_names = tuple(sorted(found))
    position = {name: i for i, name in enumerate(class_names)}
    mapped = np.array([position[name] for name in found], np.int64)
    return mapped[encoded.indices.to_numpy()], class_names


def checked_class_count(count: int, keys, values) -> None:
    """SourceError above 65,536 classes, with the first five labels."""
    if count > MAX_CLASSES:
        first = ", ".join(f"{keys[i]!r}: {values[i]!r}" if keys is not None else repr(values[i]) for i in range(5))
        raise SourceError(
            f"{count:,} classes: expected at most {MAX_CLASSES:,}; the first rows: {first}. Is this a label, or a name of each sample?"
        )


def _refuse(bad_M: np.ndarray, values, keys: list[str], what: str) -> None:
    rows = np.flatnonzero(bad_M)
    if len(rows):
        shown = (values[int(i)] for i in rows[:5])
        cells = (
            value.as_py() if isinstance(value, pa.Scalar) else value.item() if isinstance(value, np.generic) else value for value in shown
        )
        first = ", ".join(f"{keys[i]!r}: {cell!r}" for i, cell in zip(rows[:5], cells, strict=True))
        raise SourceError(
            f"{len(rows):,} of {len(keys):,} labels are {what}; the first rows: {first}. Expected one class a row: repair or remove them."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
