"""trainer: trains launched runs by their ids. What a worker starts; also what a job of another scheduler can call."""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from learnability.commands import several
from learnability.commands.arguments import at_least_one, cache_of, command
from learnability.errors import ConfigError, LearnabilityError, Locked, TrainingError
from learnability.jobs import starts
from learnability.jobs.logs import note
from learnability.jobs.reasons import BUSY
from learnability.store.files import write_json
from learnability.store.runs import load_config


def add(commands) -> None:
    own = command(
        commands,
        "trainer",
        run,
        "Train runs that were launched, by their ids, one after the other: what a worker starts.",
        "  python -m learnability trainer digits resnet20-s0-4f1c2a9b --device cpu\n"
        "SIGTERM stops cleanly (exit code 143), SIGUSR1 prints where every thread is. 75: device or run are in use.",
    )
    own.add_argument("data", metavar="DATA", help="the data set")
    own.add_argument("runs", nargs="+", metavar="RUN", help="run ids")
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    own.add_argument("--threads", type=at_least_one, help="CPU threads (default: all cores; side by side each run its share)")
    own.add_argument("--together", action="store_true", help="side by side instead of one after the other")
    own.add_argument("--restart", action="store_true", help="begin again from epoch 0 where a checkpoint is damaged")
    own.add_argument("--scheduled", action="store_true", help="another scheduler gave the device: do not wait for its other users here")
    own.add_argument("--leash", action="store_true", help="end at once when standard input closes: whoever started this is gone")


def run(args) -> int:
    if args.leash:
        threading.Thread(target=_end_with_starter, name="leash", daemon=True).start()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the order in which the queue names devices
    cache = cache_of(args)
    configs = [load_config(cache, args.data, run_id) for run_id in args.runs]
    count = configs[0].devices
    if any(config.devices != count for config in configs) or (count > 1 and args.scheduled):
        expected = "the one device that was given" if args.scheduled else f"{count} devices, as {args.runs[0]}"
        raise ConfigError(f"{', '.join(args.runs)}: expected runs over {expected}. Start the others apart.")
    if args.together and count > 1:
        raise ConfigError(f"--together with runs over {count} devices: expected runs on one device.")
    if count > 1 and (code := several.start(count, args.device, args.arguments)) is not None:
        return code
    from learnability.pictures import Originals
    from learnability.training.run import train
    from learnability.training.stopping import Stop

    stop, ranks = Stop(), several.joined(count, args.device)
    if ranks is not None and not ranks.first:
        given = {"device": args.device, "threads": args.threads, "stop": stop, "restart": args.restart}
        return several.follow(ranks, cache, **given, pictures=Originals)
    try:
        with contextlib.nullcontext() if args.scheduled else several.leading(ranks, cache, args.device, wait=1.0):
            if args.together:
                from learnability.training.run import train_together

                given = {"stop": stop, "restart": args.restart, "pictures": Originals}
                logs = {config.run_id: starts.log_file(cache, args.data, config.run_id) for config in configs}
                pace = {config.run_id: Lines(cache.run_folder(args.data, config.run_id), say=logs[config.run_id]) for config in configs}
                heads = train_together(configs, cache, args.device, args.threads, lambda config: pace[config.run_id], **given)
                return _ended(heads, [logs[config.run_id] for config in configs], stop)
            for config in configs:
                if not stop.asked:
                    several.lead(ranks, config)
                    lines = Lines(cache.run_folder(args.data, config.run_id))
                    head = train(config, cache, args.device, args.threads, lines, stop, args.restart, pictures=Originals)
                    told(f"{config.run_id}: {head.state}, {head.looks} of {head.epochs} looks")
                    if head.state == "failed":
                        raise TrainingError(f"{config.run_id}: {head.reason}")
    except Locked as error:
        told(str(error))
        return BUSY
    return 128 + stop.signal if stop.signal else 0


def _ended(heads: list, logs: list[Path], stop) -> int:
    """The exit code of runs side by side; each log tells how its run ended."""
    for head, log in zip(heads, logs, strict=True):
        failed = isinstance(head, BaseException)
        note(log, f"{type(head).__name__}: {head}" if failed else f"{head.state}, {head.looks} of {head.epochs} looks")
    if all(isinstance(head, Locked) for head in heads):
        return BUSY
    return 128 + stop.signal if stop.signal else int(any(isinstance(head, BaseException) or head.state == "failed" for head in heads))


def _end_with_starter() -> None:
    """SIGKILL to this process and its group once standard input closes: it may be at work elsewhere by now, so nothing is written."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(0 if os.getpgrp() == os.getpid() else os.getpid(), signal.SIGKILL)


class Lines:
    """Progress as lines of text, one at most every 10 seconds and one a phase that is new; into a file `say`, else printed."""

    def __init__(self, folder: Path, every: float = 10.0, say: Path | None = None):
        self.folder, self.every = folder, every
        self.say = told if say is None else lambda line: note(say, line)
        self.last, self.phase = -float("inf"), None

    def __call__(self, done: int, total: int, phase: str = "", **shown) -> None:
        if phase == "probe":
            self._probes()
        now = time.monotonic()
        if now - self.last < self.every and (phase == self.phase or phase in ("train", "eval", "test")):
            return
        self.last, self.phase = now, phase
        self.say(
            f"{time.strftime('%H:%M:%S')} {phase} {done:,} of {total:,} images"
            + "".join(f", {name} {value}" for name, value in shown.items())
        )

    def _probes(self) -> None:
        """The probe comes before the run is opened; while it lasts, silence is no stall."""
        with contextlib.suppress(LearnabilityError, OSError):
            here = {"time": time.time(), "pid": os.getpid(), "host": socket.gethostname()}
            write_json(self.folder / "progress.json", {**here, "phase": "probe"})


def told(line: str) -> None:
    """Prints where that works: a full disk ends a run elsewhere, with a reason."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
