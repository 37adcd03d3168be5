"""agreement: how far architectures and seeds order the samples alike, beside the ceiling that seeds allow."""

import itertools
import math

import numpy as np

from learnability.agreement import (
    KINDS,
    ONE_SEED,
    REPLICATES,
    Group,
    Origin,
    agree,
    check_comparable,
    correlation,
    hardest_overlap,
    nontrivial,
    oriented,
    seed_mean,
    shape,
    to_json,
    within_class_correlation,
)
from learnability.commands.arguments import cache_of, command, print_json, table
from learnability.errors import InputError
from learnability.metrics import METRICS
from learnability.store.scores import ScoreTable, load_scores

TOP = (0.01, 0.05, 0.1)  # shares of the samples whose overlap is shown


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


def measured(found: ScoreTable, replicates: int = REPLICATES) -> dict:
    """Every figure of one recipe's runs as plain JSON: agreement per kind, shapes, within classes, overlaps."""
    metric = METRICS[found.metric]
    if metric.easy_is not in ("high", "low"):
        raise InputError(f"metric {found.metric!r} has no easy end, so its order cannot agree. Choose another, for example learnability.")
    notes = check_comparable([_origin(name, found) for name in found.columns])
    score_RN = np.stack([oriented(score_N.astype(np.float64), metric.easy_is) for score_N in found.columns.values()])
    groups = _groups(found)
    agreements = {kind: agree(score_RN, groups, kind, replicates=replicates, rng=np.random.default_rng(0)) for kind in KINDS}
    means = {group.name: seed_mean(score_RN, group) for group in groups}
    low, high = (0.0, 1.0) if metric.easy_is == "high" else (-1.0, 0.0)
    return {
        "data": next(iter(found.runs.values())).data,
        "metric": found.metric,
        "recipe": found.recipe,
        "notes": list(notes),
        "shapes": {name: to_json(shape(score_N, low, high)) for name, score_N in zip(found.columns, score_RN, strict=True)},
        "agreement": {kind: to_json(agreement) for kind, agreement in agreements.items()},
        "pairs": [_pair(a, b, means, found.labels_N, low, high) for a, b in itertools.combinations(means, 2)],
    }


def _origin(name: str, found: ScoreTable) -> Origin:
    config = found.runs[name].config
    return Origin(
        name=name,
        fingerprint=config.fingerprint,
        labels=config.labels,
        looks=found.runs[name].looks,
        record=config.record,
        metric=found.metric,
        recipe=config.recipe,
    )


def _groups(found: ScoreTable) -> list[Group]:
    rows: dict[str, list[tuple[int, int]]] = {}
    for row, run in enumerate(found.runs.values()):
        rows.setdefault(run.config.arch, []).append((row, run.config.seed))
    return [Group(name=arch, rows=tuple(row for row, _ in own), seeds=tuple(seed for _, seed in own)) for arch, own in rows.items()]


def _pair(a: str, b: str, means: dict, labels_N: np.ndarray, low: float, high: float) -> dict:
    """Views on one pair beside the headline: within classes, without the trivial samples, overlap of the hardest."""
    a_N, b_N = means[a], means[b]
    kept_N = nontrivial(a_N, b_N, low, high)
    N = int((~np.isnan(a_N) & ~np.isnan(b_N)).sum())
    return {
        "a": a,
        "b": b,
        "within_class": to_json(within_class_correlation(a_N, b_N, labels_N)),
        "nontrivial": to_json(correlation(a_N[kept_N], b_N[kept_N])) if kept_N.sum() > 2 else None,
        "hardest": [to_json(hardest_overlap(a_N, b_N, max(round(share * N), 1))) for share in TOP],
    }


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
