"""Which way is fastest for this network on this machine: checked against float32, timed, and remembered in probes.json."""

import copy
import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from learnability.errors import DamagedFile, NotFound
from learnability.store.files import read_json, write_json
from learnability.training.capture import graph_of
from learnability.training.devices import out_of_memory, synchronize
from learnability.training.loop import SGD
from learnability.training.ways import REFERENCE, Forward, Way, candidates, has_compiler

FORMAT = 3  # what ways meant before took other times
WARM_UP, TIMED = {"cpu": 1, "cuda": 2, "mps": 2}, 5  # steps of each way; the second captured one holds its capture
HOPELESS = {0: 1.6, 1: 1.6, 2: 1.3, 3: 1.15}  # timed steps -> a way this much slower than the best is then timed no further
TELLING_S = 1.0  # a first step on the CPU, not compiled, that takes so long is mostly the step itself
ENOUGH_S = 3.0  # a way with two timed steps that took so long is timed no further either: long steps scatter less
CHECKED = 32  # images of the numerical check
COMPILE = {"cpu": (60.0, 0.1), "cuda": (40.0, 0.3)}  # seconds that compiling is thought to cost, and the share of a training it saves
TOLERANCE = {"fp32": 0.5, "bf16": 2.0}  # in units of what rounding images and weights to bfloat16 once does
LEAST_TOLERANCE = 2e-3  # relative
LEAST_GAIN = 0.05  # of matrix products, which are further from what everybody runs: less than that may be noise


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of one way: seconds a step, seconds of its first step, or why it does not count."""

    way: Way
    step_s: float = float("inf")
    first_s: float = 0.0
    refused: str | None = None

    def seconds(self, steps: int) -> float:
        return steps * self.step_s + (self.first_s if self.way.compiled else 0)


def fastest_way(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    device: torch.device,
    *,
    steps: int,
    key: str,
    file: Path,
    captured: bool = False,
    allowed: Callable[[Way], bool] = lambda _way: True,
    goes_on: Callable[[], bool] = lambda: True,
) -> Way:
    """The way that needs least time for `steps` updates of `network`: from `file`, or by trial on one real batch.

    `key` names network, shapes, batch, version, device and threads. Compiled ways are tried only where what they may
    save is more than what compiling takes, graphs on CUDA if `captured`. `network` stays as it is.
    """
    trials = [trial for trial in _remembered(file, key) if captured or not trial.way.captured]
    known = {trial.way for trial in trials}
    ways = [way for way in candidates(device, has_compiler(device), captured) if way not in known and allowed(way)]
    for compiled in (False, True):
        group = [way for way in ways if way.compiled == compiled]
        if compiled:
            cost_s, gain = COMPILE.get(device.type, COMPILE["cpu"])
            group = [way for way in group if _near(way, trials)] if steps * _best(trials, steps).step_s * gain >= cost_s else []
        if group and goes_on():
            trials = trials + tried(network, images, labels, device, group, goes_on)
            if goes_on():
                _remember(file, key, trials + [trial for trial in _remembered(file, key) if trial.way not in {t.way for t in trials}])
    return _best(trials, steps).way if trials else REFERENCE


def _near(way: Way, trials: list[Trial]) -> bool:
    """Whether the uncompiled way is near enough to the fastest one to be worth compiling."""
    seconds = {trial.way: trial.step_s for trial in trials}
    return seconds.get(dataclasses.replace(way, compiled=False), 0) <= HOPELESS[1] * min(seconds.values(), default=0)


def tried(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, device: torch.device, ways: list[Way], goes_on) -> list[Trial]:
    """Each way checked against eager float32, then those that passed timed in turns."""
    checked = len(images) if any(way.compiled for way in ways) else CHECKED
    check = Check(network, images[:checked], labels[:checked], device)
    trials, racers = [], []
    for way in ways:
        try:
            refused = check.refusal(way)
        except RuntimeError as error:
            refused = _reason(way, error)
        if refused:
            trials.append(Trial(way, refused=refused))
        else:
            racers.append(_Racer(network, way, images, labels, device))
    running, warm_up = list(racers), WARM_UP[device.type]
    for turn in range(warm_up + TIMED):
        for racer in list(running):
            try:
                racer.step()
            except RuntimeError as error:
                trials.append(Trial(racer.way, refused=_reason(racer.way, error)))
                racers.remove(racer)
                running.remove(racer)
        timed = turn + 1 - warm_up
        best = min((racer.step_s for racer in racers), default=0)
        telling = device.type == "cpu" and best >= TELLING_S and not any(racer.way.compiled for racer in racers)
        if timed in HOPELESS and (timed or telling):
            running = [racer for racer in running if racer.step_s <= HOPELESS[timed] * best]
            if telling and len(running) == 1 < len(racers):
                break
        if timed >= 2:
            running = [racer for racer in running if sum(racer.timed) < ENOUGH_S]
        if timed >= 1 and not goes_on():
            break
    return trials + [Trial(racer.way, racer.step_s, racer.times[0]) for racer in racers]


class Check:
    """Logits and gradients of eager float32 on a batch, and how far those of another way may be from them.

    Deep networks with batch norm magnify rounding in train mode, some without bound; so the gradients are compared in
    eval mode too, where batch norm is the identity at the start. The measure is what rounding images and weights to
    bfloat16 once does to the same numbers.
    """

    def __init__(self, network: nn.Module, images: torch.Tensor, labels: torch.Tensor, device: torch.device):
        self.network, self.images, self.labels, self.device = network, images, labels, device
        rounded = copy.deepcopy(network)
        with torch.no_grad():
            for parameter in rounded.parameters():
                parameter.copy_(parameter.bfloat16())
        self.expected, self.effect = {}, {}
        for training in (True, False):
            self.expected[training] = self._numbers(network, images, REFERENCE, training)
            moved = self._numbers(rounded, images.bfloat16().float(), REFERENCE, training)
            self.effect[training] = _distances(moved, self.expected[training])

    def refusal(self, way: Way) -> str | None:
        """Why a way's numbers do not count, or None. Those of the reference do, NaN too: what they mean the first look says."""
        if way == REFERENCE:
            return None
        for training in (True,) if way.compiled else (True, False):
            found = _distances(self._numbers(self.network, self.images, way, training), self.expected[training])
            for what, distance, effect in zip(("logits", "gradients"), found, self.effect[training], strict=True):
                allowed = max(LEAST_TOLERANCE, TOLERANCE[way.precision] * effect)
                if not distance <= allowed:
                    mode = "train" if training else "eval"
                    return f"{what} differ from float32 by {distance:.2g} in {mode} mode, at most {allowed:.2g} expected"
        return None

    def _numbers(self, network: nn.Module, images: torch.Tensor, way: Way, training: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, K) and all gradients in one vector, of a copy of the network run in `way`."""
        own = way.prepared(copy.deepcopy(network), self.device).train(training)
        logits = Forward(own, way, self.device, len(images))(_laid_out(images, way))
        F.cross_entropy(logits, self.labels).backward()
        gradients = [parameter.grad.contiguous().flatten() for parameter in own.parameters() if parameter.grad is not None]
        return logits.detach(), torch.cat(gradients)


class _Racer:
    """A copy of the network that takes real updates in one way, and their times."""

    def __init__(self, network: nn.Module, way: Way, images: torch.Tensor, labels: torch.Tensor, device: torch.device):
        self.way, self.images, self.labels, self.device = way, _laid_out(images, way), labels, device
        self.network = way.prepared(copy.deepcopy(network), device).train()
        self.forward = Forward(self.network, way, device, len(images))
        self.optimizer = SGD(
            self.network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=device.type in ("cpu", "cuda")
        )
        self.graph = None
        self.times: list[float] = []

    @property
    def step_s(self) -> float:
        return statistics.median(self.timed or self.times[-1:])

    @property
    def timed(self) -> list[float]:
        return self.times[WARM_UP[self.device.type] :]

    def step(self) -> None:
        start = time.perf_counter()
        if self.way.captured and self.times:  # the first update made the momentum
            self.graph = self.graph or graph_of(self._update, [], self.device)
            self.graph.replay()
        else:
            self._update()
        synchronize(self.device)
        self.times.append(time.perf_counter() - start)

    def _update(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.forward(self.images), self.labels).backward()
        self.optimizer.step()


def _distances(found: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> list[float]:
    return [float((a - b).norm() / b.norm().clamp(min=1e-30)) for a, b in zip(found, expected, strict=True)]


def _laid_out(images: torch.Tensor, way: Way) -> torch.Tensor:
    return images.contiguous(memory_format=torch.channels_last if way.layout == "channels_last" else torch.contiguous_format)


def _reason(way: Way, error: RuntimeError) -> str:
    """In words, why a way failed; the reference may only run out of memory."""
    if out_of_memory(error):
        return "out of memory"
    if way.captured and not way.compiled:
        return f"capture failed: {str(error).strip().splitlines()[0][:200]}"
    if way == REFERENCE:
        raise error
    what = "compilation failed" if way.compiled else "failed"
    return f"{what}: {str(error).strip().splitlines()[0][:200]}"


def _best(trials: list[Trial], steps: int) -> Trial:
    if not trials:
        return Trial(REFERENCE, 0.0)
    best = min(trials, key=lambda trial: trial.seconds(steps) * (1 + LEAST_GAIN * trial.way.gemm))
    if best.refused:
        raise torch.OutOfMemoryError("; ".join(f"{trial.way.name}: {trial.refused}" for trial in trials))
    return best


def _remembered(file: Path, key: str) -> list[Trial]:
    """Earlier trials; a file that is gone or damaged is made anew, as it may be deleted at any time."""
    try:
        content = read_json(file)
    except (NotFound, DamagedFile):
        return []
    if content.get("format") != FORMAT:
        return []
    return [Trial(Way(**trial.pop("way")), **trial) for trial in content["answers"].get(key, [])]


def _remember(file: Path, key: str, trials: list[Trial]) -> None:
    try:
        content = read_json(file)
    except (NotFound, DamagedFile):
        content = {}
    answers = content["answers"] if content.get("format") == FORMAT else {}
    told = [dataclasses.asdict(trial) | ({"step_s": None} if trial.refused else {}) for trial in trials]
    answers[key] = [{name: value for name, value in trial.items() if value is not None} for trial in told]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"format": FORMAT, "answers": answers})
