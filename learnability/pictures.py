"""The originals of a data set, read again from where it was prepared: for a frozen backbone, which wants more pixels.

The place in dataset.json is a hint. What is not there any more, or is another picture by now, is simply not given; nothing
outside the source is opened, no link followed.
"""

import os
import stat
from collections.abc import Iterator

import numpy as np
from PIL import Image

from learnability.datasets import Dataset
from learnability.errors import SourceError
from learnability.prepare.formats import BYTE_LIMIT
from learnability.prepare.images import decoded
from learnability.sources.keys import path_of
from learnability.sources.source import Payload, Source, joined
from learnability.sources.spellings import open_source

_JOINED = ", test rows from "
_FILES = ("folder", "csv", "parquet")


class Originals:
    """Originals of a data set version, in the order of its samples."""

    def __init__(self, dataset: Dataset):
        samples = dataset.all_samples()
        self.N, self.rows = dataset.N, samples.num_rows
        self.sizes = np.stack([samples[side].to_numpy() for side in ("width", "height")], 1)
        self.source = _source(str(dataset.info.get("source", "")))
        if self.source is not None:
            row_of = {key: row for row, key in enumerate(self.source.keys)}
            self.row_of_sample = np.array([row_of.get(key, -1) for key in samples["key"].to_pylist()])

    def payloads(self, start: int) -> Iterator[Payload | None]:
        """What the source holds of each sample from `start` on: bytes, a path or pixels; None where there is nothing."""
        if self.source is None:
            yield from [None] * (self.rows - start)
            return
        for first, stop in ((start, self.N), (max(start, self.N), self.rows)):
            rows = self.row_of_sample[first:stop]
            read = self.source.read(rows[rows >= 0])
            for row in rows:
                yield next(read, None) if row >= 0 else None

    def image(self, sample_id: int, payload: Payload | None, needed: int) -> Image.Image | None:
        """The original upright as L or RGB, its shorter side at least `needed` px where it has them; None where it is another."""
        if isinstance(payload, str):
            payload = _content(payload)
        if not isinstance(payload, bytes):
            return None
        try:
            image, width, height = decoded(payload, needed)
        except SourceError:
            return None
        return image if (width, height) == tuple(self.sizes[sample_id]) else None


def _source(hint: str) -> Source | None:
    """The source that a hint names, listed again; None where it is not made of files or cannot be read."""
    parts = [part.partition(" ") for part in hint.split(_JOINED)]
    if any(kind not in _FILES or not place for kind, _, place in parts):
        return None
    try:
        opened = [open_source(f"{kind}:{path_of(place)}") for kind, _, place in parts]
        return joined(*opened) if len(opened) == 2 else opened[0]
    except SourceError:
        return None


def _content(path: str) -> bytes | None:
    """The bytes of a regular file; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        told = os.fstat(descriptor)
        return file.read() if stat.S_ISREG(told.st_mode) and told.st_size <= BYTE_LIMIT else None
