"""How long an epoch takes: our loop against a plain one and against a strong one, on real CIFAR-10, recording on in all.

    python -m bench.epoch_time                                     2 CPU cores: some 40 minutes, --images 640 12
    python -m bench.epoch_time --arch resnet20 --images 1280 --repeats 1
    python -m bench.epoch_time --device cuda --images 49920 --plain-images 2560 --way captured compiled

plain    DataLoader, PIL augmentation, float32 NCHW, and of every sample one Python float a signal. Once with as many
         loader workers as kuangliu/pytorch-cifar has (2) and once with none; the faster of the two counts.
strong   images in memory, vectorised crop and flip, the fastest layout and precision that our own probe finds (on CUDA
         channels_last, bfloat16 and compiled), the signals of a batch written into arrays at once.
ours     `train_epoch` with `Recorder`, in the same layout and precision, with the memory setting of `train`
         (`devices.keep_freed_memory`); on CUDA as graphs.

The network is the same class with the same first weights, batch 128, SGD. Each kind is a process of its own that waits
while another is timed; they take turns, an epoch each. A warm-up is not counted, compilation and capture are part of it
and stand apart. One row an architecture and way. The floor is arithmetic at the device's peak or, if longer, the traffic
of fused code; on the CPU their sum, at the speed at which a large matrix product and a large copy run here. In float32
with `gemm` a 3 x 3 convolution counts with the quarter of multiplications that Winograd's algorithm leaves.
"""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench.loops import BATCH, cifar, our_loop, plain_loop, strong_loop
from learnability.training import devices
from learnability.training.architectures import build
from learnability.training.batches import batches, channel_statistics, views
from learnability.training.images import Images
from learnability.training.probe import fastest_way
from learnability.training.ways import Way, fixed

