"""The written rule for every kind of pixel, against arithmetic done here and against golden hashes; orientation; fitting."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from learnability.datasets import image_hash
from learnability.prepare.formats import Unusable, format_of
from learnability.prepare.images import decoded, fitted, measured, pixels_of, thumbnail
from tests.sources.odd_files import encoded, picture, png, png_chunk, tiff_12_bits, tiff_by_hand

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
RAMP16 = (np.arange(1024, dtype=np.uint32) * 64 + 17).clip(0, 65535).astype(np.uint16).reshape(32, 32)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP.T], 2)
ALPHA = np.ascontiguousarray(RAMP.T[::-1])


def pixels(data: bytes) -> np.ndarray:
    image, width, height = decoded(data)
    assert measured(io.BytesIO(data)) == (width, height, image.mode == "L"), "header and pixels tell different stories"
    return pixels_of(image, len(image.getbands()))


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """round(alpha c + (255 - alpha) 255, all over 255) in whole numbers."""
    alpha = alpha.astype(np.int64)
    alpha = alpha[..., None] if colour.ndim == 3 else alpha
    return ((2 * (alpha * colour + (255 - alpha) * 255) + 255) // 510).astype(np.uint8)


def rows16(array: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)


def palette_image(with_alpha: bool) -> bytes:
    image = Image.fromarray(RAMP, "P")
    image.putpalette(bytes(value for i in range(256) for value in (i, 255 - i, i // 2)))
    return encoded(image, "PNG", **({"transparency": bytes(range(256))} if with_alpha else {}))


def palette_expected(with_alpha: bool) -> np.ndarray:
    colours = np.stack([RAMP, 255 - RAMP, RAMP // 2], 2)
    return over_white(colours, RAMP) if with_alpha else colours


GREY16 = ((RAMP16.astype(np.int64) * 2 + 257) // 514).astype(np.uint8)
CMYK = np.dstack([COLOURS, RAMP[:, ::-1]])


def cmyk_expected() -> np.ndarray:
    ink, black = CMYK[..., :3].astype(np.int64), 255 - CMYK[..., 3:].astype(np.int64)
    return (black - (2 * ink * black + 255) // 510).clip(0, 255).astype(np.uint8)


# name: (file, expected pixels)
CASES = {
    "1": (encoded(Image.fromarray((RAMP > 100).astype(np.uint8) * 255).convert("1"), "PNG"), (RAMP > 100).astype(np.uint8) * 255),
    "L": (encoded(Image.fromarray(RAMP), "PNG"), RAMP),
    "L 4 bits": (png(2, 1, 4, 0, b"\0\x1f"), np.array([[17, 255]], np.uint8)),
    "LA": (encoded(Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(ALPHA)]), "PNG"), over_white(RAMP, ALPHA)),
    "L with a transparent value": (
        png(2, 1, 8, 0, b"\0\x05\x09", png_chunk(b"tRNS", struct.pack(">H", 9))),
        np.array([[5, 255]], np.uint8),
    ),
    "1 with a transparent value": (png(2, 1, 1, 0, b"\0\x00", png_chunk(b"tRNS", struct.pack(">H", 0))), np.array([[255, 255]], np.uint8)),
    "P": (palette_image(False), palette_expected(False)),
    "P with alpha": (palette_image(True), palette_expected(True)),
    "RGB": (encoded(Image.fromarray(COLOURS), "PNG"), COLOURS),
    "RGB with a transparent colour": (
        png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", png_chunk(b"tRNS", struct.pack(">HHH", 4, 5, 6))),
        np.array([[[1, 2, 3], [255, 255, 255]]], np.uint8),
    ),
    "RGBA": (encoded(Image.fromarray(np.dstack([COLOURS, ALPHA])), "PNG"), over_white(COLOURS, ALPHA)),
    "I;16 PNG": (encoded(Image.fromarray(RAMP16), "PNG"), GREY16),
    "I;16 TIFF": (encoded(Image.fromarray(RAMP16), "TIFF"), GREY16),
    "I;16B TIFF": (encoded(Image.fromarray(RAMP16.astype(">u2")), "TIFF"), GREY16),
    "I;16 with a transparent value": (
        png(2, 1, 16, 0, b"\0\x10\x00\xff\x00", png_chunk(b"tRNS", b"\x10\x00")),
        np.array([[255, 254]], np.uint8),
    ),
    "16 bits RGB": (png(32, 16, 16, 2, rows16(RAMP16[:16].repeat(3, 1))), (RAMP16[:16] // 256).astype(np.uint8)[..., None].repeat(3, 2)),
    "16 bits grey with alpha": (
        png(2, 1, 16, 4, b"\0" + struct.pack(">HHHH", 0x4000, 0xFFFF, 0x4000, 0)),
        np.array([[0x40, 255]], np.uint8),
    ),
    "CMYK TIFF": (encoded(Image.fromarray(CMYK, "CMYK"), "TIFF"), cmyk_expected()),
    "TIFF, white is zero": (tiff_by_hand(16, 16, 8, 0, (255 - RAMP).tobytes()), RAMP),
    "I;16 TIFF, white is zero": (tiff_by_hand(32, 32, 16, 0, (65535 - RAMP16).tobytes()), GREY16),
    "BMP": (encoded(Image.fromarray(COLOURS), "BMP"), COLOURS),
    "GIF of greys": (encoded(Image.fromarray(RAMP), "GIF"), RAMP),
    "WebP without loss": (encoded(Image.fromarray(COLOURS), "WEBP", lossless=True), COLOURS),
    "WebP with alpha": (
        encoded(Image.fromarray(np.dstack([COLOURS, ALPHA])), "WEBP", lossless=True, exact=True),
        over_white(COLOURS, ALPHA),
    ),
}
GOLDEN = {
    "1": "d8e32093dc055e2edd176bf5c47023fb",
    "L": "29bda4cef4952f71ff0814358d392664",
    "L 4 bits": "a3895e6f901574f281abe60881e4abc9",
    "LA": "b0eb77e8a0b2ac11d09d959b7899c0b5",
    "L with a transparent value": "44b4534d692768722b80aebdd771c0d0",
    "1 with a transparent value": "76ccfc0a385352ea600e578913a91d06",
    "P": "fe6009738accc0656ba0415ad5750add",
    "P with alpha": "f9c38b45e8c2fb3caddcd32432b0d55e",
    "RGB": "8888bb25504f111010fc6357d395930e",
    "RGB with a transparent colour": "2dac7051a23facea21052098f04aab1c",
    "RGBA": "2fd006acddfb4d2b39f112d32d3bbf03",
    "I;16 PNG": "86b026af965391e040f8791bf3230137",
    "I;16 TIFF": "86b026af965391e040f8791bf3230137",
    "I;16B TIFF": "86b026af965391e040f8791bf3230137",
    "I;16 with a transparent value": "69dfa71a3311e3e5d41d621fe08075e2",
    "16 bits RGB": "5e8c2f158383af996246ac48548e4f90",
    "16 bits grey with alpha": "c654b9be6fd44de864cfefa0518cfd9c",
    "CMYK TIFF": "0f6467b8e898ab89ddc9d41fa30c0a15",
    "TIFF, white is zero": "29bda4cef4952f71ff0814358d392664",
    "I;16 TIFF, white is zero": "86b026af965391e040f8791bf3230137",
    "BMP": "8888bb25504f111010fc6357d395930e",
    "GIF of greys": "29bda4cef4952f71ff0814358d392664",
    "WebP without loss": "8888bb25504f111010fc6357d395930e",
    "WebP with alpha": "2fd006acddfb4d2b39f112d32d3bbf03",
}


@pytest.mark.parametrize("name", CASES)
def test_conversion(name):
    data, expected = CASES[name]
    got = pixels(data)
    expected = expected[..., None] if expected.ndim == 2 else expected
    np.testing.assert_array_equal(got, expected)
    assert image_hash(got) == GOLDEN[name]


def test_a_palette_of_greys_is_grey():
    image = Image.fromarray(RAMP, "P")
    image.putpalette(bytes(value for i in range(256) for value in (255 - i,) * 3))
    np.testing.assert_array_equal(pixels(encoded(image, "PNG"))[..., 0], 255 - RAMP)


def test_16_bits_are_scaled_not_clipped():
    """The whole range maps onto 0..255: Pillow's own conversion to 8 bits makes almost all of it white."""
    ramp = np.linspace(0, 65535, 4096).round().astype(np.uint16).reshape(64, 64)
    got = pixels(encoded(Image.fromarray(ramp), "PNG"))
    assert got.min() == 0 and got.max() == 255 and len(np.unique(got)) == 256 and abs(got.mean() - 127.5) < 0.5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"), "32-bit float"),
        (encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"), "32-bit or signed"),
        (encoded(Image.fromarray(COLOURS).convert("LAB"), "TIFF"), "Lab"),
        (tiff_12_bits(), "12"),
    ],
)
def test_pixels_without_a_rule_are_refused(data, why):
    with pytest.raises(Unusable, match=f"unsupported pixels: .*{why}"):
        decoded(data)


