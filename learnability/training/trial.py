"""What one small batch tells of a network that is not ours: whether it gives logits, which layer makes them, what it draws."""

import copy
import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

from learnability.errors import ConfigError
from learnability.training.foreign import MISFIT

_BATCH = 2


@dataclasses.dataclass(frozen=True)
class Traits:
    """How a network can be run."""

    head: str | None = "head"  # the linear layer that makes the logits; None: no one layer does, so bfloat16 would round them
    draws: bool = False  # its train mode draws random numbers (dropout), so two ways cannot be compared number by number
    layout: str = "channels_last"  # the layout its images come in where none is timed
    whole: bool = True  # every parameter gets a gradient at every update
    ours: bool = True


def tried(network: nn.Module, arch: str, class_count: int, shape: tuple[int, int, int]) -> Traits:
    """Runs copies of `network` on two images of `shape` (C, H, W), in eval and in train mode, forward and backward.

    ConfigError says what was expected, what came and what to do. Neither the network nor the global random state changes.
    """
    images = torch.randn(_BATCH, *shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        head = _head(copy.deepcopy(network).eval(), images, arch, class_count)
        one, two = (_logits(copy.deepcopy(network).train(), images, arch, class_count, "train") for _ in range(2))
        layout, whole = _layout(network, images, arch)
    draws = not torch.equal(one, two)
    return Traits(head, draws, layout, whole and not draws, ours=False)


@torch.no_grad()
def _head(network: nn.Module, images: torch.Tensor, arch: str, class_count: int) -> str | None:
    """The name of the last linear layer whose output is the logits."""
    made: dict[str, torch.Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and module.out_features == class_count and name:
            module.register_forward_hook(lambda _module, _inputs, output, name=name: made.update({name: output}))
    logits = _logits(network, images, arch, class_count, "eval")
    return next((name for name in reversed(made) if torch.equal(made[name], logits)), None)


def _logits(network: nn.Module, images: torch.Tensor, arch: str, class_count: int, mode: str) -> torch.Tensor:
    expected = f"logits of shape ({_BATCH}, {class_count}) for images of shape {tuple(images.shape)}"
    try:
        logits = network(images)
    except MISFIT as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"architecture {arch!r} in {mode} mode: expected {expected}, got {type(error).__name__}: {said}. Prepare the images at "
            "another --size, or choose another architecture."
        ) from error
    if not isinstance(logits, torch.Tensor):
        raise ConfigError(
            f"architecture {arch!r} in {mode} mode: expected {expected}, got a {type(logits).__name__}. Register a function whose network "
            "returns the logits alone."
        )
    if tuple(logits.shape) != (_BATCH, class_count) or not logits.is_floating_point():
        raise ConfigError(
            f"architecture {arch!r} in {mode} mode: expected {expected}, got {tuple(logits.shape)} of {logits.dtype}. Let its last layer "
            "have num_classes outputs."
        )
    if not torch.isfinite(logits).all():
        raise ConfigError(f"architecture {arch!r} in {mode} mode: expected finite logits, got NaN or infinity. Check its first weights.")
    return logits


def _layout(network: nn.Module, images: torch.Tensor, arch: str) -> tuple[str, bool]:
    """channels_last where forward and backward work in it, else nchw; and whether every parameter got a gradient."""
    for layout, memory_format in (("channels_last", torch.channels_last), ("nchw", torch.contiguous_format)):
        own = copy.deepcopy(network).train().to(memory_format=memory_format)
        try:
            F.cross_entropy(own(images.contiguous(memory_format=memory_format)), torch.zeros(len(images), dtype=torch.int64)).backward()
            return layout, all(parameter.grad is not None for parameter in own.parameters() if parameter.requires_grad)
        except MISFIT as error:
            failed = error
    raise ConfigError(f"architecture {arch!r}: expected a network that can be trained, got {type(failed).__name__}: {failed}") from failed
