"""Convolutions as matrix products: outputs and gradients of float64, and a training that resumes with them."""

import contextlib
import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from learnability.recording import SIGNALS
from learnability.store.runs import load_recording
from learnability.training import gradients, session, train
from learnability.training.gradients import weight_gradient
from learnability.training.products import MatrixProducts
from learnability.training.stopping import Stop
from learnability.training.ways import Forward, Way
from tests.training.toy import make_toy

# channels in and out, groups, kernel, stride, padding, H, W
SHAPES = [
    (64, 8, 1, (3, 3), (1, 1), (1, 1), 5, 7),
    (64, 5, 1, (3, 3), (2, 2), (1, 1), 7, 6),
    (65, 3, 1, (3, 2), (2, 1), (0, 1), 6, 5),
    (128, 16, 1, (1, 1), (1, 1), (0, 0), 4, 3),
    (64, 4, 1, (1, 1), (2, 2), (0, 0), 5, 5),
    (6, 6, 6, (3, 3), (1, 1), (1, 1), 2, 2),
    (6, 6, 6, (3, 3), (2, 2), (1, 1), 4, 3),
    (64, 64, 1, (3, 3), (1, 1), (1, 1), 8, 4),
    (96, 64, 1, (3, 3), (1, 1), (0, 0), 6, 10),
    (96, 65, 1, (3, 3), (1, 1), (0, 0), 6, 10),
    (16, 32, 1, (3, 3), (1, 1), (1, 1), 9, 4),
    (512, 512, 1, (3, 3), (1, 1), (1, 1), 2, 2),
]
KINDS = ("WeightProductsBackward", "WinogradBackward")


def kind_of(shape) -> str:
    """3 x 3 ones with a multiple of 16 channels in and out are made by Winograd's algorithm."""
    return KINDS[shape[2] == 1 and shape[0] % 16 == shape[1] % 16 == 0 and shape[3:5] == ((3, 3), (1, 1))]


