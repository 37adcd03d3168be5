"""Convolutions rounded at once are those of autocast, bit for bit; the twin of what runs on CUDA."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from learnability.training.architectures import build
from learnability.training.bfloat16 import Rounded


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    return images.contiguous(memory_format=torch.channels_last), torch.arange(3) % 4


def by_autocast(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return network(images).float()


@pytest.mark.parametrize("arch", ["resnet20", pytest.param("vgg16", marks=pytest.mark.soak)])
def test_logits_gradients_and_statistics_are_those_of_autocast(one_thread, arch):
    network = build(arch, 4, 3, 0).to(memory_format=torch.channels_last).train()
    other = copy.deepcopy(network)
    rounded, biases = Rounded(network), 0
    for seed in range(2):
        images, labels = batch(seed)
        mine, theirs = rounded(images), by_autocast(other, images)
        assert torch.equal(mine, theirs) and mine.dtype == torch.float32
        for logits in (mine, theirs):
            F.cross_entropy(logits, labels).backward()
    for (name, one), two in zip(network.named_parameters(), other.parameters(), strict=True):
        assert one.grad.dtype == torch.float32 and one.grad.stride() == one.stride()
        if name.startswith("body") and name.endswith("bias") and arch == "vgg16" and one.grad.count_nonzero() == 0:
            biases += 1  # of convolutions: what autocast makes of them is rounding error beside the weights' gradients
            weight = other.get_parameter(name.replace("bias", "weight"))
            assert two.grad.abs().max() < 0.05 * weight.grad.abs().max()
        else:
            assert torch.equal(one.grad, two.grad), name
    assert biases == (13 if arch == "vgg16" else 0)
    for name, kept in network.state_dict().items():
        assert torch.equal(kept, other.state_dict()[name]), name  # running statistics and their counters


def test_it_follows_the_mode_of_the_network_and_hooks_of_its_head(one_thread):
    network = build("resnet20", 4, 3, 0).to(memory_format=torch.channels_last).train()
    rounded, seen = Rounded(network), []
    network.head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    network.eval()
    before = {name: kept.clone() for name, kept in network.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(rounded(batch(0)[0]), by_autocast(network, batch(0)[0]))
    assert len(seen) == 2 and torch.equal(*seen)
    assert all(torch.equal(kept, before[name]) for name, kept in network.state_dict().items())


@pytest.mark.soak
def test_compiled_it_comes_close(one_thread):
    network = build("resnet20", 4, 3, 0).to(memory_format=torch.channels_last).train()
    rounded, (images, _) = Rounded(network, compiled=True), batch(0)
    eager, compiled = rounded(images), rounded(images, compiled=True)
    assert torch.corrcoef(torch.stack((eager.flatten(), compiled.flatten())).detach())[0, 1] > 0.999
    F.cross_entropy(compiled, batch(0)[1]).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