@pytest.mark.parametrize("photometric", ["CMYK", "YCCK"])
def test_four_colour_jpeg(photometric):
    """An Adobe JPEG of four inks comes near the picture it was made of."""
    picture_ = Image.fromarray(COLOURS).resize((64, 64))
    inks = encoded(picture_.convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in inks[:300]
    if photometric == "YCCK":
        at = inks.index(b"Adobe") + 11
        assert inks[at] in (0, 2)
        if inks[at] == 0:  # the same values read as YCCK: another picture, but one that must not be refused or clipped
            inks = inks[:at] + b"\2" + inks[at + 1 :]
    got = pixels(inks)
    with Image.open(io.BytesIO(inks)) as independent:
        ink, black = (255 - np.asarray(independent).astype(np.float64))[..., :3], 255 - np.asarray(independent).astype(np.float64)[..., 3:]
    assert np.abs(got - ink * black / 255).max() <= 1


ORIENTED = np.dstack([RAMP, RAMP // 2, np.zeros_like(RAMP)])[:, :12]
UPRIGHT = {  # what is stored -> what is meant, by EXIF's own words: where row 0 and column 0 lie
    1: ORIENTED,
    2: ORIENTED[:, ::-1],
    3: ORIENTED[::-1, ::-1],
    4: ORIENTED[::-1],
    5: ORIENTED.transpose(1, 0, 2),
    6: ORIENTED[::-1].transpose(1, 0, 2),
    7: ORIENTED[::-1, ::-1].transpose(1, 0, 2),
    8: ORIENTED[:, ::-1].transpose(1, 0, 2),
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(kind, orientation):
    stored = Image.fromarray(ORIENTED)
    more = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif(orientation).tobytes()}
    data = encoded(stored, kind, **more, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(pixels(data), UPRIGHT[orientation])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_of_a_jpeg_equals_the_turned_plain_one(orientation):
    plain = pixels(encoded(Image.fromarray(ORIENTED), "JPEG", quality=95))
    turned = pixels(encoded(Image.fromarray(ORIENTED), "JPEG", quality=95, exif=exif(orientation).tobytes()))
    order = {1: plain, 2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1]}
    order |= {5: plain.transpose(1, 0, 2), 6: plain[::-1].transpose(1, 0, 2)}
    order |= {7: plain[::-1, ::-1].transpose(1, 0, 2), 8: plain[:, ::-1].transpose(1, 0, 2)}
    np.testing.assert_array_equal(turned, order[orientation])


@pytest.mark.parametrize("tags", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(0).tobytes(), exif(9).tobytes()])
def test_orientation_that_cannot_be_read_is_none(tags):
    plain = encoded(Image.fromarray(ORIENTED), "JPEG")
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(ORIENTED), "JPEG", exif=tags)), pixels(plain))


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "WEBP", "GIF", "BMP", "TIFF", "LZW"])
def test_a_file_cut_anywhere_is_refused_or_whole(kind):
    """No prefix of a file decodes to other pixels than the file."""
    small = picture(3, 24, 18)
    more = {"progressive": {"progressive": True}, "LZW": {"compression": "tiff_lzw"}}.get(kind, {})
    whole = encoded(small, {"progressive": "JPEG", "LZW": "TIFF"}.get(kind, kind), **more)
    expected, refused = pixels(whole), 0
    for end in range(0, len(whole), 1 if len(whole) < 1500 else 3):
        try:
            np.testing.assert_array_equal(pixels_of(decoded(whole[:end])[0], expected.shape[2]), expected)
        except Unusable:
            refused += 1
    assert refused > 0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]), st.integers(0, 10_000), st.integers(0, 7), st.integers(0, 5000))
