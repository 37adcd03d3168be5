"""A corrected image folder: one folder a class under the new labels, ready to be prepared or trained on elsewhere.

images/train/<class>/<sample id>-<name>, images/test/... where there are test rows, and manifest.parquet and manifest.csv beside
them: file, key, hash, split, label, made. Dropped samples are left out.
"""

import contextlib
import dataclasses
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.export.encoded import encoded
from learnability.export.names import folder_name
from learnability.export.originals import Originals
from learnability.export.tables import table_file
from learnability.store.files import LEFTOVER, disk_errors
from learnability.store.identity import identities

MADE = ("link", "copy", "thumbnail", "pixels")
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
_TAKEN = "{} is there already: expected a new folder, or an empty one. Choose another."
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exported:
    """What became of the samples of a corrected folder."""

    folder: Path
    images: Path  # what to prepare or to train on
    files: int
    dropped: int
    made: dict[str, int]  # link, copy: the source's own file; thumbnail, pixels: written from the cache
    missing: int  # source files that are not there any more
    changed: int  # source files that are not the picture any more that was prepared
    warnings: tuple[str, ...]


def corrected_folder(
    original: Dataset,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    out: Path,
    *,
    originals: Originals | None = None,
    hashes_of: Callable[[Iterable[str]], Iterator[str | None]] | None = None,
    copy: bool = False,
    progress: Callable | None = None,
) -> Exported:
    """Writes every sample that is not dropped into the folder of its new class; `out` must not be there yet, or be empty.

    labels      new labels of all rows, numbers in `class_names`; -1 is a dropped sample
    originals   finds the source's own files, which are hard linked, or copied with `copy` and where links cannot be
    hashes_of   paths -> the hash of each file as it would be prepared: a file that has changed since is not taken
    A sample whose own file cannot be taken is written from the cache: its thumbnail, where originals are larger than the
    prepared images, else its prepared pixels as PNG.
    """
    if original.images is None:
        raise InputError(f"data set {original.name!r} has no pictures: expected images to export. Export its labels instead.")
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        raise InputError("every sample is dropped: expected at least one to export.")
    work = _Work(original, labels, class_names, originals, copy)
    _check_names(labels[rows], class_names)
    refuse_taken(out)
    if originals is not None and (source := originals.folder_around(out)):
        raise InputError(f"{out} lies inside {source}, which would then be prepared with a class more. Choose a folder outside of it.")
    try:
        with appearing(out.absolute()) as temporary:
            work.make_folders(temporary, rows)
            for done, (row, path) in enumerate(work.with_originals(rows, hashes_of)):
                work.place(temporary, row, path)
                if progress and done % 100 == 0:
                    progress(done, len(rows))
            work.write_manifest(temporary, rows)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        raise InputError(_TAKEN.format(out)) from error
    if progress:
        progress(len(rows), len(rows))
    return Exported(
        folder=out,
        images=out / "images",
        files=len(rows),
        dropped=len(labels) - len(rows),
        made={kind: work.made.count(kind) for kind in MADE},
        missing=work.missing,
        changed=work.changed,
        warnings=tuple(_warnings(original, labels, class_names)),
    )


