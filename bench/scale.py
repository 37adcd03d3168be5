"""What does a data set of ImageNet's size take? Photographs prepared, a run recorded, scores, pages; memory all the while.

    python -m bench.scale --work /tmp/scale                          100,000 photographs, then 1,281,167 rows: some hours
    python -m bench.scale --work /tmp/scale --images 5000 --size 224 --rows 100000 --looks 10

1. photographs  made here: 1/f noise of other places, colours and contrasts each, JPEG of about 100 kB, no two alike.
2. prepare      `learnability prepare` of them; then they are removed.
3. rows         a data set of many small pictures and runs of three networks over it, made up by bench.made_cache.
4. train        `learnability train` of a very small network on those rows: what recording takes where there are many.
5. scores       `learnability scores` of the runs.
6. browse       bench.dashboard_time on them.

A step that is done is not repeated: the same command goes on where it was interrupted, and --steps takes some now and others
later. Memory is RssAnon over a command and all it started (of the pages: of the server), ten times a second; pages of mapped
files do not count. Prints one markdown table; when all is done leaves WORK/scale.json (with every curve) and removes the rest.
"""

import argparse
import concurrent.futures
import functools
import io
import json
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT, QUALITY = 500, 375, 90  # of the average picture of ImageNet
KILOBYTES = 110  # a photograph here, at most
CLASSES, PER_FOLDER = 100, 1000
TEXTURES = 12
POINTS = 6  # of a curve that are printed
SPARE = 2e9  # bytes left free on the disk


def small(num_classes: int, in_channels: int):
    """A network so small that what is measured is everything else."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, 4, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
    )  # fmt: skip


# photographs


@functools.cache
def textures() -> np.ndarray:
    """(TEXTURES, 2 HEIGHT, 2 WIDTH) int16 around 0: noise with the spectrum of photographs, the same in every process."""
    draw = np.random.Generator(np.random.Philox(31))
    shape = 2 * HEIGHT, 2 * WIDTH
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = 1
    found = np.empty((TEXTURES, *shape), np.int16)
    for one in found:
        noise = draw.standard_normal((2, *frequency.shape))
        plane = np.fft.irfft2((noise[0] + 1j * noise[1]) / frequency, shape)
        one[:] = 256 * plane / plane.std()
    return found


def photograph(number: int) -> bytes:
    """The JPEG of photograph `number`: one texture is its light, two more its colours, each cut out at a place of its own."""
    draw = np.random.Generator(np.random.Philox([32, number]))
    which, y, x = draw.integers(TEXTURES, size=3), draw.integers(HEIGHT, size=3), draw.integers(WIDTH, size=3)
    light, red, blue = (textures()[t, a : a + HEIGHT, b : b + WIDTH].astype(np.int32) for t, a, b in zip(which, y, x, strict=True))
    contrast, colour, mean = draw.integers(36, 64), draw.integers(6, 24), draw.integers(90, 150, 3)
    base = light * contrast
    planes = (base + red * colour, base, base + blue * colour)
    pixels = np.stack([(plane >> 8) + level for plane, level in zip(planes, mean, strict=True)], 2).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def made(folder: Path, first: int, count: int) -> int:
    """Writes photographs `first` .. `first + count - 1`, each whole or not at all; the bytes of all of them."""
    total = 0
    for number in range(first, first + count):
        file = folder / f"class-{number % CLASSES:03d}" / f"{number:07d}.jpg"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_bytes(photograph(number))
            part.replace(file)
        total += file.stat().st_size
    return total


def photographs(options) -> list[dict]:
    pixels = options.images * (options.size**2 * 3 + 15_000)  # and a thumbnail
    require(options.work, options.images * KILOBYTES * 1000 + pixels, options.disk)
    begun = time.monotonic()
    starts = range(0, options.images, PER_FOLDER)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        sizes = pool.map(made, [options.work / "photographs"] * len(starts), starts, [min(PER_FOLDER, options.images - s) for s in starts])
        total = sum(sizes)
    took = time.monotonic() - begun
    return [row("photographs", f"{options.images:,} of {WIDTH} x {HEIGHT}, {total / options.images / 1000:.0f} kB each", took, disk=total)]


READ = """
import time
import numpy as np
import torch
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.training.batches import order
from learnability.training.images import CHUNK, Images
data = open_dataset(Cache.at({cache!r}), "photographs")
images = Images(data.images, np.arange(data.N), [0.5] * 3, [0.25] * 3, torch.device("cpu"), "nchw", budget=0)
rows = order(0, 0, np.arange(data.N))
count = CHUNK // data.images[0].nbytes
parts = [rows[first : first + count] for first in range(0, len(rows), count)][:8]
buffer = images.read(parts[0])
begun = time.perf_counter()
for part in parts:
    images.read(part, buffer)
