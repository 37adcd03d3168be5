"""What may be asked of the queue: launch, prepare, stop, resume, delete, move up. Each may be asked twice without harm."""

import contextlib
import hashlib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterable

from learnability.config import RunConfig, side_by_side
from learnability.errors import InputError, LearnabilityError, Locked, NotFound
from learnability.jobs import devices, disk, queue, starts
from learnability.jobs.derivation import ENDS, alive_or_in_hand
from learnability.jobs.queue import Job, Key
from learnability.jobs.rebuild import device_of
from learnability.jobs.timeouts import Timeouts
from learnability.store.datasets import ensure_labels
from learnability.store.files import LEFTOVER, disk_errors
from learnability.store.locks import hold, is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import create_run, load_config, load_run

PREPARE_OPTIONS = ("name", "size", "fit", "limit", "test", "image_column", "label_column")


def launch(
    cache: Cache, configs: Iterable[RunConfig], device: str = "auto", threads: int | None = None, together: int = 1
) -> list[tuple[str, bool]]:
    """Puts runs into the queue and sees to a worker: (run id, whether it is new) of each config, in the order they begin.

    A config that has its run already is named, not started again. Label versions that can be planted are made.
    `together` of them share the device at a time, in one process, in the order of their architectures. All need memory at once.
    """
    configs, lane = side_by_side(configs) if together > 1 else list(configs), devices.lane(device)
    if together < 1 or (together > 1 and (devices.on_cluster(lane) or any(config.devices != 1 for config in configs))):
        raise InputError(
            f"{together} runs side by side on {lane}: expected 1, or more of them on one device of this machine. Launch them one by one."
        )
    if devices.on_cluster(lane) and (several := next((config for config in configs if config.devices != 1), None)):
        raise InputError(
            f"run {several.run_id} over {several.devices} devices: expected one device a run on a cluster, which spreads the runs. "
            "Train it on one machine."
        )
    for data, fingerprint, labels in dict.fromkeys((config.data, config.fingerprint, config.labels) for config in configs):
        ensure_labels(cache, data, fingerprint[:8], labels)
    made = [(config, create_run(cache, config)) for config in configs]

    def add(connection: sqlite3.Connection) -> None:
        for config, created in made:
            if created or _forgotten(cache, connection, config):
                key, asked = (config.data, config.run_id), {"lane": lane, "threads": threads, "options": queue.options(together=together)}
                if not queue.insert(connection, kind="run", data=key[0], name=key[1], **asked):
                    queue.change(connection, key, **asked)  # the queue was made anew from the folders just created
        for waiting in {job.lane for job in queue.jobs(connection, state="queued")}:
            starts.ensure_worker(connection, cache, waiting)

    queue.write(cache, add)
    return [(config.run_id, created) for config, created in made]


def _forgotten(cache: Cache, connection: sqlite3.Connection, config: RunConfig) -> bool:
    """Whether a run was launched, but its launch was killed before it was queued."""
    if queue.job(connection, (config.data, config.run_id)) is not None:
        return False
    run = load_run(cache, config.data, config.run_id)
    return run.head is None and not run.problem and not is_held(cache, run_lock(config.data, config.run_id))


def prepare(cache: Cache, source: str, **options) -> str:
    """Puts a preparation into the queue: its name, prepare-<8 hex digits>. The same one twice is one preparation.

    `options` are those of `learnability prepare`: name, size, fit, limit, test, image_column, label_column.
    """
    if unknown := sorted(set(options) - set(PREPARE_OPTIONS)):
        raise InputError(f"prepare {', '.join(unknown)}: expected options of {', '.join(PREPARE_OPTIONS)}.")
    asked = json.dumps({"source": source, **{name: value for name, value in options.items() if value is not None}}, sort_keys=True)
    name = f"prepare-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"

    def add(connection: sqlite3.Connection) -> None:
        found = queue.job(connection, ("", name))
        if found is None:
            queue.insert(connection, kind="prepare", data="", name=name, lane=devices.PREPARE, options=asked)
        elif not _at_work_or_queued(cache, connection, found):
            queue.ask_again(connection, found)
        starts.ensure_worker(connection, cache, devices.PREPARE)

    queue.write(cache, add)
    return name


