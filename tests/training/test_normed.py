"""Batch norm, an addition and ReLU as one step: outputs, gradients and running statistics of float64."""

import contextlib
import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from learnability.training import normed
from learnability.training.architectures import Layers, build
from learnability.training.normed import Activated, activated, gains
from learnability.training.products import MatrixProducts


def numbers(norm, images, shortcut, step):
    """Output, gradients of images, weight, bias and shortcut, then the running statistics."""
    tensors = [None if one is None else one.detach().clone().requires_grad_() for one in (images, shortcut)]
    norm.zero_grad()
    out = step(norm, *tensors)
    (out * torch.arange(out.numel()).view(out.shape).to(out.dtype).sin()).sum().backward()
    gradients = [one.grad for one in (*tensors, norm.weight, norm.bias) if one is not None]
    return [out.detach(), *gradients, norm.running_mean.clone(), norm.running_var.clone()]


def ours(norm, images, shortcut):
    with MatrixProducts():
        out = activated(norm, images, shortcut)
    assert type(out.grad_fn).__name__ == "ActivatedBackward"
    return out


def made(shape, added, offset=0.0, dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(shape[1]).to(dtype)
    with torch.no_grad():
        for one in (norm.weight, norm.bias, norm.running_mean):
            one.copy_(torch.randn(shape[1], generator=draw, dtype=torch.float64))
    images, shortcut = (torch.randn(shape, generator=draw, dtype=torch.float64) for _ in range(2))
    images, shortcut = ((one + offset).to(dtype).contiguous(memory_format=torch.channels_last) for one in (images, shortcut))
    return norm, images, shortcut if added else None


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.sampled_from([16, 48, 512]), st.integers(2, 9), st.integers(4, 9)),
    added=st.booleans(),
    part=st.sampled_from([1, 1 << 13]),
    threads=st.integers(1, 3),
)
def test_all_numbers_are_those_of_float64(shape, added, part, threads):
    before = torch.get_num_threads()
    right = numbers(*made(shape, added), activated)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normed, "_PART", part)
        torch.set_num_threads(threads)
        try:
            found = numbers(*made(shape, added, dtype=torch.float32), ours)
        finally:
            torch.set_num_threads(before)
    for one, other in zip(found, right, strict=True):
        assert one.dtype == torch.float32 and one.shape == other.shape
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-5


@pytest.mark.parametrize("added", [True, False])
def test_numbers_far_from_zero_keep_their_variance(added):
    """The square of a mean of 1,000 has no digits left for a variance of 1 in float32."""
    shape = (16, 32, 16, 16)
    right = numbers(*made(shape, added, offset=1000.0), activated)
    found = numbers(*made(shape, added, offset=1000.0, dtype=torch.float32), ours)
    theirs = numbers(*made(shape, added, offset=1000.0, dtype=torch.float32), activated)
    for ours_, theirs_, exact in zip(found, theirs, right, strict=True):
        assert (ours_ - exact).norm() <= 2 * (theirs_ - exact).norm() + 1e-6 * exact.norm()


def test_one_pixel_far_from_all_others_leaves_the_variance_right():
    images = torch.full((32, 16, 32, 32), 1000.1).contiguous(memory_format=torch.channels_last)
    images[0, :, 0, 0] = 0.0
    norm = nn.BatchNorm2d(16, momentum=1.0)
    ours(norm, images.requires_grad_(), None)
    exact = images.detach().double().var((0, 2, 3))
    assert (norm.running_var / exact - 1).abs().max() < 0.01, "from one origin for all it was 9 % off"


def test_the_same_numbers_come_of_any_number_of_threads():
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(numbers(*made((8, 32, 16, 16), True, dtype=torch.float32), ours))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_what_is_not_a_number_stays_so():
    norm, images, _ = made((2, 16, 4, 4), False, dtype=torch.float32)
    images[0, 3, 1, 1] = torch.nan
    out = Activated.apply(images, None, norm.weight, norm.bias, norm)
    assert out[:, 3].isnan().all() and not out[:, 4:].isnan().any()
    assert norm.running_mean[3].isnan() and norm.num_batches_tracked == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda norm, images: (norm.eval(), images),
        lambda norm, images: (nn.BatchNorm2d(32, affine=False), images),
        lambda norm, images: (nn.BatchNorm2d(32, track_running_stats=False), images),
        lambda norm, images: (nn.BatchNorm2d(32, momentum=None), images),
        lambda norm, images: (norm, images.contiguous()),
        lambda norm, images: (norm.double(), images.double()),
        lambda norm, images: (nn.BatchNorm2d(24), images[:, :24].contiguous(memory_format=torch.channels_last)),
        lambda norm, images: (norm, images[:0]),
        lambda norm, images: (norm, images, images[:1]),
        lambda norm, images: (nn.BatchNorm2d(16), images),
        lambda norm, images: (norm.double(), images),
        lambda norm, images: (nn.Identity(), images),
        lambda norm, images: (norm.register_forward_hook(lambda *given: None) and norm, images),
        lambda norm, images: (norm.register_full_backward_hook(lambda *given: None) and norm, images),
        lambda norm, images: (type("Other", (nn.BatchNorm2d,), {})(32), images),
        lambda norm, images: (norm.to("meta"), images.to("meta")),
        lambda norm, images: (norm, images[:1, :, :1, :1].contiguous(memory_format=torch.channels_last)),
    ],
)
def test_anything_else_is_left_to_pytorch(change):
    norm, images = nn.BatchNorm2d(32), torch.randn(2, 32, 4, 4).contiguous(memory_format=torch.channels_last)
    assert gains(norm, images) and gains(norm, images, images) and not gains(norm, images, images.contiguous())
    assert not gains(*change(norm, images))


