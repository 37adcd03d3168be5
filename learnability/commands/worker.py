"""worker: trains what is in the queue, on one device or on a cluster."""

import contextlib
import sys
import time

from learnability.commands.arguments import add_cluster, cache_of, command, device_of
from learnability.jobs.devices import lane, on_cluster
from learnability.jobs.worker import work


def add(commands) -> None:
    own = command(
        commands,
        "worker",
        run,
        "Work through the queue of one device until it has been empty for a minute. Launching starts one by itself.",
        "  python -m learnability worker\n  python -m learnability worker --device cuda:1\n"
        "  python -m learnability worker --cluster 10.0.0.1:6379\n"
        "Ended or killed, it leaves its runs at work; the next worker takes them over. CPU runs go at low priority (nice 10).\n"
        "On a cluster its runs end with it, and the next worker goes on from their last commit.",
    )
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps, or prepare for queued preparations (default auto)")
    add_cluster(own)


def run(args) -> int:
    where = lane(device_of(args))
    if on_cluster(where):
        from learnability import cluster  # Ray, where somebody has a cluster

        return cluster.work(cache_of(args), where, told)
    return work(cache_of(args), where, told)


def told(line: str) -> None:
    """Prints with the time; a full disk must not end the worker."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", file=sys.stdout, flush=True)
