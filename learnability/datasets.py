"""Opening a data set version: mapped images, one label version, keys, hashes. Fingerprints, stratified choice, planted labels."""

import dataclasses
import functools
import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from learnability.config import FORMAT
from learnability.curriculum.randomness import PURPOSES, words
from learnability.errors import DamagedFile, InputError, NewerFormat, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_COLUMNS = ["sample_id", "key", "hash", "split", "width", "height"]  # the source's own columns follow
THUMBNAIL_MAGIC = b"LXTHUMB1"
THUMBNAIL_ENTRY = struct.Struct("<QII")  # offset, length, crc32 of one thumbnail
THUMBNAIL_TAIL = struct.Struct("<Q8s")  # number of entries, magic


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """One data set version with one label version. N train rows, T test rows; sample ids count on from train to test.

    images (N, H, W, C) and test_images (T, H, W, C) are uint8 and mapped from disk; None in a data set without pictures.
    labels_N, test_labels_T are int64, 0..K-1; -1 marks a sample that a reviewed label version drops.
    """

    folder: Path
    name: str
    fingerprint: str  # sha256, 64 hex digits
    labels: str  # name of the label version
    images: np.ndarray | None
    labels_N: np.ndarray
    class_names: tuple[str, ...]
    test_images: np.ndarray | None
    test_labels_T: np.ndarray
    info: dict  # what dataset.json says

    @property
    def N(self) -> int:
        return len(self.labels_N)

    @property
    def K(self) -> int:
        return len(self.class_names)

    @property
    def H(self) -> int | None:
        return self.info["H"]

    @property
    def W(self) -> int | None:
        return self.info["W"]

    @property
    def C(self) -> int | None:
        return self.info["C"]

    @functools.cached_property
    def keys(self) -> list[str]:
        """The N train samples' names at the source."""
        return self._column("key")

    @functools.cached_property
    def hashes(self) -> list[str]:
        """The N train samples' content hashes, 32 hex digits each."""
        return self._column("hash")

    def samples(self) -> "pa.Table":
        """Train rows: sample_id, key, hash, split, width, height, and the source's own columns."""
        return self.all_samples().slice(0, self.N)

    def all_samples(self) -> "pa.Table":
        """Train rows, then test rows, all columns."""
        return _table(self.folder / "samples.parquet", self.N + len(self.test_labels_T))

    def thumbnail(self, sample_id: int) -> bytes | None:
        """The WebP thumbnail of a sample, uncropped; None where the data set has none. DamagedFile if its checksum does not match."""
        if not self.info.get("thumbnails"):
            return None
        return read_thumbnail(self.folder / "thumbnails.bin", sample_id)

    def _column(self, name: str) -> list[str]:
        table = _table(self.folder / "samples.parquet", self.N + len(self.test_labels_T), [name])
        return table[name].slice(0, self.N).to_pylist()


def open_version(folder: Path, labels: str = "original") -> Dataset:
    """The data set version in `folder` with one label version. NotFound or DamagedFile name the file."""
    info = _info(folder / "dataset.json")
    train, rows = info["train"], info["train"] + info["test"]
    all_labels, class_names = _labels(folder / "labels" / f"{labels}.parquet", rows, info["class_names"])
    images = None if info["H"] is None else _images(folder / "images.npy", (rows, info["H"], info["W"], info["C"]))
    return Dataset(
        folder=folder,
        name=info["name"],
        fingerprint=info["fingerprint"],
        labels=labels,
        images=None if images is None else images[:train],
        labels_N=all_labels[:train],
        class_names=class_names,
        test_images=None if images is None or rows == train else images[train:],
        test_labels_T=all_labels[train:],
        info=info,
    )


def _labels(path: Path, rows: int, class_names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of all rows, and the classes they count: those of the data set, or the label version's own."""
    table = _table(path, rows, ["sample_id", "label"])
    try:
        names = tuple(json.loads((table.schema.metadata or {}).get(b"class_names", b"null")) or class_names)
        labels = table["label"].to_numpy().astype(np.int64, casting="safe")
    except (ValueError, TypeError) as error:
        raise DamagedFile(f"{path} is damaged: {error}.") from error
    if rows and not (labels.min() >= -1 and labels.max() < len(names)):
        raise DamagedFile(f"{path} is damaged: expected labels from 0 to {len(names) - 1}.")
    return labels, names


def _info(path: Path) -> dict:
    try:
        info = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"no data set version in {path.parent}: {path.name} is missing.") from error
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: expected JSON, {error}.") from error
    if not isinstance(info, dict) or not isinstance(info.get("format"), int):
        raise DamagedFile(f"{path} is damaged: expected an object with a format number.")
    if info["format"] > FORMAT:
        raise NewerFormat(f"{path} has format {info['format']}; this version reads up to {FORMAT}. Update learnability.")
    missing = [name for name in ("name", "fingerprint", "train", "test", "H", "W", "C", "class_names") if name not in info]
    if missing:
        raise DamagedFile(f"{path} is damaged: {', '.join(missing)} missing.")
    return info


