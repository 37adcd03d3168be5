"""csv: a table of paths and labels. Paths are taken inside the CSV file's own folder and nowhere else."""

import csv
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.errors import SourceError
from learnability.sources.folder import irregular
from learnability.sources.keys import key_of
from learnability.sources.labels import labels_from_texts
from learnability.sources.source import Options, Reject, Source

_PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img")
_LABELS = ("label", "labels", "class", "class_name", "target", "category")
_TRAIN = {"train", "training"}
_TEST = {"test", "testing", "val", "valid", "validation"}


def open_listing(place: str, options: Options) -> Source:
    """Samples are the rows, in order; the key is the path, with `#2` behind a path that comes again. A column `split` is followed."""
    file = Path(place).expanduser()
    if not file.is_file():
        raise SourceError(f"csv {place!r}: expected a CSV file with a column of paths and one of labels, got nothing like it there.")
    header, rows = _rows(file)
    path_at = _column(header, options.image_column, _PATHS, "paths", "--image-column")
    label_at = _column(header, options.label_column, _LABELS, "labels", "--label-column")
    folder = os.fspath(file.absolute().parent)
    inside, keys, kept, rejects, taken = [], [], [], [], {}
    for number, row in enumerate(rows):
        path = _path_inside(folder, row[path_at])
        if isinstance(path, Reject):
            rejects.append((key_of(row[path_at]), path.reason))
            continue
        key = key_of(path)
        while key in taken:
            taken[key] += 1
            key = f"{key}#{taken[key]}"
        taken[key] = 1
        inside.append(path)
        keys.append(key)
        kept.append(number)
    rows = [rows[number] for number in kept]
    labels_M, class_names = labels_from_texts([_text(row[label_at]) for row in rows], keys)
    split_at = next((i for i, name in enumerate(header) if name.strip().lower() == "split" and i not in (path_at, label_at)), None)
    test_M = None if split_at is None else _test_rows([row[split_at] for row in rows], keys)
    own = [i for i in range(len(header)) if i not in (path_at, label_at) and not (i == split_at and test_M is not None)]
    return Source(
        hint=f"csv {key_of(os.fspath(file.absolute()))}",
        name=file.stem,
        keys=keys,
        labels_M=labels_M,
        class_names=class_names,
        read=lambda rows: (os.path.join(folder, inside[i]) for i in rows),
        test_M=test_M,
        split="none" if test_M is None else "the column split",
        columns=pa.table([_typed([row[i] for row in rows]) for i in own], [_text(header[i]) for i in own]) if own else None,
        rejects=tuple(rejects),
    )


def _rows(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            rows = [row for row in reader if row]
    except csv.Error as error:
        raise SourceError(f"{file} is no CSV file: {error}. Expected commas, quotes doubled inside quotes, one header line.") from error
    if len(set(header)) < len(header) or not header:
        raise SourceError(f"{file}: expected a first line of distinct column names, got {header[:10]}.")
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise SourceError(f"{file}: row {number + 1} has {len(row)} cells, expected {len(header)} as in the header.")
    return header, rows


def _column(header: list[str], asked: str | None, names: tuple[str, ...], what: str, flag: str) -> int:
    wanted = (asked,) if asked else names
    lower = [name.strip().lower() for name in header]
    for name in wanted:
        if (asked and name in header) or (not asked and name in lower):
            return header.index(name) if asked else lower.index(name)
    expected = repr(asked) if asked else f"one of {', '.join(names)}"
    raise SourceError(f"no column of {what}: expected {expected}, the file has {', '.join(header)}. Name it with {flag}.")


def _path_inside(folder: str, text: str) -> str | Reject:
    """The path beneath `folder` that a cell names, or why it is not used: nothing outside, no link on the way, regular files only."""
    if "\0" in text or "://" in text:
        return Reject("outside: a URL or no path, never opened")
    path = os.path.normpath(os.path.relpath(text, folder) if os.path.isabs(text) else text) if text else "."
    if path == "." or path == ".." or path.startswith("../"):
        return Reject("outside: the path leaves the folder of the CSV file")
    parts = path.split("/")
    try:
        for depth in range(1, len(parts)):
            if os.path.islink(os.path.join(folder, *parts[:depth])):
                return Reject("symbolic link: not followed, put the file itself or a hard link here")
        problem = irregular(os.lstat(os.path.join(folder, path)).st_mode)
    except FileNotFoundError:
        return Reject("no such file")
    except OSError as error:
        return Reject(f"unreadable: {error.strerror}")
    return Reject(problem) if problem else path


def _test_rows(cells: list[str], keys: list[str]) -> np.ndarray | None:
    """Which rows the column `split` makes test rows; None where it holds no such words, or one split alone."""
    words = [cell.strip().lower() for cell in cells]
    odd = [number for number, word in enumerate(words) if word not in _TRAIN | _TEST]
    if len(odd) == len(words):
        return None  # a column of somebody's own
    if odd:
        raise SourceError(
            f"column split of {keys[odd[0]]!r}: got {_text(cells[odd[0]])!r}, {len(odd):,} rows have no split. Expected train, test or val "
            "in every row: correct it, or give the column another name."
        )
    test_M = np.array([word in _TEST for word in words], bool)
    return test_M if test_M.any() and not test_M.all() else None


def _typed(cells: list[str]) -> pa.Array:
    """A column of cells as whole numbers, numbers or text, whichever fits them all; empty cells are null among numbers."""
    filled = [cell for cell in cells if cell != ""]
    for kind, convert in ((pa.int64(), int), (pa.float64(), float)):
        try:
            if filled and not any(_has_leading_zero(cell) for cell in filled):
                return pa.array([convert(cell) if cell != "" else None for cell in cells], kind)
        except (ValueError, OverflowError):
            continue
    return pa.array([_text(cell) for cell in cells], pa.string())


def _text(cell: str) -> str:
    """The cell itself, or its key where it holds bytes that are not UTF-8."""
    try:
        cell.encode()
    except UnicodeEncodeError:
        return key_of(cell)
    return cell


def _has_leading_zero(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == "0" and cell[1].isdigit()
