"""agreement: how far architectures and seeds order the samples alike, beside the ceiling that seeds allow."""

import math

from learnability import jobs
from learnability.agreement import KINDS, ONE_SEED, REPLICATES
from learnability.commands.arguments import cache_of, command, print_json, table
from learnability.config import train_command
from learnability.report.agreement import end, furthest, measured, shared
from learnability.store.chance import of_runs
from learnability.store.paths import Cache
from learnability.store.runs import load_runs
from learnability.store.scores import ScoreTable, load_scores


def add(commands) -> None:
    own = command(
        commands,
        "agreement",
        run,
        "Correlate the scores of every pair of architectures; with two seeds or more also the ceiling that seeds allow.",
        "  python -m learnability agreement --data digits\n"
        "  python -m learnability agreement --data digits --metric aum --json\n"
        "Higher is turned to be easier. Intervals: bootstrap over seeds and samples. Below three seeds they are over samples\n"
        "alone, and whether two architectures order the samples differently is not told.",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--metric", default="learnability", metavar="METRIC", help="score to correlate (default learnability)")
    own.add_argument(
        "--recipe", metavar="KEY", help="recipe key, or all to compare groups across recipes (default: the newest with scores)"
    )
    own.add_argument(
        "--allow",
        nargs="+",
        action="extend",
        default=[],
        choices=("labels", "looks", "record"),
        help="what may differ between runs and is then named",
    )
    own.add_argument(
        "--replicates", type=int, default=REPLICATES, metavar="B", help=f"bootstrap replicates (default {REPLICATES}), 0 for none"
    )
    own.add_argument("--json", action="store_true", help="for programs: everything, intervals and pairs included")


def run(args) -> int:
    cache = cache_of(args)
    found = load_scores(cache, args.data, args.metric, args.recipe)
    content = measured(found, args.replicates, args.allow, cache)
    content["notes"] += of_runs(cache, found.runs, found.labels_N)
    to_train = _to_train(cache, args.data, found, counted=found if "looks" in args.allow else furthest(found)[0])
    if args.json:
        print_json(content | {"to_train": to_train})
    else:
        _print(content)
        _say_what_to_train(to_train)
    return 0


def _print(content: dict) -> None:
    pearson = content["agreement"]["pearson"]
    print(f"{content['data']}, {content['metric']}, recipe {content['recipe']}: {pearson['N']:,} samples, {pearson['left_out']:,} left out")
    for note in content["notes"]:
        print(f"note: {note}")
    rows = [_row(content, index) for index in range(len(pearson["crosses"]))]
    if rows:
        print(table(rows, list(rows[0])))
        print("within class, not at one end: means over seeds after the class means are off, without samples at one end in both (ceiling)")
        for cross in pearson["crosses"]:
            print(f"{cross['a']} and {cross['b']}: {cross['verdict'] or cross['reason']}")
    for pair in content["pairs"]:
        if pair["errors"] is not None:
            print(f"errors of {pair['a']} and {pair['b']} after epoch {pair['errors']['look'] + 1}: {_errors(pair)}")
    for pair in content["pairs"]:
        if pair["controls"] is not None:
            print(f"checks of {pair['a']} and {pair['b']}: {_checks(pair['controls'])}")
    print("\nseeds of one architecture")
    reliabilities = [
        {"architecture": own["group"], "seeds": own["seeds"], "agree at": _number(own["value"]), "interval": _interval(own["interval"])}
        for own in pearson["reliabilities"]
    ]
    print(table(reliabilities, ["architecture", "seeds", "agree at", "interval"]))
    print("\nshape of the scores (higher = easier)")
    low, high = content["ends"]
    shapes = [
        {"run": name, "mean": f"{own['mean']:.3f}", "at low end": end(own["share_low"], low), "at high end": end(own["share_high"], high)}
        | {"distinct values": own["distinct"]}
        for name, own in content["shapes"].items()
    ]
    print(table(shapes, ["run", "mean", "at low end", "at high end", "distinct values"]))


def _row(content: dict, index: int) -> dict:
    """Everything of a pair in one line."""
    cross, pair = content["agreement"]["pearson"]["crosses"][index], content["pairs"][index]
    hardest = pair["hardest"][1]
    return {
        "A": cross["a"],
        "B": cross["b"],
        **{kind: _number(content["agreement"][kind]["crosses"][index]["single_run"]) for kind in KINDS},
        "interval (Pearson)": _interval(cross["single_run_interval"]),
        "ceiling": _number(cross["ceiling"]),
        "of ceiling": _number(cross["ratio"]),
        "interval (of ceiling)": _interval(cross["ratio_interval"]),
        "within class": _beside(pair["within_class_cross"]),
        "not at one end": "too few"
        if pair["nontrivial"] is None
        else f"{_beside(pair['nontrivial_cross'])}, n {pair['nontrivial']['N']:,}",
        "hardest 5 % shared": f"{shared(hardest)} (chance {hardest['chance']:.1f})",
    }


def _beside(cross: dict) -> str:
    top = cross["seed_mean_ceiling"]
    return _number(cross["seed_mean"]) + (f" ({top:.3f})" if top is not None else "")


def _errors(pair: dict) -> str:
    """Whether they err on the same samples, beside what two seeds of one network do."""
    between = pair["errors"]["between"]
    if between["reason"] is not None:
        return f"{between['reason']}; nothing to compare"
    sides = [(pair[side], pair["errors"][f"of_{side}"]) for side in "ab"]
    seeds = [f"of {name} {_number(own['kappa'])}" for name, own in sides if own is not None]
    over = "" if between["low"] is None else f" [{between['low']:.3f}, {between['high']:.3f}]"
    said = f"kappa {_number(between['kappa'])}{over}, at most {_number(between['largest'])}"
    return said + (f"; two seeds {', '.join(seeds)}" if seeds else "")


def _checks(found: dict) -> str:
    """Numbers that must come out as known."""
    same = all(value is None or abs(value - 1) < 1e-12 for value in found["itself"].values())
    return (
        f"a score with itself {'exactly 1' if same else 'NOT 1, do not trust these numbers'}; permuted over samples "
        f"{_number(found['permuted'])}, within classes {_number(found['class_within'])} (0 within {found['limit']:.3f}, 19 times in 20)"
    )


def _to_train(cache: Cache, data: str, found: ScoreTable, counted: ScoreTable) -> list[str]:
    """What gives every group a second seed, as commands: a seed that ended early is resumed, else the following one is trained.

    Nothing for a group of which a run still waits or is at work, and nothing for one of which no seed is counted or can be resumed.
    """
    known, states = load_runs(cache, data), {job.name: job for job in jobs.states(cache, data)}
    said = []
    for group, config in {run.group: run.config for run in found.runs.values()}.items():
        seeds = {run.config.seed for run in counted.runs.values() if run.group == group}
        if len(seeds) > 1:
            continue
        others = [run for run in known if run.config and run.group == group and run.state != "done"]
        early = [run.id for run in others if "resume" in states[run.id].actions]
        if early:
            said.append(f"python -m learnability resume {' '.join(early)}")
        elif seeds and not any(states[run.id].state == "queued" or states[run.id].at_work for run in others):
            following = max(run.config.seed for run in known if run.config and run.group == group) + 1
            spelled = train_command(config, [config.arch], first_seed=following)
            if config.origin is not None:
                how = f"import it with --seed {following}" if config.origin == "imported" else f"record it with seed={following}"
                said.append(f"another seed of {config.arch}: {how}")
                continue
            said.append(spelled or f"another seed of {config.arch}, recipe {config.recipe}: from the dashboard, which keeps its recipe")
    return said


def _say_what_to_train(to_train: list[str]) -> None:
    if not to_train:
        return
    print(f"\n{ONE_SEED}. To learn it, train one more seed of each, or finish the one that ended early:")
    for line in to_train:
        print(f"  {line}")


def _number(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.3f}"


def _interval(found: dict | None) -> str:
    if found is None or found["low"] is None or math.isnan(found["low"]):
        return ""
    return f"[{found['low']:.3f}, {found['high']:.3f}] {found['over']}"
