"""scores: one row a sample, one column a run."""

import sys
from pathlib import Path

import numpy as np

from learnability.commands.arguments import cache_of, command, print_json
from learnability.errors import InputError
from learnability.export import FORMATS, table_file
from learnability.metrics import METRICS
from learnability.store.files import write_file
from learnability.store.scores import ScoreTable, load_scores


def add(commands) -> None:
    own = command(
        commands,
        "scores",
        run,
        "Print or save one score a sample and run: sample_id, key, label, then one column a run.",
        "  python -m learnability scores --data digits | head\n"
        "  python -m learnability scores --data digits --metric aum --out aum.parquet\n"
        "In CSV a cell that begins with = + - @ gets a leading apostrophe; Parquet is exact.",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--metric", default="learnability", metavar="METRIC", help=f"one of {', '.join(METRICS)} (default learnability)")
    own.add_argument("--recipe", metavar="KEY", help="recipe key, or all (default: the newest with scores)")
    own.add_argument("--out", metavar="FILE", type=Path, help="write FILE.parquet or FILE.csv instead of printing")
    own.add_argument("--json", action="store_true", help="for programs: a summary of each run's scores")


def run(args) -> int:
    found = load_scores(cache_of(args), args.data, args.metric, args.recipe)
    if args.json:
        print_json(_summary(found))
        return 0
    if args.out is None:
        sys.stdout.buffer.write(table_file(found.to_arrow(), "csv"))
        return 0
    kind = args.out.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"--out {args.out}: expected a name that ends in .parquet or .csv.")
    if not args.out.absolute().parent.is_dir():
        raise InputError(f"--out {args.out}: the folder {args.out.absolute().parent} does not exist. Make it first.")
    write_file(args.out.absolute(), table_file(found.to_arrow(), kind, {"metric": found.metric, "recipe": found.recipe}))
    print(f"{args.out}: {len(found.sample_ids_N):,} samples, {found.metric} of {', '.join(found.columns)}")
    return 0


def _summary(found: ScoreTable) -> dict:
    metric = METRICS[found.metric]
    return {
        "metric": found.metric,
        "easy_is": metric.easy_is,
        "recipe": found.recipe,
        "samples": len(found.sample_ids_N),
        "runs": {
            name: {
                "run": found.runs[name].id,
                "looks": found.runs[name].looks,
                "partial": found.runs[name].partial,
                "record": found.runs[name].config.record,
                "mean": float(np.nanmean(score_N)),
                "distinct": int(len(np.unique(score_N[~np.isnan(score_N.astype(float))]))),
            }
            for name, score_N in found.columns.items()
        },
    }
