"""Frozen backbones: a network with weights from a safetensors file or from timm, and how it wants its images.

Nothing is unpickled, and a file never names code to import: its metadata may name a model of a library or a registered one.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from learnability.config import LIBRARIES
from learnability.errors import ConfigError, InputError
from learnability.store.architectures import Registered
from learnability.store.features import Backbone
from learnability.training import architectures, foreign
from learnability.training.trial import tried

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_OVERRIDES = "architecture, input_size, mean, std"


@dataclasses.dataclass(frozen=True)
class Weights:
    """A safetensors file, read."""

    place: str  # what it is called in a description
    tensors: dict[str, torch.Tensor]
    told: dict[str, str]  # its metadata, and what a config.json beside it says


def described(start: str, spec: str | None, own: dict[str, Registered]) -> tuple[Backbone, nn.Module]:
    """The backbone that `start` names (FILE.safetensors or timm:NAME), with the network itself, frozen, its head taken off.

    `spec` is its architecture where the file does not say. InputError and ConfigError say what was expected.
    """
    weights = _downloaded(start) if start.startswith("timm:") else _read(Path(start).expanduser())
    spec = start if start.startswith("timm:") else spec or _named(weights, own)
    network, asked, package = _built(spec, weights, own)
    digest = _loaded(network, weights, spec)
    backbone = Backbone(
        spec=spec, weights=digest, place=weights.place, package=package, dimension=_dimension(network, spec, asked), **asked
    )
    return backbone, network.requires_grad_(False).eval()


def network_of(backbone: Backbone, own: dict[str, Registered]) -> nn.Module:
    """The network of a backbone that was described before, its weights read again and compared."""
    try:
        again, network = described(backbone.place, backbone.spec, own)
    except InputError as error:
        raise ConfigError(f"the weights of {backbone.name} are needed again and cannot be had: {error}") from error
    if again.weights != backbone.weights or again.name != backbone.name:
        raise ConfigError(
            f"{backbone.place} is not what the features {backbone.name} are made with: expected {backbone.spec} with weights "
            f"{backbone.weights[:8]}, got {again.spec} with {again.weights[:8]}. Put the file back, or start from the new one."
        )
    return network


def _read(path: Path) -> Weights:
    try:
        with open(path, "rb") as file:
            head = file.read(4)
        with safetensors.safe_open(path, "pt") as opened:
            told = opened.metadata() or {}
        tensors = safetensors.torch.load_file(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(
            f"start {str(path)!r}: expected FILE.safetensors, timm:NAME or the name of features made before; there is no such file."
        ) from error
    except safetensors.SafetensorError as error:
        if head.startswith(_PICKLES):
            raise InputError(
                f"start {str(path)!r} is a pickle, which is never opened here: it could run any code. Load it where you trust it and "
                "save it with safetensors.torch.save_file(model.state_dict(), FILE)."
            ) from error
        raise InputError(f"start {str(path)!r}: expected a safetensors file; {error}.") from error
    beside = path.parent / "config.json"
    if "architecture" not in told and beside.is_file():  # as a model folder of the Hugging Face hub has it
        try:
            found = json.loads(beside.read_bytes()).get("architecture")
        except (ValueError, AttributeError):
            found = None
        if isinstance(found, str):
            told = told | {"architecture": f"timm:{found}"}
    return Weights(str(path.resolve()), tensors, told)


def _downloaded(start: str) -> Weights:
    """The weights that timm names, from the Hugging Face hub or its cache on this machine: the safetensors file alone."""
    name, timm = start.removeprefix("timm:"), foreign.imported_timm(start)
    import huggingface_hub
    from huggingface_hub import errors

    try:
        told = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError:
        told = None
    if told is None or not told.hf_hub_id:
        near = ", ".join(timm.list_pretrained(f"{name.partition('.')[0]}*")[:5])
        raise ConfigError(f"start {start!r}: timm {timm.__version__} knows no weights of this name{f'; it knows {near}' if near else ''}.")
    file = told.hf_hub_id, "model.safetensors"
    try:
        try:
            path = huggingface_hub.hf_hub_download(*file, local_files_only=True)
        except errors.LocalEntryNotFoundError:
            path = huggingface_hub.hf_hub_download(*file)
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"start {start!r}: model.safetensors of {told.hf_hub_id} cannot be downloaded ({said}). Where there is no network, copy the "
            f"file here and use: --start FILE.safetensors --backbone {start}"
        ) from error
    read = _read(Path(path))
    return Weights(start, read.tensors, {})


def _named(weights: Weights, own: dict[str, Registered]) -> str:
    """The architecture that the file itself names, if it is one that may be taken from a file."""
    spec = weights.told.get("architecture")
    if spec is None:
        raise ConfigError(
            f"start {weights.place!r} does not say of which architecture its weights are. Say it: --backbone timm:NAME, "
            "torchvision:NAME or package.module:function; or save the file with metadata {'architecture': 'timm:NAME'}."
        )
    if spec.partition(":")[0] not in LIBRARIES and spec not in own and spec not in architectures.ARCHITECTURES:
        raise ConfigError(
            f"start {weights.place!r} names architecture {spec!r}: a file may name torchvision:NAME, timm:NAME, a built-in or a registered "
            f"one. If it is yours: --backbone {spec}"
        )
    return spec


def _built(spec: str, weights: Weights, own: dict[str, Registered]) -> tuple[nn.Module, dict, str | None]:
    """The network without its head, first weights whatever they are, how images are shown to it, and whose code it is."""
    kind, _, name = spec.partition(":")
    if kind == "timm":
        return _built_timm(spec, name, weights)
    origin = architectures.origin_of(spec, own)
    asked = _shown_torchvision(name) if kind == "torchvision" else _shown(32 if origin.ours else 224)
    asked = _overridden(asked, weights)
    if kind == "torchvision" and asked["channels"] == 1:
        raise ConfigError(f"{spec}: expected weights for colour images.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            network = origin.build(2, asked["channels"], (asked["height"], asked["width"]))
        except foreign.MISFIT as error:
            raise ConfigError(f"{spec} cannot be built: {error}") from error
    traits = tried(network, spec, 2, (asked["channels"], asked["height"], asked["width"]))
    if traits.head is None:
        raise ConfigError(f"{spec}: no one linear layer makes its logits, so there are no features before it. Choose another backbone.")
    parent, _, child = traits.head.rpartition(".")
    setattr(network.get_submodule(parent), child, _Nothing())
    return network, asked, origin.package


class _Nothing(nn.Identity):
    """In the place of the head: what it was given."""


def _built_timm(spec: str, name: str, weights: Weights) -> tuple[nn.Module, dict, str | None]:
    timm = foreign.imported_timm(spec)
    if not timm.is_model(name.partition(".")[0]):
        raise ConfigError(f"backbone {spec!r}: expected a model of timm {timm.__version__}. See timm.list_models().")
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0)
        first = network.pretrained_cfg.get("first_conv")
        stem = weights.tensors.get(f"{first}.weight") if isinstance(first, str) else None
        if stem is not None and stem.shape[1] != 3:
            network = timm.create_model(name, pretrained=False, num_classes=0, in_chans=stem.shape[1])
    except foreign.MISFIT as error:
        raise ConfigError(f"backbone {spec!r} cannot be built: {error}") from error
    told = timm.data.resolve_data_config({}, model=network)
    channels, height, width = told["input_size"]
    resize = 0 if told["crop_mode"] == "squash" else round(min(height, width) / told["crop_pct"])
    asked = {"channels": channels, "height": height, "width": width, "resize": resize, "interpolation": told["interpolation"]}
    if channels == 1:
        told |= {name: (sum(told[name]) / len(told[name]),) for name in ("mean", "std")}
    asked |= {"mean": tuple(told["mean"]), "std": tuple(told["std"])}
    return network, _overridden(asked, weights), foreign.origin(f"timm:{name.partition('.')[0]}", None).package


def _shown(size: int) -> dict:
    mean, std = IMAGENET
    return {"channels": 3, "height": size, "width": size, "resize": size, "interpolation": "bilinear", "mean": mean, "std": std}


def _shown_torchvision(name: str) -> dict:
    from torchvision import models

    shown = models.get_model_weights(name).DEFAULT.transforms()
    size = shown.crop_size[0]
    return _shown(size) | {
        "resize": shown.resize_size[0], "interpolation": shown.interpolation.value, "mean": tuple(shown.mean), "std": tuple(shown.std)
    }  # fmt: skip


def _overridden(asked: dict, weights: Weights) -> dict:
    """How images are shown, where the file's metadata says it otherwise: input_size "96", mean and std as JSON lists."""
    told = weights.told
    try:
        if "input_size" in told:
            size = int(told["input_size"])
            if not 8 <= size <= 2048:
                raise ValueError(f"input_size {size} is not from 8 to 2048")
            asked = asked | {"height": size, "width": size, "resize": size}
        for field in ("mean", "std"):
            if field in told:
                values = tuple(float(value) for value in json.loads(told[field]))
                asked = asked | {field: values, "channels": len(values)}
        if len(asked["mean"]) != len(asked["std"]) or asked["channels"] not in (1, 3) or min(asked["std"]) <= 0:
            raise ValueError(f"mean {asked['mean']} and std {asked['std']} are not one or three positive numbers each")
    except (ValueError, TypeError) as error:
        raise InputError(f"start {weights.place!r}: its metadata ({_OVERRIDES}) cannot be used: {error}.") from error
    return asked


