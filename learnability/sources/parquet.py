"""parquet: files as on the Hugging Face hub, image struct<bytes, path> and a label, one file or many shards.

Bytes only: a row that names a path or a URL instead is a reject, and what it names is never opened. Read by record batch.
"""

import glob
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from learnability.errors import SourceError
from learnability.sources.keys import key_of, row_key
from learnability.sources.labels import labels_from_column
from learnability.sources.source import Options, Payload, Reject, Source

_BATCH = 64  # rows held in memory at once
_IMAGES = ("image", "img", "picture", "photo")
_LABELS = ("label", "labels", "fine_label", "class", "target", "category")
_SPLIT = re.compile(r"(train|test|validation|valid|val)(?=[-_.0-9]|$)", re.IGNORECASE)
_GENERIC = re.compile(r"(train|test|validation|valid|val|data|default)?[-_.0-9of]*", re.IGNORECASE)


def open_parquet(place: str, options: Options) -> Source:
    """Samples are the rows of all train shards, then of all test shards; the key is the zero-padded row number."""
    train, test = _shards(place)
    schemas = [_schema(file) for file in train + test]
    features = _features(schemas[0])
    image = _image_column(schemas[0], features, options.image_column)
    label = _label_column(schemas[0], features, options.label_column)
    for file, schema in zip(train + test, schemas, strict=True):
        _expect_same(file, schema, schemas[0], (image, label))
    kept, dropped = _own_columns(schemas[0], image, label)
    tables = [_read(file, [label, *kept]) for file in train + test]
    rows = [table.num_rows for table in tables]
    train_rows, M = sum(rows[: len(train)]), sum(rows)
    if M == 0 or train_rows == 0:
        raise SourceError(f"parquet {place}: no train rows in {len(train)} files. Expected one row a sample.")
    keys = [row_key(i) for i in range(train_rows)] + [f"test/{row_key(i)}" for i in range(M - train_rows)]
    table = pa.concat_tables(tables, promote_options="permissive")
    names = _class_names(features, label)
    labels_M, class_names = labels_from_column(table[label], keys, names)
    columns = pa.table({name: _named(table[name], _class_names(features, name)) for name in kept}) if kept else None
    first_row = np.cumsum([0, *rows])
    return Source(
        hint=f"parquet {key_of(os.fspath(Path(place).expanduser().absolute()))}",
        name=_name(Path(place).expanduser()),
        keys=keys,
        labels_M=labels_M,
        class_names=class_names,
        read=lambda wanted: _images(train + test, first_row, image, wanted),
        test_M=np.arange(M) >= train_rows if test else None,
        split=f"the shards' own {_split_of(test[0])} files" if test else "none",
        columns=columns,
        warnings=(f"columns left out, of no plain type: {', '.join(dropped)}.",) if dropped else (),
    )


def _shards(place: str) -> tuple[list[Path], list[Path]]:
    """Files of the train and of the test split: a file, a glob, or a folder with *.parquet in it, in data/ or anywhere below."""
    path = Path(place).expanduser()
    if path.is_file():
        return [path], []
    if path.is_dir():
        files = next((found for pattern in ("*.parquet", "data/*.parquet", "**/*.parquet") if (found := sorted(path.glob(pattern)))), [])
        files = [file for file in files if file.is_file() and not file.is_symlink()]
    else:
        files = [Path(name) for name in sorted(glob.glob(os.fspath(path), recursive=True)) if os.path.isfile(name)]
    if not files:
        raise SourceError(f"parquet {place!r}: no such file, and no *.parquet beneath it. Expected a file, a folder of shards or a glob.")
    by_split = {}
    for file in files:
        by_split.setdefault(_split_of(file), []).append(file)
    if "train" not in by_split or len(by_split) == 1:
        return files, []
    test = by_split.get("test") or by_split.get("validation") or []
    left = sorted(name for name in set(by_split) - {"train", "test", "validation"} if name)
    if None in by_split or left:
        odd = by_split[None][0] if None in by_split else by_split[left[0]][0]
        raise SourceError(
            f"parquet {place}: {odd.name} is neither of train nor of test. Name the files with a glob: '{path}/train-*.parquet'."
        )
    return by_split["train"], test


def _split_of(file: Path) -> str | None:
    found = _SPLIT.match(file.name) or _SPLIT.fullmatch(file.parent.name)
    name = found[1].lower() if found else None
    return "validation" if name in ("val", "valid") else name


def _name(path: Path) -> str:
    """The file's name, or its folder's where the file is called train, data or a number."""
    stem = re.sub(r"[*?\[\]]", "", path.name.removesuffix(".parquet"))
    return path.absolute().parent.name if _GENERIC.fullmatch(stem) else stem


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 18, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def _schema(file: Path) -> pa.Schema:
    with _opened(file) as opened:
        return opened.schema_arrow


def _read(file: Path, columns: list[str]) -> pa.Table:
    try:
        with _opened(file) as opened:
            return opened.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file} is damaged: {str(error).splitlines()[0]}") from error


