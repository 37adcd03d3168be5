"""Which process is meant. A process id alone is not enough: ids are used again, by strangers too.

A process is known by its id, its start time and the boot of the machine; nothing is ever signalled that differs in one of them.
What a trainer starts in turn is found by a token in its environment, so that nothing survives it.
"""

import contextlib
import dataclasses
import functools
import os
import signal
import time
from pathlib import Path

import psutil

TOKEN = "LEARNABILITY_JOB"


@dataclasses.dataclass(frozen=True)
class Process:
    """One process of this machine since its last start."""

    pid: int
    started: str  # ticks since boot where there is /proc, else seconds since 1970
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that has this id now; None where there is none, or one that has ended and was not waited for."""
        started = _start_time(pid)
        return None if started is None else cls(pid, started, boot_id())

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def send(self, number: int) -> bool:
        """Signals exactly this process; False where it has ended, whoever has its id now."""
        if not hasattr(os, "pidfd_open"):
            if not self.alive:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            return True
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    def catches(self, number: int) -> bool:
        """Whether it has a handler for a signal that would otherwise end it; False where that cannot be told."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
        return bool(int(caught, 16) >> (number - 1) & 1) and self.alive

    def environment(self, name: str) -> str | None:
        """One variable of its environment; None where there is none or it cannot be read."""
        try:
            value = psutil.Process(self.pid).environ().get(name)
        except (psutil.Error, OSError):
            return None
        return value if self.alive else None

    def has_open(self, path: Path) -> bool:
        """Whether it has this file open: the holder of a lock does."""
        try:
            return str(path) in {file.path for file in psutil.Process(self.pid).open_files()} and self.alive
        except psutil.Error:
            return False


@functools.lru_cache(1)
def boot_id() -> str:
    """Another one after each start of the machine."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(round(psutil.boot_time()))


def _start_time(pid: int) -> str | None:
    if not Path("/proc/self/stat").exists():
        return _start_time_elsewhere(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _start_time_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) else repr(process.create_time())
    except psutil.Error:
        return None


def with_token(token: str) -> list[Process]:
    """Every process of this account that was started, at whatever remove, with this token in its environment."""
    found = []
    for other in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if other.environ().get(TOKEN) == token and (process := Process.of(other.pid)) is not None:
                found.append(process)
    return found


def family(leader: Process | None, token: str) -> list[Process]:
    """The leader, all of its session, and all that carry the token; the leader last."""
    found = dict.fromkeys(with_token(token))
    if leader is not None and leader.alive:
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                if os.getsid(pid) == leader.pid and (process := Process.of(pid)) is not None:
                    found[process] = None
    return sorted(found, key=lambda process: process == leader)


def end_family(leader: Process | None, token: str, wait: float = 5.0) -> int:
    """SIGKILL to all of a family until none is left, also not what was started meanwhile. Returns how many there were."""
    ended, deadline = set(), time.monotonic() + wait
    while (left := family(leader, token)) and time.monotonic() < deadline:
        for process in left:
            if process.send(signal.SIGKILL):
                ended.add(process)
        time.sleep(0.02)
    return len(ended)
