"""Why a job ended, in words: what was found and what to do. From its exit code, its last words and the disk."""

import re
import shutil
import signal
from pathlib import Path

from learnability.config import RunConfig

BUSY = 75  # exit code of a trainer that found its device or its run in use: it is queued again
ALMOST_FULL = 16e6  # bytes
RESUME = "What was committed is kept: resume it."
_OWN = re.compile(r"learnability \w+: (.+)", re.DOTALL)
_ERROR = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning))\b(?:: (.*))?")


def of_end(code: int | None, last_words: str, config: RunConfig | None, root: Path, rebooted: bool = False) -> str:
    """`code`: exit code, minus the signal where one ended the process, None where nobody saw it."""
    if code is not None and code < 0:
        return _of_signal(-code, root)
    if full := disk_full(root):
        return full
    if memory := _device_memory(last_words, config):
        return memory
    line = _last_line(last_words)
    if told := _OWN.fullmatch(line):
        return told[1]
    if error := _ERROR.fullmatch(line):
        return _of_error(error[1], error[2] or "")
    if code is None:
        return of_crash(rebooted, root)
    if code == 0:
        return "ended itself early, without a result. The log may show where."
    return f"ended with exit code {code}. The log says more; {RESUME[0].lower()}{RESUME[1:]}"


def plain(reason: str | None) -> str | None:
    """What HEAD gives as the reason, in words where it is an exception's bare name and text."""
    error = _ERROR.fullmatch(reason or "")
    return _of_error(error[1], error[2] or "") if error else reason


def _of_signal(number: int, root: Path) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "unknown"
    said = {
        signal.SIGKILL: "likely the system was out of memory, or somebody killed it",
        signal.SIGSEGV: "a fault in native code; the log shows where",
        signal.SIGBUS: "a fault in native code, or a file that was cut while it was mapped; the log shows where",
        signal.SIGABRT: "native code gave up; the log shows why",
        signal.SIGTERM: "somebody ended it from outside",
        signal.SIGHUP: "its session was ended",
    }.get(number, "the log may say more")
    return f"killed by signal {number} ({name}): {said}. {disk_full(root) or RESUME}"


def _of_error(name: str, text: str) -> str:
    if name in ("ModuleNotFoundError", "ImportError"):
        return f"import error: {text}. Install what is missing, or correct the architecture's module, then resume."
    if name == "SystemExit":
        return f"ended itself early (sys.exit {text}). The log shows where."
    if name == "MemoryError":
        said = text or "an array could not be made"
        return f"out of memory (RAM): {said}. Close other programs, then resume; or launch a run with a subset or a smaller batch."
    return f"{name}: {text}. The log shows where." if text else f"{name}. The log shows where."


def _device_memory(last_words: str, config: RunConfig | None) -> str | None:
    if not re.search(r"(CUDA|MPS)[^\n]{0,40} out of memory|OutOfMemoryError", last_words[-4000:]):
        return None
    kind = "MPS" if "MPS" in last_words[-4000:] else "GPU"
    if config is None:
        return f"{kind} out of memory. Free memory on the device, then try again."
    smaller = max(config.batch_size // 2, 2)
    return (
        f"{kind} out of memory at batch size {config.batch_size}; what was committed is kept. Launch a run with batch size {smaller} "
        "(another recipe), or free memory on the device and resume."
    )


def disk_full(root: Path) -> str | None:
    """A sentence where the cache's disk has no space left."""
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        return None
    return (
        f"disk full: {free / 1e6:.0f} MB left in {root}. Make space, then resume; what was committed is kept."
        if free < ALMOST_FULL
        else None
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def of_crash(rebooted: bool, root: Path) -> str:
    """Where HEAD says running, its lock is free, and nobody saw the end."""
    if full := disk_full(root):
        return full
    if rebooted:
        return f"the machine was restarted while it ran. {RESUME}"
    return f"its process ended without a word (killed, or out of memory). {RESUME}"
