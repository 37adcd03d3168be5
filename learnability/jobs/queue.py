"""The queue of this machine: one SQLite file. Lost or damaged, it is made anew from the run folders and their locks.

It decides order and says which process works on what. Whether a run is alive says its lock, how far it is says its HEAD.
Rollback journal, no WAL: that does not work on network file systems.
"""

import contextlib
import dataclasses
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from learnability.errors import DiskFull, Locked, NewerFormat, StoreError
from learnability.jobs import rebuild
from learnability.jobs.processes import Process
from learnability.jobs.timeouts import Timeouts
from learnability.store.files import LEFTOVER, disk_errors
from learnability.store.locks import hold, lock_file
from learnability.store.paths import Cache

T = TypeVar("T")
Key = tuple[str, str]
FORMAT = 1
_LOCK = "queue"
_SCHEMA = """
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL, data TEXT NOT NULL, name TEXT NOT NULL,
  lane TEXT NOT NULL, threads INTEGER, options TEXT NOT NULL DEFAULT '{}',
  place INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'queued', note TEXT,
  stop REAL, stalled INTEGER NOT NULL DEFAULT 0,
  token TEXT, pid INTEGER, started TEXT, boot TEXT, generation INTEGER NOT NULL DEFAULT -1,
  begun REAL, ended REAL, code INTEGER,
  UNIQUE (data, name)
);
CREATE TABLE workers (lane TEXT PRIMARY KEY, pid INTEGER NOT NULL, started TEXT NOT NULL, boot TEXT NOT NULL);
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A run or a preparation in the queue, at work, or ended."""

    id: int
    kind: str  # run or prepare
    data: str  # data set of a run, "" of a preparation
    name: str  # run id, or prepare-<8 hex digits>
    lane: str  # the device asked for, or prepare
    threads: int | None
    options: str  # JSON: what a preparation was asked to do; of a run `options`
    place: int  # rising: the order in its lane
    state: str  # queued, running, ended
    note: str | None  # why it waits, or how it ended
    stop: float | None  # when somebody asked it to stop, seconds since 1970
    stalled: bool
    token: str | None  # in the environment of all its processes
    pid: int | None
    started: str | None
    boot: str | None
    generation: int  # of the run's HEAD before this start, -1 where there was none
    begun: float | None
    ended: float | None
    code: int | None  # exit code; minus the signal where one ended it; None where nobody saw it

    @property
    def key(self) -> Key:
        """What stays the same when the queue's file is made anew."""
        return self.data, self.name

    @property
    def process(self) -> Process | None:
        return None if self.pid is None else Process(self.pid, self.started, self.boot)

    @property
    def asked(self) -> dict:
        return json.loads(self.options)


def options(together: int = 1, restart: bool = False) -> str:
    """What is asked of a run: to share its device with others behind it, to begin again."""
    return json.dumps(({"together": together} if together > 1 else {}) | ({"restart": True} if restart else {}))


class _Unusable(Exception):
    """The file is not a queue, or a damaged one."""


def write(cache: Cache, work: Callable[[sqlite3.Connection], T]) -> T:
    """`work(connection)` in one transaction that no other process can come between."""
    try:
        return _in_transaction(cache, work)
    except _Unusable:
        make_anew(cache)
        return _in_transaction(cache, work)


def read(cache: Cache, work: Callable[[sqlite3.Connection], T]) -> T:
    """`work(connection)` on the queue as it stands; on one made in memory where none can be written."""
    try:
        with _opened(cache) as connection:
            return work(connection)
    except _Unusable:
        with contextlib.suppress(StoreError):
            make_anew(cache)
            with _opened(cache) as connection:
                return work(connection)
    with contextlib.closing(_filled(":memory:", cache, lock_file(cache, _LOCK).exists())) as connection:
        return work(connection)


def _in_transaction(cache: Cache, work: Callable[[sqlite3.Connection], T]) -> T:
    with _opened(cache) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return result


@contextlib.contextmanager
def _opened(cache: Cache) -> Iterator[sqlite3.Connection]:
    if not cache.queue.exists():
        raise _Unusable
    with _in_words(cache):
        connection = sqlite3.connect(f"{cache.queue.as_uri()}?mode=rw", timeout=Timeouts.here().busy, isolation_level=None, uri=True)
        try:
            connection.row_factory = sqlite3.Row
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > FORMAT:
                raise NewerFormat(f"{cache.queue} has format {version}; this version reads up to {FORMAT}. Update learnability.")
            if version < 1:
                raise _Unusable
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def _in_words(cache: Cache) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        said = str(error)
        if "full" in said:
            raise DiskFull(
                f"disk full: the queue in {cache.root} needs more space. Make space, then try again; runs at work go on."
            ) from error
        if "locked" in said:
            raise Locked(f"the queue in {cache.root} is in use by another process for too long. Try again.") from error
        if "no such" in said or "malformed" in said:
            raise _Unusable from error
        raise StoreError(
            f"the queue in {cache.root} cannot be used: {said}. Make the folder writable or move the cache with --cache."
        ) from error
    except sqlite3.DatabaseError as error:
        raise _Unusable from error


