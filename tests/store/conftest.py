"""A run made of known numbers, written through the real writer."""

import dataclasses
import os
import signal as signals_
from pathlib import Path

import numpy as np
import pytest

from learnability.config import RunConfig
from learnability.recording import SIGNALS
from learnability.store.paths import Cache
from learnability.store.writer import RunWriter

ENVIRONMENT = {"torch": "2.15.0", "device": "cpu", "device_name": "cpu", "cpu": "x", "threads": 2, "layout": "nchw", "precision": "fp32"}


@dataclasses.dataclass
class Known:
    """A run of N samples and E looks whose every value is a function of its look."""

    cache: Cache
    N: int = 23
    E: int = 6
    K: int = 5

    @property
    def config(self) -> RunConfig:
        return RunConfig(data="toy", fingerprint="ab" * 32, arch="resnet20", epochs=self.E, precision="fp32")

    @property
    def folder(self) -> Path:
        return self.cache.run_folder("toy", self.config.run_id)

    @property
    def labels_N(self) -> np.ndarray:
        return np.arange(self.N) % self.K

    def look(self, look: int) -> dict[str, np.ndarray]:
        """The five signals of one look, (N, 1) each."""
        draw = np.random.default_rng(look)
        values = {name: draw.random((self.N, 1)).astype(np.float16) for name in SIGNALS}
        values["prediction"] = draw.integers(0, self.K, (self.N, 1))
        return values

    def state(self, epoch: int):
        return {"weight": np.full(7, epoch, np.float32)}, {"epoch": epoch}

    def open(self, **changed):
        ids = np.arange(self.N)
        return RunWriter.open(
            self.cache, self.config, ids, self.labels_N, ids >= 0, self.K, {**ENVIRONMENT, **changed.pop("environment", {})}, **changed
        )

    def commit(self, writer: RunWriter, look: int, checkpoint: bool = True) -> None:
        writer.commit(self.look(look), [{"epoch": look, "step": look * 10}], self.state(look + 1) if checkpoint else None)

    def train(self, until: int | None = None, checkpoint_every: int = 1) -> None:
        """Trains on to look `until` as the engine does: from the checkpoint, look after look."""
        with self.open() as writer:
            for look in range(writer.done_epochs, self.E if until is None else until):
                self.commit(writer, look, (look + 1) % checkpoint_every == 0)
            if until is None:
                writer.finish("done")

    def expected(self, looks: int) -> dict[str, np.ndarray]:
        parts = [self.look(look) for look in range(looks)]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in SIGNALS}


@pytest.fixture
def known(tmp_path) -> Known:
    return Known(Cache.at(tmp_path / "cache"))


OPERATIONS = ("open", "write", "pwrite", "fsync", "replace", "rename", "link", "unlink", "mkdir", "ftruncate")


class Faults:
    """Counts the file operations that change something, and does `act(name)` in place of number `at`."""

    def __init__(self, monkeypatch, at: int | None = None, act=None):
        self.done, self.names = 0, []
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name), at, act))

    def _wrapped(self, name, real, at, act):
        def operation(*args, **kwargs):
            if name == "open" and not (args[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return real(*args, **kwargs)
            here, self.done = self.done, self.done + 1
            self.names.append(f"{name} {args[0] if not isinstance(args[0], int) else os.readlink(f'/proc/self/fd/{args[0]}')}")
            if here == at:
                return act(name, real, *args, **kwargs)
            return real(*args, **kwargs)

        return operation


def die(*_, **__):
    os.kill(os.getpid(), signals_.SIGKILL)


def in_child(work) -> int:
    """Runs `work()` in a forked process and returns its wait status; what it raises ends it with status 1."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a forked child must never return
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]
