"""What a job printed: appended to a file by the job itself, cut in the middle when it grows too long."""

import contextlib
import os
import re
from pathlib import Path

LIMIT = 2_000_000  # bytes; half of them the beginning, half the end
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROL = {number: None for number in range(32) if number not in (9, 10)} | {127: None}


def open_log(path: Path) -> int:
    """A descriptor that appends to `path`; every process that has one may go on while the file is cut."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def note(path: Path, line: str) -> None:
    """Adds one line of our own; best effort, so that a full disk does not end the worker here."""
    with contextlib.suppress(OSError):
        descriptor = open_log(path)
        try:
            os.write(descriptor, f"{line}\n".encode(errors="replace"))
        finally:
            os.close(descriptor)


def cut(path: Path, limit: int = LIMIT) -> bool:
    """Keeps beginning and end of a log that has grown past `limit` bytes; what is printed in the instant of the last step may be lost."""
    half = limit // 2
    try:
        size = path.stat().st_size
        if size <= limit:
            return False
        with open(path, "r+b", buffering=0) as file:
            mark = f"\n[... {size - limit} bytes left out ...]\n".encode()
            tail = mark + os.pread(file.fileno(), half - len(mark), size - half + len(mark))
            os.pwrite(file.fileno(), tail, half)
            end = half + len(tail)
            while late := os.pread(file.fileno(), half, size):  # printed meanwhile
                os.pwrite(file.fileno(), late, end)
                size, end = size + len(late), end + len(late)
            os.ftruncate(file.fileno(), end)
    except OSError:
        return False
    return True


def tail(path: Path, lines: int = 200) -> str:
    """The last lines as plain text: no colours, no control characters, of a progress bar its last state. "" without a log."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            data = os.pread(file.fileno(), 65536 + lines * 200, max(size - 65536 - lines * 200, 0))
    except OSError:
        return ""
    text = _ESCAPE.sub("", data.decode(errors="replace").replace("\r\n", "\n"))
    kept = [line.rstrip("\r").rpartition("\r")[2].translate(_CONTROL).rstrip() for line in text.split("\n")]
    while kept and not kept[-1]:
        kept.pop()
    return "\n".join(kept[-lines:])
