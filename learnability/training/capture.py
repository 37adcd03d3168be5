"""The updates of `loop.train_epoch` as functions of tensors on the device alone, so that a CUDA graph can hold each whole.

No number comes from the host inside an update: order, views and learning rates are tables on the device, and counters
there say which batch it is. Same operations, same order as in the loop; run without a graph it gives the same bits.
"""

import contextlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from learnability.training.batches import Views
from learnability.training.images import Images
from learnability.training.recorder import Recorder

AHEAD = 64  # updates that the host may be ahead of the device
_WARM_UP = 3


class Update:
    """Calling it trains on the next batch of an epoch and notes it.

    `count` samples an epoch, in batches of `batch_size`; the last one may be smaller. `optimizer` reads its learning rate
    from the device from now on.
    """

    def __init__(
        self,
        network: nn.Module,
        forward: Callable,
        optimizer: torch.optim.SGD,
        images: Images,
        labels_N: torch.Tensor,
        recorder: Recorder | None,
        count: int,
        batch_size: int,
    ):
        device = images.device
        self.network, self.forward, self.optimizer, self.images = network, forward, optimizer, images
        self.labels_N, self.recorder = labels_N, recorder
        self.ends = [min(start + batch_size, count) for start in range(0, count, batch_size)]
        self.sizes = np.diff([0, *self.ends]).tolist()
        self.tables = [torch.zeros(count, dtype=torch.int64, device=device) for _ in range(4)]  # row, place, y, x
        self.flips = torch.zeros(count, dtype=torch.bool, device=device)
        self.rates = torch.zeros(len(self.ends), device=device)
        self.rate = torch.zeros((), device=device)
        self.position, self.step = (torch.zeros(1, dtype=torch.int64, device=device) for _ in range(2))
        self.within = torch.arange(batch_size, device=device)
        self.beside = torch.cuda.Stream(device) if device.type == "cuda" else None
        for group in optimizer.param_groups:
            group["lr"] = self.rate
            for parameter in group["params"]:
                if group["momentum"] and "momentum_buffer" not in optimizer.state[parameter]:
                    optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    def begin(self, order_n: np.ndarray, views_n: Views, rates: Sequence[float]) -> None:
        """Lays out an epoch: rows in this order, cut as `views_n` says, one learning rate an update."""
        self.places = self.images.places(order_n, self.ends)
        columns = (order_n, self.places.places_n, views_n.y_n[order_n], views_n.x_n[order_n])
        for table, values in zip(self.tables, columns, strict=True):
            table.copy_(torch.from_numpy(np.ascontiguousarray(values)))
        self.flips.copy_(torch.from_numpy(views_n.flip_n[order_n]))
        self.rates.copy_(torch.tensor(rates, dtype=torch.float64))
        self.position.zero_()
        self.step.zero_()

    def __call__(self, size: int) -> None:
        at = self.position + self.within[:size]
        rows_B, places_B, y_B, x_B = (table.index_select(0, at) for table in self.tables)
        images, labels = self.images(places_B, y_B, x_B, self.flips.index_select(0, at)), self.labels_N.index_select(0, rows_B)
        self.rate.copy_(self.rates.index_select(0, self.step)[0])
        logits = self.forward(images)
        with self._beside():
            if self.recorder is not None:
                self.recorder.update(rows_B, logits, labels)
        loss = F.cross_entropy(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.position += size
        self.step += 1
        if self.beside is not None:
            torch.cuda.current_stream(self.images.device).wait_stream(self.beside)

    def _beside(self) -> contextlib.AbstractContextManager:
        """What is done within it runs while the update goes on."""
        if self.beside is None:
            return contextlib.nullcontext()
        self.beside.wait_stream(torch.cuda.current_stream(self.images.device))
        return torch.cuda.stream(self.beside)

    def state(self) -> list[torch.Tensor]:
        """All that an update changes."""
        momentum = [kept["momentum_buffer"] for kept in self.optimizer.state.values() if kept.get("momentum_buffer") is not None]
        noted = self.recorder.tensors if self.recorder is not None else []
        return [*self.network.state_dict().values(), *momentum, *noted, self.position, self.step, self.rate]


class Captured:
    """An `Update` on CUDA, each size of batch one graph: the host asks for an update with a single call."""

    def __init__(self, update: Update):
        self.update, device = update, update.images.device
        pool, side = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        for size in dict.fromkeys(update.sizes):
            update.optimizer.zero_grad(set_to_none=True)
            self.graphs[size] = graph_of(lambda size=size: update(size), update.state(), device, pool, side)

    def __call__(self, size: int) -> None:
        self.graphs[size].replay()


def graph_of(
    step: Callable[[], None], state: list[torch.Tensor], device: torch.device, pool=None, side: torch.cuda.Stream | None = None
) -> torch.cuda.CUDAGraph:
    """A graph of `step`, which changes nothing but `state`. It is tried out first, and the state put back in place.

    It is captured on `side`, by default a stream of its own: PyTorch's is one for the process, of the device that came first,
    and cuBLAS keeps a workspace a stream, which graphs that run side by side must not share.
    """
    saved = [tensor.clone() for tensor in state]
    current, side = torch.cuda.current_stream(device), side or torch.cuda.Stream(device)
    side.wait_stream(current)
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            step()
            put_back(state, saved)
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
        step()
    return graph


@torch.no_grad()
def put_back(state: list[torch.Tensor], saved: list[torch.Tensor]) -> None:
    for tensor, before in zip(state, saved, strict=True):
        tensor.copy_(before)
