"""Starting processes that outlive whoever starts them: workers, trainers, preparations. Each leads its own session.

They are spawned, never forked, so none inherits a lock; what they print goes to a file that they append to themselves.
"""

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import learnability
from learnability.errors import InputError
from learnability.jobs import logs, queue
from learnability.jobs.processes import TOKEN, Process
from learnability.jobs.queue import Job
from learnability.store.files import disk_errors
from learnability.store.locks import is_held
from learnability.store.paths import Cache

ENDING_S = 0.5  # a killed process of several threads may hold its locks a moment longer than it lives


def ensure_worker(connection: sqlite3.Connection, cache: Cache, lane: str) -> None:
    """Starts a worker for a lane unless one lives. In the transaction that put a job in, so that neither misses the other."""
    ended = time.monotonic() + ENDING_S
    while has_worker(connection, cache, lane):
        if queue.worker(connection, lane) is not None or time.monotonic() > ended:
            return
        time.sleep(0.02)
    command = ["worker", "--device", lane, "--cache", str(cache.root)]
    process = spawned(command, worker_log(cache, lane), cache)
    if (identity := Process.of(process.pid)) is not None:
        queue.set_worker(connection, lane, identity)
    threading.Thread(target=process.wait, name=f"wait for {process.pid}", daemon=True).start()  # no zombie stays behind


def has_worker(connection: sqlite3.Connection, cache: Cache, lane: str) -> bool:
    """Whether a lane has a living worker: a process here, or on another machine of a shared cache, where its lock alone tells."""
    return queue.worker(connection, lane) is not None or is_held(cache, f"worker-{lane}")


def worker_log(cache: Cache, lane: str) -> Path:
    return cache.logs / f"worker-{re.sub('[:/]', '_', lane)}.txt"


def log_file(cache: Cache, data: str, name: str) -> Path:
    """Where a run, or a preparation (data ""), prints to."""
    if data:
        return cache.run_folder(data, name) / "log.txt"
    if not re.fullmatch(r"prepare-[0-9a-f]{8}", name):
        raise InputError(f"preparation {name!r}: expected prepare- and 8 hex digits.")
    return cache.logs / f"{name}.txt"


def spawn_job(cache: Cache, job: Job, token: str, beside: Sequence[Job] = ()) -> subprocess.Popen:
    """Starts the trainer of a run and of those `beside` it, or a preparation."""
    log = log_file(cache, *job.key)
    command = trainer(cache, job, job.lane, job.threads, beside) if job.kind == "run" else _preparation(cache, job)
    for one in (job, *beside):
        begins(log_file(cache, *one.key), command)
    return spawned(command, log, cache, {TOKEN: token})


def begins(log: Path, command: list[str]) -> None:
    """Notes in a job's log when and how it was started."""
    logs.note(log, f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] learnability {' '.join(command)}")


def trainer(cache: Cache, job: Job, device: str, threads: int | None, beside: Sequence[Job] = ()) -> list[str]:
    """What trains a run, and those `beside` it at the same time: the arguments of `python -m learnability`."""
    command = ["trainer", job.data, job.name, *(one.name for one in beside), "--device", device, "--cache", str(cache.root)]
    if beside:
        command.append("--together")
    if threads:
        command += ["--threads", str(threads)]
    return [*command, "--restart"] if job.asked.get("restart") else command


def _preparation(cache: Cache, job: Job) -> list[str]:
    """The source comes last, behind `--`: whatever it is called, it is no option."""
    asked = job.asked
    source = asked.pop("source")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asked.items()]
    return ["prepare", *options, "--cache", str(cache.root), "--", source]


def spawned(
    arguments: list[str], log: Path, cache: Cache, variables: dict[str, str] | None = None, leash: bool = False
) -> subprocess.Popen:
    """`python -m learnability ...` in a session of its own, printing to `log`.

    `leash` leaves a pipe between the two: it closes when this process ends, however that ends, and `trainer --leash` with it.
    """
    with disk_errors(cache.root):
        cache.logs.mkdir(parents=True, exist_ok=True)
        output = logs.open_log(log)
    try:
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "learnability", *arguments],
            stdin=subprocess.PIPE if leash else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment(variables or {}),
        )
    finally:
        os.close(output)


def environment(variables: dict[str, str]) -> dict[str, str]:
    """This process's environment; a checkout that is not installed is found from any folder."""
    found = {name: value for name, value in os.environ.items() if name != TOKEN} | variables
    root = Path(learnability.__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file():
        before = found.get("PYTHONPATH")
        found["PYTHONPATH"] = f"{root}{os.pathsep}{before}" if before else str(root)
    found.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the order of nvidia-smi, so that cuda:1 means the same here and there
    return found
