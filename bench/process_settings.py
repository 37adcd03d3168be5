"""What two settings of the process bring on the CPU: freed memory that is kept, and threads that do not spin.

    python -m bench.process_settings            2 cores: some 6 minutes

Steps of each network as `--precision bf16` (`fp32` without it) runs them, batch 128, in fresh processes that take
turns. `kept`: glibc keeps freed memory (`devices.keep_freed_memory`). `waiting`: idle OpenMP threads sleep
(GOMP_SPINCOUNT, set before PyTorch is loaded). Alone, and beside another process that keeps one core busy: a browser,
a dashboard, a second training.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from bench.epoch_time import TARGETS, conditions
from bench.loops import BATCH
from learnability.training import SPIN

SETTINGS = {"as it comes": (False, None), "kept": (True, None), "waiting": (False, SPIN), "kept, waiting": (True, SPIN)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--one", nargs=2, metavar=("ARCH", "KEPT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(measured(options.one[0], options.one[1] == "True", options))
        return
    options.device, options.images = "cpu", options.steps * BATCH
    print(conditions(options), "", sep="\n")
    print("| network | beside | " + " | ".join(f"{name}, images/s" for name in SETTINGS) + " | gain of both |")
    print("|---|---|" + "---|" * (len(SETTINGS) + 1))
    for arch in options.arch:
        for busy in (False, True):
            print(row(arch, busy, options), flush=True)


def row(arch: str, busy: bool, options) -> str:
    speeds = {name: [] for name in SETTINGS}
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        for _ in range(options.repeats):
            for name, (kept, spin) in SETTINGS.items():
                environment = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
                environment["GOMP_SPINCOUNT"] = spin or "300000"  # what libgomp takes where there are cores enough
                shared = ["--steps", str(options.steps), "--threads", str(options.threads)]
                command = [sys.executable, "-m", "bench.process_settings", *shared, "--one", arch, str(kept)]
                outcome = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                speeds[name].append(float(outcome.stdout))
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    middle = [statistics.median(values) for values in speeds.values()]
    beside = "a busy process" if busy else "nothing"
    return f"| {arch} | {beside} | " + " | ".join(f"{value:.0f}" for value in middle) + f" | {middle[-1] / middle[0] - 1:+.0%} |"


def measured(arch: str, kept: bool, options) -> float:
    """Images a second of some steps after two of warm-up."""
    import torch

    from bench.loops import cifar, our_loop
    from learnability.training import devices
    from learnability.training.ways import fixed, has_bf16

    cpu = torch.device("cpu")
    if kept:
        devices.keep_freed_memory()
    images, labels = cifar(options.steps * BATCH)
    with devices.numerics(options.threads, deterministic=False):
        epoch = our_loop(arch, images, labels, cpu, fixed("bf16" if has_bf16(cpu) else "fp32", cpu))
        epoch(0, 2 * BATCH)
        start = time.perf_counter()
        epoch(1, len(images))
        return len(images) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