@torch.no_grad()
def _loaded(network: nn.Module, weights: Weights, spec: str) -> str:
    """Puts the weights into the network, those of a head aside; the sha256 of what was used."""
    expected = network.state_dict()
    missing = [name for name in expected if name not in weights.tensors and not name.endswith("num_batches_tracked")]
    wrong = [name for name, tensor in expected.items() if name in weights.tensors and weights.tensors[name].shape != tensor.shape]
    if missing or wrong:
        told = [f"{len(missing)} tensors are missing, the first {missing[0]}"] if missing else []
        told += [f"{len(wrong)} have another shape, the first {wrong[0]}: {tuple(weights.tensors[wrong[0]].shape)}"] if wrong else []
        raise InputError(
            f"start {weights.place!r} does not hold the weights of {spec}: {'; '.join(told)}. Name the right one with --backbone."
        )
    digest = hashlib.sha256()
    for name in sorted(set(expected) & set(weights.tensors)):
        tensor = weights.tensors[name]
        expected[name].copy_(tensor)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def _dimension(network: nn.Module, spec: str, asked: dict) -> int:
    try:
        made = network.eval()(torch.zeros(1, asked["channels"], asked["height"], asked["width"]))
    except foreign.MISFIT as error:
        raise ConfigError(f"backbone {spec} cannot take images of {asked['height']} x {asked['width']}: {error}") from error
    if not isinstance(made, torch.Tensor) or made.dim() != 2:
        got = f"{tuple(made.shape)}" if isinstance(made, torch.Tensor) else type(made).__name__
        raise ConfigError(f"backbone {spec}: expected features of shape (1, d), got {got}. Choose another backbone.")
    return made.shape[1]
