"""Networks of one linear layer that misbehave in train mode, for the real engine."""

import misdeeds
import torch
from torch import nn


class Faulty(nn.Module):
    """A linear layer on the mean of each channel, and a step that may go wrong."""

    def __init__(self, num_classes: int, in_channels: int, step):
        super().__init__()
        self.head = nn.Linear(in_channels, num_classes)
        self.step = step

    def forward(self, images):
        if self.training:
            self.step()
        return self.head(images.float().mean((2, 3)))


def network(name: str):
    """The builder of a network with one of the misdeeds."""

    def builder(num_classes, in_channels):
        return Faulty(num_classes, in_channels, misdeeds.Step(name))

    return builder


def greedy(num_classes, in_channels):
    """Wants more memory than the device has."""
    step = misdeeds.Step("greedy")

    def misdeed():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    step.misdeed = misdeed
    return Faulty(num_classes, in_channels, step)


def infinite(num_classes, in_channels):
    """Gives numbers that are none."""
    made = Faulty(num_classes, in_channels, misdeeds.Step("infinite"))

    def misdeed():
        with torch.no_grad():
            made.head.weight.fill_(float("inf"))

    made.step.misdeed = misdeed
    return made


NETWORKS = {name: network(name) for name in misdeeds.NAMES} | {"greedy": greedy, "infinite": infinite}
