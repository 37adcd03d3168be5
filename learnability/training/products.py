"""What is faster on a CPU than PyTorch's own operations: convolutions as matrix products, batch norm with all that follows it."""

import torch
from torch.overrides import TorchFunctionMode

from learnability.training import gradients, normed, winograd
from learnability.training.gradients import WeightProducts
from learnability.training.kernels import reached
from learnability.training.winograd import Winograd


class MatrixProducts(TorchFunctionMode):
    """Within it every `conv2d` that gains by it runs as `Winograd` or `WeightProducts`, every such `activated` as `Activated`."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.conv2d and not kwargs and (found := _as_products(*args)) is not None:
            return found
        if func is normed.activated and (found := _activated(*args, **(kwargs or {}))) is not None:
            return found
        return func(*args, **(kwargs or {}))


def _as_products(images, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1) -> torch.Tensor | None:
    """What a convolution makes, if it is of a kind that gains."""
    if not weight.requires_grad or isinstance(padding, str) or _pair(dilation) != (1, 1) or images.dim() != 4:
        return None
    stride, padding, rounded = _pair(stride), _pair(padding), torch.is_autocast_enabled(images.device.type)
    fits = bias is None or bias.shape == weight.shape[:1] and reached(bias)
    if not rounded and fits and winograd.gains(images, weight, stride, padding, groups):
        own = weight if torch.is_grad_enabled() else weight.detach()  # nothing is kept for a backward pass that does not come
        return Winograd.apply(images, own, bias, padding)
    if gradients.gains(images, weight, stride, padding, groups):
        if rounded:
            kind = torch.get_autocast_dtype(images.device.type)
            images, weight, bias = (None if one is None else one.to(kind) for one in (images, weight, bias))
        return WeightProducts.apply(images, weight, bias, stride, padding, groups)
    return None


def _activated(norm, images, shortcut=None) -> torch.Tensor | None:
    """What `activated` makes, if the call is of a kind that gains."""
    if torch.is_autocast_enabled(images.device.type) or not normed.gains(norm, images, shortcut):
        return None
    return normed.Activated.apply(images, shortcut, norm.weight, norm.bias, norm)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    """Down and across, of what may be given as one number."""
    return (size, size) if isinstance(size, int) else tuple(size) * (2 // len(size))
