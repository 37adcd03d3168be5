"""How long the metrics take: every score of a whole recording, as one markdown table.

    python -m bench.metrics_time            50,000 samples x 200 looks
    python -m bench.metrics_time --large    and 1,281,167 x 90 with 1,000 classes (about 1.5 GB of memory)

The recording is made up (misses fall from about 90 % to 10 %, a hard tenth stays hard) but lies in memory as it is read from disk:
float16, one look after the other. Reading it is not part of the time.
"""

import argparse
import datetime
import os
import platform
import statistics
import time
import tracemalloc
from pathlib import Path

import numpy as np

from learnability.metrics import FIRST, available, score_all
from learnability.recording import Recording, storage_dtype


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--large", action="store_true", help="also 1,281,167 samples x 90 looks, 1,000 classes")
    options = parser.parse_args()
    sizes = [(50_000, 200, 10, 0.0), (50_000, 200, 10, 0.1)] + [(1_281_167, 90, 1000, 0.0)] * options.large
    print(conditions(options.repeats), "", sep="\n")
    print("| samples x looks, classes | unseen | metrics | median s | fastest - slowest s | CPU s | ns a cell | working memory, MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for N, E, K, unseen in sizes:
        recording = made_up(N, E, K, unseen)
        names = available(recording)
        for title, chosen in ((f"all {len(names)}", names), (f"the first {len(FIRST)}", list(FIRST))):
            seconds, cpu = zip(*[duration(recording, chosen) for _ in range(options.repeats + 1)][1:], strict=True)
            print(
                f"| {N:,} x {E}, {K} | {unseen:.0%} | {title} | {statistics.median(seconds):.3f} | {min(seconds):.3f} - {max(seconds):.3f} "
                f"| {statistics.median(cpu):.3f} | {1e9 * statistics.median(cpu) / N / E:.1f} "
                f"| {working_memory(recording, chosen) / 2**20:.1f} |",
                flush=True,
            )


def made_up(N: int, E: int, K: int, unseen: float = 0.0, seed: int = 0) -> Recording:
    """A recording with learning curves that look like those of a small network; a share of the looks unseen."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(0, K, N)
    hardness_N = rng.gamma(2, 1, N).astype(np.float32) + 4 * (rng.random(N) < 0.1)
    rival_N = (labels_N + rng.integers(1, K, N)) % K
    signals = {name: np.empty((E, N), storage_dtype(name, K)) for name in ("prediction", "loss", "margin", "el2n", "entropy")}
    for e in range(E):
        margin_N = 1.6 * np.log1p(30 * e / E) - hardness_N + rng.normal(0, 1, N).astype(np.float32)
        other_N = np.where(rng.random(N) < 0.6, rival_N, (labels_N + rng.integers(1, K, N)) % K)
        signals["prediction"][e] = np.where(margin_N > 0, labels_N, other_N)
        signals["margin"][e] = margin_N
        signals["loss"][e] = np.where(rng.random(N) < unseen, np.nan, np.log1p(np.exp(-margin_N)))
        signals["el2n"][e] = np.sqrt(2) / (1 + np.exp(margin_N))
        signals["entropy"][e] = np.log(2) * np.exp(-np.abs(margin_N))
    fields = {f"{name}_NE": signal.T for name, signal in signals.items()}
    return Recording(labels_N=labels_N, class_count=K, record="train", **fields)


def duration(recording: Recording, names: list[str]) -> tuple[float, float]:
    """Seconds to make these scores: on the clock, and of the processor, which other programs disturb less."""
    begun, cpu = time.perf_counter(), time.process_time()
    score_all(recording, names)
    return time.perf_counter() - begun, time.process_time() - cpu


def working_memory(recording: Recording, names: list[str]) -> float:
    """Bytes of working memory at the peak, without the recording and the scores."""
    tracemalloc.start()
    scores = score_all(recording, names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - sum(score_N.nbytes for score_N in scores.values())


def conditions(repeats: int) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if cpuinfo.exists()
        else []
    )
    processor = names[0] if names else platform.processor() or platform.machine()
    return (
        f"{datetime.date.today()}; {processor}, {os.cpu_count()} cores, one used; Python {platform.python_version()}, "
        f"numpy {np.__version__}; {repeats} repeats after one that does not count; load {os.getloadavg()[0]:.1f} at the start"
    )


if __name__ == "__main__":
    main()
