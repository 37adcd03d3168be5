"""3 x 3 convolutions with a quarter of the multiplications: Lavin and Gray 2015, 1509.09308, on the CPU in float32.

A tile of 6 x 6 pixels gives 4 x 4 outputs. Tiles and filters are transformed by small fixed matrices; between them there is one matrix
product over the channels for each of the 36 places of a tile: 36 products a channel for 16 outputs instead of 144. An image of 2 x 2
pixels in a border of zeros takes 9 products where the convolution takes 36 (Karatsuba's three for two by two, in both directions).
A few tiles at a time are transformed, multiplied and transformed back, so that nothing between the steps leaves the cache. What the
images get is a convolution of the upstream gradient with turned filters; what the filters get is the transpose of the same three steps.
Outputs and gradients are 1e-6 (16 channels) to 6e-6 (512) from those of float64 (relative, of all together), where a plain float32
convolution is 2e-7 to 1e-6.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.autograd.function import once_differentiable

from learnability.training import winograd_kernels as kernels
from learnability.training.kernels import LANES, reached
from learnability.training.winograd_schemes import TILES, WHOLE, Scheme

_GAIN = 0.5  # of the plain convolution's multiplications; above it little is gained
_CACHE = 1 << 18  # bytes of transformed tiles made at once
_FILTERS = 1 << 22  # bytes of transformed filters from which on threads share filters ...
_LARGE = 1 << 23  # ... and these are the bytes of tiles made at once
_BLOCKS = 1 << 6  # channels times blocks of filters whose transform is worth a thread


def gains(images: torch.Tensor, weight: torch.Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int) -> bool:
    """Whether a convolution, not dilated, is of the kind that is faster this way; one that PyTorch refuses is not."""
    dense = groups == 1 and weight.shape[1:] == (images.shape[1], 3, 3) and stride == (1, 1) and 0 <= min(padding) <= max(padding) <= 2
    if not dense or not len(images) or not reached(images, weight) or any(width % LANES for width in weight.shape[:2]):
        return False
    height, width = _of_output(images.shape[2:], padding)
    if min(height, width) < 1:
        return False
    scheme = _scheme(images.shape[2:], padding)
    return scheme.tiles(1, height, width) * scheme.p**2 / (9 * height * width) <= _GAIN


class Winograd(torch.autograd.Function):
    """conv2d with a 3 x 3 kernel, stride 1, one group, for channels in and out that are multiples of LANES."""

    @staticmethod
    def forward(ctx, images, weight, bias, padding):
        """images (B, C, H, W), weight (F, C, 3, 3), bias (F,) or None, all float32; padding (down, across), 0 to 2."""
        ctx.padding = padding
        ctx.save_for_backward(images, weight)
        return _convolved(images, weight, bias, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        (images, weight), (down, across) = ctx.saved_tensors, ctx.padding
        to_images = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_images = _convolved(upstream, weight, None, (2 - down, 2 - across), turned=True)
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(images, upstream, ctx.padding)
        if ctx.needs_input_grad[2]:
            to_bias = upstream.sum((0, 2, 3))
        return to_images, to_weight, to_bias, None


def _convolved(images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, padding: tuple[int, int], turned: bool = False):
    """(B, F, h, w) of images (B, C, H, W) and weight (F, C, 3, 3), or (C, F, 3, 3) to be turned by half a circle."""
    plan = _plan(images.shape, weight.shape[1 if turned else 0], padding)
    images_BHWC, filters = images.permute(0, 2, 3, 1).contiguous(), weight.permute(0, 2, 3, 1).contiguous()
    multiplied, space = images.new_empty(plan.multiplied), images.new_empty(plan.space)
    made = _made(images, plan.output)
    transform, convolve = kernels.of_filters(plan.scheme, turned), kernels.convolution(plan.scheme, plan.exact, bias is not None)
    transform(plan.blocks, filters, multiplied, *plan.channels, least=plan.least)
    bias = made if bias is None else bias.contiguous()  # where there is none, none is read
    convolve(plan.count, images_BHWC, multiplied, bias, made, space, *plan.sizes, threads=plan.threads)
    return made


def _weight_gradient(images: torch.Tensor, upstream: torch.Tensor, padding: tuple[int, int]) -> torch.Tensor:
    """(F, C, 3, 3), of images (B, C, H, W) and the gradient (B, F, h, w) of what they became."""
    plan = _plan(images.shape, upstream.shape[1], padding)
    images_BHWC, upstream_BHWF = (one.permute(0, 2, 3, 1).contiguous() for one in (images, upstream))
    multiplied = images.new_empty(1 if plan.by_filters else plan.threads, plan.multiplied)
    space, made = images.new_empty(plan.space), _made(images, (upstream.shape[1], images.shape[1], 3, 3))
    add, transform = kernels.gradient(plan.scheme, plan.exact), kernels.to_filters(plan.scheme)
    parts = add(plan.count, images_BHWC, upstream_BHWF, multiplied, space, *plan.sizes, threads=plan.threads)
    for other in [] if plan.by_filters else multiplied[1:parts]:
        multiplied[0].add_(other)
    transform(plan.blocks, multiplied, made, *plan.channels, least=plan.least)
    return made


def _made(like: torch.Tensor, shape: tuple[int, int, int, int]) -> torch.Tensor:
    """No view: what follows may work in place."""
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


class _Plan(NamedTuple):
    """How a convolution is done."""

    scheme: Scheme
    exact: bool  # tiles end where the outputs end, and reach one pixel out of the image
    by_filters: bool  # threads share filters, not tiles
    blocks: int  # of filters
    count: int  # of what threads share
    least: int  # blocks of filters that are worth a thread
    channels: tuple[int, int]
    sizes: tuple[int, ...]  # as the kernels ask for them
    multiplied: int  # numbers that transformed filters are
    space: int  # ... that transformed tiles need, in all threads
    threads: int  # that there is space for, whatever number another thread may set meanwhile
    output: tuple[int, int, int, int]


def _plan(shape: torch.Size, filters: int, padding: tuple[int, int]) -> _Plan:
    (images, channels, *size), threads = shape, torch.get_num_threads()
    scheme, (height, width) = _scheme(size, padding), _of_output(size, padding)
    tiles, blocks, multiplied = scheme.tiles(images, height, width), filters // LANES, scheme.p**2 * channels * filters
    by_filters = 4 * multiplied > _FILTERS
    in_cache = max(2 * kernels.SUMS, (_LARGE if by_filters else _CACHE) // (4 * scheme.p**2 * (channels + filters)))
    of_thread = tiles if by_filters else -(-tiles // threads)
    several = -(-of_thread // (-(-of_thread // in_cache) * kernels.SUMS)) * kernels.SUMS
    starts = padding if scheme is TILES else (0, 0)
    return _Plan(
        scheme,
        exact=tuple(padding) == (1, 1) and height % scheme.m == width % scheme.m == 0,
        by_filters=by_filters,
        blocks=blocks,
        count=blocks if by_filters else tiles,
        least=1 + _BLOCKS // channels,
        channels=(channels, filters),
        sizes=(channels, filters, *size, height, width, *starts, several, tiles, by_filters),
        multiplied=multiplied,
        space=threads * (2 * LANES + scheme.p**2 * several * (channels + filters)),
        threads=threads,
        output=(images, filters, height, width),
    )


def _scheme(size: Sequence[int], padding: tuple[int, int]) -> Scheme:
    return WHOLE if tuple(size) == (2, 2) and tuple(padding) == (1, 1) else TILES


def _of_output(size: Sequence[int], padding: tuple[int, int]) -> list[int]:
    return [length + 2 * around - 2 for length, around in zip(size, padding, strict=True)]
