"""What run folders and locks tell of the queue, when its file is lost."""

import json
from pathlib import Path

from learnability.errors import LearnabilityError
from learnability.jobs.devices import lane
from learnability.jobs.processes import TOKEN, Process
from learnability.store.files import read_json
from learnability.store.locks import is_held, lock_file, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import load_config, read_head


def found(cache: Cache) -> list[dict]:
    """Fields of the jobs, in the order of their launch: runs at work, runs never begun, runs that ended before their first look.

    Runs with a HEAD that nobody works on need no job: HEAD says how they ended, and a resume puts them in anew.
    """
    folders = [cache.run_folder(data, run_id) for data in cache.run_data_names() for run_id in cache.run_ids(data)]
    return [fields for folder in sorted(folders, key=_launched) if (fields := _job(cache, folder)) is not None]


def _launched(folder: Path) -> tuple[float, str]:
    return _modified(folder / "config.json") or 0.0, folder.name


def _modified(path: Path) -> float | None:
    """When a file was last written, seconds since 1970; None where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _job(cache: Cache, folder: Path) -> dict | None:
    data, run_id = folder.parent.name, folder.name
    if _of_others(cache, data, run_id):
        return None
    fields = {"kind": "run", "data": data, "name": run_id, "lane": device_of(folder)}
    if is_held(cache, run_lock(data, run_id)):
        token, process = trainer_of(cache, data, run_id)
        if token is None:
            return None  # at work in the foreground: its shell owns it
        identity = {"pid": process.pid, "started": process.started, "boot": process.boot}
        return {**fields, **identity, "state": "running", "token": token, "stop": _modified(folder / "stop")}
    if (folder / "HEAD.json").exists():
        return None
    if _printed_something(folder / "log.txt"):
        return {**fields, "state": "ended", "note": "ended before its first look; the log says more"}
    return fields


def _of_others(cache: Cache, data: str, run_id: str) -> bool:
    """Whether its owner's loop records a run, or it was read from files: nothing here may train it."""
    try:
        return load_config(cache, data, run_id).origin is not None
    except LearnabilityError:
        return False


def trainer_of(cache: Cache, data: str, run_id: str) -> tuple[str | None, Process | None]:
    """(token, process) of the trainer that holds a run's lock; (None, None) where it is not one of a worker's.

    The process must have the lock's file open: what the file says may be old.
    """
    path = lock_file(cache, run_lock(data, run_id))
    try:
        process = Process.of(int(json.loads(path.read_bytes())["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
    if process is None or not process.has_open(path):
        return None, None
    token = process.environment(TOKEN)
    return (token, process) if token else (None, None)


def device_of(folder: Path) -> str:
    """The device a run was trained on, else the default one here."""
    try:
        kind = read_json(folder / "environment.json").get("device")
    except (LearnabilityError, AttributeError):
        kind = None
    return lane(kind) if kind in ("cpu", "cuda", "mps") else lane("auto")


def _printed_something(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def generation(cache: Cache, data: str, run_id: str) -> int:
    """How often HEAD was begun, -1 before its first start or where it is damaged."""
    try:
        return read_head(cache.run_folder(data, run_id)).generation
    except LearnabilityError:
        return -1
