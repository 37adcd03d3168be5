"""A sample's picture as the bytes of a file, from the cache alone."""

import io

import numpy as np
from PIL import Image

from learnability.datasets import Dataset


def encoded(original: Dataset, row: int) -> tuple[bytes, str, str]:
    """(content, extension, what it is) of a row, train rows first: the uncropped thumbnail where there is one, else the prepared pixels."""
    thumbnail = original.thumbnail(row)
    if thumbnail is not None:
        return thumbnail, ".webp", "thumbnail"
    N = original.N
    pixels = original.images[row] if row < N else original.test_images[row - N]
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue(), ".png", "pixels"
