"""Networks from elsewhere: torchvision, timm, or a function of one's own, built for these classes, channels and sizes.

Their first weights are drawn as their library draws them; nothing is downloaded here.
"""

import dataclasses
import difflib
import importlib
import importlib.metadata
import inspect
import sys
from collections.abc import Callable

import torch
from torch import nn

from learnability.errors import ConfigError
from learnability.store.architectures import Registered

# What constructors and forward passes of other people's networks raise where they do not fit the images.
MISFIT = (RuntimeError, ValueError, TypeError, AssertionError, IndexError, KeyError, AttributeError, NotImplementedError)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where an architecture comes from, and how it is built."""

    spec: str  # timm:resnet10t
    function: Callable  # whose code counts: a resume with other code is refused
    build: Callable[[int, int, tuple[int, int]], nn.Module]  # (num_classes, in_channels, (H, W)) -> network
    package: str | None = None  # "timm 1.0.31"
    ours: bool = False  # built in: known to fit, so it is not tried


def origin(spec: str, place: Registered | None) -> Origin:
    """The origin that a spelling with a colon names. A path is imported only where somebody registered it from a shell."""
    kind, _, name = spec.partition(":")
    if kind == "torchvision":
        return _torchvision(spec, name)
    if kind == "timm":
        return _timm(spec, name)
    if place is None:
        raise ConfigError(
            f"architecture {spec!r} is not registered in this cache. If you trust its code: python -m learnability architectures add {spec}"
        )
    return _function(spec, place.folder)


def _torchvision(spec: str, name: str) -> Origin:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ConfigError(f"architecture {spec!r}: expected a classification model of torchvision{_close(name, known)}.")

    def build(num_classes: int, in_channels: int, size: tuple[int, int]) -> nn.Module:
        options = {}
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True}
        elif name.startswith("vit_"):
            if size[0] != size[1]:
                raise ConfigError(f"{spec}: expected square images, got {size[0]} x {size[1]}.")
            options = {"image_size": size[0]}
        network = models.get_model(name, weights=None, num_classes=num_classes, **options)
        return network if in_channels == 3 else _grey(network, spec)

    return Origin(spec, models.get_model_builder(name), build, _version("torchvision"))


def _timm(spec: str, name: str) -> Origin:
    timm = imported_timm(spec)
    if "." in name:
        raise ConfigError(
            f"architecture {spec!r}: expected a name without the tag of pretrained weights, for example timm:{name.split('.')[0]}."
        )
    if not timm.is_model(name):
        raise ConfigError(f"architecture {spec!r}: expected a model of timm {timm.__version__}{_close(name, timm.list_models())}.")

    def build(num_classes: int, in_channels: int, size: tuple[int, int]) -> nn.Module:
        told = timm.get_pretrained_cfg(name, allow_unregistered=True)
        options = {"img_size": size} if told is not None and told.fixed_input_size else {}
        return timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_channels, **options)

    return Origin(spec, timm.model_entrypoint(name), build, _version("timm"))


def imported_timm(spec: str):
    """The module timm; ConfigError says how to install it."""
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError(f"{spec!r} needs timm, which is not installed here ({error}). Install it: pip install timm") from error


def _function(spec: str, folder: str | None) -> Origin:
    module, _, name = spec.partition(":")
    if folder is not None and folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"architecture {spec!r} cannot be imported ({error}). Check the module's path and name.") from error
    if not callable(function):
        raise ConfigError(
            f"architecture {spec!r}: expected a function (num_classes, in_channels) -> nn.Module, got {type(function).__name__}."
        )

    def build(num_classes: int, in_channels: int, _size: tuple[int, int]) -> nn.Module:
        try:
            inspect.signature(function).bind(num_classes, in_channels)
        except TypeError as error:
            raise ConfigError(f"architecture {spec!r}: expected a function (num_classes, in_channels) -> nn.Module; {error}.") from error
        return function(num_classes, in_channels)

    packages = importlib.metadata.packages_distributions().get(module.partition(".")[0])
    return Origin(spec, function, build, _version(packages[0]) if packages else None)


def _version(package: str) -> str | None:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _close(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    return f"; did you mean {' or '.join(near)}?" if near else f", one of {len(known)}, for example {known[0]}"


@torch.no_grad()
def _grey(network: nn.Module, spec: str) -> nn.Module:
    """The first convolution made for one channel: its filters summed over the colours, the same as grey shown three times."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != 3 or module.groups != 1:
                break
            module.weight = nn.Parameter(module.weight.sum(1, keepdim=True))
            module.in_channels = 1
            return network
    raise ConfigError(f"{spec} is made for colour images and has no first convolution that could be made for grey ones. Choose another.")
