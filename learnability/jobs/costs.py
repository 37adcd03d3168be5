"""How long runs will take here, and how much disk: from what earlier runs took on this device."""

import dataclasses
import functools
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from learnability.config import HEADS, RunConfig
from learnability.errors import LearnabilityError
from learnability.jobs import devices, disk, queue
from learnability.metrics import METRICS
from learnability.store.files import read_json
from learnability.store.paths import Cache
from learnability.store.runs import device_seconds, load_config, load_looks, load_runs

START_S = 8.0  # a trainer's imports, data and network
EVAL_SHARE = 0.33  # of an epoch, for the pass after it that record="eval" makes
PARAMETERS = {  # and values before the logits that are kept
    "resnet20": (0.27e6, 64),
    "vgg16": (14.7e6, 512),
    "mobilenet": (3.2e6, 1024),
    "linear": (0.02e6, 0),
    "mlp": (0.3e6, 256),
}
OTHER_NETWORK = 60e6  # bytes of checkpoint and features where nothing is known
# Time of an epoch beside ResNet-20's, and its images/s where nothing was trained yet: orders of magnitude, never shown as measured.
RELATIVE = {"cpu": {"resnet20": 1.0, "vgg16": 4.8, "mobilenet": 2.1}, "gpu": {"resnet20": 1.0, "vgg16": 2.0, "mobilenet": 2.0}}
HEAD_WEIGHT = 0.01  # of a head on features, the pass of the backbone before it left out
GUESSED_SPEED = {"cpu": 500.0, "mps": 5_000.0, "cuda": 50_000.0, "ray": 50_000.0}  # cpu: a core; ray: a GPU of the cluster


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a launch will cost."""

    runs: int
    seconds: float | None  # one after the other; None: unknown until the first epoch
    bytes: float  # on disk, when all are done
    basis: str  # what the seconds rest on, in words


@dataclasses.dataclass(frozen=True)
class Speed:
    """What one architecture takes on this device."""

    image_s: float  # seconds an image and epoch, test pass and records included, at the size of the data set
    runs: int  # that it was measured in; 0: a guess
    own: bool  # measured on this architecture, not inferred from another


@dataclasses.dataclass(frozen=True)
class _RunSpeed:
    arch: str
    image_s: float
    pixels: int


@dataclasses.dataclass(frozen=True)
class Measured:
    """The speeds of earlier runs on one device of this machine."""

    lane: str
    runs: tuple[_RunSpeed, ...]


def estimate(cache: Cache, configs: Sequence[RunConfig], device: str = "auto") -> Estimate:
    """Runs, seconds and bytes of these configs, one after the other on one device."""
    measured = measured_here(cache, device)
    speeds = {
        (config.fingerprint, config.arch): speed_of(cache, measured, config.data, config.fingerprint, config.arch) for config in configs
    }
    total = sum(run_bytes(cache, config) for config in configs)
    if not all(speed.runs for speed in speeds.values()) or not configs:
        return Estimate(runs=len(configs), seconds=None, bytes=total, basis="unknown until the first epoch")
    seconds = sum(
        run_seconds(speeds[config.fingerprint, config.arch], rows_of(cache, config), config.epochs, config.record) for config in configs
    )
    own = {arch: speed.runs for (_, arch), speed in speeds.items() if speed.own}
    count = sum(own.values()) or max(speed.runs for speed in speeds.values())
    said = f"from {count} earlier run{'s' if count > 1 else ''} here"
    if inferred := sorted({arch for _, arch in speeds} - set(own)):
        said += f"; {', '.join(inferred)} inferred from other networks"
    return Estimate(runs=len(configs), seconds=seconds, bytes=total, basis=said)


def run_seconds(speed: Speed, rows: float, epochs: int, record: str = "train") -> float:
    """Seconds of one run."""
    return START_S + rows * epochs * speed.image_s * (1 + EVAL_SHARE * (record == "eval"))


def rows_of(cache: Cache, config: RunConfig) -> float:
    """Images an epoch trains on."""
    rows = config.subset or info(cache, config.data, config.fingerprint)["train"]
    return rows if config.folds is None else rows * (config.folds - 1) / config.folds


def speed_of(cache: Cache, measured: Measured, data: str, fingerprint: str, arch: str) -> Speed:
    """The median of earlier runs on this device; of other image sizes and networks where there are none of these."""
    told = info(cache, data, fingerprint)
    pixels = (told["H"] or 32) * (told["W"] or 32)
    own = [one for one in measured.runs if one.arch == arch]
    known = [one for one in own if one.pixels == pixels] or own
    if known:
        return Speed(statistics.median(one.image_s * pixels / one.pixels for one in known), len(known), True)
    relative = RELATIVE["cpu" if measured.lane == "cpu" else "gpu"]
    weight = HEAD_WEIGHT if arch in HEADS else relative.get(arch, max(relative.values()))
    if built_in := [one for one in measured.runs if one.arch in relative]:
        scaled = [one.image_s * pixels / one.pixels * weight / relative[one.arch] for one in built_in]
        return Speed(statistics.median(scaled), len(scaled), False)
    speed = GUESSED_SPEED[measured.lane.partition(":")[0]] * (min(os.cpu_count() or 1, 16) if measured.lane == "cpu" else 1)
    return Speed(weight * pixels / 1024 / speed, 0, False)


def run_bytes(cache: Cache, config: RunConfig) -> float:
    """Bytes of a run's folder when it is done: signals, scores, checkpoint, features."""
    told = info(cache, config.data, config.fingerprint)
    rows = config.subset or told["train"]
    signals = rows * config.epochs * (9 if len(told["class_names"]) <= 256 else 10)
    if config.arch in PARAMETERS:
        parameters, width = PARAMETERS[config.arch]
        network = 8 * parameters + 2 * width * rows
    else:
        known = [
            disk.size(cache.run_folder(run.data, run.id))
            for run in load_runs(cache, config.data)
            if run.config and run.config.arch == config.arch
        ]
        network = statistics.median(known) if known else OTHER_NETWORK
    return signals + rows * (4 * len(METRICS) + 16) + network + 20_000


