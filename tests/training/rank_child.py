"""A run over two processes on the CPU: torchrun --nproc-per-node 2 -m tests.training.rank_child ROOT CONFIG

It is trained, begun again and stopped half way, and gone on with; what was recorded before must come again, byte for byte.
Then a run of another seed loses its second process, killed in the third epoch.
"""

import json
import os
import signal
import sys

from learnability.store.paths import Cache
from learnability.training import Stop, loop, train
from tests.training.test_run import OFTEN
from tests.training.toy import OWN, Toy


def main(root: str, fields: str) -> None:
    given = json.loads(fields)
    cache = Cache.at(root)
    toy, rank, stop = Toy(cache, "toy", given.pop("fingerprint")), int(os.environ["RANK"]), Stop()
    config, shared = toy.config(**given), {"threads": 1, "policy": OFTEN, "own_architectures": OWN}
    states = [train(config, cache, "cpu", **shared).state]
    asks = {"stop": stop, "progress": lambda done, *_, **__: done and stop.ask()} if rank == 0 else {}
    states.append(train(config, cache, "cpu", restart=True, **asks, **shared).state)
    states.append(train(config, cache, "cpu", **shared).state)
    assert states == ["done", "stopped", "done"], states
    if rank == 1:
        _kill_at(12)
    train(toy.config(**given | {"seed": 1, "epochs": 9}), cache, "cpu", **shared)


def _kill_at(count: int) -> None:
    """SIGKILL at the count-th update."""
    real, left = loop.SGD.step, [count]

    def step(*args, **kwargs):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    loop.SGD.step = step


if __name__ == "__main__":
    main(*sys.argv[1:])
