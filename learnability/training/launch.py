"""Starts the processes of a run over several devices, as torchrun does on one machine."""

import logging
import os
import sys
import tempfile
import uuid
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def started(count: int, arguments: list[str], said=lambda line: print(line, file=sys.stderr)) -> int:
    """Runs `python -m learnability ARGUMENTS` in `count` processes that know of each other; the exit code.

    It is that of the first process where that failed, 1 where another did, 128 and the signal's number where this one was
    signalled: the signal goes on to all of them, and 30 s later SIGKILL. One that ends badly ends the others so too.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what happened is said below, once
    if Path("/sys/class/net/lo").exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # nothing leaves this machine
    with tempfile.TemporaryDirectory(prefix="learnability-") as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        try:
            elastic_launch(config, sys.executable)("-u", "-m", "learnability", *arguments)
        except SignalException as asked:
            return 128 + asked.sigval
        except ChildFailedError as failed:
            rank, failure = failed.get_first_failure()
            if failure.exitcode < 0:
                said(f"rank {rank} of {count} was ended by {failure.signal_name()}; the others were ended too")
            first = failed.failures.get(0)
            return first.exitcode if first is not None and first.exitcode > 0 else 1
    return 0
