"""The batches of a curriculum: batch t is a function of (order, pacing, batch size, steps, seed, t)."""

import dataclasses
import functools
import hashlib

import numpy as np

from learnability.curriculum.pacing import Pacing, pool_size
from learnability.curriculum.randomness import PURPOSES, words
from learnability.errors import InputError

STATE_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """Which samples are in which batch, from the first step to the last. Nothing is remembered between steps.

    order_N     (N,) sample ids, first in play first, none twice
    batch_size  G, the ids of a step over all ranks together
    steps       T, updates in all
    draw        "passes": every sample of the pool once, then a larger pool; "independent": each step draws anew
    """

    order_N: np.ndarray
    pacing: Pacing
    batch_size: int
    steps: int
    seed: int = 0
    draw: str = "passes"

    def __post_init__(self):
        order_N = np.array(self.order_N)
        if order_N.ndim != 1 or order_N.dtype.kind not in "iu" or (order_N < 0).any():
            raise InputError(f"order_N: expected sample ids (N,) of at least 0, got {order_N.dtype} {order_N.shape}. Give whole numbers.")
        unique, counts = np.unique(order_N, return_counts=True)
        if len(unique) < len(order_N):
            raise InputError(
                f"order_N: expected every sample id once, got {unique[counts > 1][:5].tolist()} twice. Remove the repetitions."
            )
        if not 1 <= self.batch_size <= len(order_N):
            raise InputError(f"batch size {self.batch_size}: expected 1 to {len(order_N)}, the samples there are. Choose a smaller batch.")
        if self.steps < 1:
            raise InputError(f"steps {self.steps}: expected at least one update. Give epochs x batches in an epoch.")
        if self.draw not in ("passes", "independent"):
            raise InputError(f"draw {self.draw!r}: expected 'passes' or 'independent'.")
        order_N = order_N.astype(np.int64)
        order_N.setflags(write=False)
        object.__setattr__(self, "order_N", order_N)

    @property
    def N(self) -> int:
        return len(self.order_N)

    @property
    def epoch_length(self) -> int:
        """L, batches in an epoch: the same in all arms."""
        return -(-self.N // self.batch_size)

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hex digits of order, pacing and draw; the steps count where the pacing depends on them."""
        text = f"{self.pacing} {self.draw} {self.steps if self.pacing.depends_on_steps else 'any'} "
        return hashlib.sha256(text.encode() + self.order_N.astype("<i8").tobytes()).hexdigest()[:16]

    @functools.cached_property
    def passes(self) -> np.ndarray:
        """The table of passes, (P, 2): first step and pool of each. Pools below N hold whole batches, at least one."""
        table, step = [], 0
        while step < self.steps:
            pool = int(pool_size(self.pacing, step, self.N, self.steps))
            if pool < self.N:
                pool = max(pool // self.batch_size, 1) * self.batch_size
            table.append((step, pool))
            step += -(-pool // self.batch_size)
        return np.array(table, np.int64)

    def pool(self, t: int) -> int:
        """How many samples, from the front of the order, batch t may hold."""
        if self.draw == "independent":
            return max(int(pool_size(self.pacing, t, self.N, self.steps)), self.batch_size)
        return int(self.passes[self._pass_of(t), 1])

    def size(self, t: int) -> int:
        """How many ids batch t has, over all ranks: the batch size, or what is left of a pass."""
        if self.draw == "independent":
            return self.batch_size
        start, pool = self.passes[self._pass_of(t)]
        return int(min(self.batch_size, pool - (t - start) * self.batch_size))

    def batch(self, t: int, rank: int = 0, world_size: int = 1) -> np.ndarray:
        """Sample ids of step t (0..T-1); rank r takes every world_size-th of them from r on. No id twice, no padding."""
        if not 0 <= t < self.steps:
            raise InputError(f"step {t}: expected 0 to {self.steps - 1}.")
        if not 0 <= rank < world_size:
            raise InputError(f"rank {rank}: expected 0 to {world_size - 1} (world size {world_size}).")
        if self.draw == "independent":
            ids = self._drawn(t)
        else:
            j = self._pass_of(t)
            start = (t - self.passes[j, 0]) * self.batch_size
            ids = self.pass_order(j)[start : start + self.batch_size]
        return ids[rank::world_size]

    def pass_order(self, j: int) -> np.ndarray:
        """Sample ids of pass j, shuffled: the pool in the order of the words of pass j."""
        memo = self.__dict__.get("_last_pass")
        if memo is None or memo[0] != j:
            pool = np.sort(self.order_N[: self.passes[j, 1]])
            word = words(self.seed, PURPOSES["order"], j, self._word_count)
            memo = (j, pool[np.argsort(word[pool], kind="stable")])
            self.__dict__["_last_pass"] = memo
        return memo[1]

    def check_ranks(self, world_size: int) -> None:
        """Refuse a world size that would leave a rank without an id at some step."""
        if world_size < 1:
            raise InputError(f"world size {world_size}: expected at least 1.")
        smallest = self.batch_size
        if self.draw == "passes":
            starts, pools = self.passes.T
            ends = starts + -(-pools // self.batch_size)
            smallest = min([smallest, *(int(rest) for rest in (pools % self.batch_size)[ends <= self.steps] if rest)])
        if smallest < world_size:
            raise InputError(
                f"world size {world_size}: expected at most {smallest}, the ids of the smallest batch (N {self.N}, global batch "
                f"{self.batch_size}). Choose another batch size or fewer ranks."
            )

    def state(self, step: int) -> dict:
        """What a resumed run must find again, as JSON; `step` counts updates done."""
        return {
            "version": STATE_VERSION,
            "step": step,
            "seed": self.seed,
            "N": self.N,
            "G": self.batch_size,
            "fingerprint": self.fingerprint,
        }

    def resumed_step(self, state: dict) -> int:
        """The step after which `state` was written; another seed, N, G, order or pacing is refused with both values."""
        here = self.state(0)
        for field, what in (
            ("version", "version of the state"),
            ("seed", "seed"),
            ("N", "number of samples"),
            ("G", "global batch size"),
            ("fingerprint", "order and pacing"),
        ):
            if state.get(field) != here[field]:
                raise InputError(
                    f"{what}: expected {here[field]!r}, got {state.get(field)!r} from the saved state. Resume with what was saved."
                )
        step = state.get("step")
        if not isinstance(step, int) or not 0 <= step <= self.steps:
            raise InputError(f"step {step!r} of the saved state: expected 0 to {self.steps}. Resume with what state_dict() gave.")
        return step

    @property
    def _word_count(self) -> int:
        return int(self.order_N.max()) + 1

    def _pass_of(self, t: int) -> int:
        return int(np.searchsorted(self.passes[:, 0], t, side="right")) - 1

    def _drawn(self, t: int) -> np.ndarray:
        pool = self.order_N[: self.pool(t)]
        word = words(self.seed, PURPOSES["draw"], t, self._word_count)[pool]
        first = np.sort(np.argpartition(word, self.batch_size - 1)[: self.batch_size])
        return pool[first[np.argsort(word[first], kind="stable")]]


def presentations(schedule: Schedule) -> np.ndarray:
    """How often each sample is shown in all steps, (N,) whole numbers in the order of `order_N`."""
    count = np.zeros(schedule._word_count, np.int64)
    if schedule.draw == "independent":
        for t in range(schedule.steps):
            count[schedule.batch(t)] += 1
        return count[schedule.order_N]
    for j, (start, pool) in enumerate(schedule.passes):
        shown = (schedule.steps - start) * schedule.batch_size  # less than the pool only where the last pass is cut short
        count[schedule.pass_order(j)[:shown] if shown < pool else schedule.order_N[:pool]] += 1
    return count[schedule.order_N]


def expected_presentations(schedule: Schedule) -> np.ndarray:
    """The same over all seeds, (N,) float in the order of `order_N`: depends on the place in the order alone."""
    if schedule.draw == "independent":
        sizes = np.array([schedule.pool(t) for t in range(schedule.steps)])
        shares = schedule.batch_size / sizes
    else:
        starts, sizes = schedule.passes.T
        shares = np.minimum((schedule.steps - starts) * schedule.batch_size / sizes, 1)
    added = np.zeros(schedule.N + 1)
    np.add.at(added, 0, shares.sum())
    np.subtract.at(added, sizes, shares)
    return np.maximum(np.cumsum(added)[:-1], 0)  # the sum may round to less
