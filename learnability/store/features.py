"""Features of all images of a data set version from a frozen backbone: described once, filled in parts, then never changed.

A folder features/<set>/ holds `backbone.json` (what makes them), and while they are made `features.part` with `progress.json`,
the truth about how many of its rows are whole; at the end `features.npy` and `features.json` with its checksum.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from learnability.config import FORMAT
from learnability.errors import DamagedFile, LearnabilityError, NotFound
from learnability.store.files import disk_errors, new_folder, read_json, sync_folder, write_all, write_json
from learnability.store.locks import hold
from learnability.store.paths import Cache
from learnability.store.runs import check_format

KIND = np.dtype("<f2")
_CHUNK = 1 << 24  # bytes read in one piece


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone:
    """A frozen network and the images it wants."""

    spec: str  # timm:resnet10t
    weights: str  # sha256 of its tensors, 64 hex digits
    place: str  # where the weights were: a file or timm:NAME; a hint
    package: str | None  # whose code it is: "timm 1.0.31"
    dimension: int  # values it makes of an image
    channels: int
    height: int  # pixels it is shown
    width: int
    resize: int  # shorter side before the middle is cut out, in pixels; 0: stretched to height x width
    interpolation: str  # bilinear, bicubic, lanczos or nearest
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def name(self) -> str:
        """The name of its features: the architecture and 8 hex digits of the weights and of how images are shown."""
        counted = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("place", "package")}
        key = hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:8]
        plain = "".join(character if character.isalnum() else "_" for character in self.spec.rpartition(":")[2])
        return f"{plain[:50].strip('_')}-{key}"


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """One set of features of a data set version, made or yet to be made."""

    name: str
    folder: Path
    backbone: Backbone
    made: dict | None  # what features.json says; None: not whole yet


def feature_sets(cache: Cache, data: str, fingerprint8: str | None = None) -> list[FeatureSet]:
    """The sets of features of a data set version by name; a damaged one is left out."""
    found, home = [], cache.dataset_folder(data, fingerprint8) / "features"
    for file in sorted(home.glob("*/backbone.json")):
        if not file.parent.name.startswith("."):
            with contextlib.suppress(LearnabilityError):
                found.append(_opened(file.parent))
    return found


def feature_set(cache: Cache, data: str, fingerprint8: str, name: str) -> FeatureSet:
    """One set of features; NotFound says which there are."""
    try:
        return _opened(cache.features_folder(data, fingerprint8, name))
    except NotFound:
        there = ", ".join(one.name for one in feature_sets(cache, data, fingerprint8)) or "none yet"
        raise NotFound(
            f"data set {data!r} has no features {name!r}; it has {there}. Make some: python -m learnability train --data {data} "
            "--arch linear --start FILE.safetensors"
        ) from None


def declare(cache: Cache, data: str, fingerprint8: str, backbone: Backbone) -> FeatureSet:
    """Writes down what makes a set of features; where it is known already, where its weights are now."""
    folder = cache.features_folder(data, fingerprint8, backbone.name)
    content = {"format": FORMAT, **dataclasses.asdict(backbone)}
    try:
        with new_folder(folder) as temporary:
            write_json(temporary / "backbone.json", content)
    except FileExistsError:
        if _opened(folder).backbone != backbone:
            write_json(folder / "backbone.json", content)
    return _opened(folder)


def load_features(one: FeatureSet, rows: int, verify: bool = True) -> np.ndarray:
    """(rows, d) float16, mapped: train rows, then test rows. DamagedFile names the file; `verify` checks every byte."""
    path = one.folder / "features.npy"
    assert one.made is not None
    again = f"Delete {one.folder} and train again: they are made anew."
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError, OSError) as error:
        raise DamagedFile(f"{path} is damaged: {error}. {again}") from error
    if features.shape != (rows, one.backbone.dimension) or features.dtype != KIND:
        raise DamagedFile(
            f"{path} is damaged: expected float16 {(rows, one.backbone.dimension)}, got {features.dtype} {features.shape}. {again}"
        )
    if verify and _crc(path, path.stat().st_size) != one.made["crc32"]:
        raise DamagedFile(f"{path} is damaged: its checksum does not match. {again}")
    return features


def features_problems(cache: Cache, data: str, fingerprint8: str) -> Iterator[str]:
    """What is wrong with the sets of features of a data set version, a sentence each."""
    for file in sorted((cache.dataset_folder(data, fingerprint8) / "features").glob("*/backbone.json")):
        try:
            told = read_json(cache.dataset_folder(data, fingerprint8) / "dataset.json")
            one = _opened(file.parent)
            if one.made is not None:
                load_features(one, told["train"] + told["test"])
        except LearnabilityError as error:
            yield str(error)


def _opened(folder: Path) -> FeatureSet:
    content = read_json(folder / "backbone.json")
    check_format(folder / "backbone.json", content)
    content.pop("format")
    try:
        backbone = Backbone(**content | {"mean": tuple(content["mean"]), "std": tuple(content["std"])})
    except (TypeError, KeyError) as error:
        raise DamagedFile(f"{folder / 'backbone.json'} is damaged: {error}.") from error
    if backbone.name != folder.name:
        raise DamagedFile(f"{folder / 'backbone.json'} describes {backbone.name}, not {folder.name}.")
    made = None
    if (folder / "features.npy").exists():
        with contextlib.suppress(NotFound):
            made = read_json(folder / "features.json")
            check_format(folder / "features.json", made)
    return FeatureSet(folder.name, folder, backbone, made)


class FeatureWriter:
    """Fills a set of features row by row, from where an earlier writer was stopped or killed. Made by `opened`."""

    def __init__(self, one: FeatureSet, rows: int):
        self.folder, self.shape = one.folder, (rows, one.backbone.dimension)
        self.part = self.folder / "features.part"
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": np.lib.format.dtype_to_descr(KIND), "fortran_order": False, "shape": self.shape}
        )
        self.header = header.getvalue()
        self.done, self.crc, self.told = 0, zlib.crc32(self.header), {}
        self._continue()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, cache: Cache, data: str, fingerprint8: str, one: FeatureSet, rows: int) -> Iterator["FeatureWriter"]:
        """The one writer of this set; Locked while another process has it."""
        with hold(cache, features_lock(data, fingerprint8, one.name)):
            with disk_errors(one.folder, rows * one.backbone.dimension * KIND.itemsize):
                yield cls(one, rows)

    def append(self, features_nd: np.ndarray, told: dict) -> None:
        """The next n rows; `told` is what is known of all rows so far. Whole on disk when this returns."""
        data = np.ascontiguousarray(features_nd, KIND).tobytes()
        assert len(data) == len(features_nd) * self.shape[1] * KIND.itemsize and self.done + len(features_nd) <= self.shape[0]
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if self.done == 0:
                write_all(descriptor, self.header, 0)
            write_all(descriptor, data, self._end(self.done))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.done, self.crc, self.told = self.done + len(features_nd), zlib.crc32(data, self.crc), told
        write_json(self.folder / "progress.json", {"rows": self.done, "crc32": self.crc, "told": told})

    def finish(self, told: dict) -> None:
        """All rows are there: from now on the set never changes."""
        assert self.done == self.shape[0]
        write_json(self.folder / "features.json", {"format": FORMAT, "rows": self.done, "crc32": self.crc, **self.told, **told})
        os.replace(self.part, self.folder / "features.npy")
        sync_folder(self.folder)
        (self.folder / "progress.json").unlink(missing_ok=True)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows that were written."""
        data = b""
        with open(self.part, "rb", buffering=0) as file:
            while len(data) < self._end(stop) - self._end(start):
                got = os.pread(file.fileno(), self._end(stop) - self._end(start) - len(data), self._end(start) + len(data))
                if not got:
                    raise DamagedFile(f"{self.part} is damaged: {self._end(stop)} bytes expected.")
                data += got
        return np.frombuffer(data, KIND).reshape(-1, self.shape[1])

    def _end(self, row: int) -> int:
        return len(self.header) + row * self.shape[1] * KIND.itemsize

    def _continue(self) -> None:
        """Takes over the rows that progress.json vouches for, if they are what it says."""
        try:
            progress = read_json(self.folder / "progress.json")
            rows, crc, told = progress["rows"], progress["crc32"], progress["told"]
        except (NotFound, DamagedFile, KeyError, TypeError):
            return
        size = self._end(rows)
        if 0 < rows <= self.shape[0] and self.part.exists() and self.part.stat().st_size >= size and _crc(self.part, size) == crc:
            self.done, self.crc, self.told = rows, crc, told


def features_lock(data: str, fingerprint8: str, name: str) -> str:
    return f"features-{data}-{fingerprint8}-{name}"


def _crc(path: Path, size: int) -> int:
    crc, offset = 0, 0
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            data = os.pread(file.fileno(), min(_CHUNK, size - offset), offset)
            if not data:
                raise DamagedFile(f"{path} is damaged: expected at least {size} bytes, got {offset}.")
            crc, offset = zlib.crc32(data, crc), offset + len(data)
    return crc
