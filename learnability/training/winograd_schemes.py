"""The small transforms of `winograd.py`, an instruction a vector: Lavin and Gray 2015, 1509.09308, sections 4.1 and 4.3."""

from collections.abc import Callable
from typing import NamedTuple

from llvmlite import ir

from learnability.training.kernels import Kernel

Transform = Callable[[Kernel, list[ir.Value]], list[ir.Value]]


class Scheme(NamedTuple):
    """Along one side of a tile: m outputs from n pixels by p products. A tile has m m outputs, n n pixels and p p products."""

    m: int
    n: int
    p: int
    of_tile: Transform  # n -> p
    of_filter: Transform  # 3 -> p
    to_filter: Transform  # p -> 3, the transpose of of_filter
    to_outputs: Transform  # p -> m
    of_outputs: Transform  # m -> p, the transpose of to_outputs

    def tiles(self, images: int, height: int, width: int) -> int:
        """How many there are over the outputs (height, width) of some images."""
        return images * -(-height // self.m) * -(-width // self.m)


def _tile(kernel, d):
    emit, fma = kernel.emit, kernel.fma
    even, odd, even2, odd2 = fma(-4, d[2], d[4]), fma(-4, d[1], d[3]), emit.fsub(d[4], d[2]), emit.fsub(d[3], d[1])
    inner = [emit.fadd(even, odd), emit.fsub(even, odd), fma(2, odd2, even2), fma(-2, odd2, even2)]
    return [fma(4, d[0], fma(-5, d[2], d[4])), *inner, fma(4, d[1], fma(-5, d[3], d[5]))]


def _filter(kernel, g):
    emit = kernel.emit
    quarter, sixth, twelfth, twentyfourth = (kernel.filled(number, g[0].type) for number in (1 / 4, -1 / 6, 1 / 12, 1 / 24))
    outer, even, odd = emit.fadd(g[0], g[2]), emit.fmul(kernel.fma(4, g[2], g[0]), twentyfourth), emit.fmul(g[1], twelfth)
    ones = [emit.fmul(one, sixth) for one in (emit.fadd(outer, g[1]), emit.fsub(outer, g[1]))]
    return [emit.fmul(g[0], quarter), *ones, emit.fadd(even, odd), emit.fsub(even, odd), g[2]]


def _to_filter(kernel, u):
    emit = kernel.emit
    quarter, sixth, twelfth, twentyfourth = (kernel.filled(number, u[0].type) for number in (1 / 4, 1 / 6, 1 / 12, 1 / 24))
    plus, minus, plus2, minus2 = emit.fadd(u[1], u[2]), emit.fsub(u[2], u[1]), emit.fadd(u[3], u[4]), emit.fsub(u[3], u[4])
    ones, twos = emit.fmul(plus, sixth), emit.fmul(plus2, twentyfourth)
    first = emit.fadd(emit.fsub(emit.fmul(u[0], quarter), ones), twos)
    return [first, emit.fadd(emit.fmul(minus, sixth), emit.fmul(minus2, twelfth)), emit.fadd(kernel.fma(4, twos, emit.fneg(ones)), u[5])]


def _to_outputs(kernel, m):
    emit, fma = kernel.emit, kernel.fma
    plus, minus, plus2, minus2 = emit.fadd(m[1], m[2]), emit.fsub(m[1], m[2]), emit.fadd(m[3], m[4]), emit.fsub(m[3], m[4])
    return [emit.fadd(emit.fadd(m[0], plus), plus2), fma(2, minus2, minus), fma(4, plus2, plus), emit.fadd(fma(8, minus2, minus), m[5])]


def _of_outputs(kernel, y):
    emit, fma = kernel.emit, kernel.fma
    even, odd, even4, odd4 = emit.fadd(y[0], y[2]), emit.fadd(y[1], y[3]), fma(4, y[2], y[0]), fma(4, y[3], y[1])
    return [y[0], emit.fadd(even, odd), emit.fsub(even, odd), fma(2, odd4, even4), fma(-2, odd4, even4), y[3]]


TILES = Scheme(4, 6, 6, _tile, _filter, _to_filter, _to_outputs, _of_outputs)  # with the points 0, 1, -1, 2, -2 (section 4.3)
WHOLE = Scheme(  # of images of 2 x 2
    2, 2, 3,
    lambda kernel, d: [kernel.emit.fadd(d[0], d[1]), d[1], d[0]],
    lambda kernel, g: [g[1], kernel.emit.fsub(g[2], g[1]), kernel.emit.fsub(g[0], g[1])],
    lambda kernel, u: [u[2], kernel.emit.fsub(kernel.emit.fsub(u[0], u[1]), u[2]), u[1]],
    lambda kernel, m: [kernel.emit.fadd(m[0], m[1]), kernel.emit.fadd(m[0], m[2])],
    lambda kernel, y: [kernel.emit.fadd(y[0], y[1]), y[0], y[1]],
)  # fmt: skip
