"""How long does `prepare` take for a folder of photographs, against one plain loop with Pillow that makes the same images?

    python -m bench.prepare_time [--images 600] [--size 500x375] [--repeats 5] [--workers 2]

The photographs are made here: noise with the spectrum of natural images (1/f), JPEG of quality 90. Two plain loops: one makes only
the pixels (open, upright, RGB, middle square, Lanczos to 64), the other also the thumbnails, as `prepare` does, which besides
hashes, isolates every decoder and writes a whole version. Every repeat runs all three in turn, each in a fresh process; imports
are not timed, starting the workers is. Prints one table row; figures of a busy machine say nothing, so the load is in the row.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

PLAIN = """
import io, sys, time
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps
folder, thumbnails = Path(sys.argv[1]), sys.argv[2] == "1"
Image.init()
started = time.perf_counter()
files = sorted(folder.rglob("*.jpg"))
images = np.empty((len(files), 64, 64, 3), np.uint8)
kept = []
for i, file in enumerate(files):
    with Image.open(file) as image:
        image = ImageOps.exif_transpose(image).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    images[i] = np.asarray(image.crop((left, top, left + side, top + side)).resize((64, 64), Image.Resampling.LANCZOS))
    if thumbnails:
        image.thumbnail((192, 192), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=80, method=0)
        kept.append(buffer.getvalue())
print(time.perf_counter() - started)
"""
OURS = """
import sys, time
from learnability.prepare.version import prepare
from learnability.store.paths import Cache
started = time.perf_counter()
prepared = prepare(Cache.at(sys.argv[2]), sys.argv[1], name="photographs", size=64, workers=int(sys.argv[3]))
assert prepared.new and prepared.rejects == 0
print(time.perf_counter() - started)
"""


def photographs(folder: Path, count: int, width: int, height: int) -> int:
    """Makes `count` JPEG files of two classes; returns their mean size in bytes."""
    draw = np.random.Generator(np.random.PCG64(0))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    total = 0
    for i in range(count):
        noise = draw.standard_normal((3, height, width // 2 + 1)) + 1j * draw.standard_normal((3, height, width // 2 + 1))
        image = np.fft.irfft2(noise / frequency, (height, width))
        image = 128 + 48 * (0.7 * image.mean(0) + 0.3 * image) / image.mean(0).std()
        file = folder / str(i % 2) / f"{i:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(file, quality=90)
        total += file.stat().st_size
    return total // count


def seconds(code: str, *arguments: str) -> float:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return float(subprocess.check_output([sys.executable, "-c", code, *arguments], text=True, env=environment))


def told(column: tuple[float, ...]) -> str:
    return f"{statistics.median(column):.2f} s ({min(column):.2f}-{max(column):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--size", default="500x375")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    rows = []
    with tempfile.TemporaryDirectory() as top:
        mean_size = photographs(Path(top, "photographs"), options.images, width, height)
        source = str(Path(top, "photographs"))
        for repeat in range(options.repeats):
            plain, plain_both = seconds(PLAIN, source, "0"), seconds(PLAIN, source, "1")
            rows.append((plain, plain_both, seconds(OURS, source, str(Path(top, f"cache{repeat}")), str(options.workers))))
    pixels, both, ours = zip(*rows, strict=True)
    middle, best = [[choose(column) for column in (pixels, both, ours)] for choose in (statistics.median, min)]
    print("| images | pixels only, plain loop | with thumbnails, plain loop | prepare | images/s | times the loops | of the fastest |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {options.images} x {options.size}, {mean_size / 1000:.0f} kB | {told(pixels)} | {told(both)} "
        f"| {told(ours)}, {options.workers} workers "
        f"| {options.images / middle[2]:.0f} | {middle[0] / middle[2]:.2f}, {middle[1] / middle[2]:.2f} "
        f"| {best[0] / best[2]:.2f}, {best[1] / best[2]:.2f} |"
    )
    print(
        f"\n{date.today()}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, Pillow {version('pillow')}, median of {options.repeats} interleaved repeats"
    )


if __name__ == "__main__":
    main()
