"""The paper's experiment on one device: three architectures on CIFAR-10, from a prepared data set to the last score.

    python -m bench.paper --device cuda                            3 x 200 epochs x 50,000 images, one run after the other
    python -m bench.paper --device cuda --seeds 3 --together 3     the three architectures side by side
    python -m bench.paper --images 640 --epochs 2                  the CPU, for the way it goes

Wall time of `train`, compilation, capture, test passes, commits and checkpoints included.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.commit_cost import cifar_cache
from bench.epoch_time import TARGETS, conditions
from learnability.config import PRECISIONS, study
from learnability.store.datasets import open_dataset
from learnability.store.runs import Head, load_looks
from learnability.training import devices, train_together

TARGET_S = {1: 300, 3: 600}  # seeds -> seconds on one H200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--together", type=int, default=1, help="runs at once (default 1)")
    parser.add_argument("--precision", default="auto", choices=PRECISIONS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    options = parser.parse_args()
    options.repeats = 1
    print(conditions(options), "", sep="\n")
    print("| runs | epochs | seconds | s an epoch of each |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        cache = cifar_cache(Path(folder), options.images)
        opened = open_dataset(cache, "cifar10")
        given = {"epochs": options.epochs, "precision": options.precision}
        configs = study("cifar10", opened.fingerprint, opened.C, opened.N, list(TARGETS), options.seeds, 0, **given)
        configs.sort(key=lambda config: config.seed)  # the architectures of a seed are neighbours
        total = 0.0
        for first in range(0, len(configs), options.together):
            part, start = configs[first : first + options.together], time.perf_counter()
            threads = max(1, options.threads // len(part)) if options.device == "cpu" else options.threads
            for outcome in train_together(part, cache, options.device, threads):
                if not isinstance(outcome, Head):
                    raise outcome
            seconds = time.perf_counter() - start
            total += seconds
            looks = [load_looks(cache, "cifar10", config.run_id) for config in part]
            each = ", ".join(f"{statistics.median(look['seconds'] for look in own):.2f}" for own in looks)
            print(f"| {', '.join(f'{one.arch} {one.seed}' for one in part)} | {options.epochs} | {seconds:.1f} | {each} |", flush=True)
    target = f", target <= {TARGET_S[options.seeds]} s on one H200" if options.seeds in TARGET_S else ""
    print(f"\nAll: {total:.1f} s{target}")


if __name__ == "__main__":
    main()
