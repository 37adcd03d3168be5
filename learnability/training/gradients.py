"""The gradient of a convolution's weights as matrix products.

oneDNN takes 1.5 to 3 times a forward pass for it on processors without AVX-512, and a hundred times one for depthwise
convolutions of few pixels. The sum is the same and its order another, so it is a way of its own that the probe checks and times.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

LEAST_CHANNELS = 64  # of a dense convolution's input; below it oneDNN is faster
FEW_PIXELS = 4  # of a depthwise convolution's output
_COLUMNS = 1 << 26  # bytes of columns made at once


def gains(images: torch.Tensor, weight: torch.Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int) -> bool:
    """Whether a convolution, not dilated, is faster this way: one from 64 channels on, or a depthwise one with up to four pixels."""
    if groups == 1:
        return weight.shape[1] >= LEAST_CHANNELS
    depthwise = groups == images.shape[1] == weight.shape[0]
    return depthwise and _pixels(images, weight, stride, padding) <= FEW_PIXELS


class WeightProducts(torch.autograd.Function):
    """conv2d, not dilated; what its images and its bias get is as ever."""

    @staticmethod
    def forward(ctx, images, weight, bias, stride, padding, groups):
        ctx.save_for_backward(images, weight)
        ctx.how = stride, padding, groups
        return torch.conv2d(images, weight, bias, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx, upstream):
        (images, weight), (stride, padding, groups) = ctx.saved_tensors, ctx.how
        to_images = to_bias = None
        if ctx.needs_input_grad[0]:
            to_images, _, _ = torch.ops.aten.convolution_backward(
                upstream, images, weight, None, stride, padding, (1, 1), False, [0, 0], groups, [True, False, False]
            )
        if ctx.needs_input_grad[2]:  # asked for a bias, PyTorch would make the gradient of the weights as well
            to_bias = upstream.sum((0, 2, 3))
        to_weight = weight_gradient(images, upstream, weight.shape, stride, padding)
        return to_images, to_weight, to_bias, None, None, None


def weight_gradient(
    images: torch.Tensor, upstream: torch.Tensor, shape: torch.Size, stride: Sequence[int], padding: Sequence[int]
) -> torch.Tensor:
    """Of a convolution of (B, C, H, W) images with weights of `shape` (O, C, h, w), or (C, 1, h, w) for a depthwise one.

    upstream  (B, O, H', W'), the gradient of what the convolution made
    """
    (filters, channels, h, w), (down, right) = shape, stride
    upstream_BHWO = upstream.permute(0, 2, 3, 1).contiguous()
    padded_BHWC = F.pad(images.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0])).contiguous()
    B, H, W, _ = upstream_BHWO.shape
    if channels == 1 and filters == images.shape[1]:
        windows = [padded_BHWC[:, i : i + down * H : down, j : j + right * W : right] for i in range(h) for j in range(w)]
        return torch.stack([(window * upstream_BHWO).sum((0, 1, 2)) for window in windows], 1).view(shape)
    strides_b, strides_h, strides_w, _ = padded_BHWC.stride()
    # (B, H', W', h, w C): beside one another in memory are the channels of neighbouring pixels
    columns = padded_BHWC.as_strided((B, H, W, h, w * channels), (strides_b, strides_h * down, strides_w * right, strides_h, 1))
    several = max(1, _COLUMNS // (4 * H * W * h * w * channels))
    found = torch.zeros((filters, h * w * channels), device=upstream.device)
    for first in range(0, B, several):
        part = columns[first : first + several].reshape(-1, h * w * channels)
        of_part = upstream_BHWO[first : first + several].view(-1, filters).t()
        if upstream.dtype == torch.float32:
            found.addmm_(of_part, part)
        else:  # each product is rounded, their sum is not
            found += of_part @ part
    return found.to(upstream.dtype).view(filters, h, w, channels).permute(0, 3, 1, 2)


def _pixels(images, weight, stride, padding) -> int:
    sides = (
        (size + 2 * around - kernel) // step + 1
        for size, around, kernel, step in zip(images.shape[2:], padding, weight.shape[2:], stride, strict=True)
    )
    height, width = sides
    return height * width
