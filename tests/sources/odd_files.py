"""Files as they come in the wild, good, damaged and hostile, made by hand: each kind once."""

import functools
import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, width: int = 40, height: int = 30) -> Image.Image:
    """A smooth picture in colours that no other seed gives."""
    generator = np.random.Generator(np.random.PCG64(seed))
    small = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **more) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int, colours: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand: `rows` with their filter bytes, `extra` chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows, 1)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def huge_png(width: int, height: int) -> bytes:
    """A small file that unpacks to width x height grey pixels, all equal."""
    packer = zlib.compressobj(1)
    row = bytes(width + 1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def tiff(mode: str, array: np.ndarray, **more) -> bytes:
    return encoded(Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode), "TIFF", **more)


def tiff_by_hand(width: int, height: int, bits: int, photometric: int, content: bytes) -> bytes:
    """A grey TIFF of one strip, without compression."""
    fields = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 279: len(content)}
    directory = (
        struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()) + bytes(4)
    )
    return b"II*\0" + struct.pack("<I", 8 + len(content)) + content + directory


def tiff_12_bits() -> bytes:
    return tiff_by_hand(8, 1, 12, 1, bytes(12))


def long_gif(frames: int) -> bytes:
    """A GIF of many frames; the first shows red, all others blue."""
    pictures = [Image.new("P", (40, 40), 1), Image.new("P", (40, 40), 2)]
    for one in pictures:
        one.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    first = encoded(pictures[0], "GIF")
    second = encoded(pictures[1], "GIF")
    colours = 3 << (1 + (second[10] & 7))
    image_data = second[13 + colours : -1]
    return first[:-1] + image_data * (frames - 1) + b";"


