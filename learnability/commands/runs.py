"""runs: what has been trained, and how far."""

import dataclasses

from learnability.commands.arguments import cache_of, command, print_json, table
from learnability.store.locks import is_held, run_lock
from learnability.store.runs import load_looks, load_runs


def add(commands) -> None:
    own = command(
        commands,
        "runs",
        run,
        "List the runs: architecture, seed, recipe, state, looks, accuracy.",
        "  python -m learnability runs\n  python -m learnability runs --data digits --json",
    )
    own.add_argument("--data", metavar="NAME", help="runs of this data set only")
    own.add_argument("--json", action="store_true", help="for programs: one object a run, config included")


def run(args) -> int:
    cache = cache_of(args)
    if args.data:
        cache.current(args.data)
    rows = [_row(cache, run) for run in load_runs(cache, args.data)]
    if args.json:
        print_json(rows)
    elif rows:
        shown = [{**row, "looks": f"{row['looks']}/{row['epochs']}"} for row in rows]
        print(table(shown, ["data", "run", "labels", "record", "state", "looks", "accuracy", "test_accuracy", "reason"]))
    else:
        print("No runs yet. Train: python -m learnability train --data NAME --arch resnet20 vgg16 mobilenet")
    return 0


def _row(cache, run) -> dict:
    last = {}
    if not run.problem and run.looks:
        last = load_looks(cache, run.data, run.id)[-1]
    state = run.state
    if state == "running" and not is_held(cache, run_lock(run.data, run.id)):
        state = "crashed"
    return {
        "data": run.data,
        "run": run.id,
        "recipe": run.recipe,
        "labels": run.config.labels if run.config else None,
        "record": run.config.record if run.config else None,
        "state": state,
        "looks": run.looks,
        "epochs": run.config.epochs if run.config else 0,
        "accuracy": _short(last.get("accuracy")),
        "test_accuracy": _short(last.get("test_accuracy")),
        "reason": run.problem or (run.head.reason if run.head else None),
        "config": dataclasses.asdict(run.config) if run.config else None,
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
