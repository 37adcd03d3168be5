"""When finished looks, scores and checkpoints go to disk: often enough to lose little, seldom enough to cost at most 1 %."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from learnability.store.writer import RunWriter
from learnability.training.checkpoint import State, arrays


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommitPolicy:
    """Least seconds between two commits of a kind, and what all of them together may cost."""

    signals_s: float = 2.0
    scores_s: float = 10.0
    checkpoint_s: float = 30.0
    share: float = 0.01  # of the training time
    patience_s: float = 300.0  # a commit waits at most this long for its share
    grace_s: float = 20.0  # a stop waits this long for the epoch at work
    poll_s: float = 0.2  # between two looks for a stop file
    tell_s: float = 1.0  # between two progress files
    bytes_per_s: float = 250e6  # what writing the first checkpoint is taken to need


class Commits:
    """Takes finished looks and hands them to the writer in time, in order, each once."""

    def __init__(self, writer: RunWriter, policy: CommitPolicy, clock: Callable[[], float] = time.monotonic):
        self.writer, self.policy, self.clock = writer, policy, clock
        self.started = clock()
        self.spent = 0.0
        self.last = dict.fromkeys(("signals", "scores", "checkpoint"), self.started)
        self.cost = dict.fromkeys(self.last, 0.0)
        self.pending: list[tuple[int, dict[str, np.ndarray], dict]] = []
        self.state: State | None = None
        self.state_epochs = writer.done_epochs

    def add(self, epoch: int, signals: dict[str, np.ndarray], look: dict, state: State | None) -> None:
        """One more finished epoch: its look, and the state after it; None where its owner keeps that."""
        self.pending.append((epoch, signals, look))
        self.state, self.state_epochs = state, epoch + 1
        if self._due("signals"):
            self._commit(checkpoint=state is not None and self._due("checkpoint"))
        if self._due("scores") and not self.pending:
            self._scores()

    def flush(self) -> None:
        """Everything to disk: looks, a checkpoint behind the last of them, scores."""
        if self.pending or self.state_epochs > self.writer.done_epochs:
            self._commit(checkpoint=True)
        if self.writer.head.looks:
            self._scores()

    def settle(self) -> None:
        """Every finished look to disk, now."""
        if self.pending:
            self._commit(checkpoint=False)

    def _due(self, kind: str) -> bool:
        waited = self.clock() - self.last[kind]
        every = {"signals": self.policy.signals_s, "scores": self.policy.scores_s, "checkpoint": self.policy.checkpoint_s}[kind]
        cost = 2 * self._checkpoint_s() if kind == "checkpoint" else self.cost[kind]  # one more is written at the end
        affordable = self.spent + cost <= self.policy.share * (self.clock() - self.started)
        return waited >= every and (affordable or waited >= self.policy.patience_s)

    def _checkpoint_s(self) -> float:
        """What a checkpoint costs: what the last one did, before the first by its size."""
        return self.cost["checkpoint"] or sum(tensor.nbytes for tensor in self.state.values()) / self.policy.bytes_per_s

    def _commit(self, checkpoint: bool) -> None:
        start = self.clock()
        todo = [entry for entry in self.pending if entry[0] >= self.writer.head.looks]
        names = todo[0][1] if todo else self.writer.head.crc
        rows = self.writer.head.rows
        signals = {name: np.hstack([entry[1][name] for entry in todo] or [np.zeros((rows, 0))]) for name in names}
        state = (arrays(self.state), {"epoch": self.state_epochs}) if checkpoint and self.state is not None else None
        self.writer.commit(signals, [entry[2] for entry in todo], state)
        self.pending.clear()
        self._charge("checkpoint" if checkpoint else "signals", start)
        self.last["signals"] = self.last["checkpoint"] if checkpoint else self.last["signals"]

    def _scores(self) -> None:
        start = self.clock()
        self.writer.write_scores()
        self._charge("scores", start)

    def _charge(self, kind: str, start: float) -> None:
        self.last[kind] = self.clock()
        self.cost[kind] = self.last[kind] - start
        self.spent += self.cost[kind]
