"""Ways to run the same update: precision, layout, kind of convolution, eager or compiled. They differ in time, not in meaning."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator

import torch
from torch import nn

from learnability.training.architectures import Network
from learnability.training.bfloat16 import Rounded
from learnability.training.products import MatrixProducts


@dataclasses.dataclass(frozen=True)
class Way:
    """How a network is run: `fp32` or `bf16` (autocast), `nchw` or `channels_last`, eager or compiled, an update a CUDA graph or not.

    gemm: convolutions as matrix products, batch norm with ReLU in one step (`products.py`)
    """

    precision: str
    layout: str
    compiled: bool = False
    captured: bool = False
    gemm: bool = False

    @property
    def name(self) -> str:
        return " ".join([self.precision, self.layout, *(kind for kind in ("compiled", "captured", "gemm") if getattr(self, kind))])

    def prepared(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network on the device, its weights in this layout; itself, changed in place."""
        memory_format = torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
        return network.to(device).to(memory_format=memory_format)

    @contextlib.contextmanager
    def context(self, device: torch.device) -> Iterator[None]:
        """What is around a forward pass: autocast in bf16, the convolutions of `products.py` where the way has them."""
        rounded = contextlib.nullcontext()
        if self.precision == "bf16":  # a graph must not keep old casts
            rounded = torch.autocast(device.type, torch.bfloat16, cache_enabled=device.type != "cuda")
        with rounded, MatrixProducts() if self.gemm else contextlib.nullcontext():
            yield


REFERENCE = Way("fp32", "nchw")  # every other way must come to the same numbers, within tolerance


def fixed(precision: str, device: torch.device, captured: bool = False) -> Way:
    """The one uncompiled way that `--precision fp32` or `bf16` names: channels_last for all three networks (NCHW on MPS).

    `captured`: on CUDA as graphs, which changes no bit of it.
    """
    return Way(precision, "nchw" if device.type == "mps" else "channels_last", captured=captured and device.type == "cuda")


def candidates(device: torch.device, compiler: bool, captured: bool = False) -> list[Way]:
    """Ways worth timing on this device; compiled ones only where there is a compiler, graphs only on CUDA and if `captured`."""
    ways = [REFERENCE, Way("fp32", "channels_last")]
    if has_bf16(device):
        ways.append(Way("bf16", "channels_last"))
    if device.type == "cpu":
        ways += [dataclasses.replace(way, gemm=True) for way in ways[1:]]
    if captured and device.type == "cuda":
        ways += [dataclasses.replace(way, captured=True) for way in ways[1:]]
    if compiler and device.type != "mps":
        best = [way for way in ways[1:] if way.captured] or [way for way in ways[1:] if not way.gemm]
        ways += [dataclasses.replace(way, compiled=True) for way in best]
    return ways


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is worth a trial: elsewhere the CPU's convolutions in it take 10 to 60 times as long as in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def has_compiler(device: torch.device) -> bool:
    """Whether torch.compile can work here: a C++ compiler for the CPU, Triton for CUDA."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (7, 0) and _there("triton")
    return device.type == "cpu" and any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def _there(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


class Forward:
    """`forward(images)` -> (B, K) float32 logits of a network, run in one way.

    A compiled network serves batches of the training size in train mode; every other batch runs eagerly, so what runs
    is a function of the batch and not of what came before.
    """

    def __init__(self, network: nn.Module, way: Way, device: torch.device, batch_size: int):
        self.network, self.way, self.device, self.batch_size = network, way, device, batch_size
        self.rounded = self.compiled = None
        if way.precision == "bf16" and device.type == "cuda" and isinstance(network, Network):
            self.rounded = Rounded(network, way.compiled)
        elif way.compiled:
            self.compiled = torch.compile(network, dynamic=False)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        compiled = self.way.compiled and self.network.training and len(images) == self.batch_size
        if self.rounded is not None:
            return self.rounded(images, compiled)
        with self.way.context(self.device):
            return (self.compiled if compiled else self.network)(images).float()