def make_anew(cache: Cache) -> None:
    """Makes the queue from run folders and locks, where it is lost or damaged; a damaged file is kept beside it."""
    with disk_errors(cache.root):
        cache.root.mkdir(parents=True, exist_ok=True)
    lost = lock_file(cache, _LOCK).exists()  # else there has never been one
    with hold(cache, _LOCK, wait=Timeouts.here().busy):
        if _sound(cache):
            return  # somebody else was faster
        temporary = cache.root / f"{LEFTOVER}jobs-{secrets.token_hex(4)}"
        try:
            with _in_words(cache):
                _filled(temporary, cache, lost).close()
            if cache.queue.exists():
                os.replace(cache.queue, cache.queue.with_suffix(".sqlite.damaged"))
            Path(f"{cache.queue}-journal").unlink(missing_ok=True)
            os.replace(temporary, cache.queue)
        finally:
            temporary.unlink(missing_ok=True)


def check(cache: Cache) -> None:
    """Looks through the whole file and makes it anew if a part is damaged."""
    if not _sound(cache):
        make_anew(cache)


def _sound(cache: Cache) -> bool:
    """Whether every page of the file is whole and both tables are there."""
    try:
        with _opened(cache) as connection:
            jobs(connection)
            connection.execute("SELECT lane, pid, started, boot FROM workers").fetchall()
            return connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except (_Unusable, TypeError):
        return False


def _filled(path: str | Path, cache: Cache, lost: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)
    for fields in rebuild.found(cache) if lost else []:
        insert(connection, **fields)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
    return connection


# inside a transaction


def jobs(connection: sqlite3.Connection, **wanted) -> list[Job]:
    """Jobs in their order; `wanted` names columns and the values they must have."""
    where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
    rows = connection.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY place", tuple(wanted.values()))
    return [Job(**{**dict(row), "stalled": bool(row["stalled"])}) for row in rows]


def job(connection: sqlite3.Connection, key: Key) -> Job | None:
    return next(iter(jobs(connection, data=key[0], name=key[1])), None)


def insert(connection: sqlite3.Connection, **fields) -> bool:
    """One more job at the end of its lane; False where it is there."""
    (last,) = connection.execute("SELECT coalesce(max(place), 0) FROM jobs").fetchone()
    fields = {"place": last + 1, **fields}
    names = ", ".join(fields)
    done = connection.execute(f"INSERT OR IGNORE INTO jobs ({names}) VALUES ({', '.join('?' * len(fields))})", tuple(fields.values()))
    return done.rowcount == 1


def change(connection: sqlite3.Connection, key: Key, **fields) -> None:
    assigned = ", ".join(f"{name} = ?" for name in fields)
    connection.execute(f"UPDATE jobs SET {assigned} WHERE data = ? AND name = ?", (*fields.values(), *key))


def change_at_work(connection: sqlite3.Connection, job: Job, **fields) -> None:
    """Changes a job only while it is in the same start as when it was read: nobody asked for it anew meanwhile."""
    assigned = ", ".join(f"{name} = ?" for name in fields)
    same = "data = ? AND name = ? AND state = 'running' AND token IS ?"
    connection.execute(f"UPDATE jobs SET {assigned} WHERE {same}", (*fields.values(), *job.key, job.token))


def ask_again(connection: sqlite3.Connection, found: Job, **fields) -> None:
    """Puts an ended job at the end of its lane once more."""
    (last,) = connection.execute("SELECT max(place) FROM jobs").fetchone()
    fresh = dict.fromkeys(("note", "stop", "token", "pid", "started", "boot", "begun", "ended", "code"))
    change(connection, found.key, **{"state": "queued", "stalled": 0, "place": last + 1, **fresh, **fields})


def forget(connection: sqlite3.Connection, key: Key) -> None:
    connection.execute("DELETE FROM jobs WHERE data = ? AND name = ?", key)


def worker(connection: sqlite3.Connection, lane: str) -> Process | None:
    """The living worker of a lane."""
    row = connection.execute("SELECT pid, started, boot FROM workers WHERE lane = ?", (lane,)).fetchone()
    process = None if row is None else Process(*row)
    return process if process is not None and process.alive else None


def set_worker(connection: sqlite3.Connection, lane: str, process: Process) -> None:
    connection.execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)", (lane, process.pid, process.started, process.boot))


def unset_worker(connection: sqlite3.Connection, lane: str) -> None:
    connection.execute("DELETE FROM workers WHERE lane = ?", (lane,))