print(sum(map(len, parts)), time.perf_counter() - begun)
"""


def prepare(options) -> list[dict]:
    cache, source = options.work / "cache", options.work / "photographs"
    shutil.rmtree(cache, ignore_errors=True)  # half of it may be there
    told = ["prepare", f"folder:{source}", "--name", "photographs", "--size", str(options.size), "--json"]
    took, curve, output = run(options, "prepare", told)
    rejects = json.loads(output)["rejects"]
    if rejects:
        raise SystemExit(f"prepare rejected {rejects} photographs: expected none. See {cache}.")
    prepared = next((cache / "datasets" / "photographs").glob("*/images.npy")).parent
    thumbnails = (prepared / "thumbnails.bin").stat().st_size / options.images / 1000
    what = f"{options.images:,} photographs to {options.size} x {options.size}; thumbnails of {thumbnails:.1f} kB"
    found = [row("prepare", what, took, f"{options.images / took:.0f} images/s", bytes_of(cache / "datasets"), curve)]
    took, _, output = run(options, "read", code=READ.format(cache=str(cache)))
    read, seconds = map(float, output.split())
    what = f"{read:.0f} rows of it in the order of an epoch, by one thread, as images are brought to a device"
    rate = f"{read / seconds:.0f} images/s, {read / seconds * options.size**2 * 3 / 1e9:.2f} GB/s"
    shutil.rmtree(source)
    shutil.rmtree(cache)
    return [*found, row("read", what, seconds, rate)]


# many rows


def rows(options) -> list[dict]:
    signals = options.rows * options.looks * 10 * 3
    require(options.work, signals + options.rows * (options.side**2 * 3 + 1000), options.disk)
    root = options.work / "cache"
    shutil.rmtree(root, ignore_errors=True)
    command = ["bench.made_cache", "--samples", options.rows, "--classes", 1000, "--side", options.side, "--epochs", options.looks]
    took, _, _ = run(options, "rows", [*map(str, command), "--seeds", "1"], module=True)
    runs = len(list((root / "runs" / "made-up").iterdir()))
    content = f"{options.rows:,} samples, 1,000 classes, {runs} runs of {options.looks} looks"
    return [row("rows", content, took, disk=bytes_of(root))]


def train(options) -> list[dict]:
    told = ["train", "--data", "made-up", "--arch", "bench.scale:small", "--epochs", str(options.epochs), "--batch-size", "1024"]
    for folder in (options.work / "cache" / "runs" / "made-up").glob("bench.scale*"):
        shutil.rmtree(folder)  # an interrupted one would be measured in part
    took, curve, _ = run(options, "train", [*told, "--precision", "fp32", "--json"])
    folder = next((options.work / "cache" / "runs" / "made-up").glob("bench.scale*"))
    looks = [json.loads(line) for line in (folder / "looks.jsonl").read_text().splitlines()]
    rate = f"{np.median([look['images_per_second'] for look in looks]):,.0f} images/s in updates"
    size = bytes_of(folder)
    what = f"{options.rows:,} rows x {options.epochs} epochs of a network of one convolution, {options.side} x {options.side}"
    shutil.rmtree(folder)
    return [row("train and record", what, took, rate, size, curve)]


SCORES = """
from learnability.store.paths import Cache
from learnability.store.scores import write_scores
write_scores(Cache.at({cache!r}), "made-up", {run!r})
"""


def scores(options) -> list[dict]:
    found = []
    for metric in ("learnability", "suspicion"):
        file = options.work / f"{metric}.parquet"
        told = ["scores", "--data", "made-up", "--metric", metric, "--out", str(file)]
        took, curve, _ = run(options, f"scores-{metric}", told)
        found.append(row("scores", f"`scores --metric {metric}`, {options.rows:,} rows", took, disk=file.stat().st_size, curve=curve))
        file.unlink()
    run_id = min((options.work / "cache" / "runs" / "made-up").iterdir()).name
    code = SCORES.format(cache=str(options.work / "cache"), run=run_id)
    took, curve, _ = run(options, "all-metrics", code=code)
    return [*found, row("scores", f"every metric of a run of {options.looks} looks from its signals", took, curve=curve)]


def browse(options) -> list[dict]:
    told = ["bench.dashboard_time", "--cache", str(options.work / "cache"), "--repeats", "8", "--sessions", "0"]
    took, curve, output = run(options, "browse", told, module=True, of="streamlit")
    table = re.findall(r"^\| (?!what|-|\.\.\.|RssAnon)([^|]+?) \| ([\d.]+) \| ([\d.]+) \|", output, re.MULTILINE)
    waits = [row("browse", name, None, f"median {median} ms, p95 {p95} ms") for name, median, p95 in table]
    return [*waits, row("browse", "server of the pages, while all that was done", took, curve=curve)]


STEPS = {"photographs": photographs, "prepare": prepare, "rows": rows, "train": train, "scores": scores, "browse": browse}


# running and measuring


class Curve(threading.Thread):
    """RssAnon over a process and all that it started; with `of`, of those alone whose command line holds that word."""

    def __init__(self, pid: int, of: str | None):
        super().__init__(daemon=True)
        self.top, self.of, self.points, self.ended = psutil.Process(pid), of, [], threading.Event()

    def run(self) -> None:
        begun = time.monotonic()
        while not self.ended.wait(0.1):
            if size := sum(self._sizes()):
                self.points.append((round(time.monotonic() - begun, 1), round(size, 1)))

    def _sizes(self) -> Iterator[float]:
        """MB of each process; one that has just ended has none."""
        try:
            everyone = [self.top, *self.top.children(recursive=True)]
        except psutil.Error:
            return
        for process in everyone:
            try:
                if self.of is None or self.of in " ".join(process.cmdline()):
                    yield int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024 / 1e6
            except (psutil.Error, OSError, TypeError):
                continue


def run(options, name: str, arguments=(), *, module: bool = False, code: str | None = None, of: str | None = None):
    """(seconds, curve, output) of a command of the shell, of a module of its own, or of a piece of code, in a fresh process."""
    log = options.work / "log" / f"{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    cache = ["--cache", str(options.work / "cache")] if "--cache" not in arguments else []
    command = ["-c", code] if code else ["-m", *([] if module else ["learnability"]), *arguments, *cache]
    begun = time.monotonic()
    with open(log, "w") as errors:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True)
        curve = Curve(process.pid, of)
        curve.start()
        output = process.communicate()[0]
    took = time.monotonic() - begun
    curve.ended.set()
    curve.join()
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}; its last words, in {log}:\n{log.read_text()[-2000:]}{output[-2000:]}")
    return took, curve.points, output


def row(step: str, what: str, seconds: float | None, rate: str = "", disk: float | None = None, curve=()) -> dict:
    return {"step": step, "what": what, "seconds": seconds, "rate": rate, "disk": disk, "curve": list(curve)}


def line(one: dict) -> str:
    seconds = "" if one["seconds"] is None else f"{one['seconds']:.0f}" if one["seconds"] >= 10 else f"{one['seconds']:.1f}"
    disk = "" if one["disk"] is None else f"{one['disk'] / 1e9:.2f}"
    most = curve = ""
    if sizes := [size for _, size in one["curve"]]:
        most = f"{max(sizes):.0f}"
        curve = ", ".join(f"{sizes[round(place)]:.0f}" for place in np.linspace(0, len(sizes) - 1, POINTS))
    return f"| {one['step']} | {one['what']} | {seconds} | {one['rate']} | {disk} | {most} | {curve} |"


def require(folder: Path, needed: float, allowed: float) -> None:
    """Refuses what would fill the disk, or take more of it than was allowed."""
    free = shutil.disk_usage(folder).free - SPARE
    if needed > min(free, allowed * 1e9):
        raise SystemExit(
            f"about {needed / 1e9:.0f} GB needed in {folder}: expected at most {min(free / 1e9, allowed):.0f} GB. Choose fewer --images or "
            "--rows, a smaller --size, or allow more with --disk."
        )


def bytes_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def conditions(load: float) -> str:
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else []
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "pillow", "pyarrow", "streamlit"))
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"{date.today()}; {names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, load {load:.1f} at the "
        f"start; Python {platform.python_version()}, {libraries}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder on the disk that is meant; the same one goes on")
    parser.add_argument("--images", type=int, default=100_000, help="photographs to make and prepare (default 100,000)")
    parser.add_argument("--size", type=int, default=128, help="pixels that they are prepared to (default 128)")
    parser.add_argument("--rows", type=int, default=1_281_167, help="samples to record, score and browse (default 1,281,167)")
    parser.add_argument("--side", type=int, default=16, help="pixels of their pictures (default 16)")
    parser.add_argument("--looks", type=int, default=90, help="of the runs that are scored and browsed (default 90)")
    parser.add_argument("--epochs", type=int, default=3, help="of the run that is trained (default 3)")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="default: all")
    parser.add_argument("--disk", type=float, default=20.0, metavar="GB", help="may be taken at once (default 20)")
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "scale.json"
    asked = {name: getattr(options, name) for name in ("images", "size", "rows", "side", "looks", "epochs")}
    known = json.loads(kept.read_text()) if kept.exists() else {"asked": asked, "conditions": conditions(os.getloadavg()[0]), "done": {}}
    if known["asked"] != asked:
        raise SystemExit(f"{options.work} was begun with {known['asked']}: expected the same. Remove it, or choose another --work.")
    for name in options.steps:
        if name not in known["done"]:
            print(f"{name} ...", file=sys.stderr, flush=True)
            known["done"][name] = STEPS[name](options)
            part = kept.with_suffix(".part")
            part.write_text(json.dumps(known))
            part.replace(kept)
    if len(known["done"]) == len(STEPS):
        for folder in ("photographs", "cache", "log"):
            shutil.rmtree(options.work / folder, ignore_errors=True)
    else:
        print(f"{bytes_of(options.work) / 1e9:.1f} GB are left in {options.work} for the other steps", file=sys.stderr)
    print(f"{known['conditions']}\n")
    print(f"| step | what | seconds | rate | disk, GB | RssAnon at most, MB | at {POINTS} moments from start to end, MB |")
    print("|---|---|---|---|---|---|---|")
    for name in STEPS:
        for one in known["done"].get(name, []):
            print(line(one))


if __name__ == "__main__":
    main()
