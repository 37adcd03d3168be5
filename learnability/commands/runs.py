"""runs: what has been trained, what is at work, and how far."""

import dataclasses
import sys
import time

from learnability import jobs
from learnability.commands.arguments import cache_of, command, print_json, table
from learnability.jobs import JobState
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_looks, load_runs

COLUMNS = ["data", "run", "labels", "record", "state", "looks", "accuracy", "test_accuracy", "reason"]
LIVE = ["data", "run", "state", "looks", "accuracy", "images/s", "left", "reason"]


def add(commands) -> None:
    own = command(
        commands,
        "runs",
        run,
        "List the runs: architecture, seed, recipe, state, looks, accuracy.",
        "  python -m learnability runs\n  python -m learnability runs --data digits --json\n  python -m learnability runs --watch",
    )
    own.add_argument("--data", metavar="NAME", help="runs of this data set only")
    own.add_argument("--watch", action="store_true", help="show the table anew until nothing is queued or at work")
    own.add_argument("--every", type=float, default=2.0, metavar="S", help="seconds between two tables (default 2)")
    own.add_argument("--json", action="store_true", help="for programs: one object a run, config included")


def run(args) -> int:
    cache = cache_of(args)
    if args.data:
        cache.current(args.data)
    if args.watch:
        return _watch(cache, args)
    rows = _rows(cache, args.data)
    if args.json:
        print_json(rows)
    elif rows:
        print(table([{**row, "looks": f"{row['looks']}/{row['epochs']}"} for row in rows], COLUMNS))
    else:
        print("No runs yet. Train: python -m learnability train --data NAME --arch resnet20 vgg16 mobilenet")
    return 0


def _watch(cache: Cache, args) -> int:
    """The table again and again: in place on a terminal, else whenever it has changed."""
    drawn = None
    while True:
        states, going = _live(cache, args.data)
        if states != drawn:
            if sys.stdout.isatty():
                print("\033[H\033[2J", end="")
            print(states, flush=True)
        drawn = states
        if not going:
            return 0
        time.sleep(args.every)


def _live(cache: Cache, data: str | None) -> tuple[str, bool]:
    known = {(run.data, run.id): run for run in load_runs(cache, data)}
    states = [*jobs.states(cache, data), *([] if data else jobs.preparations(cache))]
    rows = [_live_row(cache, state, known.get((state.data, state.name))) for state in states]
    going = any(state.at_work or (state.state == "queued" and not state.interrupted) for state in states)
    cut_off = sum(state.interrupted for state in states)
    lines = [table(rows, LIVE) if rows else "No runs yet."]
    if cut_off:
        lines.append(f"{cut_off} interrupted. Go on: python -m learnability resume --all")
    return "\n".join(lines), going


def _live_row(cache: Cache, state: JobState, run: Run | None) -> dict:
    row = {"data": state.data, "run": state.name, "state": state.state, "reason": state.reason}
    if state.position:
        row["state"] = f"queued {state.position}"
    if state.at_work:
        row["state"] = f"{state.state} {state.phase}"
        row["images/s"] = state.images_per_second
        row["left"] = None if state.eta_s is None else f"{state.eta_s / 60:.1f} min"
    if run is not None:
        row["looks"] = f"{state.looks}/{state.epochs}"
        row["accuracy"] = _short(_last(cache, run).get("accuracy"))
    return row


def _rows(cache: Cache, data: str | None) -> list[dict]:
    states = {(state.data, state.name): state for state in jobs.states(cache, data)}
    return [_row(cache, run, states[run.data, run.id]) for run in load_runs(cache, data) if (run.data, run.id) in states]


def _row(cache: Cache, run: Run, state: JobState) -> dict:
    last = _last(cache, run)
    return {
        "data": run.data,
        "run": run.id,
        "recipe": run.recipe,
        "labels": run.config.labels if run.config else None,
        "record": run.config.record if run.config else None,
        "state": state.state,
        "looks": run.looks,
        "epochs": state.epochs,
        "accuracy": _short(last.get("accuracy")),
        "test_accuracy": _short(last.get("test_accuracy")),
        "reason": state.reason,
        "config": dataclasses.asdict(run.config) if run.config else None,
    }


def _last(cache: Cache, run: Run) -> dict:
    return load_looks(cache, run.data, run.id)[-1] if run.looks and not run.problem else {}


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
