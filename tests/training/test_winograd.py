"""Winograd's algorithm: convolutions of every size, against those of float64."""

import contextlib

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from learnability.training import winograd
from learnability.training.products import MatrixProducts
from learnability.training.winograd import Winograd, gains


def numbers(images, weight, bias, convolution):
    """Output and gradients of images, weight, bias."""
    tensors = [tensor.detach().clone().requires_grad_() for tensor in (images, weight, bias)]
    out = convolution(*tensors)
    (out * torch.arange(out.numel()).view(out.shape).to(out.dtype).sin()).sum().backward()
    return [out.detach(), *(tensor.grad for tensor in tensors)]


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    padding=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 6)),
    block=st.sampled_from([1, 1 << 24]),
    kept=st.sampled_from([0, 1 << 27]),
    seed=st.integers(0, 9),
)
@example((2, 2), (1, 1), (3, 5, 4), 1, 1 << 27, 0).via("an image is one tile")
@example((4, 4), (1, 1), (3, 5, 4), 1, 0, 0).via("an image is one tile")
def test_outputs_and_gradients_are_those_of_float64(size, padding, shape, block, kept, seed):
    (B, C, filters), draw = shape, torch.Generator().manual_seed(seed)
    given = [torch.randn(size, generator=draw, dtype=torch.float64) for size in ((B, C, *size), (filters, C, 3, 3), (filters,))]
    right = numbers(*given, lambda *tensors: torch.conv2d(*tensors, padding=padding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_BLOCK", block)
        patch.setattr(winograd, "_KEPT", kept)
        found = numbers(*(tensor.float() for tensor in given), lambda *tensors: Winograd.apply(*tensors, padding))
    for ours, theirs in zip(found, right, strict=True):
        assert ours.dtype == torch.float32 and ours.shape == theirs.shape
        assert (ours - theirs).norm() <= 2e-5 * theirs.norm() + 1e-5


@pytest.mark.parametrize("width", [64, 256])
def test_it_is_as_exact_as_the_module_says(width):
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(8, width, 8, 8, generator=draw, dtype=torch.float64).relu()
    weight = torch.randn(width, width, 3, 3, generator=draw, dtype=torch.float64) * (2 / (9 * width)) ** 0.5
    right = numbers(images, weight, torch.zeros(width, dtype=torch.float64), lambda *tensors: torch.conv2d(*tensors, padding=1))
    ours = numbers(images.float(), weight.float(), torch.zeros(width), lambda *tensors: Winograd.apply(*tensors, (1, 1)))
    distances = [float((a - b).norm() / b.norm()) for a, b in zip(ours, right, strict=True)]
    assert max(distances) < 5e-6, distances


def test_what_lies_in_memory_as_channels_last_stays_so():
    images = torch.randn(2, 64, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(64, 64, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = Winograd.apply(images, weight, None, (1, 1))
    found = [out, *torch.autograd.grad(out.sin().sum(), (images, weight))]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in found)


def test_what_follows_may_work_in_place():
    network = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(64, 64, 3, padding=1)).train()
    images, found = torch.randn(2, 64, 8, 8), []
    for mode in (MatrixProducts(), contextlib.nullcontext()):
        network.zero_grad()
        with mode:
            out = network(images)
        out.sin().sum().backward()
        found.append([out.detach(), *(parameter.grad for parameter in network.parameters())])
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(*found, strict=True))


def test_only_what_is_asked_for_is_made(monkeypatch):
    images, weight, made = torch.randn(2, 4, 8, 8), torch.randn(4, 4, 3, 3), []
    for name in ("_tiles", "_summed"):
        monkeypatch.setattr(winograd, name, lambda *given, name=name, work=getattr(winograd, name): made.append(name) or work(*given))
    for images_too, kept, expected in (
        (True, 1 << 27, ["_tiles", "_summed"]), (False, 1 << 27, ["_tiles"]), (False, 0, ["_tiles", "_tiles"]),
    ):  # fmt: skip
        made.clear()
        monkeypatch.setattr(winograd, "_KEPT", kept)
        tensors = images.clone().requires_grad_(images_too), weight.clone().requires_grad_(not images_too)
        Winograd.apply(*tensors, None, (1, 1)).sum().backward()
        assert made == expected, "tiles of the forward pass first"
        assert [tensor.grad is not None for tensor in tensors] == [images_too, not images_too]


@pytest.mark.parametrize(
    ("width", "out", "size", "gain"),
    [
        (64, 64, 32, True),
        (64, 64, 13, False),  # four tiles across make sixteen
        (512, 512, 7, True),
        (512, 512, 2, True),
        (512, 512, 1, False),
        (32, 64, 32, False),
    ],
)
def test_it_is_taken_where_multiplications_are_saved(width, out, size, gain):
    images, weight = torch.empty(1, width, size, size), torch.empty(out, width, 3, 3)
    assert gains(images, weight, (1, 1), (1, 1), 1) == gain
    assert not gains(images, weight, (2, 2), (1, 1), 1)
    assert not gains(images[:0], weight, (1, 1), (1, 1), 1)
    assert not gains(images.bfloat16(), weight.bfloat16(), (1, 1), (1, 1), 1)
    assert not gains(images, torch.empty(out, width, 5, 5), (1, 1), (1, 1), 1)
    assert not gains(images, torch.empty(out, width // 2, 3, 3), (1, 1), (1, 1), 2)


def test_an_image_smaller_than_the_kernel_is_left_to_pytorch():
    assert not gains(torch.empty(1, 64, 2, 9), torch.empty(64, 64, 3, 3), (1, 1), (0, 0), 1)


def test_nothing_is_kept_where_no_backward_pass_comes(monkeypatch):
    layer, images, saved, asked = nn.Conv2d(64, 64, 3, padding=1), torch.randn(2, 64, 8, 8), [], []
    monkeypatch.setattr(winograd.Grid, "bytes", lambda _grid, *given: asked.append(given) or 0)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor.shape), lambda kept: kept), MatrixProducts():
        with torch.no_grad():
            layer(images)
        assert not saved and not asked, "nor is anything made to be kept"
        layer(images)
        assert asked
    assert (64, 36, 64) in saved and (36, 8, 64) in saved, "filters, and the tiles of both images"
