"""The four steps of `winograd.py` as vector code.

In memory   images      (B, H, W, C) of the input, (B, h, w, F) of the output
            filters     (F, 3, 3, C)
            multiplied  (p p, F / LANES, C, LANES): transformed filters, or their gradient
            tiles       (C / LANES, p p, several, LANES): transformed tiles, `several` at a time; those of outputs with F instead of C
            space       of every part: LANES zeros, LANES for what nobody reads, tiles of the input, tiles of the output

A tile has a number among all tiles of all images. Parts are of tiles, or of blocks of LANES filters (`by_filters`); those of
`of_filters` and `to_filters` are of blocks.
"""

import functools
import math
from collections.abc import Callable

from llvmlite import ir

from learnability.training.kernels import BIT, FLOAT, HALF, LANES, VECTOR, Kernel, registers
from learnability.training.winograd_schemes import Scheme, Transform

SUMS = 12 if registers() > 8 else 6  # vectors that a sum over channels holds in registers, one a tile
_GRADIENTS = 8 if registers() > 8 else 4  # ... a sum over tiles, one a channel
_SIZES = ("C", "F", "H", "W", "h", "w", "top", "left", "several", "tiles", "by_filters")


class _Tiled(Kernel):
    """A kernel that takes tiles out of images."""

    def __init__(self, name: str, scheme: Scheme, exact: bool, pointers: list[str]):
        super().__init__(name, [*pointers, "space"], _SIZES)
        self.scheme, self.places, self.exact = scheme, scheme.p**2, exact
        given, emit, m = self.given, self.emit, self.integer(scheme.m)
        self.across = emit.udiv(self.sum(given["w"], scheme.m - 1), m)
        self.tiles_of_image = emit.mul(self.across, emit.udiv(self.sum(given["h"], scheme.m - 1), m))
        self.blocks_in, self.blocks_out = (emit.udiv(given[width], self.integer(LANES)) for width in ("C", "F"))
        by_filters, none = emit.trunc(given["by_filters"], BIT), self.integer(0)
        self.first_tile, self.last_tile = emit.select(by_filters, none, self.first), emit.select(by_filters, given["tiles"], self.last)
        self.blocks = emit.select(by_filters, self.first, none), emit.select(by_filters, self.last, self.blocks_out)
        self.filters = [self.product(bound, LANES) for bound in self.blocks]
        self.numbered = emit.select(by_filters, none, self.part)  # where parts do not share what they write
        of_tiles, of_outputs = (self.product(self.places, given["several"], given[width]) for width in ("C", "F"))
        self.zeros = self.at(given["space"], self.product(self.part, self.sum(2 * LANES, of_tiles, of_outputs)))
        self.store(self.filled(0, VECTOR), self.zeros)
        self.unused = self.at(self.zeros, LANES)
        self.tiles = self.at(self.zeros, 2 * LANES)
        self.of_outputs = self.at(self.tiles, of_tiles)

    def parts(self, body: Callable[[ir.Value, ir.Value], None]) -> None:
        """`body(start, count)` for at most `several` tiles at a time."""
        several = self.given["several"]

        def part(start):
            body(start, self.smaller(self.emit.sub(self.last_tile, start), several))

        self.loop(self.first_tile, self.last_tile, part, several)

    def ahead(self, place: ir.Value, start: ir.Value, images: ir.Value, size: tuple[ir.Value, ...], written: bool = False) -> None:
        """Has the cache fetch what `several` tiles from `start` on take of images (or write), a share of it at each place."""
        shares = [self.emit.udiv(self.product(self.given["several"], self.sum(place, more)), self.integer(self.places)) for more in (0, 1)]
        H, W, C = size

        def tile(number):
            image, y, x = self.first_output(number)
            for row in range(self.scheme.m):
                at = self.at(images, self.offset((image, 0), (self.sum(y, row), H), (x, W), (0, C)))
                self.loop(0, self.product(C, self.scheme.m), lambda line, at=at: self.prefetch(self.at(at, line), written), LANES)

        self.loop(self.sum(start, shares[0]), self.smaller(self.sum(start, shares[1]), self.last_tile), tile)

    def first_output(self, tile: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Image, row and column of the first output of a tile."""
        emit = self.emit
        image, rest = emit.udiv(tile, self.tiles_of_image), emit.urem(tile, self.tiles_of_image)
        return image, self.product(emit.udiv(rest, self.across), self.scheme.m), self.product(emit.urem(rest, self.across), self.scheme.m)

    def in_tiles(self, channel: ir.Value, tile: ir.Value) -> ir.Value:
        """Where in `tiles` the first place of a channel is."""
        block, lane = self.emit.udiv(channel, self.integer(LANES)), self.emit.urem(channel, self.integer(LANES))
        return self.offset((block, 0), (0, self.places), (tile, self.given["several"]), (lane, LANES))

    def at_place(self, number: int) -> ir.Value:
        """From the first place to another one."""
        return self.product(number * LANES, self.given["several"])

    def taken(self, images, size, corner, transform: Transform, tiles, tile, channels) -> None:
        """Transforms channels of the tile that begins at `corner` (image, y, x), zeros around the image; `size`: (H, W, C)."""
        (image, y, x), (H, W, C), emit = corner, size, self.emit
        side = self.scheme.n if transform == self.scheme.of_tile else self.scheme.m

        def some(channel):
            square = []
            always = range(1, side - 1) if transform == self.scheme.of_tile and side > self.scheme.m else range(side)
            first = self.at(images, self.offset((image, 0), (y, H), (x, W), (channel, C)))
            for i in range(side):
                yy, row = self.sum(y, i), self.at(first, self.product(W, C, i))
                for j in range(side):
                    pixel, xx = self.at(row, self.product(C, j)), self.sum(x, j)
                    asked = [(one, size) for one, size, number in ((yy, H, i), (xx, W, j)) if not (self.exact and number in always)]
                    for one, size in asked:
                        pixel = emit.select(emit.icmp_unsigned("<", one, size), pixel, self.zeros)
                    square.append(self.load(pixel, HALF))
            to = self.at(tiles, self.in_tiles(channel, tile))
            for number, vector in enumerate(_both(self, square, transform)):
                self.store(vector, self.at(to, self.at_place(number)))

        self.loop(*channels, some, HALF.count)


def _both(kernel: Kernel, square: list[ir.Value], transform: Transform) -> list[ir.Value]:
    """A square of vectors, row by row, transformed in both directions."""
    side = math.isqrt(len(square))
    columns = [transform(kernel, square[column::side]) for column in range(side)]
    return [vector for row in zip(*columns, strict=True) for vector in transform(kernel, list(row))]


@functools.cache
def of_filters(scheme: Scheme, turned: bool) -> Callable:
    """filters (F, 3, 3, C) -> multiplied; or, `turned` by half a circle, filters (C, 3, 3, F)."""
    kernel = Kernel("of_filters", ["filters", "multiplied"], ["C", "F"])
    given = kernel.given
    C, F = given["C"], given["F"]
    blocks, buffer = kernel.emit.udiv(F, kernel.integer(LANES)), kernel.buffer(9 * LANES * LANES)

    def some(block):
        def channels(c_block):
            def place(number):
                if turned:
                    from_ = kernel.emit.sub(kernel.integer(8), number)
                    at = [kernel.offset((c_block, 0), (c, LANES), (from_, 9), (block, blocks), (0, LANES)) for c in range(LANES)]
                    vectors = [kernel.load(kernel.at(given["filters"], one), VECTOR) for one in at]
                else:
                    at = [kernel.offset((block, 0), (o, LANES), (number, 9), (kernel.product(c_block, LANES), C)) for o in range(LANES)]
                    vectors = kernel.transposed([kernel.load(kernel.at(given["filters"], one), VECTOR) for one in at])
                for c, vector in enumerate(vectors):
                    kernel.store(vector, kernel.at(buffer, kernel.offset((number, 0), (c, LANES), (0, LANES))))

            def channel(c):
                square = [kernel.load(kernel.at(buffer, kernel.product(c, LANES), one * LANES * LANES), VECTOR) for one in range(9)]
                for one, vector in enumerate(_both(kernel, square, scheme.of_filter)):
                    to = kernel.offset((one, 0), (block, blocks), (kernel.sum(kernel.product(c_block, LANES), c), C), (0, LANES))
                    kernel.store(vector, kernel.at(given["multiplied"], to))

            kernel.loop(0, 9, place)
            kernel.loop(0, LANES, channel)

        kernel.loop(0, kernel.emit.udiv(C, kernel.integer(LANES)), channels)

    kernel.loop(kernel.first, kernel.last, some)
    return kernel.compiled()


@functools.cache
def to_filters(scheme: Scheme) -> Callable:
    """The gradient of multiplied -> (F, 3, 3, C), that of the filters."""
    kernel = Kernel("to_filters", ["multiplied", "filters"], ["C", "F"])
    given, places = kernel.given, range(scheme.p**2)
    C = given["C"]
    blocks, buffer = kernel.emit.udiv(given["F"], kernel.integer(LANES)), kernel.buffer(9 * LANES * LANES)

    def some(block):
        def channels(c_block):
            def channel(lane):
                c = kernel.sum(kernel.product(c_block, LANES), lane)
                at = [kernel.offset((place, 0), (block, blocks), (c, C), (0, LANES)) for place in places]
                square = [kernel.load(kernel.at(given["multiplied"], one), VECTOR) for one in at]
                for place, vector in enumerate(_both(kernel, square, scheme.to_filter)):
                    kernel.store(vector, kernel.at(buffer, kernel.product(lane, LANES), place * LANES * LANES))

            def place(number):
                at = [kernel.offset((number, 0), (c, LANES), (0, LANES)) for c in range(LANES)]
                for o, vector in enumerate(kernel.transposed([kernel.load(kernel.at(buffer, one), VECTOR) for one in at])):
                    to = kernel.offset((block, 0), (o, LANES), (number, 9), (kernel.product(c_block, LANES), C))
                    kernel.store(vector, kernel.at(given["filters"], to))

            kernel.loop(0, LANES, channel)
            kernel.loop(0, 9, place)

        kernel.loop(0, kernel.emit.udiv(C, kernel.integer(LANES)), channels)

    kernel.loop(kernel.first, kernel.last, some)
    return kernel.compiled()


@functools.cache
def convolution(scheme: Scheme, exact: bool, biased: bool) -> Callable:
    """images, multiplied, bias (F,) -> made, which are images; `space`: 2 LANES + p p several (C + F) float32."""
    kernel = _Tiled("convolution", scheme, exact, ["images", "multiplied", "bias", "made"])
    given, emit = kernel.given, kernel.emit
    C, F, H, W, h, w, several = (given[name] for name in ("C", "F", "H", "W", "h", "w", "several"))
    blocks_in, blocks_out = kernel.blocks_in, kernel.blocks_out

    def part(start, count):
        def into(tile):
            image, y, x = kernel.first_output(kernel.sum(start, tile))
            corner = image, emit.sub(y, given["top"]), emit.sub(x, given["left"])
            kernel.taken(given["images"], (H, W, C), corner, scheme.of_tile, kernel.tiles, tile, (0, C))

        def over_places(place):
            kernel.ahead(place, kernel.sum(start, several), given["images"], (H, W, C))
            kernel.ahead(place, start, given["made"], (h, w, F), written=True)

            def over_filters(block):
                of_filters = kernel.at(given["multiplied"], kernel.offset((place, 0), (block, blocks_out), (0, C), (0, LANES)))

                def over_tiles(tile):
                    def over_channels(c, *sums):
                        pixels = kernel.at(kernel.tiles, kernel.offset((c, 0), (place, kernel.places), (tile, several), (0, LANES)))
                        for lane in range(LANES):
                            vector = kernel.load(kernel.at(of_filters, kernel.product(c, LANES * LANES), lane * LANES), VECTOR)
                            numbers = [kernel.load(kernel.at(pixels, number * LANES + lane), FLOAT) for number in range(SUMS)]
                            sums = [kernel.fma(kernel.filled(one, VECTOR), vector, total) for one, total in zip(numbers, sums, strict=True)]
                        return sums

                    sums = kernel.loop(0, blocks_in, over_channels, carried=[kernel.filled(0, VECTOR)] * SUMS)
                    to = kernel.at(kernel.of_outputs, kernel.offset((block, 0), (place, kernel.places), (tile, several), (0, LANES)))
                    for number, vector in enumerate(sums):
                        kernel.store(vector, kernel.at(to, number * LANES))

                kernel.loop(0, count, over_tiles, SUMS)

            kernel.loop(*kernel.blocks, over_filters)

        def out_of(tile):
            image, y, x = kernel.first_output(kernel.sum(start, tile))

            def channels(o):
                of_tile = kernel.at(kernel.of_outputs, kernel.in_tiles(o, tile))
                products = [kernel.load(kernel.at(of_tile, kernel.at_place(place)), HALF) for place in range(kernel.places)]
                for number, vector in enumerate(_both(kernel, products, scheme.to_outputs)):
                    yy, xx = kernel.sum(y, number // scheme.m), kernel.sum(x, number % scheme.m)
                    to = kernel.at(given["made"], kernel.offset((image, 0), (yy, h), (xx, w), (o, F)))
                    there = emit.and_(emit.icmp_unsigned("<", yy, h), emit.icmp_unsigned("<", xx, w))
                    if biased:
                        vector = emit.fadd(vector, kernel.load(kernel.at(given["bias"], o), HALF))
                    kernel.store(vector, to if exact else emit.select(there, to, kernel.unused))

            kernel.loop(*kernel.filters, channels, HALF.count)

        kernel.loop(0, count, into)
        kernel.loop(0, kernel.places, over_places)
        kernel.loop(0, count, out_of)

    kernel.parts(part)
    return kernel.compiled()


@functools.cache
def gradient(scheme: Scheme, exact: bool) -> Callable:
    """images, upstream (images) -> the gradient of multiplied, of these tiles; `space` as for a convolution."""
    kernel = _Tiled("gradient", scheme, exact, ["images", "upstream", "multiplied"])
    given, emit = kernel.given, kernel.emit
    C, F, H, W, h, w, several = (given[name] for name in ("C", "F", "H", "W", "h", "w", "several"))
    blocks_in, blocks_out = kernel.blocks_in, kernel.blocks_out
    multiplied = kernel.at(given["multiplied"], kernel.product(kernel.numbered, kernel.places, C, F))

    def part(start, count):
        begins = emit.icmp_signed("==", start, kernel.first_tile)

        def into(tile):
            image, y, x = kernel.first_output(kernel.sum(start, tile))
            corner = image, emit.sub(y, given["top"]), emit.sub(x, given["left"])
            kernel.taken(given["images"], (H, W, C), corner, scheme.of_tile, kernel.tiles, tile, (0, C))
            kernel.taken(given["upstream"], (h, w, F), (image, y, x), scheme.of_outputs, kernel.of_outputs, tile, kernel.filters)

        def over_places(place):
            kernel.ahead(place, kernel.sum(start, several), given["images"], (H, W, C))
            kernel.ahead(place, kernel.sum(start, several), given["upstream"], (h, w, F))

            def over_filters(block):
                upstream = kernel.at(kernel.of_outputs, kernel.offset((block, 0), (place, kernel.places), (0, several), (0, LANES)))
                of_filters = kernel.at(multiplied, kernel.offset((place, 0), (block, blocks_out), (0, C), (0, LANES)))

                def over_channels(c):
                    pixels = kernel.at(kernel.tiles, kernel.offset((c, 0), (place, kernel.places), (0, several), (0, LANES)))
                    for lane in range(0, LANES, _GRADIENTS):

                        def over_tiles(tile, *sums, lane=lane):
                            at = kernel.product(tile, LANES)
                            vector = kernel.load(kernel.at(upstream, at), VECTOR)
                            numbers = [kernel.load(kernel.at(pixels, at, lane + number), FLOAT) for number in range(_GRADIENTS)]
                            return [kernel.fma(kernel.filled(one, VECTOR), vector, total) for one, total in zip(numbers, sums, strict=True)]

                        sums = kernel.loop(0, count, over_tiles, carried=[kernel.filled(0, VECTOR)] * _GRADIENTS)
                        for number, vector in enumerate(sums):
                            to = kernel.at(of_filters, kernel.product(c, LANES * LANES), (lane + number) * LANES)
                            before = emit.select(begins, kernel.filled(0, VECTOR), kernel.load(to, VECTOR))
                            kernel.store(emit.fadd(before, vector), to)

                kernel.loop(0, blocks_in, over_channels)

            kernel.loop(*kernel.blocks, over_filters)

        kernel.loop(0, count, into)
        kernel.loop(0, kernel.places, over_places)

    kernel.parts(part)
    return kernel.compiled()
