"""An experiment that still lacks its scores, left to a process of its own: it trains them, waits, and queues the arms.

That process is `python -m learnability curriculum run ... --wait`. It outlives whoever began it; the log says what became of it.
Which one it was is noted beside the log, so that the same design is never at work twice.
"""

import dataclasses
import hashlib
import json
import threading
from pathlib import Path

from learnability.errors import LearnabilityError
from learnability.experiments.design import Design
from learnability.jobs import logs, starts
from learnability.jobs.processes import Process
from learnability.store import locks
from learnability.store.files import disk_errors, read_json, write_json
from learnability.store.paths import Cache

LINES = 6
WAIT_S = 5.0  # for another press in the same moment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Background:
    """How the process of a design stands, or how it ended."""

    at_work: bool
    told: str  # the last lines it printed


def begin(cache: Cache, design: Design) -> bool:
    """Starts the process of a design unless it is at work; whether it did."""
    log = _log(cache, design)
    with locks.hold(cache, log.stem, WAIT_S):
        if (found := standing(cache, design)) is not None and found.at_work:
            return False
        with disk_errors(cache.root):
            cache.logs.mkdir(parents=True, exist_ok=True)
            log.unlink(missing_ok=True)
        command = [*arguments(design), "--cache", str(cache.root)]
        starts.begins(log, command)
        process = starts.spawned(command, log, cache)
        known = Process.of(process.pid)
        write_json(_note(log), {"process": known and dataclasses.asdict(known), "said": _said(design)})
    threading.Thread(target=process.wait, name=f"wait for {process.pid}", daemon=True).start()  # no zombie stays behind
    return True


def standing(cache: Cache, design: Design) -> Background | None:
    """How the process of a design stands; None where none was begun."""
    log = _log(cache, design)
    try:
        at_work = _lives(read_json(_note(log)))
    except LearnabilityError:
        return None
    return Background(at_work=at_work, told=logs.tail(log, LINES))


def others(cache: Cache, design: Design) -> list[str]:
    """Other designs of the same data set that a process is at work on, in words."""
    notes = set(cache.logs.glob(f"curriculum-{design.data}-{'[0-9a-f]' * 8}.json")) - {_note(_log(cache, design))}
    found = [read_json(note) for note in sorted(notes)]
    return [one["said"] for one in found if _lives(one)]


def arguments(design: Design) -> list[str]:
    """The design as arguments of `python -m learnability`."""
    named = {
        "data": design.data, "arch": design.arch, "metric": design.metric, "easy-is": design.easy_is, "scores": design.scores,
        "score-seeds": design.score_seeds, "seeds": design.seeds, "first-seed": design.first_seed, "pacing": design.pacing,
        "subset": design.subset, "labels": design.labels,
    } | {field.replace("_", "-"): value for field, value in sorted(design.recipe)}  # fmt: skip
    options = [
        f"--{name}" if value is True else f"--{name}={value}" for name, value in named.items() if value is not None and value is not False
    ]
    return ["curriculum", "run", "--wait", *options, *["--no-balance"] * (not design.balance), "--arms", *design.arms]


def _lives(note: dict) -> bool:
    return note["process"] is not None and Process(**note["process"]).alive


def _said(design: Design) -> str:
    samples = f"{design.subset:,} samples" if design.subset else "all samples"
    return f"{design.arch} on {samples}, labels {design.labels}, pacing {design.pacing}, seeds of each arm: {design.seeds}"


def _log(cache: Cache, design: Design) -> Path:
    told = hashlib.sha256(json.dumps(arguments(design)).encode()).hexdigest()[:8]
    return cache.logs / f"curriculum-{design.data}-{told}.txt"


def _note(log: Path) -> Path:
    return log.with_suffix(".json")
