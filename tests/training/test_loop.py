"""The loop against a reference of thirty lines, bit for bit; passes that change nothing; learning rates."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from learnability.config import RunConfig
from learnability.recording import SIGNALS
from learnability.training.architectures import build
from learnability.training.batches import batches, channel_statistics, order, plain_batches, views
from learnability.training.images import Images
from learnability.training.loop import evaluate, learning_rates, sgd, train_epoch
from learnability.training.recorder import Recorder
from learnability.training.ways import Forward, Way, fixed
from tests.training.toy import pictures

CPU = torch.device("cpu")
FP32 = fixed("fp32", CPU)


def config(**fields) -> RunConfig:
    return RunConfig(data="toy", fingerprint="0" * 64, **{"arch": "resnet20", "batch_size": 16, **fields})


def reference(images, labels, mean, std, lr, seed, K) -> dict[str, np.ndarray]:
    """One epoch as plainly as it can be said: fp32, channels_last, one Python float a sample and signal."""
    N, H, W, C = images.shape
    network = build("resnet20", K, C, seed).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=lr[0], momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    look = views(seed, 0, np.arange(N), "crop-flip")
    scale = (1 / (255 * torch.tensor(std, dtype=torch.float64))).float()
    shift = (-torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64)).float()
    found = {name: np.full(N, np.nan) for name in SIGNALS}
    rows = order(seed, 0, np.arange(N)).tolist()
    for step, start in enumerate(range(0, N, 16)):
        batch, cut = rows[start : start + 16], []
        for row in batch:
            padded = np.pad(images[row], ((4, 4), (4, 4), (0, 0)))
            y, x = look.y_n[row], look.x_n[row]
            window = padded[y : y + H, x : x + W]
            cut.append(window[:, ::-1] if look.flip_n[row] else window)
        pixels = torch.from_numpy(np.stack(cut)).float().mul_(scale).add_(shift)
        target = torch.from_numpy(labels[batch])
        optimizer.param_groups[0]["lr"] = lr[step]
        logits = network(pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last))
        optimizer.zero_grad()
        F.cross_entropy(logits, target).backward()
        optimizer.step()
        z = logits.detach()
        log_p = torch.log_softmax(z, 1)
        for i, row in enumerate(batch):
            y, p = int(target[i]), log_p[i].exp()
            found["prediction"][row] = int(z[i].argmax())
            found["loss"][row] = float(-log_p[i, y])
            found["margin"][row] = float(z[i, y] - max(z[i, k] for k in range(K) if k != y))
            found["el2n"][row] = float(torch.linalg.vector_norm(p - F.one_hot(target[i], K).float()))
            found["entropy"][row] = float(-(p * log_p[i]).sum())
    return found


def ours(images, labels, mean, std, rates, seed, K, way=FP32, recorded=True):
    network = way.prepared(build("resnet20", K, images.shape[3], seed), CPU)
    cut = Images(images, np.arange(len(images)), mean, std, CPU, way.layout)
    ids, given = np.arange(len(images)), config(seed=seed)
    epoch = batches(cut, torch.from_numpy(labels), order(seed, 0, ids), views(seed, 0, ids, "crop-flip"), 16)
    recorder = Recorder(len(images), K) if recorded else None
    forward = Forward(network, way, CPU, 16)
    step = train_epoch(network, forward, sgd(network, given, CPU), epoch, rates, 0, recorder)
    return network, forward, step, recorder, cut


@pytest.mark.parametrize("seed", [0, 1])
def test_every_signal_of_an_epoch_equals_the_reference_bit_for_bit(one_thread, seed):
    images, labels = pictures(70, 4, 3, 32, seed=3)
    mean, std = channel_statistics(images)
    rates = learning_rates(config(epochs=2), 10)
    expected = reference(images, labels, mean, std, [rates(step) for step in range(5)], seed, 4)
    _, _, step, recorder, _ = ours(images, labels, mean, std, rates, seed, 4)
    look = recorder.end_look()
    assert step == 5 and look.seen == 70 and look.clamped == 0
    for name in SIGNALS:
        stored = look.signals[name][:, 0]
        assert np.array_equal(stored, expected[name].astype(stored.dtype)), name


def test_recording_changes_no_weight(one_thread):
    images, labels = pictures(40, 4, 3, 32, seed=3)
    rates = learning_rates(config(epochs=2), 6)
    with_it, without = (ours(images, labels, [0.5] * 3, [0.25] * 3, rates, 0, 4, recorded=on)[0].state_dict() for on in (True, False))
    assert all(torch.equal(with_it[name], without[name]) for name in with_it)


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.soak)])
def test_a_pass_without_updates_leaves_the_state_bit_identical_and_sees_every_sample_once(one_thread, precision):
    images, labels = pictures(40, 4, 3, 32, seed=3)
    rates = learning_rates(config(epochs=1), 3)
    network, forward, _, recorder, cut = ours(images, labels, [0.5] * 3, [0.25] * 3, rates, 0, 4, fixed(precision, CPU))
    recorder.end_look()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    accuracy = evaluate(network, forward, plain_batches(cut, torch.from_numpy(labels), 16), recorder)
    look = recorder.end_look()
    assert look.seen == 40 and accuracy == pytest.approx(look.accuracy)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is not None for parameter in network.parameters())
    other_sizes = [evaluate(network, forward, plain_batches(cut, torch.from_numpy(labels), size)) for size in (40, 64, 7)]
    assert other_sizes == [accuracy] * 3


@pytest.mark.parametrize("N", [5, 17, 33])
def test_fewer_samples_than_a_batch_and_a_last_batch_of_one_are_trained_on(one_thread, N):
    images, labels = pictures(N, 4, 3, 32, seed=3)
    _, _, step, recorder, _ = ours(images, labels, [0.5] * 3, [0.25] * 3, lambda step: 0.01, 0, 4)
    assert step == -(-N // 16) and recorder.end_look().seen == N


def test_bf16_tells_the_samples_apart_as_fp32_does(one_thread):
    images, labels = pictures(70, 4, 3, 32, seed=3)
    margins = []
    for way in (Way("fp32", "channels_last"), Way("bf16", "channels_last")):
        recorder = ours(images, labels, [0.5] * 3, [0.25] * 3, lambda step: 0.01, 0, 4, way)[3]
        margins.append(recorder.end_look().signals["margin"][:, 0].astype(np.float64))
    assert np.corrcoef(margins)[0, 1] > 0.98


def test_learning_rates_warm_up_and_then_fall():
    cosine = learning_rates(config(epochs=10, lr=1.0), 100)
    assert [round(cosine(step), 6) for step in (0, 4, 9, 10, 55, 99)] == [0.1, 0.5, 1.0, 1.0, 0.5, 0.000305]
    step = learning_rates(config(lr=1.0, schedule="step"), 100)
    assert [round(step(at), 6) for at in (4, 10, 49, 50, 74, 75, 99)] == [0.5, 1, 1, 0.1, 0.1, 0.01, 0.01]
    constant = learning_rates(config(lr=2.0, schedule="constant", warmup=0.0), 100)
    assert {constant(at) for at in range(100)} == {2.0}
    assert learning_rates(config(arch="vgg16"), 1)(0) == 0.05 and learning_rates(config(), 1)(0) == 0.1


def test_sgd_is_nesterov_with_coupled_weight_decay_by_its_formula(one_thread):
    network = torch.nn.Linear(3, 1, bias=False)
    optimizer = sgd(network, config(lr=0.1), CPU)
    weight, momentum = network.weight.detach().double().clone(), torch.zeros(1, 3, dtype=torch.float64)
    for step in range(4):
        gradient = torch.tensor([[1.0, -2.0, step]])
        network.weight.grad = gradient.clone()
        optimizer.step()
        g = gradient.double() + 5e-4 * weight
        momentum = 0.9 * momentum + g
        weight = weight - 0.1 * (g + 0.9 * momentum)
    assert torch.allclose(network.weight.double(), weight, rtol=1e-6)
