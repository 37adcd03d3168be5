"""The training loop, whole and visible."""

import inspect
import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from learnability.config import RunConfig
from learnability.training.recorder import Recorder


def train_epoch(
    network: nn.Module,
    forward: Callable,
    optimizer: torch.optim.Optimizer,
    batches: Iterable,
    learning_rate: Callable[[int], float],
    step: int,
    recorder: Recorder | None,
) -> int:
    """One epoch of updates, the first of them number `step`; returns the number of the next one.

    What is recorded are the logits of the update's own forward pass, before that update.
    """
    network.train()
    for rows, images, labels in batches:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        logits = forward(images)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if recorder is not None:
            recorder.update(rows, logits, labels)
        step += 1
    return step


@torch.no_grad()
def evaluate(network: nn.Module, forward: Callable, batches: Iterable, recorder: Recorder | None = None) -> float:
    """Share of hits in a pass that changes nothing: eval mode, running statistics, no update. `recorder` notes it."""
    network.eval()
    hits, seen = 0, 0
    for rows, images, labels in batches:
        logits = forward(images)
        if recorder is not None:
            recorder.update(rows, logits, labels)
        hits = hits + (logits.argmax(1) == labels).sum()
        seen += len(labels)
    return float(hits) / seen if seen else math.nan


@torch.no_grad()
def last_layer(
    network: nn.Module, head: nn.Linear | None, forward: Callable, batches: Iterable, row_count: int, class_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(N, d) float16, the input of `head` for every image in eval mode, and (N, K) float16, the class probabilities.

    No head: d = 0. A class count of 0: no probabilities.
    """
    features_Nd = np.zeros((row_count, head.in_features if head is not None else 0), np.float16)
    probabilities_NK = np.zeros((row_count, class_count), np.float16)
    seen: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0])) if head is not None else None
    network.eval()
    try:
        for rows, images, _ in batches:
            logits, at = forward(images), rows.cpu().numpy()
            if head is not None:
                features_Nd[at] = seen.pop().float().clamp(-65504, 65504).cpu().numpy()
            if class_count:
                probabilities_NK[at] = logits.softmax(1).cpu().numpy()
    finally:
        if hook is not None:
            hook.remove()
    return features_Nd, probabilities_NK


class SGD(torch.optim.SGD):
    """Without PyTorch's guards against its own compiler: each of them imports the compiler, two seconds at the start of every process."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


def sgd(network: nn.Module, config: RunConfig, device: torch.device) -> SGD:
    """SGD with Nesterov momentum and coupled weight decay on all parameters; one fused pass where the device has it."""
    return SGD(
        network.parameters(),
        lr=config.peak_lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
        fused=device.type in ("cpu", "cuda"),
    )


def learning_rates(config: RunConfig, steps: int) -> Callable[[int], float]:
    """step 0..steps-1 -> learning rate: a linear warm-up to the peak, then cosine to zero, steps of a tenth, or constant.

    `step` divides by ten after a half and after three quarters of all updates (He et al. 2015, 1512.03385, section 4.2).
    """
    warmup = int(config.warmup * steps)

    def rate(step: int) -> float:
        if step < warmup:
            return config.peak_lr * (step + 1) / warmup
        if config.schedule == "cosine":
            return config.peak_lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        if config.schedule == "step":
            return config.peak_lr * 0.1 ** ((2 * step >= steps) + (4 * step >= 3 * steps))
        return config.peak_lr

    return rate
