"""The probe: what is fastest counts only if its numbers are those of float32; the answer is remembered."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from learnability.training import probe, ways
from learnability.training.architectures import build
from learnability.training.probe import Check, Trial, fastest_way, tried
from learnability.training.ways import REFERENCE, Way, candidates, fixed
from tests.training.toy import OWN, pictures

CPU = torch.device("cpu")
CHANNELS_LAST, BF16, GEMM = Way("fp32", "channels_last"), Way("bf16", "channels_last"), Way("fp32", "channels_last", gemm=True)


def batch(count=32, K=4):
    images, labels = pictures(count, K, 3, 32, seed=3)
    return torch.from_numpy(images).float().sub(127).div(60).permute(0, 3, 1, 2), torch.from_numpy(labels)


class Wrong(nn.Module):
    """A network that is fast and wrong in bf16: half of its channels are lost there."""

    def __init__(self):
        super().__init__()
        self.inner = build("tiny", 4, 3, 0, OWN)

    def forward(self, images):
        out = self.inner(images)
        return out * torch.tensor([1, 1, 0, 0]) if torch.is_autocast_enabled("cpu") else out


@pytest.fixture
def eager_only(monkeypatch):
    monkeypatch.setattr(probe, "has_compiler", lambda device: False)


@pytest.fixture
def has_bf16(monkeypatch):
    monkeypatch.setattr(ways, "has_bf16", lambda device: True)


def test_fixed_ways_are_one_eager_layout_and_candidates_hold_them(has_bf16):
    assert fixed("fp32", CPU) == CHANNELS_LAST and fixed("bf16", CPU) == BF16
    assert candidates(CPU, compiler=False) == [REFERENCE, CHANNELS_LAST, BF16, GEMM, dataclasses.replace(BF16, gemm=True)]
    assert [way for way in candidates(CPU, compiler=True) if way.compiled] == [
        dataclasses.replace(way, compiled=True) for way in (CHANNELS_LAST, BF16)
    ]


def test_bfloat16_is_no_candidate_where_the_processor_lacks_it(monkeypatch):
    monkeypatch.setattr(ways, "has_bf16", lambda device: False)
    assert candidates(CPU, compiler=False) == [REFERENCE, CHANNELS_LAST, GEMM]
    assert ways.fixed("bf16", CPU) == BF16  # who asks for it gets it


@pytest.mark.parametrize(
    ("arch", "count"),
    [("resnet20", 16), pytest.param("mobilenet", 16, marks=pytest.mark.soak), pytest.param("vgg16", 8, marks=pytest.mark.soak)],
)
def test_every_candidate_of_every_network_has_the_numbers_of_float32(one_thread, has_bf16, arch, count):
    images, labels = batch(count)
    check = Check(build(arch, 4, 3, 0), images, labels, CPU)
    assert {way.name: check.refusal(way) for way in candidates(CPU, compiler=False)} == dict.fromkeys(
        ("fp32 nchw", "fp32 channels_last", "bf16 channels_last", "fp32 channels_last gemm", "bf16 channels_last gemm")
    )


def test_a_fast_wrong_way_loses(one_thread):
    images, labels = batch()
    trials = {trial.way: trial for trial in tried(Wrong(), images, labels, CPU, [REFERENCE, BF16], lambda: True)}
    assert trials[BF16].refused.startswith("logits differ from float32 by")
    assert trials[BF16].seconds(1) == float("inf") and 0 < trials[REFERENCE].seconds(1) < 10


def test_the_network_stays_as_it_is_and_so_does_the_global_random_state(one_thread, tmp_path, eager_only):
    images, labels = batch()
    network = build("tiny", 4, 3, 0, OWN)
    before, random = {name: tensor.clone() for name, tensor in network.state_dict().items()}, torch.get_rng_state()
    fastest_way(network, images, labels, CPU, steps=10, key="k", file=tmp_path / "probes.json")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(random, torch.get_rng_state()) and network.training and all(p.grad is None for p in network.parameters())


def test_the_answer_is_remembered_under_its_key_and_a_damaged_file_is_made_anew(one_thread, tmp_path, eager_only, has_bf16, monkeypatch):
    images, labels = batch()
    file, asked = tmp_path / "cache" / "probes.json", []
    monkeypatch.setattr(probe, "tried", lambda *given: asked.append(1) or [Trial(way, 1.0 + (way != BF16)) for way in given[4]])

    def ask(key):
        return fastest_way(build("tiny", 4, 3, 0, OWN), images, labels, CPU, steps=10, key=key, file=file)

    assert ask("a") == ask("a") == BF16 and len(asked) == 1
    assert ask("b") == BF16 and len(asked) == 2 and set(json.loads(file.read_text())["answers"]) == {"a", "b"}
    file.write_text("{")
    assert ask("a") == BF16 and len(asked) == 3
    interrupted = fastest_way(
        build("tiny", 4, 3, 0, OWN), images, labels, CPU, steps=10, key="c", file=file, goes_on=lambda: len(asked) < 4
    )
    assert interrupted == BF16 and "c" not in json.loads(file.read_text())["answers"]


def test_compilation_is_tried_only_where_it_can_pay(one_thread, tmp_path, monkeypatch):
    images, labels = batch()
    asked = []

    def trials(_network, _images, _labels, _device, ways, _goes_on):
        asked.append(ways)
        return [Trial(way, 0.5 if way.compiled else 1.0, first_s=50.0) for way in ways]

    monkeypatch.setattr(probe, "has_compiler", lambda device: True)
    monkeypatch.setattr(probe, "tried", trials)

    def ask(steps):
        return fastest_way(build("tiny", 4, 3, 0, OWN), images, labels, CPU, steps=steps, key="k", file=tmp_path / "probes.json")

    assert not ask(599).compiled and len(asked) == 1
    assert ask(601).compiled and len(asked) == 2
    assert not ask(99).compiled and ask(10_000).compiled and len(asked) == 2


def test_out_of_memory_refuses_a_way_and_where_all_are_it_ends(one_thread, monkeypatch, tmp_path, eager_only, has_bf16):
    images, labels = batch()

    def full(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(probe._Racer, "step", full)
    assert [trial.refused for trial in tried(build("tiny", 4, 3, 0, OWN), images, labels, CPU, [REFERENCE], lambda: True)] == [
        "out of memory"
    ]
    with pytest.raises(torch.OutOfMemoryError, match="bf16 channels_last: out of memory"):
        fastest_way(build("tiny", 4, 3, 0, OWN), images, labels, CPU, steps=1, key="k", file=tmp_path / "probes.json")


class Rootless(nn.Module):
    """A network whose logits are right and whose gradients are NaN."""

    def __init__(self):
        super().__init__()
        self.inner = build("tiny", 4, 3, 0, OWN)

    def forward(self, images):
        out = self.inner(images)
        return out + (out - out).square().sum().sqrt()


def test_gradients_that_are_nan_in_float32_too_are_not_called_out_of_memory(one_thread, tmp_path, eager_only):
    images, labels = batch(4)
    assert fastest_way(Rootless(), images, labels, CPU, steps=10, key="k", file=tmp_path / "probes.json") == REFERENCE


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("arch", ["resnet20", "mobilenet", "vgg16"])
def test_compiled_networks_have_the_numbers_of_float32(arch):
    images, labels = batch()
    check = Check(build(arch, 4, 3, 0), images, labels, CPU)
    for way in candidates(CPU, compiler=True):
        assert check.refusal(way) is None, way.name


def test_matrix_products_have_to_gain_something(tmp_path, eager_only, one_thread):
    """Two ways that are about as fast: the usual one is taken; one that gains is taken."""
    images, labels = batch(4)
    for step_s, chosen in ((0.98, CHANNELS_LAST), (0.9, GEMM)):
        file = tmp_path / f"{step_s}.json"
        probe._remember(file, "k", [Trial(CHANNELS_LAST, 1.0), Trial(GEMM, step_s)])
        network, known = build("tiny", 4, 3, 0, OWN), (CHANNELS_LAST, GEMM).__contains__
        assert fastest_way(network, images, labels, CPU, steps=10, key="k", file=file, allowed=known) == chosen


def test_a_slow_start_is_held_against_no_way(one_thread, monkeypatch):
    """The second update of a captured way holds its capture, the first of a compiled one its compilation."""
    assert probe.WARM_UP["cuda"] == 2
    monkeypatch.setattr(probe, "WARM_UP", {"cpu": 2})
    seconds = {CHANNELS_LAST: [0.1] * 7, GEMM: [9.0, 9.0] + [0.05] * 5}
    monkeypatch.setattr(probe._Racer, "step", lambda self: self.times.append(seconds[self.way][len(self.times)]))
    images, labels = batch(4)
    trials = {trial.way: trial for trial in tried(build("tiny", 4, 3, 0, OWN), images, labels, CPU, [CHANNELS_LAST, GEMM], lambda: True)}
    assert (trials[GEMM].step_s, trials[CHANNELS_LAST].step_s) == (0.05, 0.1)


@pytest.mark.parametrize(
    ("seconds", "slower", "steps"), [(0.1, 1.4, [6, 3]), (0.9, 1.4, [5, 3]), (2.0, 1.2, [3, 3]), (1.0, 1.4, [3, 3]), (2.0, 1.7, [1, 1])]
)
def test_long_steps_are_timed_less_often(one_thread, monkeypatch, seconds, slower, steps):
    """One warm-up; the slower way is dropped after two timed steps, both where they took three seconds.

    From a second a step on one that is left over is timed no more, and the first step can be enough.
    """
    monkeypatch.setattr(probe._Racer, "step", lambda self: self.times.append(seconds * (1 if self.way == GEMM else slower)))
    images, labels = batch(4)
    made, racer = [], probe._Racer
    monkeypatch.setattr(probe, "_Racer", lambda *given: made.append(racer(*given)) or made[-1])
    tried(build("tiny", 4, 3, 0, OWN), images, labels, CPU, [GEMM, CHANNELS_LAST], lambda: True)
    assert [len(one.times) for one in made] == steps
