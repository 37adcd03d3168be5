"""Samples as pictures inside the file: data URLs, pixels enlarged by whole numbers and never smoothed."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from learnability.charts.style import middle_cut
from learnability.datasets import Dataset
from learnability.report.page import Html, tag

SIDE = 112  # px, the largest side of a picture as drawn
LONGEST = 60  # characters of a text from the data


def text(said) -> str:
    """A text from the data, without control characters and not too long."""
    return middle_cut(str(said), LONGEST)


def class_name(opened: Dataset, label: int) -> str:
    return text(opened.class_names[label]) if 0 <= label < len(opened.class_names) else "(no label)"


def tiles(opened: Dataset, sample_ids: Sequence[int], lines: Sequence[Sequence[str]]) -> Html:
    """A grid of pictures, each with its lines of text under it."""
    made = []
    for sample_id, told in zip(sample_ids, lines, strict=True):
        said = [tag("span", line) for line in told]
        made.append(tag("div", picture(opened, int(sample_id), ", ".join(told)), *said, class_="tile"))
    return tag("div", *made, class_="tiles")


def picture(opened: Dataset, sample_id: int, said: str) -> Html | None:
    """The original's thumbnail where there is one, else the prepared pixels; None in a data set without pictures."""
    thumbnail = opened.thumbnail(sample_id)
    if thumbnail:
        width, height = Image.open(io.BytesIO(thumbnail)).size
        scale, rendering, kind, content = min(1.0, SIDE / max(width, height)), "auto", "webp", thumbnail
    elif opened.images is not None:
        image = np.asarray(opened.images[sample_id])
        height, width = image.shape[:2]
        scale, rendering, kind, content = max(1, SIDE // max(width, height)), "pixelated", "png", _png(image)
        if max(width, height) > SIDE:
            scale, rendering = SIDE / max(width, height), "auto"
    else:
        return None
    url = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    size = {"width": round(width * scale), "height": round(height * scale)}
    return tag("img", src=url, alt=f"sample {sample_id}: {said}", style=f"image-rendering:{rendering}", **size)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image[:, :, :3]).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
