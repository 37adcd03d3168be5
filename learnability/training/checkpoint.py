"""The state of a training, as tensors by name: weights, batch norm statistics, momentum. There is no random state to keep."""

import numpy as np
import torch
from torch import nn

from learnability.errors import DamagedFile

State = dict[str, torch.Tensor]


def snapshot(network: nn.Module, optimizer: torch.optim.SGD) -> State:
    """A copy of the state, on the device."""
    state = {f"network.{name}": tensor.detach().clone() for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        momentum = optimizer.state[parameter].get("momentum_buffer") if parameter in optimizer.state else None
        if momentum is not None:
            state[f"momentum.{name}"] = momentum.detach().clone()
    return state


def arrays(state: State) -> dict[str, np.ndarray]:
    """The state as contiguous arrays, to be written."""
    return {name: tensor.cpu().contiguous().numpy() for name, tensor in state.items()}


@torch.no_grad()
def restore(network: nn.Module, optimizer: torch.optim.SGD, saved: dict[str, np.ndarray]) -> None:
    """Puts a saved state back, in place; each tensor keeps its device and memory layout."""
    expected = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    wrong = [name for name, tensor in expected.items() if name not in saved or saved[name].size != tensor.numel()]
    if wrong:
        raise DamagedFile(f"the checkpoint does not fit the network: {', '.join(wrong[:5])} missing or of another size.")
    for name, tensor in expected.items():
        tensor.copy_(_shaped(saved[name], tensor))
    for name, parameter in network.named_parameters():
        if f"momentum.{name}" in saved:
            buffer = torch.empty_like(parameter, memory_format=torch.preserve_format)
            optimizer.state[parameter]["momentum_buffer"] = buffer.copy_(_shaped(saved[f"momentum.{name}"], parameter))


def _shaped(saved: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """A saved array in the shape of `like`: a single number comes back with one axis."""
    return torch.from_numpy(saved).reshape(like.shape)
