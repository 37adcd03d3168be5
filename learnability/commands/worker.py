"""worker: trains what is in the queue, on one device."""

import contextlib
import sys
import time

from learnability.commands.arguments import cache_of, command
from learnability.jobs.devices import lane
from learnability.jobs.worker import work


def add(commands) -> None:
    own = command(
        commands,
        "worker",
        run,
        "Work through the queue of one device until it has been empty for a minute. Launching starts one by itself.",
        "  python -m learnability worker\n  python -m learnability worker --device cuda:1\n"
        "Ended or killed, it leaves its runs at work; the next worker takes them over. CPU runs go at low priority (nice 10).",
    )
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps, or prepare for queued preparations (default auto)")


def run(args) -> int:
    return work(cache_of(args), lane(args.device), told)


def told(line: str) -> None:
    """Prints with the time; a full disk must not end the worker."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", file=sys.stdout, flush=True)
