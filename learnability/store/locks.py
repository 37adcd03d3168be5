"""One function for all locks. The lock, not a process id, says whether somebody is at work."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from learnability.errors import Locked, StoreError
from learnability.store.files import disk_errors
from learnability.store.paths import Cache


def run_lock(data: str, run_id: str) -> str:
    return f"{data}--{run_id}"


def lock_file(cache: Cache, name: str) -> Path:
    return cache.locks / f"{name.replace('/', '_').replace(':', '_')}.lock"


@contextlib.contextmanager
def hold(cache: Cache, name: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock `name` for the body; `Locked` names the holder if it is not free within `wait` seconds.

    An flock: it ends with the process, however that ends. Child processes must be spawned, not forked: after the holder's SIGKILL
    a forked one would still hold it.
    """
    path, owner = lock_file(cache, name), os.getpid()
    with disk_errors(cache.root):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + max(wait, 0.2)  # is_held takes the lock for an instant
        while not _try(descriptor):
            if time.monotonic() >= deadline:
                raise Locked(f"{name} is in use by {holder(cache, name)}. Wait for it or stop it.")
            time.sleep(0.05)
        if _free(path):
            raise StoreError(
                f"file locks do not hold in {path.parent} (a network file system?). Move the cache to a local disk with --cache."
            )
        with contextlib.suppress(OSError):  # only tells a person who holds it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())}).encode(), 0)
        yield
    finally:
        if os.getpid() == owner:  # closing is not enough where a forked child (a loader's worker) has the descriptor too
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def is_held(cache: Cache, name: str) -> bool:
    """Whether some process holds the lock `name` now."""
    path = lock_file(cache, name)
    return path.exists() and not _free(path)


def holder(cache: Cache, name: str) -> str:
    """Who holds the lock, in words, as far as its file tells."""
    try:
        told = json.loads(lock_file(cache, name).read_bytes())
        return f"process {told['pid']} on {told['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free(path: Path) -> bool:
    """Whether a second opening of the file could lock it: a shared lock is tried and given back at once."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
