"""agreement: how far architectures and seeds order the samples alike, beside the ceiling that seeds allow."""

import math

from learnability.agreement import KINDS, ONE_SEED, REPLICATES
from learnability.commands.arguments import cache_of, command, print_json, table
from learnability.report.agreement import measured
from learnability.store.scores import load_scores


def add(commands) -> None:
    own = command(
        commands,
        "agreement",
        run,
        "Correlate the scores of every pair of architectures; with two seeds or more also the ceiling that seeds allow.",
        "  python -m learnability agreement --data digits\n"
        "  python -m learnability agreement --data digits --metric aum --json\n"
        "Higher is turned to be easier. Intervals: bootstrap over seeds and samples (over samples alone below three seeds).",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--metric", default="learnability", metavar="METRIC", help="score to correlate (default learnability)")
    own.add_argument("--recipe", metavar="KEY", help="recipe key (default: the newest with scores)")
    own.add_argument(
        "--replicates", type=int, default=REPLICATES, metavar="B", help=f"bootstrap replicates (default {REPLICATES}), 0 for none"
    )
    own.add_argument("--json", action="store_true", help="for programs: everything, intervals and pairs included")


def run(args) -> int:
    found = load_scores(cache_of(args), args.data, args.metric, args.recipe)
    content = measured(found, args.replicates)
    if args.json:
        print_json(content)
    else:
        _print(content)
    return 0


def _print(content: dict) -> None:
    pearson = content["agreement"]["pearson"]
    print(f"{content['data']}, {content['metric']}, recipe {content['recipe']}: {pearson['N']:,} samples, {pearson['left_out']:,} left out")
    for note in content["notes"]:
        print(f"note: {note}")
    rows = []
    for index, cross in enumerate(pearson["crosses"]):
        pair = content["pairs"][index]
        rows.append(
            {
                "A": cross["a"],
                "B": cross["b"],
                **{kind: _number(content["agreement"][kind]["crosses"][index]["single_run"]) for kind in KINDS},
                "interval (Pearson)": _interval(cross["single_run_interval"]),
                "ceiling": _number(cross["ceiling"]),
                "of ceiling": _number(cross["ratio"]),
                "within class": _number(pair["within_class"]["overall"]["value"]),
                "hardest 5 % shared": f"{pair['hardest'][1]['shared']} of {min(pair['hardest'][1]['k_a'], pair['hardest'][1]['k_b'])}",
            }
        )
    if rows:
        print(table(rows, list(rows[0])))
        for cross in pearson["crosses"]:
            print(f"{cross['a']} and {cross['b']}: {cross['verdict'] or cross['reason']}")
    print("\nseeds of one architecture")
    reliabilities = [
        {"architecture": own["group"], "seeds": own["seeds"], "agree at": _number(own["value"]), "interval": _interval(own["interval"])}
        for own in pearson["reliabilities"]
    ]
    print(table(reliabilities, ["architecture", "seeds", "agree at", "interval"]))
    if any(own["seeds"] < 2 for own in pearson["reliabilities"]):
        print(
            f"{ONE_SEED}. To learn it, train a second seed: python -m learnability train ... --first-seed 1 --seeds 1, the rest as before"
        )
    print("\nshape of the scores (higher = easier)")
    shapes = [
        {"run": name, "mean": f"{own['mean']:.3f}", "at low end": f"{own['share_low']:.1%}", "at high end": f"{own['share_high']:.1%}"}
        | {"distinct values": own["distinct"]}
        for name, own in content["shapes"].items()
    ]
    print(table(shapes, ["run", "mean", "at low end", "at high end", "distinct values"]))


def _number(value: float | None) -> str:
    return "unknown" if value is None or math.isnan(value) else f"{value:.3f}"


def _interval(found: dict | None) -> str:
    if found is None or found["low"] is None or math.isnan(found["low"]):
        return ""
    return f"[{found['low']:.3f}, {found['high']:.3f}] {found['over']}"
