"""What the queue and the runs look like now: one run, all of them, or a summary that is cheap enough for every two seconds."""

import dataclasses
import functools
import sqlite3
from pathlib import Path

from learnability.errors import LearnabilityError, NotFound
from learnability.jobs import logs, queue, starts
from learnability.jobs.derivation import JobState, derived, look, of_preparation
from learnability.jobs.queue import Job, Key
from learnability.jobs.timeouts import Timeouts
from learnability.store.locks import is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import Head, Run, load_run, load_runs, read_head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """The whole queue in a few numbers."""

    at_work: tuple[JobState, ...] = ()  # runs and preparations that a process works on
    queued: int = 0
    next: str | None = None  # the name of the next one
    waits: str | None = None  # why the first that cannot begin has to wait: its device is taken
    interrupted: tuple[Key, ...] = ()  # (data, name) of what was cut off, or is queued with nobody to begin it
    workers: tuple[str, ...] = ()  # lanes that have a living worker


@dataclasses.dataclass(frozen=True)
class _Queue:
    jobs: dict[Key, Job]
    workers: frozenset[str]
    positions: dict[Key, int]


def _queue(cache: Cache) -> _Queue:
    def read(connection: sqlite3.Connection) -> _Queue:
        jobs = queue.jobs(connection)
        workers = frozenset(lane for lane in {job.lane for job in jobs} if starts.has_worker(connection, cache, lane))
        positions, length = {}, dict.fromkeys((job.lane for job in jobs), 0)
        for job in jobs:
            if job.state == "queued":
                length[job.lane] += 1
                positions[job.key] = length[job.lane]
        return _Queue({job.key: job for job in jobs}, workers, positions)

    return queue.read(cache, read)


def state(cache: Cache, data: str, name: str) -> JobState:
    """One run, or one preparation (data ""). NotFound where there is none; a damaged run is a state."""
    found = _queue(cache)
    job = found.jobs.get((data, name))
    if data:
        return _of_run(cache, found, load_run(cache, data, name))
    if job is None:
        raise NotFound(f"no preparation {name!r} in the queue.")
    return of_preparation(cache, job, job.lane in found.workers, found.positions.get(job.key))


def states(cache: Cache, data: str | None = None) -> list[JobState]:
    """Every run of a data set, or of all, in the order of `load_runs`."""
    found = _queue(cache)
    return [_of_run(cache, found, run) for run in load_runs(cache, data)]


def preparations(cache: Cache) -> list[JobState]:
    """Every preparation in the queue, at work or ended, oldest first."""
    found = _queue(cache)
    return [
        of_preparation(cache, job, job.lane in found.workers, found.positions.get(key))
        for key, job in found.jobs.items()
        if job.kind == "prepare"
    ]


def _of_run(cache: Cache, found: _Queue, run: Run) -> JobState:
    job = found.jobs.get((run.data, run.id))
    worker = job is not None and job.lane in found.workers
    return derived(look(cache, run, job, worker, found.positions.get((run.data, run.id))), cache, Timeouts.here())


def status(cache: Cache) -> Status:
    """A summary to be asked for every two seconds: reads the queue, and of the runs only what may have changed."""
    found = _queue(cache)
    told = [
        of_preparation(cache, job, job.lane in found.workers, found.positions.get(key))
        for key, job in found.jobs.items()
        if job.kind == "prepare"
    ]
    for data in cache.run_data_names():
        for run_id in cache.run_ids(data):
            job = found.jobs.get((data, run_id))
            run = _light(cache, data, run_id)
            if not _settled(cache, run, job):
                state = _of_run(cache, found, run if job else load_run(cache, data, run_id))  # without a job: perhaps of another loop
                told.append(_of_run(cache, found, load_run(cache, data, run_id)) if state.at_work and not state.epochs else state)
    waiting = sorted((job for job in found.jobs.values() if job.state == "queued"), key=lambda job: job.place)
    return Status(
        at_work=tuple(one for one in told if one.at_work),
        queued=len(waiting),
        next=waiting[0].name if waiting else None,
        waits=next((job.note for job in waiting if job.note), None),
        interrupted=tuple((one.data, one.name) for one in told if one.interrupted),
        workers=tuple(sorted(found.workers)),
    )


def _settled(cache: Cache, run: Run, job: Job | None) -> bool:
    """Whether a look at HEAD and queue is enough to say that nobody works on a run and nothing is to be offered."""
    if job is not None:
        return job.state == "ended" and run.head is not None and run.head.state in ("done", "failed")
    return run.head is not None and run.head.state != "running" and not is_held(cache, run_lock(run.data, run.id))


def _light(cache: Cache, data: str, run_id: str) -> Run:
    """A run without its config and with as much of its HEAD as a state needs; read again only when HEAD was replaced."""
    path = cache.run_folder(data, run_id) / "HEAD.json"
    try:
        found = path.stat()
        head = _head(str(path.parent), found.st_mtime_ns, found.st_ino, found.st_size)
    except (FileNotFoundError, NotFound):
        return Run(data, run_id, None)
    except LearnabilityError as error:
        return Run(data, run_id, None, None, str(error))
    return Run(data, run_id, None, head)


@functools.lru_cache(4096)
def _head(folder: str, *_version: int) -> Head:
    return dataclasses.replace(read_head(Path(folder)), crc={})


def interrupted(cache: Cache) -> list[JobState]:
    """Runs and preparations that were cut off (crashed, ended from outside), or are queued with no worker: to be resumed."""
    return [state(cache, *key) for key in status(cache).interrupted]


def log_tail(cache: Cache, data: str, name: str, lines: int = 200) -> str:
    """The last lines of what a run or a preparation printed, as plain text; "" before it began."""
    return logs.tail(starts.log_file(cache, data, name), lines)


def worker_log(cache: Cache, lane: str, lines: int = 50) -> str:
    """The last lines of what the worker of a device told."""
    return logs.tail(starts.worker_log(cache, lane), lines)
