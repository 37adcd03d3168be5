"""Pixels and thumbnails on their way into a version: written through as they come, never all in memory."""

import io
import zlib
from pathlib import Path

import numpy as np

from learnability.datasets import THUMBNAIL_ENTRY, THUMBNAIL_MAGIC, THUMBNAIL_TAIL
from learnability.prepare.choice import Plan

_BUFFER = 1 << 20


class Staged:
    """images.npy and, if planned, thumbnails.bin in `folder`, row after row; whole once closed."""

    def __init__(self, folder: Path, plan: Plan, rows: int):
        self.plan = plan
        self.positions: list[int] = []  # of the rows kept, rising
        self.hashes: list[str] = []
        self._header_size = len(_npy_header(rows, plan))
        self._images = open(folder / "images.npy", "wb", buffering=_BUFFER)  # noqa: SIM115 (closed in __exit__)
        self._images.write(bytes(self._header_size))
        self._thumbnails = open(folder / "thumbnails.bin", "wb", buffering=_BUFFER) if plan.thumbnails else None  # noqa: SIM115
        self._entries, self._end = bytearray(), 0

    def __enter__(self) -> "Staged":
        return self

    def __exit__(self, kind, *exception) -> None:
        try:
            if kind is None:
                self._complete()
        finally:
            self._images.close()
            if self._thumbnails:
                self._thumbnails.close()

    def add(self, position: int, image_hash: str, pixels: bytes, thumbnail: bytes) -> None:
        assert len(pixels) == self.plan.size**2 * self.plan.channels
        self.positions.append(position)
        self.hashes.append(image_hash)
        self._images.write(pixels)
        if self._thumbnails:
            self._thumbnails.write(thumbnail)
            self._entries += THUMBNAIL_ENTRY.pack(self._end, len(thumbnail), zlib.crc32(thumbnail))
            self._end += len(thumbnail)

    def _complete(self) -> None:
        header = _npy_header(len(self.positions), self.plan)
        assert len(header) == self._header_size
        self._images.seek(0)
        self._images.write(header)
        if self._thumbnails:
            self._thumbnails.write(self._entries + THUMBNAIL_TAIL.pack(len(self.positions), THUMBNAIL_MAGIC))


def _npy_header(rows: int, plan: Plan) -> bytes:
    """The header of a .npy file; numpy leaves room for the first number to grow, so its length does not depend on `rows`."""
    buffer = io.BytesIO()
    shape = (rows, plan.size, plan.size, plan.channels)
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
