"""How long an epoch takes: our loop against a plain one and against a strong one, on real CIFAR-10, recording on in all.

    python -m bench.epoch_time                                     2 CPU cores: some 40 minutes, --images 640 12
    python -m bench.epoch_time --arch resnet20 --images 1280 --repeats 1
    python -m bench.epoch_time --device cuda --images 49920 --plain-images 2560 --way captured compiled

plain    DataLoader, PIL augmentation, float32 NCHW, and of every sample one Python float a signal. Once with as many
         loader workers as kuangliu/pytorch-cifar has (2) and once with none; the faster of the two counts.
strong   images in memory, vectorised crop and flip, the fastest layout and precision that our own probe finds (on CUDA
         channels_last, bfloat16 and compiled), the signals of a batch written into arrays at once.
ours     `train_epoch` with `Recorder`, in the same layout and precision; on CUDA as graphs. Once more with nothing recorded.

The network is the same class with the same first weights, batch 128, SGD. Each kind is a process of its own that waits
while another is timed; they take turns, an epoch each. A warm-up is not counted, compilation and capture are part of it
and stand apart. One row an architecture and way. The floor is arithmetic at the device's peak or, if longer, the traffic
of fused code; on the CPU their sum, at the speed at which a large matrix product and a large copy run here.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import datetime
import functools
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.nn import functional as F

from learnability.config import RunConfig
from learnability.training import devices
from learnability.training.architectures import build
from learnability.training.batches import batches, channel_statistics, order, views
from learnability.training.capture import Captured, Update
from learnability.training.images import Images
from learnability.training.loop import sgd, train_epoch
from learnability.training.probe import fastest_way
from learnability.training.recorder import Recorder
from learnability.training.ways import Forward, Way, fixed

DATA = Path(os.environ.get("LEARNABILITY_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TARGETS = {"resnet20": 2.3, "vgg16": 1.9, "mobilenet": 1.6}  # times the plain loop on two cores
STRONG = 0.97  # of the strong loop
FLOORS = {"resnet20": 0.065, "vgg16": 0.119, "mobilenet": 0.134}  # s an epoch of 50,000 on one H200: 790 TFLOP/s dense bf16, 4.3 TB/s
MACS = {"resnet20": 40.6e6, "vgg16": 313.2e6, "mobilenet": 46.4e6}  # an image forward; an update takes 6 FLOP for each
TRAFFIC = {"resnet20": 11.2e6, "vgg16": 14.4e6, "mobilenet": 23.2e6}  # bytes an image of fused float32 code
EPOCH = 50_000
KINDS = ("plain, 2 workers", "plain, no worker", "strong", "ours", "ours, nothing recorded")
BATCH, WARM_UP = 128, 3
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
        "| s an epoch of 50,000 | of the floor | recording, % of the time | warm-up, s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
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
                if (arch, kind) in {(ways[at][0], other) for at, other in children} and kind not in ("ours", "ours, nothing recorded"):
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
    cost = middle["ours, nothing recorded"] / middle["ours"] - 1
    floor = FLOORS[arch] if options.device.startswith("cuda") else floor_here(arch, way.precision, options.threads)
    return (
        f"| {arch} | {way.name} | {plain:.0f} | {middle['strong']:.0f} | {middle['ours']:.0f} | {max(ours):.0f} - {min(ours):.0f} | "
        f"{middle['ours'] / plain:.2f} | >= {TARGETS[arch]} | {middle['ours'] / middle['strong']:.3f} | >= {STRONG} | "
        f"{epoch_s:.2f} | {floor / epoch_s:.0%} | {cost:+.1%} | {warm_up_s:.1f} |"
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


def floor_here(arch: str, precision: str, threads: int) -> float:
    """Seconds an epoch of 50,000 images on this processor: its arithmetic as one matrix product, then its traffic as one copy."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    with devices.numerics(threads, deterministic=False):
        a, b = (torch.ones(3072, 3072, dtype=kind) for _ in range(2))
        flop_s = 2 * 3072**3 / best_of(lambda: a @ b)
        source, target = (torch.zeros(1 << 28, dtype=torch.uint8) for _ in range(2))
        bytes_s = 2 * len(source) / best_of(lambda: target.copy_(source))
    return EPOCH * (6 * MACS[arch] / flop_s + TRAFFIC[arch] * kind.itemsize / 4 / bytes_s)


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
            epoch = our_loop(options.arch[0], images, labels, device, way, recording=kind == "ours")
        epoch(0, len(images) if device.type == "cuda" else min(WARM_UP * BATCH, len(images)))
        devices.synchronize(device)
        print(json.dumps({"warm_up_s": time.perf_counter() - begun}), flush=True)
        for number, _ in enumerate(sys.stdin, 1):
            start = time.perf_counter()
            epoch(number, len(images))
            devices.synchronize(device)
            print(json.dumps({"images_per_second": len(images) / (time.perf_counter() - start)}), flush=True)


