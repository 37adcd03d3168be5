"""The networks: name -> nn.Module. Each is a small builder (num_classes, in_channels) for images of at least 32 x 32.

A network has `features(images)`, the pooled layer before the logits, and `head`, one linear layer that always runs in
float32: logits in bfloat16 would have 8 significant bits, hence false ties and close margins in the wrong order.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from learnability.errors import ConfigError
from learnability.store.architectures import Registered, unknown
from learnability.training.foreign import MISFIT, Origin, origin
from learnability.training.heads import Head, head_of, in_float32
from learnability.training.normed import activated, hooked
from learnability.training.trial import Traits, tried

__all__ = ["ARCHITECTURES", "Network", "build", "built", "head_of", "origin_of"]


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


class Layers(nn.Sequential):
    """One after the other, batch norm and a ReLU after it (without hooks, which would not be called) as one step."""

    def forward(self, x):
        layers, done = list(self), False
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            if done:  # together with the batch norm before it
                done = False
                continue
            done = isinstance(layer, nn.BatchNorm2d) and isinstance(following, nn.ReLU) and not hooked(following)
            x = activated(layer, x) if done else layer(x)
        return x


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
        x = activated(self.bn1, self.conv1(x))
        return activated(self.bn2, self.conv2(x), shortcut)


def resnet20(num_classes: int, in_channels: int) -> Network:
    """ResNet-20 for CIFAR: He et al. 2015, 1512.03385, section 4.2; 0.27 M parameters."""
    layers = [_conv3(in_channels, 16, 1), nn.BatchNorm2d(16), nn.ReLU(inplace=True)]
    width_in = 16
    for width, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        layers.append(Block(width_in, width, stride))
        width_in = width
    return Network(Layers(*layers), width_in, num_classes)


def vgg16(num_classes: int, in_channels: int) -> Network:
    """VGG-16 with batch norm and one linear layer: Simonyan and Zisserman 2014, 1409.1556, configuration D; 14.7 M parameters."""
    layers, width_in = [], in_channels
    for widths in ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)):
        for width in widths:
            layers += [nn.Conv2d(width_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            width_in = width
        layers.append(nn.MaxPool2d(2))
    return Network(Layers(*layers), width_in, num_classes)


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
    return Network(Layers(*layers), width_in, num_classes)


ARCHITECTURES = {"resnet20": resnet20, "vgg16": vgg16, "mobilenet": mobilenet}


def origin_of(arch: str, own: Mapping[str, Registered | str] | None = None) -> Origin:
    """Where an architecture comes from and how it is built; ConfigError names those there are.

    Built-in ones come first, then the names of `own`, then `torchvision:NAME` and `timm:NAME`. A path `module:function` is
    imported only where `own` holds it.
    """
    if arch in ARCHITECTURES:
        builder = ARCHITECTURES[arch]
        return Origin(arch, builder, lambda num_classes, in_channels, _size: builder(num_classes, in_channels), ours=True)
    place = (own or {}).get(arch)
    if isinstance(place, str):
        place = Registered(arch, place)
    spec = place.spec if place is not None else arch
    if ":" in spec:
        return origin(spec, place)
    raise unknown(arch, [name for name in own or {} if name != arch])


def build(
    arch: str,
    num_classes: int,
    in_channels: int,
    seed: int,
    own: Mapping[str, Registered | str] | None = None,
    size: tuple[int, int] = (32, 32),
) -> nn.Module:
    """The network `arch` on the CPU, its first weights drawn from `seed` alone; the global random state stays as it was."""
    return built(origin_of(arch, own), arch, num_classes, in_channels, seed, size)[0]


def built(origin: Origin, arch: str, num_classes: int, in_channels: int, seed: int, size: tuple[int, int]) -> tuple[nn.Module, Traits]:
    """The network for images of `size` (H, W), and how it can be run. One that is not ours is tried on a small batch first.

    The layer that makes its logits then runs in float32 whatever runs before, as in ours.
    """
    if num_classes < 2:
        raise ConfigError(f"{num_classes} class: expected at least two. Add samples of another class.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if origin.ours:
            return origin.build(num_classes, in_channels, size), Traits()
        try:
            network = origin.build(num_classes, in_channels, size)
        except MISFIT as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"architecture {arch!r} cannot be built for {num_classes} classes and {in_channels} x {size[0]} x {size[1]} images: "
                f"{type(error).__name__}: {error}. Prepare the images at another --size, or choose another."
            ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"architecture {arch!r}: expected a function that returns an nn.Module, got {type(network).__name__}.")
    traits = tried(network, arch, num_classes, (in_channels, *size))
    if traits.head is not None:
        in_float32(network, traits.head)
    return network, traits


def _conv3(width_in: int, width: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(width_in, width, 3, stride, 1, bias=False)


def _he_start(network: nn.Module) -> None:
    """He et al. 2015, 1502.01852: normal with variance 2 / fan-in before a ReLU, 1 / fan-in in the head; biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if isinstance(module, nn.Linear) else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
