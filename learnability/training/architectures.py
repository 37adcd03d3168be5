"""The networks: name -> nn.Module. Each is a small builder (num_classes, in_channels) for images of at least 32 x 32.

A network has `features(images)`, the pooled layer before the logits, and `head`, one linear layer that always runs in
float32: logits in bfloat16 would have 8 significant bits, hence false ties and close margins in the wrong order.
"""

import importlib
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from learnability.errors import ConfigError


class Head(nn.Linear):
    """The last linear layer: float32 whatever ran before, outside any autocast."""

    def forward(self, features):
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


class Depthwise(nn.Conv2d):
    """One 3 x 3 filter a channel. With a stride it runs in float32 on the CPU.

    There the gradient of a strided depthwise convolution in bfloat16 takes about 20 times as long as in float32.
    """

    def __init__(self, width: int, stride: int):
        super().__init__(width, width, 3, stride, 1, groups=width, bias=False)

    def forward(self, x):
        if self.stride == (1, 1) or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


class Network(nn.Module):
    """Convolutions `body`, global average pooling, `head`."""

    def __init__(self, body: nn.Module, width: int, num_classes: int):
        super().__init__()
        self.body = body
        self.head = Head(width, num_classes)
        _he_start(self)

    def features(self, images):
        """(B, d) float32: the pooled layer before the logits."""
        return self.body(images).float().mean((2, 3))

    def forward(self, images):
        return self.head(self.features(images))


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without parameters: subsampled, missing channels are zeros (option A)."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = _conv3(width_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3(width, width, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.missing = stride, width - width_in

    def forward(self, x):
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        if self.missing:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, self.missing // 2, self.missing - self.missing // 2))
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


def resnet20(num_classes: int, in_channels: int) -> Network:
    """ResNet-20 for CIFAR: He et al. 2015, 1512.03385, section 4.2; 0.27 M parameters."""
    layers = [_conv3(in_channels, 16, 1), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    width_in = 16
    for width, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        layers.append(Block(width_in, width, stride))
        width_in = width
    return Network(nn.Sequential(*layers), width_in, num_classes)


def vgg16(num_classes: int, in_channels: int) -> Network:
    """VGG-16 with batch norm and one linear layer: Simonyan and Zisserman 2014, 1409.1556, configuration D; 14.7 M parameters."""
    layers, width_in = [], in_channels
    for widths in ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)):
        for width in widths:
            layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            width_in = width
        layers.append(nn.MaxPool2d(2))
    return Network(nn.Sequential(*layers), width_in, num_classes)


def mobilenet(num_classes: int, in_channels: int) -> Network:
    """MobileNet v1 with the strides for small images: Howard et al. 2017, 1704.04861; 3.2 M parameters."""
    layers = [_conv3(in_channels, 32, 1), nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
    width_in = 32
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1)):
        layers += [
            Depthwise(width_in, stride),
            nn.BatchNorm2d(width_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(width_in, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        width_in = width
    return Network(nn.Sequential(*layers), width_in, num_classes)


ARCHITECTURES = {"resnet20": resnet20, "vgg16": vgg16, "mobilenet": mobilenet}


def builder_of(arch: str, own: dict[str, str] | None = None) -> Callable[[int, int], nn.Module]:
    """The function (num_classes, in_channels) -> network of an architecture; ConfigError names those there are.

    `own` maps further names to "module:function", read like `config.ARCHITECTURES`.
    """
    if arch in ARCHITECTURES:
        return ARCHITECTURES[arch]
    place = (own or {}).get(arch)
    if place is None:
        known = ", ".join([*ARCHITECTURES, *(own or {})])
        raise ConfigError(f"architecture {arch!r}: expected one of {known}. Choose one of these or register your own as 'module:function'.")
    module, _, function = place.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"architecture {arch!r}: {place!r} cannot be imported ({error}). Check the module's path and name.") from error


def build(arch: str, num_classes: int, in_channels: int, seed: int, own: dict[str, str] | None = None) -> nn.Module:
    """The network `arch` on the CPU, its first weights drawn from `seed` alone; the global random state stays as it was.

    A module of one's own needs a forward that gives (B, num_classes) logits, and its last nn.Linear makes them.
    """
    if num_classes < 2:
        raise ConfigError(f"{num_classes} class: expected at least two. Add samples of another class.")
    builder = builder_of(arch, own)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return builder(num_classes, in_channels)


def head_of(network: nn.Module) -> nn.Linear | None:
    """The linear layer that makes the logits; its input is the layer before the logits."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return layers[-1] if layers else None


def _conv3(width_in: int, width: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width, 3, stride, 1, bias=False)


def _he_start(network: nn.Module) -> None:
    """He et al. 2015, 1502.01852: normal with variance 2 / fan-in before a ReLU, 1 / fan-in in the head; biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if isinstance(module, nn.Linear) else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