def stop(cache: Cache, data: str, name: str) -> bool:
    """Asks a run or a preparation (data "") to stop; whether there was anything to stop. What was committed is kept.

    A queued one leaves the queue. One at work ends its epoch where that takes at most 20 s, writes a checkpoint and ends;
    it gets SIGTERM soon and, with all it started, SIGKILL after 30 s.
    """

    def ask(connection: sqlite3.Connection) -> bool:
        found = queue.job(connection, (data, name))
        if found is None or found.state == "ended":
            return False
        if found.state == "queued":
            queue.change(connection, found.key, state="ended", stop=time.time(), note="taken out of the queue before it began")
        elif not found.stop:
            queue.change(connection, found.key, stop=time.time())
        if found.state == "running":
            starts.ensure_worker(connection, cache, found.lane)
        return True

    asked = queue.write(cache, ask)
    if data and is_held(cache, run_lock(data, name)):
        if load_config(cache, data, name).origin is not None:
            raise InputError(f"run {name} is at work in its owner's own loop: expected a run of this engine. Stop it where it was started.")
        with disk_errors(cache.root):
            (cache.run_folder(data, name) / "stop").touch()
        return True
    return asked


def stop_all(cache: Cache) -> list[Key]:
    """Asks all that is queued or at work to stop, the queued first, so that none of them begins; (data, name) of each."""
    found = queue.read(cache, lambda connection: [job for job in queue.jobs(connection) if job.state != "ended"])
    found.sort(key=lambda job: job.state != "queued")
    return [job.key for job in found if stop(cache, *job.key)]


def resume(cache: Cache, data: str, name: str, device: str | None = None, threads: int | None = None, restart: bool = False) -> bool:
    """Puts a run or preparation that ended early at the end of the queue; False where it is queued or at work already.

    `device` None: the one of before. `restart` begins again from epoch 0 where the checkpoint is damaged. InputError for a
    run that is done or damaged.
    """
    return _resume(cache, data, name, device, threads, restart)


def _resume(cache: Cache, data: str, name: str, device=None, threads=None, restart: bool = False, keeps_place: bool = False) -> bool:
    if data:
        _refuse_useless(cache, data, name, restart)
        _await_exit(cache, data, name)
    lane = None if device is None else devices.lane(device)

    def again(connection: sqlite3.Connection) -> bool:
        found = queue.job(connection, (data, name))
        if found is None and not data:
            raise NotFound(f"no preparation {name!r} in the queue. Prepare it anew: python -m learnability prepare SOURCE --queue")
        if data and is_held(cache, run_lock(data, name)):
            return False
        if found is not None and _at_work_or_queued(cache, connection, found):
            starts.ensure_worker(connection, cache, found.lane)
            return False
        before = {} if found is None else found.asked
        fields = {} if found is not None and found.kind == "prepare" else {"options": queue.options(before.get("together", 1), restart)}
        if found is None:
            chosen = lane or device_of(cache.run_folder(data, name))
            queue.insert(connection, kind="run", data=data, name=name, lane=chosen, threads=threads, **fields)
        else:
            chosen = lane or found.lane
            place = {"place": found.place} if keeps_place else {}
            queue.ask_again(connection, found, lane=chosen, threads=threads or found.threads, **fields, **place)
        starts.ensure_worker(connection, cache, chosen)
        return True

    return queue.write(cache, again)


def _refuse_useless(cache: Cache, data: str, name: str, restart: bool) -> None:
    run = load_run(cache, data, name)
    if run.problem:
        raise InputError(f"run {name} is damaged and cannot go on: {run.problem} Delete it and launch it again.")
    if run.config.origin is not None:
        raise InputError(f"run {name} was recorded by its owner's loop, which alone can go on with it: start that from its own checkpoint.")
    if run.state == "done" and not restart:
        raise InputError(f"run {name} is done: {run.looks} looks. There is nothing to resume.")


