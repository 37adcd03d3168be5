"""A trainer in a process of its own, to be killed: python -m tests.training.child ROOT CONFIG [KILL]

KILL is `<where>:<count>`: SIGKILL at the count-th time that the process is there. `step` is an update, `between` the
moment after an epoch was handed over, `eval` a batch of a pass without updates, `commit` a file operation of a commit.
Without KILL it prints the sha256 of everything recorded.
"""

import hashlib
import json
import os
import signal
import sys

from learnability.store.paths import Cache
from learnability.store.runs import load_recording
from learnability.training import commits, loop, train, ways
from tests.training.test_run import OFTEN
from tests.training.toy import OWN, Toy


def main(root: str, fields: str, kill: str | None = None) -> None:
    given = json.loads(fields)
    threads = given.pop("threads", 1)
    cache = Cache.at(root)
    toy = Toy(cache, "toy", given.pop("fingerprint"))
    if kill:
        where, count = kill.split(":")
        {"step": _at_step, "between": _between, "eval": _in_eval, "commit": _in_commit}[where](int(count))
    config = toy.config(**given)
    train(config, cache, "cpu", threads=threads, policy=OFTEN, own_architectures=OWN)
    signals = load_recording(cache, "toy", config.run_id, verify=True).signals
    print(hashlib.sha256(b"".join(signals[name].tobytes() for name in sorted(signals))).hexdigest())


def _killing(function, count: int, counts=lambda *_: True, after: bool = False):
    """`function`, but the count-th call that counts ends the process, before or after it is done."""
    left = [count]

    def wrapped(*args, **kwargs):
        left[0] -= bool(counts(*args))
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def _at_step(count: int) -> None:
    loop.SGD.step = _killing(loop.SGD.step, count)


def _between(count: int) -> None:
    commits.Commits.add = _killing(commits.Commits.add, count, after=True)


def _in_eval(count: int) -> None:
    ways.Forward.__call__ = _killing(ways.Forward.__call__, count, lambda forward, _images: not forward.network.training)


def _in_commit(count: int) -> None:
    for name in ("fsync", "replace"):
        setattr(os, name, _killing(getattr(os, name), count))


if __name__ == "__main__":
    main(*sys.argv[1:])
