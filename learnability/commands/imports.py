"""import: what other tools recorded of a training becomes a run."""

from pathlib import Path

from learnability import imports
from learnability.commands.arguments import cache_of, command, print_json


def add(commands) -> None:
    own = command(
        commands,
        "import",
        run,
        "Read what other tools recorded of a training: it becomes a run, scored and shown as any other.",
        "  python -m learnability import aum results/full_aum_records.csv --data photos --name their-aum\n"
        "  python -m learnability import cartography output/ --data snli --name roberta --class-names entailment neutral contradiction\n"
        "  python -m learnability import table predictions.parquet --data photos --name keras\n"
        "A table has one row a sample and epoch: key, epoch, label, and prediction, p_<class> or logit_<class> (or a list column\n"
        "probabilities or logits). Keys that are those of the prepared data set bring its pictures; a new name makes a data set without.",
    )
    own.add_argument(
        "kind", choices=tuple(imports.READERS), help="aum: asappresearch/aum; cartography: allenai/cartography; table: a plain one"
    )
    own.add_argument("path", metavar="PATH", type=Path, help="a file; for cartography the folder")
    own.add_argument("--data", metavar="NAME", required=True, help="the data set: a prepared one, or a new name")
    own.add_argument("--name", required=True, help="what the run is called, where others have their architecture")
    own.add_argument("--seed", type=int, default=0, metavar="K", help="which repetition it is (default 0)")
    own.add_argument(
        "--class-names", nargs="+", action="extend", metavar="CLASS", help="names of classes 0, 1, ..., where the files do not say them"
    )
    own.add_argument("--json", action="store_true", help="for programs: what was imported")


def run(args) -> int:
    cache = cache_of(args)
    found = imports.READERS[args.kind](args.path)
    made = imports.keep(cache, args.data, args.name, found, seed=args.seed, class_names=args.class_names)
    head = made.head
    told = {"run": made.id, "samples": head.rows, "looks": head.looks, "signals": list(head.crc), "labels": made.config.labels}
    if args.json:
        print_json(told)
    else:
        print(f"{made.id}: {head.rows:,} samples, {head.looks} looks of {', '.join(head.crc)}; labels {made.config.labels}")
        print(f"Next: python -m learnability scores --data {args.data}, or see it: streamlit run app.py")
    return 0
