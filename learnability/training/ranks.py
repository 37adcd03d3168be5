"""One run over several devices: a process a device, started by torchrun, that work on the same batches.

Rank r of R takes rows r, r + R, ... of each batch, so order and views are those of one device. Gradients come to the mean over
the whole batch, however its rows are spread; every sample is noted by one rank and gathered at the first, which alone
writes. Batch norm sees the rows of its own device. A rank that ends early ends the others.
"""

import contextlib
import datetime
import functools
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from learnability.errors import ConfigError, PeerLost
from learnability.training import devices
from learnability.training.images import free_memory
from learnability.training.recorder import Recorder
from learnability.training.stopping import Pace
from learnability.training.ways import Forward

PATIENCE = datetime.timedelta(hours=6)  # the first rank probes, commits and keeps features while the others wait; a dead one shows at once
_WORD = "why one ended"


def launched() -> bool:
    """Whether this process was started by torchrun, as one of several."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"))


def first_device(name: str, count: int) -> torch.device:
    """The first of `count` devices of one kind on this machine: `cpu`, or `cuda:0` where there are that many GPUs."""
    device = devices.resolve(name)
    if device.type == "mps" or device.index:
        raise ConfigError(
            f"device {name!r} with {count} devices: expected auto, cpu or cuda, one GPU each from cuda:0 on. Choose GPUs with "
            "CUDA_VISIBLE_DEVICES."
        )
    if device.type == "cuda" and torch.cuda.device_count() < count:
        raise ConfigError(
            f"devices {count}: expected at most {torch.cuda.device_count()}, the GPUs there are here. Use --devices "
            f"{torch.cuda.device_count()}."
        )
    return device


class Ranks:
    """The processes of a run: `count` of them, `local` on this machine; this one is number `rank`. Alone, nothing is sent.

    Facts go as JSON, tensors as they are: over gloo from the CPU, over NCCL from a GPU. Each of these is called by all ranks.
    """

    def __init__(self, rank: int = 0, count: int = 1, local: int = 1, local_rank: int = 0, store: dist.Store | None = None):
        self.rank, self.count, self.local, self.local_rank, self.store = rank, count, local, local_rank, store
        self.launcher = os.getppid()

    @classmethod
    def joined(cls, count: int, device: str = "auto") -> "Ranks":
        """The ranks of a run over `count` devices, once they have met; ConfigError where torchrun did not start as many."""
        if count == 1:
            return cls()
        started = int(os.environ["WORLD_SIZE"]) if launched() else 1
        if started != count:
            raise ConfigError(
                f"devices {count}: expected as many processes, got {started}. Use `python -m learnability train --devices {count}`, or "
                f"`torchrun --nproc-per-node {count} -m learnability train --devices {count}` with the same arguments."
            )
        local, local_rank = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "LOCAL_RANK"))
        return cls(int(os.environ["RANK"]), count, local, local_rank, _met(first_device(device, local).type == "cuda"))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """The device of this rank."""
        if self.count == 1:
            return devices.resolve(name)
        first = first_device(name, self.local)
        return torch.device("cuda", self.local_rank) if first.type == "cuda" else first

    def threads(self) -> int:
        """CPU threads of this rank by default: its part of the cores."""
        return max(1, devices.usable_cores() // self.local)

    def budget(self, device: torch.device) -> int | None:
        """Bytes that the pixels may take on the device, where it is shared with other ranks; else None."""
        return None if self.count == 1 or device.type == "cuda" else free_memory(device) // (2 * self.local)

    def told(self, make: Callable[[], object] | None = None):
        """What `make` gives at the first rank, at every rank: None, numbers, texts, lists and dicts of them."""
        if self.count == 1:
            return make()
        text = json.dumps(make()).encode() if self.first else b""
        size = self.number(len(text))
        sent = torch.frombuffer(bytearray(text or size), dtype=torch.uint8)
        with self.noticing():
            dist.broadcast(sent, 0)
        return json.loads(sent.numpy().tobytes())

    def number(self, value: int) -> int:
        """The first rank's number, at every rank."""
        sent = torch.tensor([value])
        with self.noticing():
            dist.broadcast(sent, 0)
        return int(sent)

    def after_first(self, make: Callable):
        """What `make` gives here; the first rank makes it first, so that what cannot be done is said once."""
        if self.count == 1:
            return make()
        made = make() if self.first else None
        self.number(0)
        return made if self.first else make()

    def hits(self, share: float, count: int) -> float:
        """The share of hits among `count` samples, of its share among this rank's r, r + R, ..."""
        if self.count == 1:
            return share
        own = len(range(self.rank, count, self.count))
        hits = torch.tensor([round(share * own) if own else 0])
        with self.noticing():
            dist.all_reduce(hits)
        return int(hits) / count

    def gather(self, recorder: Recorder) -> None:
        """What every rank has noted of its samples, at the first; the others begin a fresh look."""
        if self.count == 1:
            return
        *noted, times_N = recorder.tensors
        for tensor in noted:
            tensor.masked_fill_(times_N == 0, 0)
        for tensor in recorder.tensors:
            dist.reduce(tensor, 0)
        if not self.first:
            times_N.zero_()

    def same_statistics(self, network: nn.Module) -> None:
        """Running statistics of batch norm as the first rank has them: what is evaluated, and kept in the checkpoint."""
        if self.count > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        """Within it the end of another process is PeerLost, in the words it left; what ends this one is left for the others."""
        if self.count == 1:
            yield
            return
        try:
            yield
        except BaseException as error:
            if isinstance(error, PeerLost):
                raise
            if not _of_a_peer(error):
                self._leave_word(f"rank {self.rank} of {self.count} ended: {str(error) or type(error).__name__}")
                raise
            said = self._word() or f"one of {self.count} ranks ended without a word: it was killed or has crashed"
            raise PeerLost(f"{said}. What was committed is kept; the same command goes on.") from error

    def _leave_word(self, word: str) -> None:
        if not self._word():
            with contextlib.suppress(RuntimeError):  # the launcher, which keeps it, has gone too
                self.store.set(_WORD, word)

    def _word(self) -> str:
        with contextlib.suppress(RuntimeError):
            return self.store.get(_WORD).decode() if self.store.check([_WORD]) else ""
        return ""

    def pace(self, *given, **named) -> Pace:
        """The pace of a run, the first rank's for all."""
        return Pace(*given, **named) if self.count == 1 else SharedPace(self, *given, **named)

    def leave(self) -> None:
        """Says goodbye to the others, at the end."""
        if self.count > 1:
            dist.destroy_process_group()