def test_batches_need_not_be_counted():
    norm, images, _ = made((2, 16, 4, 4), False, dtype=torch.float32)
    norm.num_batches_tracked = None
    assert torch.allclose(ours(norm, images, None), activated(copy.deepcopy(norm), images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("added", [True, False])
def test_an_expanded_gradient_counts_twice_in_two_backward_passes(added):
    """The shortcut may be what batch norm gets, and the gradient one number in memory."""
    found = []
    for step in (ours, activated):
        norm, images, _ = made((2, 16, 4, 4), False, dtype=torch.float32)
        images.requires_grad_()
        out = step(norm, images, images if added else None).sum()
        out.backward(retain_graph=True)
        out.backward()
        found.append((images.grad, norm.weight.grad, norm.bias.grad))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("frozen", ["images", "shortcut", "weight"])
def test_what_is_frozen_gets_no_gradient(frozen):
    found = []
    for step in (ours, activated):
        norm, images, shortcut = made((2, 16, 4, 4), True, dtype=torch.float32)
        tensors = {"images": images, "shortcut": shortcut, "weight": norm.weight, "bias": norm.bias}
        for name, one in tensors.items():
            one.requires_grad_(name != frozen)
        step(norm, images, shortcut).sin().sum().backward()
        found.append({name: one.grad for name, one in tensors.items()})
    assert found[0].pop(frozen) is found[1].pop(frozen) is None
    assert all(torch.allclose(one, found[1][name], rtol=1e-4, atol=1e-4) for name, one in found[0].items())


def test_the_gradient_of_a_gradient_is_an_error_and_not_a_wrong_number():
    norm, images, _ = made((2, 16, 4, 4), False, dtype=torch.float32)
    [gradient] = torch.autograd.grad(ours(norm, images.requires_grad_(), None).square().sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


def test_another_default_type_of_numbers_changes_nothing():
    found = [numbers(*made((2, 16, 4, 4), True, dtype=torch.float32), ours)]
    torch.set_default_dtype(torch.float64)
    try:
        found.append(numbers(*made((2, 16, 4, 4), True, dtype=torch.float32), ours))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("mode", [MatrixProducts, contextlib.nullcontext])
@pytest.mark.parametrize("hooks", [(), (1,), (2,), (1, 2), (3,)], ids=str)
def test_layers_in_one_step_are_those_one_after_the_other(mode, hooks):
    """Of any order, and each with the calls that its hooks wait for."""
    layers = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU(), nn.BatchNorm2d(16)]
    layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    images, calls = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last), []
    expected = copy.deepcopy(layers)(images)
    for number in hooks:
        layers[number].register_forward_hook(lambda _module, _given, made, number=number: calls.append((number, made.min() < 0)))
    with mode():
        found = Layers(*layers)(images)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert calls == [(number, number == 1) for number in hooks]


@pytest.mark.parametrize("arch", ["resnet20", "vgg16", "mobilenet"])
def test_every_batch_norm_of_our_networks_is_made_so(arch, monkeypatch):
    network = build(arch, 10, 3, seed=0).to(memory_format=torch.channels_last).train()
    images = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    other, calls = copy.deepcopy(network), []
    monkeypatch.setattr(normed, "gains", lambda *given, asked=normed.gains: calls.append(asked(*given)) or calls[-1])
    with MatrixProducts():
        found = network(images)
    assert len(calls) == sum(isinstance(one, nn.BatchNorm2d) for one in network.modules()) and all(calls)
    assert torch.allclose(found, other(images), rtol=1e-3, atol=1e-3)
    for (name, one), (_, theirs) in zip(network.named_buffers(), other.named_buffers(), strict=True):
        assert torch.allclose(one, theirs, rtol=1e-3, atol=1e-4), name