def _images(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DamagedFile(f"{path} is missing. Prepare the data set again from its source.") from error
    except (ValueError, EOFError, OSError) as error:
        raise DamagedFile(f"{path} is damaged: {error}") from error
    if images.shape != shape or images.dtype != np.uint8:
        raise DamagedFile(f"{path} is damaged: expected uint8 {shape}, got {images.dtype} {images.shape}.")
    return images


def _table(path: Path, rows: int, columns: list[str] | None = None) -> "pa.Table":
    import pyarrow as pa  # here, so that the processes that decode images start without it
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True, partitioning=None)
        found = table.column_names
    except FileNotFoundError as error:
        raise NotFound(f"{path.name} not found in {path.parent}.") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamagedFile(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    expected = columns or SAMPLE_COLUMNS
    if table.num_rows != rows or found[: len(expected)] != expected:
        raise DamagedFile(f"{path} is damaged: expected {rows} rows of {expected}, got {table.num_rows} of {found}.")
    return table


def read_thumbnail(path: Path, row: int) -> bytes:
    """Thumbnail `row` of a thumbnails.bin: two reads, no map. The format stands in docs/images.md."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise DamagedFile(f"{path} is missing. Prepare the data set again from its source.") from error
    try:
        end = os.fstat(descriptor).st_size - THUMBNAIL_TAIL.size
        tail = os.pread(descriptor, THUMBNAIL_TAIL.size, max(end, 0))
        rows, magic = THUMBNAIL_TAIL.unpack(tail) if len(tail) == THUMBNAIL_TAIL.size else (0, b"")
        entries = end - rows * THUMBNAIL_ENTRY.size
        if magic != THUMBNAIL_MAGIC or entries < 0:
            raise DamagedFile(f"{path} is damaged: its end is missing.")
        if not 0 <= row < rows:
            raise NotFound(f"{path.name} has thumbnails 0 to {rows - 1}, not {row}.")
        offset, length, crc = THUMBNAIL_ENTRY.unpack(os.pread(descriptor, THUMBNAIL_ENTRY.size, entries + row * THUMBNAIL_ENTRY.size))
        thumbnail = os.pread(descriptor, length, offset) if offset + length <= entries else b""
    finally:
        os.close(descriptor)
    if len(thumbnail) != length or zlib.crc32(thumbnail) != crc:
        raise DamagedFile(f"{path} is damaged at thumbnail {row}.")
    return thumbnail


def image_hash(image_HWC: np.ndarray) -> str:
    """What a picture is, whatever its name: blake2b (16 bytes, hex) of its shape and its uint8 pixels."""
    H, W, C = image_HWC.shape
    digest = hashlib.blake2b(f"{H} {W} {C}\n".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image_HWC))
    return digest.hexdigest()


def fingerprint(hashes: Iterable[str], keys: Iterable[str], class_names: Sequence[str], shape: Sequence[int | None]) -> str:
    """What a data set version is: sha256 (64 hex digits) over each row's hash and key, the class names and (H, W, C)."""
    digest = hashlib.sha256(json.dumps({"class_names": list(class_names), "shape": list(shape)}).encode())
    for one, key in zip(hashes, keys, strict=True):
        name = key.encode()
        digest.update(b"\n%s %d %s" % (one.encode(), len(name), name))
    return digest.hexdigest()


def stratified_ids(labels_N: np.ndarray, n: int, *, index: int = 0, spare: bool = False) -> np.ndarray:
    """n rising ids with the same share of every class (within one sample), chosen by fixed random words.

    A larger n only adds ids. Every class has one as soon as n reaches the number of classes; with `spare` the small
    classes come last instead, so that none is used up before n reaches N. `index` makes another choice.
    """
    labels_N = np.asarray(labels_N)
    N = len(labels_N)
    if not 0 <= n <= N:
        raise InputError(f"{n} samples: expected 0 to {N}, as many as there are.")
    order_N = np.argsort(words(0, PURPOSES["folds"], 2**32 + index, N), kind="stable")
    by_class_N = order_N[np.argsort(labels_N[order_N], kind="stable")]
    _, first, counts = np.unique(labels_N[by_class_N], return_index=True, return_counts=True)
    size_N = np.repeat(counts, counts)
    rank_N = np.arange(N) - np.repeat(first, counts) + spare
    place_N = np.empty(N)
    place_N[by_class_N] = rank_N / size_N
    chosen = order_N[np.argsort(place_N[order_N], kind="stable")[:n]]
    return np.sort(chosen)


def trained_ids(labels_N: np.ndarray, subset: int | None = None) -> np.ndarray:
    """Rising ids of the samples that a run trains on: those with a label, of these a class-stratified `subset`."""
    ids_n = np.flatnonzero(labels_N >= 0)  # -1 marks samples that a reviewed label version drops
    return ids_n if subset is None else ids_n[stratified_ids(labels_N[ids_n], subset)]


def planted_labels(labels_N: np.ndarray, class_count: int, fraction: float, seed: int) -> np.ndarray:
    """A copy of labels_N in which exactly floor(fraction x N) labels are wrong, uniform over the other classes."""
    labels_N = np.asarray(labels_N, np.int64)
    if class_count < 2 or not 0 <= fraction <= 1:
        raise InputError(f"label noise {fraction!r} on {class_count} classes: expected a fraction from 0 to 1 and at least 2 classes.")
    N = len(labels_N)
    count = int(Fraction(str(fraction)) * N)
    ids = np.argsort(words(seed, PURPOSES["labels"], 0, N), kind="stable")[:count]
    step = 1 + (words(seed, PURPOSES["labels"], 1, N)[ids] % np.uint64(class_count - 1)).astype(np.int64)
    planted = labels_N.copy()
    planted[ids] = (labels_N[ids] + step) % class_count
    return planted