def our_loop(arch: str, images, labels, device, way: Way, recording: bool = True):
    """`train_epoch` as `train` runs it. Calling the result trains epoch `epoch` on the first `count` images."""
    config = RunConfig(data="cifar10", fingerprint="0" * 64, arch=arch, batch_size=BATCH, lr=0.02)
    mean, std = channel_statistics(images)
    network = way.prepared(build(arch, 10, 3, seed=0), device)
    forward, optimizer = Forward(network, way, device, BATCH), sgd(network, config, device)
    ids = np.arange(len(images))
    cut = Images(images, ids, mean, std, device, way.layout)
    labels = torch.from_numpy(labels).to(device)
    recorder = Recorder(len(images), 10, device) if recording else None
    if way.captured:
        return replayed_loop(network, forward, optimizer, cut, labels, recorder, len(images))

    def epoch(number: int, count: int) -> None:
        order_n = order(0, number, ids[:count])
        cut_batches = batches(cut, labels, order_n, views(0, number, ids, "crop-flip"), BATCH)
        train_epoch(network, forward, optimizer, cut_batches, lambda step: 0.02, 0, recorder)
        if recorder is not None:
            recorder.end_look(number)

    return epoch


def replayed_loop(network, forward, optimizer, images: Images, labels, recorder, count: int):
    """The same by CUDA graphs, whole epochs only."""
    network.train()
    update = Update(network, forward, optimizer, images, labels, recorder, count, BATCH)
    replayed, ids = Captured(update), np.arange(count)

    def epoch(number: int, _count: int) -> None:
        update.begin(order(0, number, ids), views(0, number, ids, "crop-flip"), [0.02] * len(update.sizes))
        for batch, size in enumerate(update.sizes):
            update.places.ready(batch)
            replayed(size)
        if recorder is not None:
            recorder.end_look(number)

    return epoch


def strong_loop(arch: str, images, labels, device, way: Way):
    """What a good engineer writes in an afternoon: everything in memory, nothing a sample in Python."""
    network = build(arch, 10, 3, seed=0).to(device)
    channels_last = way.layout == "channels_last"
    network = network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format).train()
    forward = torch.compile(network) if way.compiled or device.type == "cuda" else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    pixels = torch.from_numpy(images).float().div_(255)
    pixels = F.pad((pixels - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2)), (0, 0, 4, 4, 4, 4)).to(device).view(-1, 3)
    labels = torch.from_numpy(labels).to(device)
    kept = torch.zeros(5, len(images), device=device)
    side = torch.arange(32, device=device)

    def epoch(_number: int, count: int) -> None:
        shuffled = torch.randperm(count, device=device)
        for start in range(0, count, BATCH):
            rows = shuffled[start : start + BATCH]
            y, x = (torch.randint(0, 9, (len(rows), 1), device=device) + side for _ in range(2))
            x = torch.where(torch.rand(len(rows), 1, device=device) < 0.5, x, x.flip(1))
            place = (rows[:, None] * 40 + y)[:, :, None] * 40 + x[:, None, :]
            batch = pixels.index_select(0, place.view(-1)).view(-1, 32, 32, 3).permute(0, 3, 1, 2)
            batch = batch.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
            with torch.autocast(device.type, torch.bfloat16, enabled=way.precision == "bf16"):
                logits = forward(batch)
            logits, target = logits.float(), labels[rows]
            loss = F.cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                log_p = logits.log_softmax(1)
                p = log_p.exp()
                kept[0, rows] = (logits.argmax(1) == target).float()
                kept[1, rows] = F.nll_loss(log_p, target, reduction="none")
                best = logits.scatter(1, target[:, None], -torch.inf).amax(1)
                kept[2, rows] = logits.gather(1, target[:, None])[:, 0] - best
                kept[3, rows] = (p - F.one_hot(target, 10)).norm(dim=1)
                kept[4, rows] = -(p * log_p).sum(1)
        kept.cpu()

    return epoch


def plain_loop(arch: str, images, labels, device, workers: int):
    """The loop of the tutorials: PIL images through a DataLoader, float32 NCHW, and one Python float a sample and signal."""
    from torchvision import transforms

    mean, std = channel_statistics(images)
    change = transforms.Compose(
        [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(mean, std)]
    )
    network = build(arch, 10, 3, seed=0).to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    pictures = [Image.fromarray(image) for image in images]
    noted = {row: [] for row in range(len(images))}

    class Pictures(torch.utils.data.Dataset):
        def __init__(self, count: int):
            self.count = count

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, row: int):
            return row, change(pictures[row]), int(labels[row])

    def epoch(_number: int, count: int) -> None:
        start = "fork" if workers else None
        loader = torch.utils.data.DataLoader(Pictures(count), BATCH, shuffle=True, num_workers=workers, multiprocessing_context=start)
        for rows, batch, target in loader:
            batch, target = batch.to(device), target.to(device)
            logits = network(batch)
            losses = F.cross_entropy(logits, target, reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            logits, losses = logits.detach(), losses.detach()
            for i, row in enumerate(rows.tolist()):
                z, y = logits[i], target[i].item()
                ranked = z.sort(descending=True)
                best = ranked.values[1 if ranked.indices[0].item() == y else 0]
                p = z.softmax(0)
                error = p.clone()
                error[y] -= 1
                entropy = -(p * p.log()).sum().item()
                noted[row].append((z.argmax().item(), losses[i].item(), (z[y] - best).item(), error.norm().item(), entropy))

    return epoch


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


def cifar(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` train images of CIFAR-10, (count, 32, 32, 3) uint8, and their labels."""
    table = pq.read_table(DATA / "cifar10" / "train.parquet").slice(0, count)
    with concurrent.futures.ThreadPoolExecutor(devices.usable_cores()) as pool:
        images = list(pool.map(lambda cell: np.asarray(Image.open(io.BytesIO(cell["bytes"]))), table["image"].to_pylist()))
    return np.stack(images), table["label"].to_numpy().astype(np.int64)


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