@functools.cache
def _met(cuda: bool) -> dist.Store:
    """Meets the other processes, once in the life of this one."""
    store, rank, count = next(dist.rendezvous("env://", timeout=PATIENCE))
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", store=store, rank=rank, world_size=count, timeout=PATIENCE)
    return store


def _of_a_peer(error: BaseException) -> bool:
    """Whether an error says that the connection to another rank is gone."""
    told = str(error)
    return isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "gloo" in told or "NCCL" in told)


class SharedForward:
    """`forward(images)` -> logits of this rank's rows; backward leaves the gradient of the mean over the whole batch.

    The loop takes the mean over its own n rows. Of a batch of G rows over R ranks that mean counts n * R / G here, and
    DistributedDataParallel takes the mean over the ranks: sum over all rows / G. A rank without a row takes part with an
    empty black image in eval mode, of which no logits are kept: its gradients are zeros, its statistics stay.
    """

    def __init__(self, alone: Forward, ranks: Ranks, whole: bool):
        """`whole`: whether every parameter gets a gradient at every update."""
        self.alone, self.ranks, self.size = alone, ranks, 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the new name of broadcast_buffers is not known to every version here
            network = DistributedDataParallel(alone.network, broadcast_buffers=False, find_unused_parameters=not whole)
        self.shared = Forward(network, alone.way, alone.device, alone.batch_size)

    def weighted(self, batches: Iterable, sizes: Iterable[int]) -> Iterator:
        """The batches of this rank, with the sizes they have over all ranks."""
        for size, batch in zip(sizes, batches, strict=True):
            self.size = size
            yield batch

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        network, n = self.alone.network, len(images)
        if n and not network.training:
            return self.alone(images)
        if n:
            logits, weight = self.shared(images), n * self.ranks.count / self.size
            if weight != 1:
                logits.register_hook(lambda gradient: gradient * weight)
            return logits
        training = network.training
        network.eval()
        logits = (self.shared if training else self.alone)(images.new_zeros((1, *images.shape[1:])))[:0]
        network.train(training)
        return logits


class SharedPace(Pace):
    """The first rank's pace, kept by all: a stop is asked of it, and every rank ends at the same batch."""

    def __init__(self, ranks: Ranks, *given, **named):
        super().__init__(*given, **named)
        self.ranks, self.quiet = ranks, 0  # batches until the first rank is asked again

    def poll(self) -> bool:
        return bool(self.ranks.number(self._wanted()))

    def _wanted(self) -> bool:
        if os.getppid() != self.ranks.launcher:  # nobody is left to end the others
            self.stop.ask()
        return Pace.poll(self)

    def drops(self, phase: str, batches_left: int) -> bool:
        if phase == "features":  # the first rank alone
            return self._drops(phase, batches_left)
        self.quiet -= 1
        if self.quiet < 0:
            step_s = self._seconds.get(phase)
            self.quiet = self.ranks.number(-1 if self._drops(phase, batches_left) else int(self.poll_s / step_s) if step_s else 0)
            return self.quiet < 0
        return False

    def _drops(self, phase: str, batches_left: int) -> bool:
        return self._wanted() and self.clock() + self.left(phase, batches_left) > self._stopping_since + self.grace_s


def smallest_share(sizes: Iterable[int], ranks: int) -> int:
    """Rows of the smallest share that has any, of batches of these sizes."""
    return min(max(size // ranks, 1) for size in np.unique(list(sizes)).tolist())