@functools.cache
def rejected_contents() -> dict[str, tuple[bytes, str]]:
    """File name -> (content, how its reason begins)."""
    good = picture(99)
    jpeg, small_png = encoded(good, "JPEG"), encoded(good, "PNG")
    grey = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000), 9))
    rows = b"".join(b"\0" + bytes(32) for _ in range(32))
    return {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated JPEG"),
        "truncated-header.jpg": (jpeg[:20], "damaged JPEG"),
        "only-magic.jpg": (jpeg[:3], "damaged JPEG"),
        "truncated.png": (small_png[: len(small_png) // 2], "truncated PNG"),
        "no-end.png": (small_png[:-12], "truncated PNG"),
        "checksum-header.png": (flipped(small_png, 30), "damaged PNG"),
        "checksum-pixels.png": (flipped(small_png, len(small_png) - 20), "damaged PNG"),
        "empty.jpg": (b"", "empty file"),
        "zeros.jpg": (bytes(4096), "no image: zeros"),
        "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "no image: HTML"),
        "login.png": (b"\n\n<html>sign in</html>", "no image: HTML"),
        "drawing.svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "no image: SVG"),
        "drawing.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image: EPS"),
        "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "no image: PDF"),
        "layers.psd": (b"8BPS\0\1" + bytes(64), "no image: PSD"),
        "icon.ico": (encoded(good.resize((32, 32)), "ICO"), "no image: ICO"),
        "wavelets.jp2": (encoded(good, "JPEG2000"), "no image: JPEG 2000"),
        "modern.avif": (encoded(good, "AVIF"), "no image: AVIF"),
        "notes.txt": (b"nothing to see\n", "no image: text"),
        "Thumbs.db": (b"\xd0\xcf\x11\xe0" + bytes(60), "no image: unknown"),
        "archive.jpg": (b"PK\3\4" + bytes(60), "no image: ZIP"),
        "pickle.jpg": (b"\x80\4\x95" + bytes(20), "no image: a pickle"),
        "truncated.gif": (encoded(good.convert("P"), "GIF")[:600], "truncated GIF"),
        "truncated.bmp": (encoded(good, "BMP")[:900], "truncated BMP"),
        "truncated.webp": (encoded(good, "WEBP")[:200], "damaged WEBP"),
        "truncated.tif": (encoded(good, "TIFF", compression="tiff_lzw")[:-1500], ""),
        "float.tif": (tiff(None, grey.astype(np.float32)), "unsupported pixels: 32-bit float"),
        "integers.tif": (tiff(None, grey.astype(np.int32)), "unsupported pixels: 32-bit"),
        "twelve.tif": (tiff_12_bits(), "unsupported pixels: "),
        "lab.tif": (tiff("LAB", np.asarray(good)), "unsupported pixels: Lab"),
        "huge-90.png": (huge_png(10_000, 9_000), "too many pixels"),
        "huge-196.png": (huge_png(14_000, 14_000), "too many pixels"),
        "huge-2500.png": (png(50_000, 50_000, 8, 0, b""), "too many pixels"),
        "huge.jpg": (jpeg.replace(struct.pack(">HH", 30, 40), struct.pack(">HH", 65_000, 65_000), 1), "too many pixels"),
        "text-bomb.png": (png(32, 32, 8, 0, rows, text), "damaged PNG"),
        "nothing.png": (png(0, 0, 8, 0, b""), ""),
    }


@functools.cache
def good_contents() -> dict[str, bytes]:
    """File name -> content of files that must become samples."""
    return {
        "plain.jpg": encoded(picture(1), "JPEG"),
        "progressive.jpeg": encoded(picture(2), "JPEG", progressive=True),
        "grey.jpg": encoded(picture(3).convert("L"), "JPEG"),
        "cmyk.jpg": encoded(picture(4).convert("CMYK"), "JPEG"),
        "wrong-extension.jpg": encoded(picture(5), "PNG"),
        "no-extension": encoded(picture(6), "WEBP", lossless=True),
        "palette.gif": encoded(picture(7).convert("P"), "GIF"),
        "frames-10000.gif": long_gif(10_000),
        "picture.bmp": encoded(picture(8), "BMP"),
        "picture.tif": encoded(picture(9), "TIFF", compression="tiff_lzw"),
        "dot.png": encoded(Image.new("RGB", (1, 1), (9, 200, 30)), "PNG"),
        "line.png": encoded(picture(10, 1, 20_000), "PNG"),
        "alpha.png": encoded(picture(11).convert("RGBA"), "PNG"),
        "trailing.jpg": encoded(picture(12), "JPEG") + b"appended by a camera",
    }


HOSTILE_NAMES = (
    b"<img src=x onerror=alert(1)>.png",
    b"javascript:alert(1).png",
    b"**md** [a](b).png",
    b"$x$ $$y$$.png",
    "rtl \u202egnp.exe\u202c.png".encode(),
    b"line\nbreak\ttab.png",
    b"..png",
    b"...",
    b"n" * 251 + b".png",
    b"not-utf8-\xff\xfe\x80.png",
    b"back\\slash\\x41.png",
    b"con",
    b"-rf",
    b"%{x} %s {0}.png",
    b"=cmd()|' -C calc'!A0.png",
    b"+1-2@3.png",
    b"'quote\".png",
    "e\u0301 \u00e9 \U0001f600 \u200b.png".encode(),
    b" leading and trailing ",
    b"a,b;c.png",
)


def irregular_entries(folder: Path) -> dict[str, str]:
    """Puts links, a FIFO and a socket into `folder`: name -> how its reason begins."""
    outside = folder.parent.parent / "outside.png"
    outside.write_bytes(encoded(picture(77), "PNG"))
    (folder / "link-out.png").symlink_to(outside)
    (folder / "link-dangling.png").symlink_to("nowhere")
    (folder / "link-circle").symlink_to(folder)
    (folder / "link-root").symlink_to("/")
    (folder / "link-passwd.png").symlink_to("/etc/passwd")
    os.mkfifo(folder / "fifo.png")
    listener = socket.socket(socket.AF_UNIX)
    home = os.getcwd()
    try:
        os.chdir(folder)  # the path of a socket is short
        listener.bind("socket.png")
    finally:
        os.chdir(home)
        listener.close()
    links = {name: "symbolic link" for name in ("link-out.png", "link-dangling.png", "link-circle", "link-root", "link-passwd.png")}
    return {**links, "fifo.png": "FIFO", "socket.png": "socket"}
