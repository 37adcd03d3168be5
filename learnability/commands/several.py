"""Runs over several devices from the shell: the processes are started; the first of them leads, the others follow."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NoReturn

from learnability.config import RunConfig
from learnability.errors import PeerLost
from learnability.store.locks import hold
from learnability.store.paths import Cache


def start(count: int, device: str, arguments: list[str]) -> int | None:
    """Runs `learnability ARGUMENTS` in `count` processes and waits: the exit code. None in one that was started like this."""
    from learnability.training import ranks

    if ranks.launched():
        return None
    ranks.first_device(device, count)
    from learnability.training.launch import started

    return started(count, arguments)


def joined(count: int, device: str):
    """The ranks of runs over `count` devices, once they have met; None of one device."""
    if count == 1:
        return None
    from learnability.training.ranks import Ranks

    found = Ranks.joined(count, device)
    _met.add(found.rank)
    return found


def end(code: int) -> NoReturn:
    """Ends this process. One that has met others goes at once: a thread of their connections that asks for an interpreter which is
    being taken down would abort it, though all its work is done."""
    if _met:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


_met: set[int] = set()  # ranks that this process has been


@contextlib.contextmanager
def leading(ranks, cache: Cache, device: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the locks of the devices that are taken on this machine; at the end the others are told that it is one."""
    from learnability.training import devices

    own = devices.resolve(device) if ranks is None else ranks.device(device)
    names = [f"device-{own}"] if ranks is None or own.type == "cpu" else [f"device-cuda:{index}" for index in range(ranks.local)]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(hold(cache, name, wait=wait))
        yield
        if ranks is not None:
            ranks.told(lambda: None)
            ranks.leave()


def lead(ranks, config: RunConfig) -> None:
    """Tells the others which run comes next."""
    if ranks is not None:
        ranks.told(config.to_json)


def follow(ranks, cache: Cache, **given) -> int:
    """What the others do: they train along, run after run. Why one ended is said by that one, or by what started them."""
    from learnability.training.run import train

    try:
        while (told := ranks.told()) is not None:
            train(RunConfig.from_json(told), cache, **given)
    except PeerLost:
        return 1
    ranks.leave()
    return 0
