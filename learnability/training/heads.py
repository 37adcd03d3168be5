"""Heads: the last linear layer of a network, always in float32, and the small networks on features of a frozen backbone."""

import torch
from torch import nn

HIDDEN = 256  # width of the layer of `mlp`


class Head(nn.Linear):
    """The last linear layer: float32 whatever ran before, outside any autocast."""

    def forward(self, features):
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


def linear(num_classes: int, in_features: int) -> nn.Module:
    """One linear layer on the features: multinomial logistic regression."""
    return nn.Sequential(_started(Head(in_features, num_classes)))


def mlp(num_classes: int, in_features: int) -> nn.Module:
    """One hidden layer of 256 with ReLU on the features."""
    hidden = nn.Linear(in_features, HIDDEN)
    nn.init.kaiming_normal_(hidden.weight, nonlinearity="relu")
    nn.init.zeros_(hidden.bias)
    return nn.Sequential(hidden, nn.ReLU(inplace=True), _started(Head(HIDDEN, num_classes)))


HEADS = {"linear": linear, "mlp": mlp}


def head_of(network: nn.Module) -> nn.Linear | None:
    """The linear layer that makes the logits; its input is the layer before the logits. None where no one layer does."""
    return next((module for module in reversed(list(network.modules())) if isinstance(module, Head)), None)


def in_float32(network: nn.Module, name: str) -> None:
    """Puts a `Head` with the same weights in the place of the linear layer `name` of `network`."""
    before = network.get_submodule(name)
    with torch.device("meta"):
        head = Head(before.in_features, before.out_features, bias=before.bias is not None)
    head.weight, head.bias = before.weight, before.bias
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, head.train(before.training))


def _started(head: Head) -> Head:
    """He et al. 2015 with a gain of one, biases zero, as the heads of the networks here."""
    nn.init.kaiming_normal_(head.weight, nonlinearity="linear")
    nn.init.zeros_(head.bias)
    return head
