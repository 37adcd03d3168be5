"""What a Recorder costs somebody's own loop: torchvision's ResNet-18 at 32 x 32, with it and without.

    python -m bench.recorder_overhead                    2 CPU cores: some 2 minutes
    python -m bench.recorder_overhead --device cuda --images 50000

with and without take turns, an epoch each, in one process; `end_look` is part of the epoch, its commits and scores too. `share` is
what the recorder says of itself at its end (seconds inside it by those since its first update).
"""

import argparse
import datetime
import platform
import statistics
import tempfile
import time

import torch
import torchvision

import learnability
from learnability.training import devices

BATCH, CLASSES, TARGET = 128, 10, 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = devices.resolve(options.device)
    with tempfile.TemporaryDirectory() as cache:
        recorder = learnability.Recorder("bench", "resnet18", options.images, class_names=list("abcdefghij"), cache=cache)
        loops = {True: Loop(options.images, device, recorder), False: Loop(options.images, device, None)}
        for loop in loops.values():
            loop.epoch()
        seconds = {True: [], False: []}
        for _ in range(options.repeats):
            for recording, loop in loops.items():
                start = time.perf_counter()
                loop.epoch()
                seconds[recording].append(time.perf_counter() - start)
        recorder.close()
    on, off = (statistics.median(seconds[recording]) for recording in (True, False))
    print(f"{datetime.date.today()}, {devices.device_name(device)}, {options.threads} threads, torch {torch.__version__}, ", end="")
    print(f"Python {platform.python_version()}; {options.images} images of 32 x 32, batch {BATCH}, {options.repeats} epochs each\n")
    print("| with, images/s | without | with - without, % of the time | spread of without, % | share in the recorder, % | target |")
    print("|---|---|---|---|---|---|")
    spread = (max(seconds[False]) - min(seconds[False])) / off
    print(
        f"| {options.images / on:.0f} | {options.images / off:.0f} | {(on - off) / off:+.2%} | {spread:.1%} | {recorder.overhead:.2%} | "
        f"<= {TARGET:.0%} |"
    )


class Loop:
    """A plain training loop, as its owner would write it."""

    def __init__(self, count: int, device: torch.device, recorder: learnability.Recorder | None):
        torch.manual_seed(0)
        self.network = torchvision.models.resnet18(num_classes=CLASSES).to(device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.05, momentum=0.9)
        self.images = torch.randn(count, 3, 32, 32, device=device)
        self.labels = torch.arange(count, device=device) % CLASSES
        self.recorder, self.device = recorder, device

    def epoch(self) -> None:
        for ids in torch.randperm(len(self.labels)).split(BATCH):
            logits = self.network(self.images[ids])
            loss = torch.nn.functional.cross_entropy(logits, self.labels[ids])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.recorder is not None:
                self.recorder.update(ids, logits, self.labels[ids])
        if self.recorder is not None:
            self.recorder.end_look()
        devices.synchronize(self.device)


if __name__ == "__main__":
    main()