TARGETS = {"resnet20": 2.3, "vgg16": 1.9, "mobilenet": 1.6}  # times the plain loop on two cores
STRONG = 0.97  # of the strong loop
FLOORS = {"resnet20": 0.065, "vgg16": 0.119, "mobilenet": 0.134}  # s an epoch of 50,000 on one H200: 790 TFLOP/s dense bf16, 4.3 TB/s
MACS = {"resnet20": 40.6e6, "vgg16": 313.2e6, "mobilenet": 46.4e6}  # an image forward; an update takes 6 FLOP for each
FEWER_MACS = {"resnet20": 12.2e6, "vgg16": 79.6e6, "mobilenet": 46.4e6}  # a quarter of those of 3 x 3 filters from 16 channels on
TRAFFIC = {"resnet20": 11.2e6, "vgg16": 14.4e6, "mobilenet": 23.2e6}  # bytes an image of fused float32 code
EPOCH = 50_000
KINDS = ("plain, 2 workers", "plain, no worker", "strong", "ours")
WARM_UP = 3  # batches
STEPS = 200  # updates the probe chooses for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--images", type=int, default=2560, help="images of the epoch that is timed (default 2560)")
    parser.add_argument("--plain-images", type=int, help="of the plain loop's epoch (default: as many)")
    parser.add_argument("--way", nargs="+", default=["auto"], choices=("auto", "captured", "compiled"), help="auto: what the probe finds")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    parser.add_argument("--one", nargs=3, metavar=("KIND", "WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        timed_on_demand(options.one[0], Way(**json.loads(options.one[1])), Path(options.one[2]), options)
        return
    print(conditions(options), "", sep="\n")
    print(
        "| network | way | plain, images/s | strong | ours | fastest - slowest | ours / plain | target | ours / strong | target "
        "| s an epoch of 50,000 | of the floor | warm-up, s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    ways = [(arch, way) for arch in options.arch for way in options.way]
    at_once = len(ways) if options.device.startswith("cuda") else 1  # what compiles there does not disturb what is timed
    for first in range(0, len(ways), at_once):
        for line in rows(ways[first : first + at_once], options):
            print(line, flush=True)


def rows(asked: list[tuple[str, str]], options) -> list[str]:
    """One row of the table for each network and way; all their processes warm up side by side on CUDA, in turns on the CPU."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        decoded(options.images, Path(folder))
        ways = [(arch, way_of(arch, name, options)) for arch, name in asked]
        children = {}
        for number, (arch, way) in enumerate(ways):
            for kind in KINDS:
                if (arch, kind) in {(ways[at][0], other) for at, other in children} and kind != "ours":
                    continue  # the same for every way
                children[number, kind] = stack.enter_context(Child(arch, kind, way, folder, options))
                if not options.device.startswith("cuda"):
                    children[number, kind].warm_up()
        warm_ups = {place: child.warm_up() for place, child in children.items()}
        speeds = {place: [] for place in children}
        for _ in range(options.repeats):
            for place, child in children.items():
                speeds[place].append(child.epoch())
    return [row(arch, way, *_of(number, ways, speeds, warm_ups), options) for number, (arch, way) in enumerate(ways)]


def _of(number: int, ways: list, speeds: dict, warm_ups: dict) -> tuple[dict[str, list[float]], float]:
    """Of one row: images a second of every kind, and how long ours took to warm up."""
    arch = ways[number][0]
    first = next(at for at, (other, _) in enumerate(ways) if other == arch)
    return {kind: speeds[(number, kind) if (number, kind) in speeds else (first, kind)] for kind in KINDS}, warm_ups[number, "ours"]


def row(arch: str, way: Way, speeds: dict[str, list[float]], warm_up_s: float, options) -> str:
    middle = {kind: statistics.median(values) for kind, values in speeds.items()}
    plain = max(middle[kind] for kind in KINDS if kind.startswith("plain"))
    ours, epoch_s = speeds["ours"], EPOCH / middle["ours"]
    floor = FLOORS[arch] if options.device.startswith("cuda") else floor_here(arch, way, options.threads)
    return (
        f"| {arch} | {way.name} | {plain:.0f} | {middle['strong']:.0f} | {middle['ours']:.0f} | {max(ours):.0f} - {min(ours):.0f} | "
        f"{middle['ours'] / plain:.2f} | >= {TARGETS[arch]} | {middle['ours'] / middle['strong']:.3f} | >= {STRONG} | "
        f"{epoch_s:.2f} | {floor / epoch_s:.0%} | {warm_up_s:.1f} |"
    )


def way_of(arch: str, name: str, options) -> Way:
    """The way of that name: on CUDA graphs in bfloat16, compiled or not."""
    if name == "auto":
        return probed(arch, options)
    return dataclasses.replace(fixed("bf16", devices.resolve(options.device), captured=True), compiled=name == "compiled")


class Child:
    """One kind of loop in a process of its own, which trains an epoch when asked."""

    def __init__(self, arch: str, kind: str, way: Way, folder: str, options):
        told = json.dumps(dataclasses.asdict(way))
        images = options.plain_images or options.images if kind.startswith("plain") else options.images
        shared = ["--images", str(images), "--device", options.device, "--threads", str(options.threads)]
        command = [sys.executable, "-m", "bench.epoch_time", "--arch", arch, *shared, "--one", kind, told, folder]
        self.name, self.errors = f"{kind} of {arch}", Path(folder) / f"{arch} {way.name} {kind}.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)

    @functools.cache  # noqa: B019
    def warm_up(self) -> float:
        """Seconds of its warm-up, when that is over."""
        return self._line()["warm_up_s"]

    def epoch(self) -> float:
        """Images a second of one more epoch."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()["images_per_second"]

    def _line(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} failed:\n{self.errors.read_text()}")
        return json.loads(line)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_error) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def floor_here(arch: str, way: Way, threads: int) -> float:
    """Seconds an epoch of 50,000 images on this processor: its arithmetic as one matrix product, then its traffic as one copy."""
    kind = torch.bfloat16 if way.precision == "bf16" else torch.float32
    macs = (FEWER_MACS if way.gemm and kind == torch.float32 else MACS)[arch]
    with devices.numerics(threads, deterministic=False):
        a, b = (torch.ones(3072, 3072, dtype=kind) for _ in range(2))
        flop_s = 2 * 3072**3 / best_of(lambda: a @ b)
        source, target = (torch.zeros(1 << 28, dtype=torch.uint8) for _ in range(2))
        bytes_s = 2 * len(source) / best_of(lambda: target.copy_(source))
    return EPOCH * (6 * macs / flop_s + TRAFFIC[arch] * kind.itemsize / 4 / bytes_s)


def best_of(work, times: int = 5) -> float:
    """Seconds of the fastest of some calls."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def timed_on_demand(kind: str, way: Way, folder: Path, options) -> None:
    """Warms up, says so, then trains an epoch for every line of standard input and says how fast."""
    device = devices.resolve(options.device)
    images, labels = (np.load(folder / f"{name}.npy")[: options.images] for name in ("images", "labels"))
    with devices.numerics(options.threads, deterministic=False):
        begun = time.perf_counter()
        if kind.startswith("plain"):
            epoch = plain_loop(options.arch[0], images, labels, device, 0 if "no worker" in kind else 2)
        elif kind == "strong":
            epoch = strong_loop(options.arch[0], images, labels, device, way)
        else:
            if device.type == "cpu":
                devices.keep_freed_memory()  # as `train` does; of what it brings alone see bench.process_settings
            epoch = our_loop(options.arch[0], images, labels, device, way)
        epoch(0, len(images) if device.type == "cuda" else min(WARM_UP * BATCH, len(images)))
        devices.synchronize(device)
        print(json.dumps({"warm_up_s": time.perf_counter() - begun}), flush=True)
        for number, _ in enumerate(sys.stdin, 1):
            start = time.perf_counter()
            epoch(number, len(images))
            devices.synchronize(device)
            print(json.dumps({"images_per_second": len(images) / (time.perf_counter() - start)}), flush=True)


def probed(arch: str, options) -> Way:
    """The fastest eager or compiled way here, for an epoch count at which compiling may pay."""
    device = devices.resolve(options.device)
    images, labels = cifar(BATCH)
    mean, std = channel_statistics(images)
    cut = Images(images, np.arange(BATCH), mean, std, device, "channels_last")
    everything = views(0, 0, np.arange(BATCH), "crop-flip")
    _, batch, target = next(batches(cut, torch.from_numpy(labels).to(device), np.arange(BATCH), everything, BATCH))
    with devices.numerics(options.threads, deterministic=False), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probes.json"
        return fastest_way(build(arch, 10, 3, 0).to(device), batch, target, device, steps=STEPS, key=arch, file=file, captured=True)


def decoded(count: int, folder: Path) -> None:
    """Them as arrays in files, for processes to load."""
    for name, values in zip(("images", "labels"), cifar(count), strict=True):
        np.save(folder / f"{name}.npy", values)


def conditions(options) -> str:
    where = devices.device_name(devices.resolve(options.device))
    return (
        f"{datetime.date.today()}, {where}, {options.threads} threads, torch {torch.__version__}, Python {platform.python_version()}: "
        f"one epoch of {options.images} CIFAR-10 images, batch {BATCH}, recording on, median of {options.repeats} in turns."
    )


if __name__ == "__main__":
    main()
