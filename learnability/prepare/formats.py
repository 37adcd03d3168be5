"""What a file is, by its content: an allow-list of image formats, its checksums and its header, and the reason where it is none."""

import re
import struct
import warnings
import zlib
from typing import BinaryIO

from PIL import Image, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from learnability.errors import SourceError

assert TiffImagePlugin and WebPImagePlugin  # known to Pillow from here on; else it would load every plugin it has on the first TIFF
PIXEL_LIMIT = 50_000_000
BYTE_LIMIT = 200_000_000
EXPECTED = "expected JPEG, PNG, WebP, GIF, BMP or TIFF"
# What Pillow raises on damaged files; anything else ends the worker, and the file is a reject all the same.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
)

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_FOREIGN = (
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"8BPS", "PSD"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"PK\3\4", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"\x7fELF", "a program"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x04", "a pickle"),
)


class Unusable(SourceError):
    """A file that does not become a sample; the message is the reason for rejects.parquet, its kind before the colon."""


def format_of(head: bytes) -> str:
    """JPEG, PNG, WebP, GIF, BMP or TIFF, by content; Unusable names what else it is."""
    if not head:
        raise Unusable("empty file")
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    raise Unusable(f"no image: {_foreign(head)}, {EXPECTED}")


def _foreign(head: bytes) -> str:
    for start, name in _FOREIGN:
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return "AVIF, HEIC or a film"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in text:
        return "HTML"
    if text.startswith(b"<?xml"):
        return "XML"
    if not head.strip(b"\0"):
        return "zeros"
    return "text" if all(byte >= 32 or byte in b"\t\r\n" for byte in head) else "unknown content"


def opened(file: BinaryIO) -> Image.Image:
    name = format_of(file.read(512))
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(file, formats=[name])
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise _too_many(error) from error
        except UnidentifiedImageError as error:
            raise Unusable(f"damaged {name}: its header cannot be read") from error
        except DECODE_ERRORS as error:
            raise Unusable(_told(name, error)) from error
    width, height = image.size
    if width * height > PIXEL_LIMIT:
        raise _too_many(f"({width * height} pixels)")
    if width < 1 or height < 1:
        raise Unusable(f"damaged {name}: {width} x {height} pixels")
    return image


def load(image: Image.Image) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image.load()
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise _too_many(error) from error
        except DECODE_ERRORS as error:
            raise Unusable(_told(image.format, error)) from error


def _too_many(told: Exception | str) -> Unusable:
    found = re.search(r"\((\d+) pixels\)", str(told))  # as Pillow tells it
    size = f"{int(found[1]) / 1e6:.1f} Mpx" if found else "far more"
    return Unusable(f"too many pixels: {size}, at most {PIXEL_LIMIT // 1_000_000} Mpx")


def _told(name: str, error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0][:120] if "object at 0x" not in str(error) else ""
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return f"truncated {name}"
    return f"damaged {name}: {text or type(error).__name__}"


def check_png(data: bytes) -> None:
    """Every chunk's checksum up to IEND; Pillow does not check those of the pixels."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise Unusable("damaged PNG: bad checksum")
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = end
    raise Unusable("truncated PNG")
