"""Networks that misbehave at a forward pass in train mode; FAULT_AT says at which (0 by default), FAULT_FILE names a file."""

import os
import signal
import subprocess
import sys
import time

import torch
from torch import nn


class Faulty(nn.Module):
    """One linear layer, and a misdeed."""

    def __init__(self, num_classes: int, in_channels: int, misdeed):
        super().__init__()
        self.head = nn.Linear(in_channels, num_classes)
        self.misdeed, self.passes = misdeed, 0

    def forward(self, images):
        if self.training:
            if self.passes == int(os.environ.get("FAULT_AT", "0")):
                self.misdeed()
            self.passes += 1
        return self.head(images.float().mean((2, 3)))


def hangs(num_classes, in_channels):
    """A read that never returns."""

    def misdeed():
        with open(os.environ["FAULT_FILE"], "rb") as pipe:
            pipe.read()

    return Faulty(num_classes, in_channels, misdeed)


def deaf(num_classes, in_channels):
    """Does not hear SIGTERM, never comes to its stop file, and has a child in a session of its own."""

    def misdeed():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        while True:
            time.sleep(0.1)

    return Faulty(num_classes, in_channels, misdeed)


def greedy(num_classes, in_channels):
    """Wants more memory than the device has."""

    def misdeed():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    return Faulty(num_classes, in_channels, misdeed)


def exits(num_classes, in_channels):
    """Ends the process as a script would."""
    return Faulty(num_classes, in_channels, lambda: sys.exit(0))


def missing(num_classes, in_channels):
    """Needs a module that is not installed."""
    import a_module_that_nobody_has  # noqa: F401


def chatty(num_classes, in_channels):
    """Prints without end."""

    def misdeed():
        print("the beginning")
        for _ in range(60):
            print("x" * 99_999)
            time.sleep(0.02)
        print("the end", flush=True)

    return Faulty(num_classes, in_channels, misdeed)


def slow(num_classes, in_channels):
    """Learns next to nothing, and takes its time for it: 0.05 s a batch."""

    class Slow(Faulty):
        def forward(self, images):
            if self.training:
                time.sleep(float(os.environ.get("FAULT_SECONDS", "0.05")))
            return super().forward(images)

    return Slow(num_classes, in_channels, lambda: None)


def dies(num_classes, in_channels):
    """Has a fault in native code."""
    return Faulty(num_classes, in_channels, lambda: os.kill(os.getpid(), signal.SIGSEGV))
