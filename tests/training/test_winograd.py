"""Winograd's algorithm: convolutions of every size, against those of float64."""

import contextlib
import itertools

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import nn

from learnability.training import winograd
from learnability.training import winograd_kernels as kernels
from learnability.training.products import MatrixProducts
from learnability.training.winograd import Winograd, gains

SIDES = st.integers(1, 11)


def numbers(images, weight, bias, convolution):
    """Output and gradients of images, weight, bias."""
    tensors = [tensor.detach().clone().requires_grad_() for tensor in (images, weight, bias)]
    out = convolution(*tensors)
    (out * torch.arange(out.numel()).view(out.shape).to(out.dtype).sin()).sum().backward()
    return [out.detach(), *(tensor.grad for tensor in tensors)]


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(SIDES, SIDES),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)).filter(sum),
    shape=st.tuples(st.integers(1, 5), st.sampled_from([16, 32, 48]), st.sampled_from([16, 32, 64])),
    cache=st.sampled_from([1, 1 << 18]),
    by_filters=st.booleans(),
    threads=st.integers(1, 3),
    seed=st.integers(0, 9),
)
@example((2, 2), (1, 1), (3, 32, 48), 1, False, 2, 0).via("an image is one tile")
@example((2, 2), (1, 1), (3, 32, 48), 1, True, 2, 0).via("an image is one tile, threads share filters")
@example((8, 8), (1, 1), (3, 16, 32), 1, False, 2, 0).via("tiles end where the image ends")
@example((8, 8), (1, 1), (3, 16, 32), 1, True, 3, 0).via("fewer blocks of filters than threads")
@example((9, 5), (1, 1), (3, 16, 32), 1, False, 2, 0).via("tiles hang over")
def test_outputs_and_gradients_are_those_of_float64(size, padding, shape, cache, by_filters, threads, seed):
    (B, C, filters), draw = shape, torch.Generator().manual_seed(seed)
    assume(min(length + 2 * around for length, around in zip(size, padding, strict=True)) >= 3)
    given = [torch.randn(size, generator=draw, dtype=torch.float64) for size in ((B, C, *size), (filters, C, 3, 3), (filters,))]
    right = numbers(*given, lambda *tensors: torch.conv2d(*tensors, padding=padding))
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_CACHE", cache)
        patch.setattr(winograd, "_LARGE", cache)
        patch.setattr(winograd, "_FILTERS", 0 if by_filters else 1 << 40)
        torch.set_num_threads(threads)
        try:
            found = numbers(*(tensor.float() for tensor in given), lambda *tensors: Winograd.apply(*tensors, padding))
        finally:
            torch.set_num_threads(before)
    for ours, theirs in zip(found, right, strict=True):
        assert ours.dtype == torch.float32 and ours.shape == theirs.shape
        assert (ours - theirs).norm() <= 2e-5 * theirs.norm() + 1e-5


@pytest.mark.parametrize(("width", "size"), [(16, 32), (64, 8), (256, 8), (512, 4), (512, 2)])
def test_it_is_as_exact_as_the_module_says(width, size):
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(8, width, size, size, generator=draw, dtype=torch.float64).relu()
    weight = torch.randn(width, width, 3, 3, generator=draw, dtype=torch.float64) * (2 / (9 * width)) ** 0.5
    right = numbers(images, weight, torch.zeros(width, dtype=torch.float64), lambda *tensors: torch.conv2d(*tensors, padding=1))
    ours = numbers(images.float(), weight.float(), torch.zeros(width), lambda *tensors: Winograd.apply(*tensors, (1, 1)))
    distances = [float((a - b).norm() / b.norm()) for a, b in zip(ours[:3], right[:3], strict=True)]  # the bias gets a plain sum
    assert max(distances) < 1e-5, distances


