"""Convolutions in bfloat16 on CUDA: weights rounded all at once, and their gradients made beside the rest of a backward pass.

The numbers are those of autocast. It rounds weight by weight, a kernel each; here one kernel rounds all. No later layer waits
for the gradient of a convolution's weights, so it is a parallel branch of the update's graph, which ends before the optimizer.
The biases of our convolutions stand before batch norm, which takes them out again: their gradient is zero. What arithmetic
makes of it is rounding error, 350 of VGG-16's 2,200 microseconds, and is left out.
"""

import copy

import torch
from torch import nn
from torch.func import functional_call

# what is made beside is read after the compiler thinks it dead
INDUCTOR = {"allow_buffer_reuse": False, "inplace_buffers": False}


class Rounded:
    """Calling it gives what `network`, a `Network` of ours, makes of (B, C, H, W) float32 images: (B, K) float32 logits.

    Its parameters stay float32 and get float32 gradients; statistics are kept in `network`, whose mode is followed.
    compiled  whether a call may ask for compiled code
    """

    def __init__(self, network: nn.Module, compiled: bool = False):
        shared = {id(own): own for own in (*network.parameters(), *network.buffers(), network.head)}
        self.network, self.copy = network, copy.deepcopy(network, shared)
        self.copy.train(network.training)
        self.names, self.weights, self.counters = [], [], []
        for name, module in self.copy.named_modules():
            if isinstance(module, nn.Conv2d):
                module.__class__ = _Beside
                self.names += [f"{name}.{which}" for which, _ in module.named_parameters()]
                self.weights += [weight for _, weight in module.named_parameters()]
            elif isinstance(module, nn.BatchNorm2d):  # counted together, not one by one
                self.counters.append(module.num_batches_tracked)
                module.num_batches_tracked = None
        self.eager = _eager(self.copy, self.names)
        self.compiled = torch.compile(self.eager, dynamic=False, options=INDUCTOR) if compiled else None

    def __call__(self, images: torch.Tensor, compiled: bool = False) -> torch.Tensor:
        if self.copy.training != self.network.training:
            self.copy.train(self.network.training)
        if self.copy.training:
            torch._foreach_add_(self.counters, 1)
        return (self.compiled if compiled else self.eager)(images, *_Round.apply(*self.weights))


def _eager(network: nn.Module, names: list[str]):
    """A function of images and of the rounded parameters of these names; it knows nothing of `Rounded`, which else nobody would free."""

    def run(images: torch.Tensor, *rounded: torch.Tensor) -> torch.Tensor:
        return functional_call(network, dict(zip(names, rounded, strict=True)), (images.bfloat16(),)).float()

    return run


class _Round(torch.autograd.Function):
    """float32 tensors -> bfloat16 ones of the same layout. Its backward pass comes last, and waits for what is made beside."""

    @staticmethod
    def forward(ctx, *weights):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*weights)
        rounded = [torch.empty_like(weight, dtype=torch.bfloat16) for weight in weights]
        torch._foreach_copy_(rounded, weights)
        return tuple(rounded)

    @staticmethod
    def backward(ctx, *gradients):
        exact = [
            torch.zeros_like(weight) if gradient is None else torch.empty_like(weight)
            for weight, gradient in zip(ctx.saved_tensors, gradients, strict=True)
        ]
        places = [i for i, gradient in enumerate(gradients) if gradient is not None]
        made = [gradients[i] for i in places]
        if made[0].is_cuda:
            now = torch.cuda.current_stream(made[0].device)
            now.wait_stream(_beside(made[0].device))
            for gradient in made:
                gradient.record_stream(now)
        torch._foreach_copy_([exact[i] for i in places], made)
        return tuple(exact)


class _Beside(nn.Conv2d):
    """A convolution whose weights get their gradient on a stream of its own."""

    def _conv_forward(self, images, weight, bias):
        return _Convolution.apply(images, weight, bias, self.stride, self.padding, self.groups)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, weight, bias, stride, padding, groups):
        ctx.save_for_backward(images, weight)
        ctx.how = stride, padding, groups
        return torch.conv2d(images, weight, bias, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx, upstream):
        images, weight = ctx.saved_tensors
        to_images, to_weight = _gradients(upstream, images, weight, *ctx.how, ctx.needs_input_grad[0])
        return to_images if ctx.needs_input_grad[0] else None, to_weight, None, None, None, None


@torch.library.custom_op("learnability::gradients", mutates_args=())
def _gradients(
    upstream: torch.Tensor,
    images: torch.Tensor,
    weight: torch.Tensor,
    stride: list[int],
    padding: list[int],
    groups: int,
    of_images: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a convolution's images (empty where it is not asked) and weights; that of the weights is there after `_Round`."""
    given = (upstream, images, weight, None, stride, padding, [1, 1], False, [0, 0], groups)
    gradient = torch.ops.aten.convolution_backward
    nothing = weight.new_empty(0)
    if not upstream.is_cuda:
        to_images, to_weight, _ = gradient(*given, [of_images, True, False])
        return to_images if of_images else nothing, to_weight
    beside = _beside(upstream.device)
    beside.wait_stream(torch.cuda.current_stream(upstream.device))
    with torch.cuda.stream(beside):
        to_weight = gradient(*given, [False, True, False])[1]
    upstream.record_stream(beside)
    images.record_stream(beside)
    return gradient(*given, [True, False, False])[0] if of_images else nothing, to_weight


@_gradients.register_fake
def _(upstream, images, weight, stride, padding, groups, of_images):
    return torch.empty_like(images) if of_images else weight.new_empty(0), torch.empty_like(weight)


_streams: dict[tuple[int, int], torch.cuda.Stream] = {}


def _beside(device: torch.device) -> torch.cuda.Stream:
    """The stream beside the current one."""
    current = torch.cuda.current_stream(device)
    place = current.device_index, current.cuda_stream
    if place not in _streams:
        _streams[place] = torch.cuda.Stream(device)
    return _streams[place]
