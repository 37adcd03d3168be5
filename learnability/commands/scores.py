"""scores: one row a sample, one column a run."""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from learnability import imports
from learnability.commands.arguments import cache_of, command, print_json
from learnability.commands.hardness import HELP, hard_for_summary, with_hard_for
from learnability.errors import InputError
from learnability.export import FORMATS, table_file
from learnability.metrics import METRICS
from learnability.store.files import write_file
from learnability.store.imported import EASY
from learnability.store.scores import ScoreTable, load_scores


def add(commands) -> None:
    own = command(
        commands,
        "scores",
        run,
        "Print or save one score a sample and run: sample_id, key, label, then one column a run. Or keep scores made elsewhere.",
        "  python -m learnability scores --data digits | head\n"
        "  python -m learnability scores --data digits --metric aum --out aum.parquet\n"
        "  python -m learnability scores import human.csv --data photos --name human_entropy --direction hard\n"
        "  python -m learnability scores --data photos --metrics my_metrics.py\n"
        "import keeps a column of a Parquet, CSV or JSON lines file, joined by key (and hash, where there is one). --metrics runs the\n"
        "functions of a file over every recorded run. Both can then be chosen as a score on compare, gallery and curriculum.\n"
        "In CSV a cell that begins with = + - @ gets a leading apostrophe; Parquet is exact.",
    )
    own.add_argument("action", nargs="?", choices=("import",), help="import: keep a score that was made elsewhere")
    own.add_argument("file", nargs="?", metavar="FILE", type=Path, help="import: a .parquet, .csv or .jsonl file with a key column")
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--metric", default="learnability", metavar="METRIC", help=f"one of {', '.join(METRICS)} (default learnability)")
    own.add_argument("--recipe", metavar="KEY", help="recipe key, or all (default: the newest with scores)")
    own.add_argument("--out", metavar="FILE", type=Path, help="write FILE.parquet or FILE.csv instead of printing")
    own.add_argument("--name", metavar="SCORE", help="import: what the score is called")
    own.add_argument("--direction", choices=tuple(EASY), help="import: what high values mean: hard, easy, or none of the two")
    own.add_argument("--key", default="key", metavar="COLUMN", help="import: the column with the samples' names (default key)")
    own.add_argument("--column", metavar="COLUMN", help="import: the column with the score (default: the one named so, or the only one)")
    own.add_argument("--sentence", metavar="TEXT", help="import: what the score tells, for the screen")
    own.add_argument("--metrics", metavar="FILE.py", type=Path, help="make a score of every function in this file, which is run")
    own.add_argument("--hard-for", action="store_true", help=HELP)
    own.add_argument("--json", action="store_true", help="for programs: a summary of each run's scores, or of what was imported")


def run(args) -> int:
    if args.action == "import":
        return _import(args)
    if args.metrics is not None:
        return _own_metrics(args)
    found = load_scores(cache_of(args), args.data, args.metric, args.recipe)
    if args.json:
        print_json(_summary(found) | ({"hard_for": hard_for_summary(found)} if args.hard_for else {}))
        return 0
    content = with_hard_for(found, found.to_arrow()) if args.hard_for else found.to_arrow()
    if args.out is None:
        sys.stdout.buffer.write(table_file(content, "csv"))
        return 0
    kind = args.out.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f"--out {args.out}: expected a name that ends in .parquet or .csv.")
    if not args.out.absolute().parent.is_dir():
        raise InputError(f"--out {args.out}: the folder {args.out.absolute().parent} does not exist. Make it first.")
    write_file(args.out.absolute(), table_file(content, kind, {"metric": found.metric, "recipe": found.recipe}))
    print(f"{args.out}: {len(found.sample_ids_N):,} samples, {found.metric} of {', '.join(found.columns)}")
    return 0


def _import(args) -> int:
    if args.file is None or args.name is None or args.direction is None:
        raise InputError("scores import: expected FILE, --name and --direction hard, easy or none (what high values mean).")
    given = {"key": args.key, "value": args.column, "said": args.sentence}
    done = imports.import_score(cache_of(args), args.file, args.data, args.name, args.direction, **given)
    if args.json:
        print_json(dataclasses.asdict(done))
        return 0
    print(f"{done.name}: {done.samples:,} samples of {args.data} have it, {done.without:,} train samples have none")
    for count, said in ((done.empty, "rows without a number"), (done.changed, "rows of another picture under that key")):
        if count:
            print(f"left out: {count:,} {said}")
    if done.unknown:
        print(f"left out: {done.unknown:,} rows whose key the data set does not hold, the first {done.example!r}")
    return 0


def _own_metrics(args) -> int:
    done = imports.score_runs(cache_of(args), args.metrics, args.data, args.recipe)
    if args.json:
        print_json({name: [run.id for run in runs] for name, runs in done.items()})
        return 0
    for name, runs in done.items():
        print(f"{name}: {len(runs)} runs, {', '.join(f'{run.label} ({run.looks} looks)' for run in runs)}")
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
