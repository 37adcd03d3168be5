"""What commits and checkpoints cost: the share of a real training's time that is spent in them.

    python -m bench.commit_cost                                    2 CPU cores: some 5 minutes
    python -m bench.commit_cost --device cuda --images 50000 --seconds 60

`train` as everybody runs it, on real CIFAR-10, with its own commit policy and in the way that its trial chose before; seconds
in the writer and in copies of the state by those of the whole training. Scores and checkpoint at its end are counted in.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from bench.epoch_time import TARGETS, conditions
from bench.loops import DATA
from bench.recording_overhead import Stopwatch
from learnability.config import RunConfig
from learnability.prepare import prepare
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.writer import RunWriter
from learnability.training import Stop, devices, session, train

TARGET = 0.01
EPOCHS = 150  # on the CPU too few for compiling to be tried
WRITES = ("commit", "write_scores", "write_features", "finish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--seconds", type=float, default=75, help="of training an architecture (default 75)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    options = parser.parse_args()
    options.repeats = 1
    print(conditions(options), "", sep="\n")
    print("| network | looks | seconds | in commits, checkpoints and scores | share | target |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        cache = cifar_cache(Path(folder), options.images)
        for arch in options.arch:
            print(row(cache, arch, options), flush=True)


def row(cache: Cache, arch: str, options) -> str:
    fingerprint = open_dataset(cache, "cifar10").fingerprint
    config = RunConfig(data="cifar10", fingerprint=fingerprint, arch=arch, epochs=EPOCHS)
    train(dataclasses.replace(config, seed=1, epochs=1), cache, options.device, options.threads)  # chooses the way, which is remembered
    inside, stop, start = Stopwatch(), Stop(), time.perf_counter()

    def told(*_args, **_more) -> None:
        if time.perf_counter() - start > options.seconds:
            stop.ask()

    with inside.around(RunWriter, WRITES), patch.object(session, "snapshot", inside.timed(session.snapshot)):
        head = train(config, cache, options.device, options.threads, told, stop)
    seconds = time.perf_counter() - start
    share = inside.seconds / seconds
    return f"| {arch} | {head.looks} | {seconds:.1f} | {inside.seconds:.2f} s | {share:.2%} | <= {TARGET:.0%} |"


def cifar_cache(folder: Path, images: int) -> Cache:
    """A cache with the first train images of CIFAR-10, prepared as anybody would."""
    cache = Cache.at(folder)
    prepare(cache, f"parquet:{DATA / 'cifar10' / 'train.parquet'}", name="cifar10", limit=images)
    return cache


if __name__ == "__main__":
    main()
