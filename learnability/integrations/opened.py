"""The run that a recorder writes: its lock, its commits, and how it ends, also where nobody ends it."""

import contextlib
import os
import sys
import weakref

import numpy as np
import torch

import learnability
from learnability.config import RunConfig
from learnability.errors import InputError, StoreError
from learnability.integrations.clock import Clock
from learnability.integrations.notes import Look
from learnability.prepare.keyed import Keyed
from learnability.store.paths import Cache
from learnability.store.runs import load_run
from learnability.store.writer import RunWriter
from learnability.training.commits import CommitPolicy, Commits

_OPEN: "weakref.WeakValueDictionary[tuple, OpenRun]" = weakref.WeakValueDictionary()


class OpenRun:
    """A run held open from its first update to its end."""

    def __init__(self, cache: Cache, config: RunConfig, placed: Keyed, clock: Clock, policy: CommitPolicy, begin_at: int | None):
        """Takes the lock and cuts the recording to the `begin_at` looks of the owner's checkpoint; None begins anew.

        InputError where the run is done and no checkpoint is given.
        """
        self.config, self.rows, self.clock = config, len(placed.sample_ids_N), clock
        self.duplicates = self.gaps = 0
        self.ended, self.pid = False, os.getpid()
        self.trouble_before = getattr(sys, "last_value", None)  # of an earlier cell of a notebook
        name = (str(cache.root), config.data, config.run_id)
        if (older := _OPEN.get(name)) is not None:
            older.end("stopped", "begun again in the same process")
        if begin_at is None:
            _refuse_done(cache, config)
        self._held = contextlib.ExitStack()
        trained_N = np.ones(self.rows, bool)
        parts = (placed.sample_ids_N, placed.labels_N, trained_N, placed.dataset.K, _environment())
        self.writer = self._held.enter_context(RunWriter.open(cache, config, *parts, cut_at=begin_at or 0))
        self.commits = Commits(self.writer, policy)
        _OPEN[name] = self

    def add(self, number: int, look: Look, line: dict) -> None:
        """One more look, on disk at once or soon."""
        self.duplicates, self.gaps = self.duplicates + look.duplicates, self.gaps + self.rows - look.seen
        self.commits.add(number, look.signals, line, None)

    def end(self, state: str, reason: str | None = None) -> None:
        """Everything to disk, the state into HEAD, the lock given back; says what it came to and what it cost."""
        if self.ended:
            return
        self.ended = True
        try:
            with self.clock.inside():
                self.commits.flush()
                self.writer.finish(state, reason)
        finally:
            self._held.close()
        print(f"learnability: {self._summary(state)}", file=sys.stderr)

    def leave(self) -> None:
        """When the interpreter ends or nobody has the recorder any more. A child process that was forked leaves it alone."""
        if self.ended or os.getpid() != self.pid:
            return
        trouble = getattr(sys, "last_value", None)
        expected, looks = self.config.epochs, self.writer.head.looks + len(self.commits.pending)
        with contextlib.suppress(StoreError):
            if trouble is not None and trouble is not self.trouble_before:
                state = "stopped" if isinstance(trouble, KeyboardInterrupt) else "failed"
                self.end(state, f"its process ended with {type(trouble).__name__}: {trouble}")
            elif expected is not None and looks < expected:
                self.end("stopped", f"its process ended after {looks} of {expected} looks")
            else:
                self.end("done")

    def _summary(self, state: str) -> str:
        odd = f"; seen again {self.duplicates:,} times, not seen {self.gaps:,} times" if self.duplicates or self.gaps else ""
        return (
            f"{self.config.data}/{self.config.run_id} {state}: {self.writer.head.looks} looks of {self.rows:,} samples{odd}. "
            f"Recording took {self.clock.said()}. See it: streamlit run app.py"
        )


def _refuse_done(cache: Cache, config: RunConfig) -> None:
    if config.run_id in cache.run_ids(config.data) and (run := load_run(cache, config.data, config.run_id)).state == "done":
        raise InputError(
            f"run {config.run_id} of data set {config.data!r} is done: {run.looks} looks. Give another seed or name, go on from a "
            f"checkpoint with load_state_dict, or delete it: python -m learnability delete {config.run_id}"
        )


def _environment() -> dict:
    return {
        "learnability": learnability.__version__,
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "deterministic": False,
    }
