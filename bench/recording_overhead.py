"""What recording costs: our loop with a Recorder and without, and the share of the time that is spent in it.

    python -m bench.recording_overhead                             2 CPU cores: some 10 minutes
    python -m bench.recording_overhead --device cuda --images 50000

with and without take turns in one process, an epoch each. `share` is measured inside the loop with recording: seconds in
`Recorder.update` and `end_look` by those of the epoch (on the CPU, where a call returns when its work is done).
"""

import argparse
import statistics
import time

from bench.epoch_time import TARGETS, WARM_UP, conditions, probed
from bench.loops import BATCH, cifar, our_loop
from learnability.training import devices
from learnability.training.recorder import Recorder

TARGET = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    options = parser.parse_args()
    print(conditions(options), "", sep="\n")
    print("| network | way | with, images/s | without | with - without, % of the time | share in the recorder, % | target |")
    print("|---|---|---|---|---|---|---|")
    for arch in options.arch:
        print(row(arch, options), flush=True)


def row(arch: str, options) -> str:
    device, way = devices.resolve(options.device), probed(arch, options)
    images, labels = cifar(options.images)
    inside = Stopwatch()
    with devices.numerics(options.threads, deterministic=False), inside.around(Recorder, ("update", "end_look")):
        loops = {recording: our_loop(arch, images, labels, device, way, recording) for recording in (True, False)}
        seconds, shares = {True: [], False: []}, []
        for epoch in loops.values():
            epoch(0, min(WARM_UP * BATCH, len(images)))
        for number in range(options.repeats):
            for recording, epoch in loops.items():
                inside.seconds = 0.0
                devices.synchronize(device)
                start = time.perf_counter()
                epoch(number, len(images))
                devices.synchronize(device)
                seconds[recording].append(time.perf_counter() - start)
                if recording:
                    shares.append(inside.seconds / seconds[True][-1])
    on, off = (statistics.median(seconds[recording]) for recording in (True, False))
    return (
        f"| {arch} | {way.name} | {len(images) / on:.0f} | {len(images) / off:.0f} | {(on - off) / off:+.1%} | "
        f"{statistics.median(shares):.2%} | <= {TARGET:.0%} |"
    )


class Stopwatch:
    """Adds up the seconds spent in some methods of a class."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, kind: type, names: tuple[str, ...]):
        from unittest.mock import patch

        return patch.multiple(kind, **{name: self.timed(getattr(kind, name)) for name in names})

    def timed(self, method):
        def timed(*args, **kwargs):
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


if __name__ == "__main__":
    main()