def test_the_same_numbers_come_again():
    images, weight = torch.randn(7, 32, 9, 9), torch.randn(16, 32, 3, 3)
    first, second = (numbers(images, weight, torch.randn(16) * 0, lambda *tensors: Winograd.apply(*tensors, (1, 1))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_is_not_a_number_stays_so():
    images = torch.zeros(2, 16, 8, 8)
    images[1, 3, 5, 5] = torch.nan
    out = Winograd.apply(images, torch.ones(16, 16, 3, 3), None, (1, 1))
    assert out[1, :, 4:7, 4:7].isnan().all() and not out[0].isnan().any()


def test_weights_may_lie_in_memory_as_they_like():
    images, weight = torch.randn(2, 16, 8, 8), torch.randn(32, 16, 3, 3)
    found = [
        numbers(one, other, torch.zeros(32), lambda *tensors: Winograd.apply(*tensors, (1, 1)))
        for one, other in ((images, weight), (images.to(memory_format=torch.channels_last), weight.to(memory_format=torch.channels_last)))
    ]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


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
    images, weight, made = torch.randn(2, 16, 8, 8), torch.randn(16, 16, 3, 3), []
    for name in ("_convolved", "_weight_gradient"):
        monkeypatch.setattr(winograd, name, lambda *a, name=name, work=getattr(winograd, name), **k: made.append(name) or work(*a, **k))
    for images_too, expected in ((True, ["_convolved", "_convolved"]), (False, ["_convolved", "_weight_gradient"])):
        made.clear()
        tensors = images.clone().requires_grad_(images_too), weight.clone().requires_grad_(not images_too)
        Winograd.apply(*tensors, None, (1, 1)).sum().backward()
        assert made == expected
        assert [tensor.grad is not None for tensor in tensors] == [images_too, not images_too]


@pytest.mark.parametrize(
    ("width", "out", "size", "gain"),
    [
        (64, 64, 32, True),
        (16, 16, 32, True),
        (64, 64, 13, True),
        (64, 64, 5, False),  # four tiles of 16 outputs for 25
        (512, 512, 7, True),
        (512, 512, 2, True),
        (512, 512, 1, False),
        (24, 64, 32, False),
        (3, 64, 32, False),
    ],
)
def test_it_is_taken_where_multiplications_are_saved(width, out, size, gain):
    images, weight = torch.empty(1, width, size, size), torch.empty(out, width, 3, 3)
    assert gains(images, weight, (1, 1), (1, 1), 1) == gain
    assert not gains(images, weight, (2, 2), (1, 1), 1)
    assert not gains(images, weight, (1, 1), (3, 1), 1)
    assert not gains(images[:0], weight, (1, 1), (1, 1), 1)
    assert not gains(images.bfloat16(), weight.bfloat16(), (1, 1), (1, 1), 1)
    assert not gains(images, torch.empty(out, width, 5, 5), (1, 1), (1, 1), 1)
    assert not gains(images, torch.empty(out, width // 2, 3, 3), (1, 1), (1, 1), 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda images, weight, bias: (images[:, :16], weight, bias),
        lambda images, weight, bias: (images, weight.double(), bias),
        lambda images, weight, bias: (images, weight, bias[:16]),
        lambda images, weight, bias: (images, weight, bias.double()),
        lambda images, weight, bias: (images, weight, bias, (1, 1), (-1, 1)),
    ],
)
def test_what_pytorch_refuses_it_refuses_too(change):
    images, weight, bias = torch.randn(2, 32, 8, 8), torch.randn(32, 32, 3, 3), torch.randn(32)
    images, weight, *how = change(images, weight.requires_grad_(), bias)
    with MatrixProducts(), pytest.raises(RuntimeError):
        torch.conv2d(images, weight, *how)


@pytest.fixture
def wide(monkeypatch):
    """Code as it is made for a processor with 32 registers."""
    makers = kernels.of_filters, kernels.to_filters, kernels.convolution, kernels.gradient
    for name, number in (("SUMS", 12), ("_GRADIENTS", 8)):
        monkeypatch.setattr(kernels, name, number)
    for maker in makers:
        maker.cache_clear()
    yield
    for maker in makers:
        maker.cache_clear()


@pytest.mark.parametrize(("size", "by_filters"), [((9, 5), False), ((8, 8), True)])
def test_a_processor_with_more_registers_comes_to_the_same_numbers(wide, monkeypatch, size, by_filters):
    monkeypatch.setattr(winograd, "_FILTERS", 0 if by_filters else 1 << 40)
    monkeypatch.setattr(winograd, "_LARGE" if by_filters else "_CACHE", 1)
    images, weight, bias = torch.randn(30, 16, *size), torch.randn(32, 16, 3, 3), torch.randn(32)
    right = numbers(images.double(), weight.double(), bias.double(), lambda *tensors: torch.conv2d(*tensors, padding=1))
    found = numbers(images, weight, bias, lambda *tensors: Winograd.apply(*tensors, (1, 1)))
    assert all((a - b).norm() <= 2e-5 * b.norm() for a, b in zip(found, right, strict=True))


def test_space_is_for_as_many_threads_as_take_part(monkeypatch):
    """Without OpenMP the number of threads is one for the process, and may be set by others at any time."""
    images, weight, bias = torch.randn(30, 16, 9, 5), torch.randn(32, 16, 3, 3), torch.randn(32)
    right = numbers(images.double(), weight.double(), bias.double(), lambda *tensors: torch.conv2d(*tensors, padding=1))
    more = itertools.count(1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: next(more))
    found = numbers(images, weight, bias, lambda *tensors: Winograd.apply(*tensors, (1, 1)))
    assert all((a - b).norm() <= 2e-5 * b.norm() for a, b in zip(found, right, strict=True))


def test_the_gradient_of_a_gradient_is_an_error_and_not_a_wrong_number():
    images, weight = torch.randn(2, 16, 8, 8, requires_grad=True), torch.randn(16, 16, 3, 3, requires_grad=True)
    [gradient] = torch.autograd.grad(Winograd.apply(images, weight, None, (1, 1)).square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


def test_another_default_type_of_numbers_changes_nothing():
    images, weight, bias = torch.randn(2, 16, 8, 8), torch.randn(32, 16, 3, 3), torch.randn(1)
    expected = numbers(images, weight, bias.expand(32).clone(), lambda *tensors: Winograd.apply(*tensors, (1, 1)))
    torch.set_default_dtype(torch.float64)
    try:
        found = numbers(images, weight, bias.expand(32), lambda *tensors: Winograd.apply(*tensors, (1, 1)))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True)), "nor does a bias that is one number"


def test_an_image_smaller_than_the_kernel_is_left_to_pytorch():
    assert not gains(torch.empty(1, 64, 2, 9), torch.empty(64, 64, 3, 3), (1, 1), (0, 0), 1)


def test_nothing_is_kept_where_no_backward_pass_comes():
    layer, images, saved = nn.Conv2d(64, 64, 3, padding=1), torch.randn(2, 64, 8, 8), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor.shape), lambda kept: kept), MatrixProducts():
        with torch.no_grad():
            layer(images)
        assert not saved
        layer(images)
    assert saved == [images.shape, layer.weight.shape], "and tiles are made anew"
