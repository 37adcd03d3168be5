"""From the bytes of a file to pixels: one written conversion for each kind of pixel, one way to become square.

The rules in words, with their reasons, are in docs/images.md. Nothing here is lenient: what no rule covers is refused.
"""

import io
import warnings
from typing import BinaryIO

import numpy as np
from PIL import Image

from learnability.prepare.formats import DECODE_ERRORS, Unusable, check_png, format_of, load, opened

THUMBNAIL = 192  # px, the longer side
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def measured(file: BinaryIO) -> tuple[int, int, bool]:
    """(width, height, whether grey) as the image stands upright, from the header alone."""
    with opened(file) as image:
        width, height = image.size
        grey = is_grey(image)
        known = image.format != "PNG" or "exif" in image.info  # else Pillow would read all pixels in search of it
        return (height, width, grey) if known and _orientation(image) >= 5 else (width, height, grey)


def decoded(data: bytes, needed: int = 0) -> tuple[Image.Image, int, int]:
    """The first frame upright as L or RGB, and its width and height at the source.

    A JPEG of which far less than its pixels is needed is decoded at 1/2, 1/4 or 1/8, keeping at least `needed` px a side; 0: whole.
    """
    if format_of(data[:512]) == "PNG":
        check_png(data)
    with opened(io.BytesIO(data)) as image:
        width, height = image.size
        grey = is_grey(image)
        if needed and image.format == "JPEG" and (scale := _draft_scale(width, height, needed)) > 1:
            image.draft(None, (width // scale, height // scale))
        load(image)
        if image.format == "TIFF":  # turned by now
            width, height = image.size
        turned = _orientation(image)
        pixels = _converted(image)
    if grey and pixels.mode == "RGB":
        pixels = pixels.getchannel(0)
    if turned in _TRANSPOSED:
        pixels = pixels.transpose(_TRANSPOSED[turned])
    return (pixels, height, width) if turned >= 5 else (pixels, width, height)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where there is none, where it cannot be read, and for TIFF, which Pillow turns itself."""
    if image.format == "TIFF":
        return 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = image.getexif().get(0x0112, 1)
        except DECODE_ERRORS:
            return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def is_grey(image: Image.Image) -> bool:
    """Whether an opened image is grey by its kind of pixels: 1, L, LA, 16-bit grey, or a palette of greys."""
    if image.mode in ("1", "L", "LA") or image.mode.startswith("I;16"):
        return True
    if image.format == "PNG" and image.mode == "RGBA":
        return any("LA" in str(tile.args) for tile in image.tile)  # 16-bit grey with alpha
    if image.mode in ("P", "PA") and image.palette is not None and image.palette.mode == "RGB":
        colours = np.frombuffer(bytes(image.palette.palette), np.uint8)
        colours = colours[: len(colours) // 3 * 3].reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return False


def _converted(image: Image.Image) -> Image.Image:
    """L or RGB by the written rules; Unusable for the kinds of pixels that have none."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _eight_bits(image)
    if mode in ("1", "L", "RGB") and "transparency" not in image.info:
        return image if mode != "1" else image.convert("L")
    if mode in ("1", "L", "LA"):
        return _over_white(image.convert("LA"), "L")
    if mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if mode in ("RGB", "P", "PA", "RGBA"):
        return _over_white(image.convert("RGBA"), "RGB")
    if mode in ("CMYK", "YCbCr", "RGBX"):
        return image.convert("RGB")
    names = {"F": "32-bit float", "I": "32-bit or signed whole numbers", "LAB": "Lab colours"}
    raise Unusable(f"unsupported pixels: {names.get(mode, mode)} in {image.format}, scale them to 8 bits first")


def _over_white(image: Image.Image, mode: str) -> Image.Image:
    """round(alpha x colour + (255 - alpha) x 255, all over 255), whatever colour hides where alpha is 0."""
    white = Image.new(mode, image.size, "white")
    white.paste(image.convert(mode), mask=image.getchannel("A"))
    return white


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey divided by 257 and rounded; a transparent value becomes white, TIFF's "white is zero" is turned round."""
    bits = getattr(image, "tag_v2", {}).get(258, (16,))
    if tuple(np.atleast_1d(bits)) != (16,):
        raise Unusable(f"unsupported pixels: {bits} bits in TIFF, scale them to 8 bits first")
    table = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)
    if getattr(image, "tag_v2", {}).get(262) == 0:
        table = table[::-1].copy()
    if isinstance(transparent := image.info.get("transparency"), int):
        table[transparent] = 255
    return Image.fromarray(table[np.asarray(image).astype(np.uint16, copy=False)])


def _draft_scale(width: int, height: int, needed: int) -> int:
    return next((scale for scale in (8, 4, 2) if min(width, height) // scale >= needed), 1)


def fitted(image: Image.Image, size: int, fit: str) -> Image.Image:
    """The image as size x size: `crop` to its middle square, `pad` with black, `stretch`, or `whole` (tiny images, repeated pixels)."""
    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return _resized(image.crop((left, top, left + side, top + side)) if width != height else image, size, size)
    if fit == "stretch":
        return _resized(image, size, size)
    if fit == "whole":
        times = size // max(width, height)
        inner = image.resize((width * times, height * times), Image.Resampling.NEAREST) if times > 1 else image
    else:
        scale = size / max(width, height)
        inner = _resized(image, max(1, round(width * scale)), max(1, round(height * scale)))
    if inner.size == (size, size):
        return inner
    square = Image.new(image.mode, (size, size), 0)
    square.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return square


def _resized(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    if width < image.width or height < image.height:
        return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def thumbnail(image: Image.Image) -> bytes:
    """The whole image as WebP, its longer side at most 192 px; never enlarged."""
    scale = THUMBNAIL / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=0)
    return buffer.getvalue()


def pixels_of(image: Image.Image, channels: int) -> np.ndarray:
    """(H, W, channels) uint8 of an L or RGB image; grey repeated where the data set has three channels."""
    if channels == 3 and image.mode == "L":
        image = image.convert("RGB")
    assert len(image.getbands()) == channels
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