def refuse_taken(out: Path) -> None:
    """InputError where `out` is there already and not an empty folder."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise InputError(_TAKEN.format(out))


@contextlib.contextmanager
def appearing(final: Path) -> Iterator[Path]:
    """A temporary sibling that becomes `final`, whole or not at all. One sync for all files; one each would take minutes."""
    temporary = final.parent / f"{LEFTOVER}{final.name}-{secrets.token_hex(4)}"
    with disk_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        try:
            yield temporary
            os.sync()
            os.rename(temporary, final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


class _Work:
    """One export under way."""

    def __init__(self, original: Dataset, labels: np.ndarray, class_names: tuple[str, ...], originals: Originals | None, copy: bool):
        self.original, self.labels, self.class_names, self.originals, self.copy = original, labels, class_names, originals, copy
        version = identities(original)
        self.keys, self.hashes = version.keys.to_pylist(), version.hashes.to_pylist()
        self.folders = [folder_name(name) for name in class_names]
        self.files: list[str] = []
        self.made: list[str] = []  # of MADE
        self.missing = self.changed = 0

    def split(self, row: int) -> str:
        return "train" if row < self.original.N else "test"

    def make_folders(self, temporary: Path, rows: np.ndarray) -> None:
        for split, part in (("train", rows[rows < self.original.N]), ("test", rows[rows >= self.original.N])):
            for k in np.unique(self.labels[part]).tolist():
                folder = temporary / "images" / split / self.folders[k]
                folder.parent.mkdir(parents=True, exist_ok=True)
                try:
                    folder.mkdir()
                except FileExistsError:
                    raise InputError(
                        f"class {self.class_names[k]!r} and another one are the same folder name on this file system, which does not tell "
                        "large letters from small. Export to another one."
                    ) from None

    def with_originals(self, rows: np.ndarray, hashes_of: Callable | None) -> Iterator[tuple[int, str | None]]:
        """(row, its own file or None) for each row; a file that is another picture by now is not taken."""
        known = self.originals is not None and self.originals.known
        paths = [self.originals.path(self.keys[row], row >= self.original.N) if known else None for row in rows.tolist()]
        found = iter(hashes_of(path for path in paths if path is not None)) if hashes_of is not None else None
        for row, path in zip(rows.tolist(), paths, strict=True):
            if known and path is None:
                self.missing += 1
            elif path is not None and found is not None and next(found) != self.hashes[row]:
                self.changed += 1
                path = None
            yield row, path

    def place(self, temporary: Path, row: int, path: str | None) -> None:
        folder = temporary / "images" / self.split(row) / self.folders[self.labels[row]]
        content, extension, made = (None, _extension(path), "link") if path is not None else encoded(self.original, row)
        file = folder / (_file_name(row, self.keys[row]) + extension)
        if content is not None:
            file.write_bytes(content)
        else:
            made = self._taken(path, file)
        self.files.append(os.fspath(file.relative_to(temporary)))
        self.made.append(made)

    def _taken(self, path: str, file: Path) -> str:
        if not self.copy:
            try:
                os.link(path, file, follow_symlinks=False)
                return "link"
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
        shutil.copyfile(path, file, follow_symlinks=False)
        return "copy"

    def write_manifest(self, temporary: Path, rows: np.ndarray) -> None:
        columns = {
            "file": self.files,
            "key": [self.keys[row] for row in rows],
            "hash": [self.hashes[row] for row in rows],
            "split": [self.split(row) for row in rows],
            "label": [self.class_names[k] for k in self.labels[rows]],
            "made": self.made,
        }
        table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
        for kind in ("parquet", "csv"):
            (temporary / f"manifest.{kind}").write_bytes(table_file(table, kind))


def _check_names(labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    used = [class_names[k] for k in np.unique(labels).tolist()]
    if twice := sorted({name for name in used if used.count(name) > 1}):
        raise InputError(
            f"{len(twice)} names are borne by two classes each ({', '.join(map(repr, twice[:5]))}): expected one folder a class. "
            "Relabel the samples of one to a new class first."
        )


def _extension(path: str) -> str:
    found = _EXTENSION.search(os.path.basename(path))
    return found[0] if found else ""


def _file_name(row: int, key: str) -> str:
    """`<sample id>-<name at the source>`: short, safe, and different for every sample."""
    stem = folder_name(_EXTENSION.sub("", key.rpartition("/")[2]))
    number = f"{row:08d}"
    return number if stem in ("%", number) else f"{number}-{stem}"


def _warnings(original: Dataset, labels: np.ndarray, class_names: tuple[str, ...]) -> Iterator[str]:
    train, test = np.unique(labels[: original.N]), np.unique(labels[original.N :])
    only_test = [class_names[k] for k in np.setdiff1d(test, train) if k >= 0]
    if only_test:
        yield (
            f"{len(only_test)} classes have test samples only ({', '.join(map(repr, only_test[:5]))}): preparing the folder leaves "
            "those out, for nothing can be learnt of them."
        )
    if len(train[train >= 0]) < 2:
        yield "fewer than two classes have train samples: the folder cannot be prepared as a data set."
