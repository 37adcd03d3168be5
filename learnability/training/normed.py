"""Batch norm, an addition and ReLU as one step on the CPU: fewer passes over memory than PyTorch's three operations take.

Forward, one pass for mean and variance (Ioffe and Szegedy 2015, 1502.03167) and one for the rest; backward, the same. Sums of a part
of a batch are float32, their sum is float64. The same numbers come of any number of threads.
"""

import functools
from collections.abc import Callable

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from learnability.training.kernels import EXACT, LANES, VECTOR, Kernel, reached

_PART = 1 << 13  # numbers of the parts that are summed in float32
_LEAST = 8  # blocks of channels that are worth a thread


def activated(norm: nn.BatchNorm2d, images: torch.Tensor, shortcut: torch.Tensor | None = None) -> torch.Tensor:
    """ReLU of what batch norm makes of images (B, C, H, W), plus a shortcut (B, C, H, W) if there is one."""
    if has_torch_function_unary(images):  # `products.MatrixProducts` may know a faster way
        return handle_torch_function(activated, (images,), norm, images, shortcut)
    made = norm(images)
    return F.relu(made if shortcut is None else made + shortcut, inplace=True)


def hooked(module: nn.Module) -> bool:
    """Whether somebody waits for calls of the module."""
    return any((module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks))


def gains(norm: nn.BatchNorm2d, images: torch.Tensor, shortcut: torch.Tensor | None = None) -> bool:
    """Whether a call of `activated` is of the kind that is faster as `Activated`."""
    usual = type(norm) is nn.BatchNorm2d and norm.training and norm.affine and norm.track_running_stats and norm.momentum is not None
    if not usual or hooked(norm) or images.dim() != 4 or images.shape[1] % LANES or images.numel() <= images.shape[1]:
        return False
    pixels = [one for one in (images, shortcut) if one is not None]
    of_channels = norm.weight, norm.bias, norm.running_mean, norm.running_var
    return (
        reached(*pixels, *of_channels)
        and all(one.shape == images.shape and one.is_contiguous(memory_format=torch.channels_last) for one in pixels)
        and all(one.shape == images.shape[1:2] and one.is_contiguous() for one in of_channels)
    )