def test_a_flipped_bit_is_refused_or_decodes(kind, at, bit, length):
    data = bytearray(encoded(picture(4, 20, 20), kind))
    data[at % len(data)] ^= 1 << bit
    try:
        image, width, height = decoded(bytes(data[: len(data) - length % 7]))
        assert image.size == (width, height) and image.mode in ("L", "RGB")
    except (Unusable, MemoryError):
        pass
    if kind == "PNG" and at % len(data) >= 8:
        with pytest.raises(Unusable):
            decoded(bytes(data))


def test_png_checksums_hold_for_every_byte():
    data = encoded(picture(5, 9, 9), "PNG")
    for at in range(len(data)):
        with pytest.raises(Unusable):
            decoded(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])


@pytest.mark.parametrize(
    ("head", "name"), [(b"\xff\xd8\xff\xe0", "JPEG"), (b"RIFF\0\0\0\0WEBP", "WEBP"), (b"MM\0*", "TIFF"), (b"GIF87a", "GIF")]
)
def test_format_by_content(head, name):
    assert format_of(head) == name


class TestFitting:
    wide = Image.fromarray(np.arange(60 * 100, dtype=np.uint32).astype(np.uint8).reshape(60, 100))

    def test_crop_takes_the_middle_square(self):
        np.testing.assert_array_equal(np.asarray(fitted(self.wide, 60, "crop")), np.asarray(self.wide)[:, 20:80])

    def test_pad_keeps_everything_on_black(self):
        got = np.asarray(fitted(Image.new("L", (100, 50), 200), 50, "pad"))
        assert (got[12:37] == 200).all() and (got[:12] == 0).all() and (got[37:] == 0).all()

    def test_stretch_scales_both_sides(self):
        assert np.asarray(fitted(Image.new("L", (100, 50), 200), 40, "stretch")).tolist() == [[200] * 40] * 40

    def test_whole_repeats_pixels_then_pads(self):
        eight = np.arange(64, dtype=np.uint8).reshape(8, 8)
        np.testing.assert_array_equal(np.asarray(fitted(Image.fromarray(eight), 32, "whole")), eight.repeat(4, 0).repeat(4, 1))
        digit = np.full((28, 28), 9, np.uint8)
        np.testing.assert_array_equal(np.asarray(fitted(Image.fromarray(digit), 32, "whole")), np.pad(digit, 2))

    def test_shrinking_averages(self):
        """A pattern finer than the result becomes its mean, not a beat."""
        stripes = np.tile(np.array([0, 255], np.uint8), (400, 200))
        assert np.abs(np.asarray(fitted(Image.fromarray(stripes), 50, "crop")).astype(int) - 127).max() <= 2

    @given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["crop", "pad", "stretch"]), st.integers(32, 48))
    @settings(max_examples=60, deadline=None)
    def test_any_shape_becomes_square(self, width, height, fit, size):
        assert fitted(Image.new("RGB", (width, height), (1, 2, 3)), size, fit).size == (size, size)

    @pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3, 5)])
    def test_extreme_shapes(self, size):
        for fit in ("crop", "pad", "stretch"):
            assert fitted(Image.new("RGB", size, (200, 100, 50)), 32, fit).size == (32, 32)
        assert max(Image.open(io.BytesIO(thumbnail(Image.new("RGB", size)))).size) == min(192, max(size))


def test_a_large_jpeg_decoded_smaller_looks_the_same():
    data = encoded(picture(6, 2400, 1800), "JPEG", quality=92)
    whole, width, height = decoded(data)
    smaller, *told = decoded(data, needed=3 * 192)
    assert smaller.size == (800, 600) and told == [width, height] == [2400, 1800] or smaller.size == (1200, 900)
    difference = np.abs(np.asarray(fitted(whole, 64, "crop")).astype(int) - np.asarray(fitted(smaller, 64, "crop")).astype(int))
    assert difference.mean() < 1 and difference.max() < 6


def test_text_chunks_do_not_grow():
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(30_000_000), 9))
    with pytest.raises(Unusable, match="damaged PNG"):
        decoded(png(32, 32, 8, 0, b"".join(b"\0" + bytes(32) for _ in range(32)), bomb))
