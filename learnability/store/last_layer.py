"""Some rows of what a run keeps of its samples at the end, the layer before the logits: for runs with too many to hold in memory."""

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from learnability.errors import DamagedFile, NotFound
from learnability.store.paths import Cache

KIND = np.dtype("<f2")


def features_shape(cache: Cache, data: str, run_id: str) -> tuple[int, int] | None:
    """(N, d) of a run's features.npy; None before the run's end."""
    path = cache.run_folder(data, run_id) / "features.npy"
    try:
        with open(path, "rb") as file:
            return _shape(path, file)
    except FileNotFoundError:
        return None


def load_feature_rows(cache: Cache, data: str, run_id: str, rows_n: np.ndarray) -> np.ndarray:
    """(n, d) float16: the features of these rows, read one by one and never mapped. NotFound before the run's end."""
    path = cache.run_folder(data, run_id) / "features.npy"
    try:
        with open(path, "rb") as file:
            N, d = _shape(path, file)
            assert not len(rows_n) or 0 <= rows_n.min() <= rows_n.max() < N, (rows_n.min(), rows_n.max(), N)
            start, size = file.tell(), d * KIND.itemsize
            data_n = b"".join(os.pread(file.fileno(), size, start + row * size) for row in rows_n.tolist())
    except FileNotFoundError as error:
        raise NotFound(f"run {run_id} has no features yet: they are written at its end.") from error
    if len(data_n) < len(rows_n) * size:
        raise DamagedFile(f"{path} is damaged: expected {N} rows of {size} bytes, its end is missing.")
    return np.frombuffer(data_n, KIND).reshape(len(rows_n), d)


def _shape(path: Path, file: BinaryIO) -> tuple[int, int]:
    """The header's (N, d); the file then stands at the first value."""
    try:
        version = np.lib.format.read_magic(file)
        shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: {error}.") from error
    if version != (1, 0) or fortran or kind != KIND or len(shape) != 2:
        raise DamagedFile(f"{path} is damaged: expected float16 (N, d), got {kind} {shape}.")
    return shape