class Activated(torch.autograd.Function):
    """`activated` in training, for channels_last float32 and a multiple of LANES channels."""

    @staticmethod
    def forward(ctx, images, shortcut, weight, bias, norm):
        """images, shortcut (B, C, H, W), weight, bias (C,); the running statistics of `norm` are brought up to date."""
        C, rows = images.shape[1], images.numel() // images.shape[1]
        several, parts = _parts(rows, C)
        sums, of_channels = images.new_empty(parts, 2, C), images.new_empty(4, C)
        made = torch.empty_like(images)
        _moments()(parts, images, sums, C, rows, several)
        tensors = images, sums, weight, bias, norm.running_mean, norm.running_var, of_channels
        _statistics()(C // LANES, *tensors, C, rows, several, parts, norm.eps, norm.momentum, least=_LEAST)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        _outputs(shortcut is not None)(rows, images, made if shortcut is None else shortcut, of_channels, made, C)
        ctx.save_for_backward(images, weight, of_channels, *[] if shortcut is None else [made])
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        images, weight, of_channels, *made = ctx.saved_tensors
        C, rows = images.shape[1], images.numel() // images.shape[1]
        several, parts = _parts(rows, C)
        upstream = upstream.contiguous(memory_format=torch.channels_last)
        kept = torch.empty_like(images) if made else None
        sums, factors, to_images = images.new_empty(parts, 2, C), images.new_empty(5, C), torch.empty_like(images)
        _upstream_sums(bool(made))(parts, upstream, images, *made, of_channels, sums, *[kept] * len(made), C, rows, several)
        _factors()(C // LANES, sums, weight, of_channels, factors, C, rows, parts, least=_LEAST)
        _to_images(bool(made))(rows, kept if made else upstream, images, of_channels, factors, to_images, C)
        return to_images, kept, factors[3], factors[4], None


def _parts(rows: int, channels: int) -> tuple[int, int]:
    """Rows of a part, and how many parts."""
    several = max(1, _PART // channels)
    return several, -(-rows // several)


def _blocks(kernel: Kernel, body: Callable) -> None:
    kernel.loop(kernel.first, kernel.last, lambda block: body(kernel.product(block, LANES)))


def _over_channels(kernel: Kernel, body: Callable) -> None:
    kernel.loop(0, kernel.given["C"], body, LANES)


def _of(kernel: Kernel, name: str, *places):
    return kernel.load(kernel.at(kernel.given[name], kernel.offset(*places)), VECTOR)


def _over_parts(kernel: Kernel, body: Callable) -> None:
    """`body(channels, first row)` -> what a row adds to two sums; those of each part are written to `sums`."""
    C, rows, several = (kernel.given[name] for name in ("C", "rows", "several"))

    def part(number):
        first = kernel.product(number, several)
        last = kernel.smaller(kernel.sum(first, several), rows)

        def channels(c):
            zero = kernel.filled(0, VECTOR)
            for which, total in enumerate(kernel.loop(first, last, body(c, first), carried=[zero, zero])):
                kernel.store(total, kernel.at(kernel.given["sums"], kernel.offset((number, 0), (which, 2), (c, C))))

        _over_channels(kernel, channels)

    kernel.loop(kernel.first, kernel.last, part)


def _totals(kernel: Kernel, c):
    """Two sums of all parts, in float64."""

    def add(part, *totals):
        found = (_of(kernel, "sums", (part, 0), (which, 2), (c, kernel.given["C"])) for which in range(2))
        return [kernel.emit.fadd(total, kernel.emit.fpext(one, EXACT)) for total, one in zip(totals, found, strict=True)]

    return kernel.loop(0, kernel.given["parts"], add, carried=[kernel.filled(0, EXACT)] * 2)


@functools.cache
def _moments() -> Callable:
    """Sums of differences from a part's first pixel, and of their squares."""
    kernel = Kernel("moments", ["images", "sums"], ["C", "rows", "several"])

    def body(c, first):
        origin = _of(kernel, "images", (first, 0), (c, kernel.given["C"]))

        def row(number, total, squares):
            difference = kernel.emit.fsub(_of(kernel, "images", (number, 0), (c, kernel.given["C"])), origin)
            return kernel.emit.fadd(total, difference), kernel.fma(difference, difference, squares)

        return row

    _over_parts(kernel, body)
    return kernel.compiled()


@functools.cache
def _statistics() -> Callable:
    """Mean, 1 / standard deviation, factor and addend of each channel; the running ones follow."""
    names = ["images", "sums", "weight", "bias", "running_mean", "running_var", "of_channels"]
    kernel = Kernel("statistics", names, ["C", "rows", "several", "parts"], ["eps", "momentum"])
    emit, (C, several) = kernel.emit, (kernel.given[name] for name in ("C", "several"))
    rows = emit.sitofp(kernel.given["rows"], kernel.given["eps"].type)
    count, eps, momentum = (kernel.filled(one, EXACT) for one in (rows, kernel.given["eps"], kernel.given["momentum"]))
    others = kernel.filled(emit.fsub(rows, kernel.number(1)), EXACT)

    def channels(c):
        def add(part, total, squares):
            first = kernel.product(part, several)
            pixels = kernel.smaller(several, emit.sub(kernel.given["rows"], first))
            number = kernel.filled(emit.sitofp(pixels, rows.type), EXACT)
            origin, differences, of_squares = (
                emit.fpext(one, EXACT)
                for one in (
                    _of(kernel, "images", (first, 0), (c, C)),
                    *(_of(kernel, "sums", (part, 0), (which, 2), (c, C)) for which in (0, 1)),
                )
            )
            difference = emit.fdiv(differences, number)
            mean = emit.fadd(origin, difference)
            spread = emit.fsub(of_squares, emit.fmul(differences, difference))
            return kernel.fma(number, mean, total), emit.fadd(squares, kernel.fma(emit.fmul(number, mean), mean, spread))

        total, squares = kernel.loop(0, kernel.given["parts"], add, carried=[kernel.filled(0, EXACT)] * 2)
        mean = emit.fdiv(total, count)
        spread = emit.fsub(squares, emit.fmul(total, mean))
        scale = emit.fdiv(kernel.filled(1, EXACT), kernel.root(emit.fadd(emit.fdiv(spread, count), eps)))
        weight, bias = (emit.fpext(_of(kernel, name, (c, 0)), EXACT) for name in ("weight", "bias"))
        factor = emit.fmul(weight, scale)
        for number, one in enumerate((mean, scale, factor, emit.fsub(bias, emit.fmul(mean, factor)))):
            kernel.store(emit.fptrunc(one, VECTOR), kernel.at(kernel.given["of_channels"], kernel.offset((number, 0), (c, C))))
        for name, now in (("running_mean", mean), ("running_var", emit.fdiv(spread, others))):
            before = emit.fpext(_of(kernel, name, (c, 0)), EXACT)
            after = kernel.fma(momentum, emit.fsub(now, before), before)
            kernel.store(emit.fptrunc(after, VECTOR), kernel.at(kernel.given[name], c))

    _blocks(kernel, channels)
    return kernel.compiled()


@functools.cache
def _outputs(added: bool) -> Callable:
    kernel = Kernel("outputs", ["images", "shortcut", "of_channels", "made"], ["C"])
    emit, C = kernel.emit, kernel.given["C"]

    def row(number):
        def channels(c):
            factor, addend = (_of(kernel, "of_channels", (which, 0), (c, C)) for which in (2, 3))
            made = kernel.fma(factor, _of(kernel, "images", (number, 0), (c, C)), addend)
            if added:
                made = emit.fadd(made, _of(kernel, "shortcut", (number, 0), (c, C)))
            kernel.store(_positive(kernel, made, made), kernel.at(kernel.given["made"], kernel.offset((number, 0), (c, C))))

        _over_channels(kernel, channels)

    kernel.loop(kernel.first, kernel.last, row)
    return kernel.compiled()


@functools.cache
def _upstream_sums(added: bool) -> Callable:
    """Sums of the gradient that passes ReLU, and of it times the difference from the mean; with a shortcut what passes is kept."""
    pointers = ["upstream", "images", *["made"] * added, "of_channels", "sums", *["kept"] * added]
    kernel = Kernel("upstream_sums", pointers, ["C", "rows", "several"])
    C = kernel.given["C"]

    def body(c, _first):
        mean, _, factor, addend = (_of(kernel, "of_channels", (which, 0), (c, C)) for which in range(4))

        def row(number, total, products):
            at = (number, 0), (c, C)
            image = _of(kernel, "images", *at)
            made = _of(kernel, "made", *at) if added else kernel.fma(factor, image, addend)
            passed = _positive(kernel, made, _of(kernel, "upstream", *at))
            if added:
                kernel.store(passed, kernel.at(kernel.given["kept"], kernel.offset(*at)))
            return kernel.emit.fadd(total, passed), kernel.fma(passed, kernel.emit.fsub(image, mean), products)

        return row

    _over_parts(kernel, body)
    return kernel.compiled()


@functools.cache
def _factors() -> Callable:
    """Of the gradient of images: times what passes, times the difference from the mean, plus; then the gradients of weight and bias."""
    kernel = Kernel("factors", ["sums", "weight", "of_channels", "factors"], ["C", "rows", "parts"])
    emit, C = kernel.emit, kernel.given["C"]
    count = kernel.filled(emit.sitofp(kernel.given["rows"], kernel.number(1).type), EXACT)

    def channels(c):
        total, products = _totals(kernel, c)
        scale, weight = (emit.fpext(one, EXACT) for one in (_of(kernel, "of_channels", (1, 0), (c, C)), _of(kernel, "weight", (c, 0))))
        to_weight, factor = emit.fmul(products, scale), emit.fmul(weight, scale)
        of_difference = emit.fneg(emit.fdiv(emit.fmul(emit.fmul(factor, scale), to_weight), count))
        plus = emit.fneg(emit.fdiv(emit.fmul(factor, total), count))
        for number, one in enumerate((factor, of_difference, plus, to_weight, total)):
            kernel.store(emit.fptrunc(one, VECTOR), kernel.at(kernel.given["factors"], kernel.offset((number, 0), (c, C))))

    _blocks(kernel, channels)
    return kernel.compiled()


@functools.cache
def _to_images(passed: bool) -> Callable:
    """`passed`: whether ReLU is behind upstream already."""
    kernel = Kernel("to_images", ["upstream", "images", "of_channels", "factors", "made"], ["C"])
    C = kernel.given["C"]

    def row(number):
        def channels(c):
            mean, _, factor, addend = (_of(kernel, "of_channels", (which, 0), (c, C)) for which in range(4))
            of_upstream, of_difference, plus = (_of(kernel, "factors", (which, 0), (c, C)) for which in range(3))
            image, upstream = (_of(kernel, name, (number, 0), (c, C)) for name in ("images", "upstream"))
            if not passed:
                upstream = _positive(kernel, kernel.fma(factor, image, addend), upstream)
            rest = kernel.fma(of_difference, kernel.emit.fsub(image, mean), plus)
            kernel.store(kernel.fma(of_upstream, upstream, rest), kernel.at(kernel.given["made"], kernel.offset((number, 0), (c, C))))

        _over_channels(kernel, channels)

    kernel.loop(kernel.first, kernel.last, row)
    return kernel.compiled()


def _positive(kernel: Kernel, asked, vector):
    """The vector where what is asked is above zero or NaN, else zero."""
    zero = kernel.filled(0, VECTOR)
    return kernel.emit.select(kernel.emit.fcmp_ordered("<=", asked, zero), zero, vector)
