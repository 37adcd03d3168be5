"""CurriculumSampler: the batches of a curriculum for a training loop of your own, on one process or several."""

from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import Sampler

from learnability.curriculum import Pacing, Schedule, parse_pacing
from learnability.errors import InputError


class CurriculumSampler(Sampler[list[int]]):
    """A sampler whose items are batches, lists of sample ids: `DataLoader(dataset, batch_sampler=CurriculumSampler(...))`.

    order_N      (N,) rows of your data set, first in play first, none twice
    pacing       a `Pacing`, or its text: "linear,a=0.8,b=0.2"; "full" is ordinary training
    batch_size   samples a process takes in one step; the global batch is G = batch_size x world_size
    steps        T, updates in all: epochs x ceil(N / G)
    seed         of the batches; two seeds share no order
    rank, world_size  given, else those of torch.distributed where it is initialised, else 0 and 1
    draw         "passes": every sample in play once, then a larger pool; "independent": each step draws anew

    Batch t depends on these and t alone: worker processes, resumes and ranks change nothing. Each iteration is one epoch of
    ceil(N / G) batches; `set_epoch(e)` names it, without that the epoch after the one finished last follows.
    With Lightning set `use_distributed_sampler=False`, or it puts its own sampler around this one.
    """

    def __init__(
        self,
        order_N: np.ndarray,
        pacing: Pacing | str,
        batch_size: int,
        steps: int,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        draw: str = "passes",
    ):
        super().__init__()
        self.rank, self.world_size = _place(rank, world_size)
        _expect_whole("batch_size", batch_size, 1, "the samples a process takes in one step, for example 128")
        _expect_whole("steps", steps, 1, "epochs x batches in an epoch")
        _expect_whole("seed", seed, 0, "for example 0")
        order_N = np.asarray(order_N)
        G, N = int(batch_size) * self.world_size, order_N.size
        if G > N:
            raise InputError(
                f"batch_size {batch_size} on {self.world_size} process(es): expected a global batch of at most {N}, the samples of "
                f"order_N, got {G}. Choose a smaller batch_size."
            )
        pacing = parse_pacing(pacing) if isinstance(pacing, str) else pacing
        if not isinstance(pacing, Pacing):
            raise InputError(
                f"pacing {pacing!r}: expected a Pacing or its text, for example 'linear,a=0.8,b=0.2'; 'full' is ordinary training."
            )
        self.schedule = Schedule(order_N=order_N, pacing=pacing, batch_size=G, steps=int(steps), seed=int(seed), draw=draw)
        self.schedule.check_ranks(self.world_size)
        self._start = 0  # the step at which the next iteration begins
        self._yielded = 0  # batches given out so far, which loader workers push ahead of training
        self._resumed = False  # whether `_start` may lie within an epoch, just after load_state_dict

    def __len__(self) -> int:
        """Batches in an epoch: the same for every pacing, and after a resume."""
        return self.schedule.epoch_length

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of one epoch from its first step on, or once from the step resumed at; none after the last of all steps."""
        L, steps = self.schedule.epoch_length, self.schedule.steps
        start, self._resumed = self._start, False
        self._start, self._yielded = start // L * L, min(start, steps)  # an iteration that is broken off begins its epoch anew
        end = min((start // L + 1) * L, steps)
        for step in range(start, end):
            self._yielded = step + 1
            yield self.schedule.batch(step, self.rank, self.world_size).tolist()
        if not self._resumed and self._start == start // L * L:  # nobody has named another epoch meanwhile
            self._start = end

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is epoch `epoch`, from its first step; in the epoch just resumed into, from the step resumed at.

        An epoch whose last update was done when the state was saved is finished: go on with epoch `done // len(sampler)`.
        """
        _expect_whole("epoch", epoch, 0, "the first epoch is 0")
        L = self.schedule.epoch_length
        if not (self._resumed and self._start // L == epoch):
            self._start, self._resumed = epoch * L, False
            self._yielded = min(self._start, self.schedule.steps)

    def state_dict(self, step: int | None = None) -> dict:
        """JSON that `load_state_dict` goes on from. Give `step`, the updates done so far over all epochs.

        Without it the batches given out count, and a loader with workers asks for them ahead of training: those not trained on
        yet would be left out after a resume.
        """
        if step is None:
            step = self._yielded
        _expect_whole("step", step, 0, f"the updates done, up to {self.schedule.steps}", self.schedule.steps)
        return self.schedule.state(int(step))

    def load_state_dict(self, state: dict) -> None:
        """The next iteration goes on after the updates of `state`; a state of another seed, N, G, order or pacing is refused.

        Another number of processes is allowed where the global batch stays the same.
        """
        if not isinstance(state, dict):
            raise InputError(f"state: expected what state_dict() gave, got {type(state).__name__}. Load the JSON or checkpoint first.")
        self._start = self._yielded = self.schedule.resumed_step(state)
        self._resumed = True


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    if world_size is None:
        world_size = torch.distributed.get_world_size() if together else 1
    if rank is None:
        rank = torch.distributed.get_rank() if together else 0
    _expect_whole("world_size", world_size, 1, "the number of processes that train together")
    _expect_whole("rank", rank, 0, f"the number of this process, of {world_size}. Give rank and world_size together", world_size - 1)
    return int(rank), int(world_size)


def _expect_whole(what: str, value, low: int, hint: str, high: int | None = None) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        expected = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise InputError(f"{what} {value!r}: expected a whole number {expected}: {hint}.")