def made(shape, dtype=torch.float32):
    inside, out, groups, kernel, stride, padding, H, W = shape
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(5, inside, H, W, generator=draw, dtype=torch.float64).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(out, inside // groups, *kernel, generator=draw, dtype=torch.float64).to(dtype)
    bias = torch.randn(out, generator=draw, dtype=torch.float64).to(dtype)
    return [images, weight, bias], (stride, padding, (1, 1), groups)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("columns", [1, 1 << 26], ids=["image by image", "all at once"])
def test_all_gradients_of_a_convolution_are_those_of_float64(monkeypatch, shape, biased, columns):
    monkeypatch.setattr(gradients, "_COLUMNS", columns)
    given, how = made(shape)
    exact, _ = made(shape, torch.float64)
    found = []
    for tensors, mode in ((given, MatrixProducts()), (exact, None)):
        tensors = [tensor.requires_grad_() for tensor in (tensors if biased else tensors[:2])]
        if mode is None:
            out = torch.conv2d(*tensors, *([] if biased else [None]), *how)
        else:
            with mode:
                out = F.conv2d(*tensors, *([] if biased else [None]), *how)
            assert type(out.grad_fn).__name__ == kind_of(shape)
        (out * torch.arange(out.numel(), dtype=out.dtype).view(out.shape).sin()).sum().backward()
        found.append([out.detach(), *(tensor.grad for tensor in tensors)])
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape and (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_under_autocast_they_are_as_near_to_float64_as_those_of_pytorch(monkeypatch, shape):
    monkeypatch.setattr(gradients, "_COLUMNS", 1)
    (exact, how), found = made(shape, torch.float64), []
    for mode in (MatrixProducts(), contextlib.nullcontext(), None):
        tensors = [tensor.to(torch.float32 if mode else torch.float64).detach().requires_grad_() for tensor in exact]
        with torch.autocast("cpu", torch.bfloat16, enabled=mode is not None), mode or contextlib.nullcontext():
            out = F.conv2d(*tensors, *how)
        assert out.dtype == (torch.bfloat16 if mode else torch.float64)
        (out.to(torch.float64) * torch.arange(out.numel()).view(out.shape).double().sin()).sum().backward()
        found.append(tensors[1].grad.double())
    ours, theirs, right = found
    assert (ours - right).norm() <= 1.2 * (theirs - right).norm() + 1e-3 * right.norm()


@pytest.mark.parametrize("how", [(1, 1), ((2,), (1,)), (2, 0, 1), (1, (1, 1), (1, 1), 1)], ids=str)
def test_one_number_stands_for_both_directions(how):
    (images, weight, _), _ = made(SHAPES[0])
    found = []
    for mode in (MatrixProducts(), contextlib.nullcontext()):
        weight = weight.detach().clone().requires_grad_()
        with mode:
            F.conv2d(images, weight, None, *how).sin().sum().backward()
        found.append(weight.grad)
    assert torch.allclose(*found, rtol=1e-4, atol=1e-4)


def test_the_gradient_lies_in_memory_as_channels_last_weights_do():
    (images, weight, _), (stride, padding, _, _) = made(SHAPES[0])
    upstream = torch.randn(5, 8, 5, 7)
    found = weight_gradient(images, upstream, weight.shape, stride, padding)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("images", "weight", "how"),
    [
        ((2, 32, 8, 8), (8, 32, 3, 3), ()),  # few channels
        ((2, 64, 8, 8), (8, 64, 3, 3), (None, 1, "same")),
        ((2, 64, 8, 8), (8, 64, 3, 3), (None, (1, 1), (1, 1), (2, 2))),  # dilated
        ((2, 64, 8, 8), (64, 32, 3, 3), (None, (1, 1), (1, 1), (1, 1), 2)),  # grouped, not depthwise
        ((2, 64, 8, 8), (64, 1, 3, 3), (None, (1, 1), (1, 1), (1, 1), 64)),  # depthwise with many pixels
        ((64, 8, 8), (8, 64, 3, 3), ()),  # one image
    ],
)
def test_other_convolutions_stay_as_they_are(images, weight, how):
    images, weight = torch.randn(images), torch.randn(weight).requires_grad_()
    with MatrixProducts():
        out = F.conv2d(images, weight, *how)
    assert type(out.grad_fn).__name__ not in KINDS
    assert torch.equal(out, F.conv2d(images, weight, *how))


def test_frozen_weights_and_keywords_stay_as_they_are_too():
    images, weight = torch.randn(2, 64, 4, 4), torch.randn(8, 64, 3, 3)
    with MatrixProducts():
        assert F.conv2d(images, weight).grad_fn is None
        out = F.conv2d(images, weight.requires_grad_(), stride=2)
    assert type(out.grad_fn).__name__.startswith("ConvolutionBackward")


def test_a_way_with_it_runs_a_network_whose_numbers_are_those_without(one_thread):
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.ReLU(True), nn.Conv2d(64, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).train()
    images, labels, found = torch.randn(8, 3, 8, 8), torch.arange(8) % 4, []
    for way in (Way("fp32", "channels_last"), Way("fp32", "channels_last", gemm=True)):
        network.zero_grad()
        logits = Forward(network, way, torch.device("cpu"), 8)(images)
        F.cross_entropy(logits, labels).backward()
        found.append([logits.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*found, strict=True))


def asking_after_an_epoch(stop: Stop):
    return lambda done, _total, **_more: stop.ask() if done >= 40 else None


@pytest.mark.parametrize("arch", ["resnet20", *(pytest.param(arch, marks=pytest.mark.soak) for arch in ("vgg16", "mobilenet"))])
def test_a_run_stopped_and_resumed_keeps_them_and_records_the_bytes_of_its_twin(tmp_path, monkeypatch, arch):
    chosen = [Way("fp32", "channels_last", gemm=True)]
    monkeypatch.setattr(session, "fastest_way", lambda *given, **more: chosen[0])
    recordings = []
    for name in ("stopped", "untouched"):
        toy, stop = make_toy(tmp_path / name, N=40, T=8), Stop()
        config = toy.config(arch=arch, precision="auto", epochs=3)
        if name == "stopped":
            head = train(config, toy.cache, "cpu", threads=1, stop=stop, progress=asking_after_an_epoch(stop))
            assert head.state == "stopped" and 1 <= head.looks < 3
            chosen = [Way("fp32", "nchw")]  # what a new trial would choose now
        assert train(config, toy.cache, "cpu", threads=1).state == "done"
        recordings.append(load_recording(toy.cache, toy.name, config.run_id, verify=True))
        assert json.loads((toy.cache.run_folder(toy.name, config.run_id) / "environment.json").read_text())["gemm"]
        chosen = [Way("fp32", "channels_last", gemm=True)]
    assert all(np.array_equal(recordings[0].signals[name], recordings[1].signals[name]) for name in SIGNALS)
