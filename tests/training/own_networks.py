"""Networks as people write them, right and wrong, for the tests of architectures that are not ours."""

import torch
from torch import nn


def dropping(num_classes: int, in_channels: int) -> nn.Module:
    """Draws random numbers as it trains."""
    body = (nn.Conv2d(in_channels, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(*body, nn.Dropout(0.5), nn.Linear(32, num_classes))


class Strided(nn.Module):
    """Takes its images apart with `view`, which channels_last does not allow; its logits come from a convolution."""

    def __init__(self, num_classes: int, in_channels: int):
        super().__init__()
        self.first = nn.Conv2d(in_channels, 8, 3, 4, 1)
        self.last = nn.Conv2d(8, num_classes, 1)

    def forward(self, images):
        x = self.first(images).relu()
        x = x.view(x.shape[0], -1).view(x.shape)
        return self.last(x).mean((2, 3))


def pairs(num_classes: int, in_channels: int) -> nn.Module:
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(in_channels, num_classes)

        def forward(self, images):
            logits = self.head(images.mean((2, 3)))
            return (logits, logits) if self.training else logits

    return Two()


def thousand(num_classes: int, in_channels: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, 1000))


def colour_only(num_classes: int, in_channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def large_only(num_classes: int, in_channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, 4, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))


def infinite(num_classes: int, in_channels: int) -> nn.Module:
    network = thousand(num_classes, in_channels)
    network[-1] = nn.Linear(in_channels, num_classes)
    nn.init.constant_(network[-1].weight, torch.inf)
    return network


def no_module(num_classes: int, in_channels: int) -> str:
    return "a network"


def three_arguments(num_classes: int, in_channels: int, width: int) -> nn.Module:
    return nn.Linear(width, num_classes)


NOT_A_FUNCTION = 3
