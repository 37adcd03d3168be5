"""A cache with a queue of its own, short time-outs, and networks that misbehave; nothing that a test starts outlives it."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from learnability import jobs
from learnability.config import RunConfig
from learnability.jobs import queue
from learnability.jobs.processes import Process
from learnability.store.paths import Cache
from learnability.store.runs import load_recording, load_run, read_head

FAULTS = Path(__file__).parent / "faults"
MARK = "LEARNABILITY_TEST_CACHE"
TIMEOUTS = {"poll": 0.05, "idle": 1.0, "term": 0.5, "kill": 2.0, "stall": 300.0, "busy": 30.0, "device": 0.1}


def until(found: Callable, seconds: float = 240.0):
    """Waits until `found()` is true and returns it."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.03)
    return result


@pytest.fixture(autouse=True)
def _keeps_its_priority(monkeypatch):
    """A worker that runs in a test's own process would lower the priority of every test after it."""
    monkeypatch.setattr(os, "nice", lambda _more: 0)


@dataclasses.dataclass
class Place:
    """A cache, and what tests ask of it again and again."""

    cache: Cache
    fingerprint: str

    def config(self, arch: str = "steady", seed: int = 0, **fields) -> RunConfig:
        fields = {"epochs": 2, "subset": 64, "batch_size": 32, "precision": "fp32"} | fields
        return RunConfig(data="digits", fingerprint=self.fingerprint, arch=arch, seed=seed, **fields)

    def launch(self, *configs: RunConfig) -> str:
        return jobs.launch(self.cache, configs, "cpu", threads=1)[0][0]

    def state(self, run_id: str) -> jobs.JobState:
        return jobs.state(self.cache, "digits", run_id)

    def until(self, run_id: str, *states: str, seconds: float = 240.0) -> jobs.JobState:
        """Waits until the run is in one of these states."""
        try:
            until(lambda: self.state(run_id).state in states, seconds)
        except AssertionError:
            raise AssertionError(
                f"{self.state(run_id)}\n{jobs.log_tail(self.cache, 'digits', run_id)}\n{jobs.worker_log(self.cache, 'cpu')}"
            ) from None
        return self.state(run_id)

    def until_looks(self, run_id: str, looks: int) -> None:
        until(lambda: load_run(self.cache, "digits", run_id).looks >= looks)

    def job(self, run_id: str) -> queue.Job:
        return queue.read(self.cache, lambda connection: queue.job(connection, ("digits", run_id)))

    def trainer(self, run_id: str) -> Process:
        """The process that trains a run, once it is known."""
        return until(lambda: (job := self.job(run_id)) and job.state == "running" and job.process)

    def worker(self, lane: str = "cpu") -> Process | None:
        return queue.read(self.cache, lambda connection: queue.worker(connection, lane))

    def as_worker(self, lane: str = "cpu") -> None:
        """Takes the worker's place, so that a launch starts none."""
        queue.write(self.cache, lambda connection: queue.set_worker(connection, lane, Process.of(os.getpid())))

    def recording(self, run_id: str) -> dict[str, bytes]:
        return {name: values.tobytes() for name, values in load_recording(self.cache, "digits", run_id, verify=True).signals.items()}

    def head(self, run_id: str):
        return read_head(self.cache.run_folder("digits", run_id))


def started_for(cache: Cache) -> list[psutil.Process]:
    """Every living process that a test with this cache has started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(cache.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def make_place(digits_cache: Cache, root: Path) -> Place:
    shutil.copytree(digits_cache.root, root)
    cache = Cache(root)
    version = cache.dataset_folder("digits") / "dataset.json"
    return Place(cache, json.loads(version.read_text())["fingerprint"])


@pytest.fixture
def place(digits_cache, tmp_path, monkeypatch):
    """A cache with the digits; what it trains, it trains with an engine that starts quickly."""
    here = make_place(digits_cache, tmp_path / "cache")
    monkeypatch.setenv(MARK, str(here.cache.root))
    monkeypatch.setenv("PYTHONPATH", str(FAULTS))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("ENGINE", "light")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    timeouts(monkeypatch)
    yield here
    for process in started_for(here.cache):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


@pytest.fixture
def real_place(place, monkeypatch):
    """The same, with the engine itself."""
    monkeypatch.delenv("ENGINE")
    return place


def timeouts(monkeypatch, **changed: float) -> None:
    """Time-outs for this process and all that it starts."""
    monkeypatch.setenv("LEARNABILITY_TIMEOUTS", " ".join(f"{name}={value}" for name, value in (TIMEOUTS | changed).items()))