def _await_exit(cache: Cache, data: str, name: str) -> None:
    """A run that has written its end may take a moment to leave: waits until it is gone, at most as long as a stop may take."""
    deadline = time.monotonic() + Timeouts.here().kill
    while time.monotonic() < deadline and load_run(cache, data, name).state in ENDS:
        if not is_held(cache, run_lock(data, name)) and not queue.read(cache, lambda connection: _leaving(cache, connection, data, name)):
            return
        time.sleep(0.05)


def _leaving(cache: Cache, connection: sqlite3.Connection, data: str, name: str) -> bool:
    found = queue.job(connection, (data, name))
    return found is not None and found.state == "running" and _at_work_or_queued(cache, connection, found)


def _at_work_or_queued(cache: Cache, connection: sqlite3.Connection, job: Job) -> bool:
    return job.state == "queued" or alive_or_in_hand(cache, job, starts.has_worker(connection, cache, job.lane))


def delete(cache: Cache, data: str, name: str) -> int:
    """Removes a run's folder, or a preparation's log, for good: the bytes that are freed. Locked while it runs."""

    def refuse(connection: sqlite3.Connection) -> None:
        found = queue.job(connection, (data, name))
        if found is not None and found.state == "running" and _at_work_or_queued(cache, connection, found):
            raise Locked(f"{name} is at work. Stop it first: python -m learnability stop {name}")
        if found is None and not data:
            raise NotFound(f"no preparation {name!r} in the queue.")
        if found is not None:
            queue.forget(connection, found.key)

    if not data:
        queue.write(cache, refuse)
        return disk.removed(starts.log_file(cache, data, name))
    folder = cache.run_folder(data, name)
    if not folder.is_dir():
        raise NotFound(f"run {name!r} not found for data set {data!r}.")
    with hold(cache, run_lock(data, name)):
        queue.write(cache, refuse)
        doomed = folder.parent / f"{LEFTOVER}deleted-{name}-{time.time_ns()}"
        with disk_errors(folder.parent), contextlib.suppress(FileNotFoundError):
            folder.rename(doomed)
    freed = disk.size(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
    return freed


def move_up(cache: Cache, data: str, name: str) -> bool:
    """Lets a queued job change places with the one before it; False where it is first or not queued."""

    def swap(connection: sqlite3.Connection) -> bool:
        found = queue.job(connection, (data, name))
        if found is None or found.state != "queued":
            return False
        before = [job for job in queue.jobs(connection, lane=found.lane, state="queued") if job.place < found.place]
        if not before:
            return False
        queue.change(connection, found.key, place=before[-1].place)
        queue.change(connection, before[-1].key, place=found.place)
        return True

    return queue.write(cache, swap)


def resume_interrupted(cache: Cache, interrupted: Iterable[Key]) -> list[Key]:
    """Resumes what was cut off, each in its old place, and sees to workers for what is queued; (data, name) of each."""
    resumed = []
    for key in interrupted:
        with contextlib.suppress(LearnabilityError):
            _resume(cache, *key, keeps_place=True)
            resumed.append(key)
    return resumed


def find(cache: Cache, name: str) -> Key:
    """(data, name) of a run id, of DATA/RUN, or of prepare-<8 hex digits>. NotFound, or InputError where it is not one alone."""
    if name.startswith("prepare-"):
        return "", name
    data, _, run_id = name.rpartition("/")
    names = [data] if data else cache.run_data_names()
    found = [(one, run_id) for one in names if run_id in cache.run_ids(one)]
    if not found:
        raise NotFound(f"no run {name!r} in {cache.root}. See: python -m learnability runs")
    if len(found) > 1:
        raise InputError(f"run {name!r} is there for several data sets: expected one of {', '.join('/'.join(key) for key in found)}.")
    return found[0]