def info(cache: Cache, data: str, fingerprint: str) -> dict:
    """dataset.json of a data set version."""
    return _info(str(cache.dataset_folder(data, fingerprint[:8])))


@functools.lru_cache(64)
def _info(folder: str) -> dict:
    return read_json(Path(folder) / "dataset.json")  # a version never changes


def measured_here(cache: Cache, device: str = "auto") -> Measured:
    """What the earlier runs in this cache tell of a device's speed."""
    lane = devices.lane(device)
    candidates = [run for run in load_runs(cache) if not run.problem and run.looks]
    if devices.on_cluster(lane):  # what its nodes are, only the queue can tell: by the runs that went there
        sent = {job.key for job in queue.read(cache, lambda connection: queue.jobs(connection, lane=lane))}
        candidates = [run for run in candidates if (run.data, run.id) in sent]
    told = [_run_speed(str(cache.root), run.data, run.id, run.looks, lane) for run in candidates]
    return Measured(lane, tuple(one for one in told if one is not None))


@functools.lru_cache(4096)
def _run_speed(root: str, data: str, run_id: str, looks: int, lane: str) -> _RunSpeed | None:
    """What `looks` committed looks of a run tell; None where they were made on another device, or on several."""
    cache = Cache(Path(root))
    try:
        environment = read_json(cache.run_folder(data, run_id) / "environment.json")
        if not devices.on_cluster(lane) and not _same_device(environment, lane):
            return None
        seconds = [device_seconds([look]) for look in load_looks(cache, data, run_id)[:looks] if look.get("seconds")]
        config = load_config(cache, data, run_id)
        told, rows = info(cache, data, config.fingerprint), rows_of(cache, config)
    except (LearnabilityError, KeyError, ValueError, AttributeError):
        return None
    if not seconds or not told.get("H") or config.devices > 1:
        return None
    epoch_s = statistics.median(seconds[1:] if len(seconds) > 2 else seconds)
    epoch_s /= 1 + EVAL_SHARE * (config.record == "eval")
    return _RunSpeed(config.arch, epoch_s / rows, told["H"] * told["W"])


def _same_device(environment: dict, lane: str) -> bool:
    if environment.get("device") != lane.partition(":")[0]:
        return False
    if lane == "cpu":
        return _processor() is None or str(environment.get("cpu", "")).startswith(_processor())
    gpu = next((gpu for gpu in devices.gpus() if lane == f"cuda:{gpu.index}"), None)
    return gpu is None or environment.get("device_name") == gpu.name


@functools.lru_cache(1)
def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
