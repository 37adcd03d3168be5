"""Pictures of samples: sheets of tiles, and one sample large. Pixels are enlarged by whole numbers, never smoothed."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

from learnability.datasets import Dataset

TILE = 84  # px, about the largest side of a tile as drawn
SHARP = 64  # images up to this side are sent as they are; larger ones as photographs


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Tiles in rows of `columns`, each `width` x `height` px in the file, drawn `scale` times as large."""

    url: str
    columns: int
    width: int
    height: int
    scale: int


def sheet(opened: Dataset, sample_ids: tuple[int, ...]) -> Sheet:
    H, W = opened.images.shape[1:3]
    if max(H, W) <= SHARP:
        width, height, tiles = W, H, [pixels(opened, i) for i in sample_ids]
    else:
        shrink = TILE / max(H, W)
        width, height = max(1, round(W * shrink)), max(1, round(H * shrink))
        tiles = [_photograph(opened, i, width, height) for i in sample_ids]
    columns = min(10, max(1, len(sample_ids)))
    rows = -(-len(sample_ids) // columns)
    whole = np.zeros((max(rows, 1) * height, columns * width, tiles[0].shape[2] if tiles else 3), np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * height, i % columns * width
        whole[top : top + height, left : left + width] = tile
    return Sheet(_data_url(whole, max(H, W) <= SHARP), columns, width, height, max(1, round(TILE / max(width, height))))


def pixels(opened: Dataset, sample_id: int) -> np.ndarray:
    """(H, W, 3) uint8: what the networks saw of a train sample."""
    image = np.asarray(opened.images[sample_id])
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3]


def enlarged(opened: Dataset, sample_id: int, target: int = 320) -> tuple[np.ndarray, int]:
    """The prepared image enlarged by a whole number to at most `target` px a side, and that number."""
    image = pixels(opened, sample_id)
    scale = max(1, target // max(image.shape[:2]))
    return image.repeat(scale, 0).repeat(scale, 1), scale


def _photograph(opened: Dataset, sample_id: int, width: int, height: int) -> np.ndarray:
    original = opened.thumbnail(sample_id)
    source = Image.open(io.BytesIO(original)).convert("RGB") if original else Image.fromarray(pixels(opened, sample_id))
    source.thumbnail((width, height), Image.Resampling.LANCZOS)
    tile = np.zeros((height, width, 4), np.uint8)  # what the picture leaves free is transparent
    top, left = (height - source.height) // 2, (width - source.width) // 2
    tile[top : top + source.height, left : left + source.width] = np.asarray(source.convert("RGBA"))
    return tile


def _data_url(image: np.ndarray, exact: bool) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **({"format": "PNG"} if exact else {"format": "WEBP", "quality": 82}))
    return f"data:image/{'png' if exact else 'webp'};base64,{base64.b64encode(buffer.getvalue()).decode()}"
