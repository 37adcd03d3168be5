"""Several runs at once on one device against one: images a second of all together, recordings on.

    python -m bench.concurrent_runs --device cuda --images 50000 --epochs 30
    python -m bench.concurrent_runs --images 640 --epochs 4            the CPU: each run has its share of the cores

`train_together` with 1, 2, 4 runs of one architecture that differ in seed; what each did after its first epoch counts,
when everything is compiled and captured. Runs take turns, as the rows say.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from bench.commit_cost import cifar_cache
from bench.epoch_time import TARGETS, conditions
from learnability.config import RunConfig
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import Head, load_looks
from learnability.training import devices, train_together
from learnability.training.ways import has_bf16

TARGET = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", default=["resnet20"], choices=list(TARGETS))
    parser.add_argument("--together", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    parser.add_argument("--precision", default=None, help="default: bf16 or fp32 by name, so that nothing is tried")
    options = parser.parse_args()
    print(conditions(options), "", sep="\n")
    print("| network | " + " | ".join(f"{count} at once, images/s" for count in options.together) + " | most / one | target |")
    print("|---|" + "---|" * (len(options.together) + 2))
    with tempfile.TemporaryDirectory() as folder:
        cache = cifar_cache(Path(folder), options.images)
        for arch in options.arch:
            print(row(cache, arch, options), flush=True)


def row(cache: Cache, arch: str, options) -> str:
    speeds = {count: [] for count in options.together}
    for _ in range(options.repeats):
        for count in options.together:
            speeds[count].append(speed(cache, arch, count, options))
    middle = {count: statistics.median(values) for count, values in speeds.items()}
    gain = max(middle.values()) / middle[1] if 1 in middle else float("nan")
    return f"| {arch} | " + " | ".join(f"{middle[count]:.0f}" for count in options.together) + f" | {gain:.2f} | >= {TARGET} on CUDA |"


def speed(cache: Cache, arch: str, count: int, options) -> float:
    """Images a second of all runs together, epochs without commits and first ones left out."""
    shared = {"data": "cifar10", "fingerprint": open_dataset(cache, "cifar10").fingerprint, "arch": arch, "epochs": options.epochs}
    configs = [RunConfig(**shared, seed=seed, precision=options.precision or named_precision(options.device)) for seed in range(count)]
    total = 0.0
    threads = max(1, options.threads // count) if options.device == "cpu" else options.threads
    for config, outcome in zip(configs, train_together(configs, cache, options.device, threads, restart=True), strict=True):
        if not isinstance(outcome, Head):
            raise outcome
        looks = load_looks(cache, "cifar10", config.run_id)[1:]
        total += options.images * len(looks) / sum(look["seconds"] for look in looks)
    return total


def named_precision(device: str) -> str:
    """The one that trains in its fixed way here in good time."""
    return "bf16" if has_bf16(devices.resolve(device)) else "fp32"


if __name__ == "__main__":
    main()