def _images(files: list[Path], first_row: np.ndarray, image: str, wanted: np.ndarray) -> Iterator[Payload]:
    """One payload for each wanted row, rising; row groups without a wanted row are not read."""
    for file, start, end in zip(files, first_row[:-1], first_row[1:], strict=True):
        rows = wanted[(wanted >= start) & (wanted < end)] - start
        if not len(rows):
            continue
        try:
            with _opened(file) as opened:
                yield from _images_of_file(opened, image, rows)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{file} is damaged: {str(error).splitlines()[0]}") from error


def _images_of_file(opened: pq.ParquetFile, image: str, rows: np.ndarray) -> Iterator[Payload]:
    is_struct = pa.types.is_struct(opened.schema_arrow.field(image).type)
    start = 0
    for group in range(opened.num_row_groups):
        end = start + opened.metadata.row_group(group).num_rows
        in_group = rows[(rows >= start) & (rows < end)]
        if len(in_group):
            column = f"{image}.bytes" if is_struct else image
            for batch in opened.iter_batches(batch_size=_BATCH, row_groups=[group], columns=[column], use_threads=False):
                contents = pc.struct_field(batch.column(0), "bytes") if is_struct else batch.column(0)
                for i in in_group[(in_group >= start) & (in_group < start + batch.num_rows)] - start:
                    content = contents[int(i)].as_py()
                    yield content if content is not None else Reject("no bytes: the row only names a place, which is never opened")
                start += batch.num_rows
        start = end


def _features(schema: pa.Schema) -> dict:
    """What the hub's metadata says of the columns; {} where there is none or it makes no sense."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: one for name, one in features.items() if isinstance(one, dict)} if isinstance(features, dict) else {}


def _class_names(features: dict, column: str) -> tuple[str, ...] | None:
    names = features.get(column, {}).get("names")
    if features.get(column, {}).get("_type") != "ClassLabel" or not isinstance(names, list) or not names:
        return None
    return tuple(str(name).encode(errors="backslashreplace").decode() for name in names)


def _image_column(schema: pa.Schema, features: dict, asked: str | None) -> str:
    if asked is not None:
        if asked not in schema.names or not _holds_bytes(schema.field(asked)):
            raise SourceError(f"image column {asked!r}: expected struct<bytes, path> or binary; the columns are {_told(schema)}.")
        return asked
    candidates = [field.name for field in schema if _holds_bytes(field)]
    declared = [name for name in candidates if features.get(name, {}).get("_type") == "Image"]
    for choice in ([name for name in _IMAGES if name in declared], declared, [name for name in _IMAGES if name in candidates], candidates):
        if len(choice) == 1 or (choice and choice[0] in _IMAGES):
            return choice[0]
    raise SourceError(
        f"{len(candidates)} columns could hold the images: expected one of struct<bytes, path> or binary; the columns are {_told(schema)}. "
        "Name it with --image-column."
    )


def _label_column(schema: pa.Schema, features: dict, asked: str | None) -> str:
    if asked is not None:
        if asked not in schema.names:
            raise SourceError(f"label column {asked!r}: there is none; the columns are {_told(schema)}.")
        return asked
    declared = [name for name in schema.names if _class_names(features, name)]
    for choice in ([name for name in _LABELS if name in declared], declared, [name for name in _LABELS if name in schema.names]):
        if len(choice) == 1 or (choice and choice[0] in _LABELS):
            return choice[0]
    raise SourceError(
        f"no label column: expected one of {', '.join(_LABELS)}; the columns are {_told(schema)}. Name it with --label-column."
    )


def _holds_bytes(field: pa.Field) -> bool:
    kind = field.type
    if _is_extension(field):
        return False
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type) and not _is_extension(kind.field("bytes"))
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_extension(field: pa.Field) -> bool:
    return isinstance(field.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {})


def _own_columns(schema: pa.Schema, image: str, label: str) -> tuple[list[str], list[str]]:
    """Names of the source's other columns that are kept, and of those that are not: nested, binary and extension types."""
    others = [field for field in schema if field.name not in (image, label)]
    kept = [field.name for field in others if _is_plain(field.type) and not _is_extension(field)]
    return kept, [field.name for field in others if field.name not in kept]


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    checks = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_temporal)
    return any(check(kind) for check in checks) or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _named(column: pa.ChunkedArray, names: tuple[str, ...] | None) -> pa.ChunkedArray:
    """A further class column (such as a superclass) as its names, where every value has one; any other column as it is."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if names is None or not pa.types.is_integer(column.type):
        return column
    span = pc.min_max(column)
    if column.null_count == len(column) or not (span["min"].as_py() >= 0 and span["max"].as_py() < len(names)):
        return column
    return pc.take(pa.array(names), column)


def _expect_same(file: Path, schema: pa.Schema, first: pa.Schema, columns: tuple[str, ...]) -> None:
    for name in columns:
        if name not in schema.names or schema.field(name).type != first.field(name).type:
            got = schema.field(name).type if name in schema.names else "no such column"
            raise SourceError(f"{file}: expected column {name!r} of type {first.field(name).type} as in the first file, got {got}.")
    label = columns[1]
    if _class_names(_features(schema), label) != _class_names(_features(first), label):
        raise SourceError(f"{file}: column {label!r} has other class names than in the first file.")


def _told(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({str(field.type)[:60]})" for field in list(schema)[:20])
