"""paper: the experiment of arXiv 1901.02347 on a data set, from training to one HTML file."""

import argparse
import sys
from pathlib import Path

from learnability.agreement import REPLICATES, check_replicates
from learnability.commands import train
from learnability.commands.arguments import at_least_one, cache_of, command
from learnability.commands.reports import checked_out, require_plotly, written
from learnability.config import PRECISIONS, RECORD_MODES
from learnability.store.runs import load_run

ARCHS = ("resnet20", "vgg16", "mobilenet")


def add(commands) -> None:
    own = command(
        commands,
        "paper",
        run,
        "Run the experiment of arXiv 1901.02347 on a data set and write it up as one HTML file: learnability under three architectures, "
        "how far they agree beside the published table, and what seeds allow.",
        "  python -m learnability paper --data digits --epochs 5 --seeds 3\n"
        "  python -m learnability paper --data cifar10 --epochs 30 --seeds 3 --queue\n"
        "What is trained already is used; Ctrl-C stops cleanly and the same command goes on. With one seed the ceiling is unknown.",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="a prepared data set")
    own.add_argument("--epochs", type=int, required=True, metavar="E", help="epochs; the paper does not state how many it took")
    own.add_argument("--seeds", type=int, default=3, metavar="S", help="seeds of each architecture (default 3)")
    own.add_argument("--archs", nargs="+", action="extend", metavar="NAME", help=f"default {' '.join(ARCHS)}")
    own.add_argument("--out", metavar="FILE", type=Path, help="default: paper-NAME.html")
    own.add_argument("--subset", type=int, metavar="N", help="train on N samples, the same share of every class")
    own.add_argument("--record", choices=RECORD_MODES, default="train", help="as for train (default train)")
    own.add_argument("--precision", choices=PRECISIONS, default="auto", help="as for train (default auto)")
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    own.add_argument("--threads", type=at_least_one, help="CPU threads (default: all cores; side by side each run its share)")
    own.add_argument("--together", type=int, default=1, metavar="R", help="as for train (default 1)")
    own.add_argument("--queue", action="store_true", help="put what is missing into the queue and return; the report comes later")
    own.add_argument("--replicates", type=int, default=REPLICATES, metavar="B", help=f"bootstrap replicates (default {REPLICATES})")


def run(args) -> int:
    require_plotly()
    from learnability.report.paper import paper_report

    check_replicates(args.replicates)
    args.archs = args.archs or list(ARCHS)
    cache = cache_of(args)
    out = checked_out(args.out or Path(f"paper-{args.data}.html"))
    training = _train(args, cache)
    configs = train.configs_of(training, cache)
    missing = [config for config in configs if not _is_done(cache, config)]
    print(f"{len(configs)} runs of {', '.join(args.archs)}; {len(missing)} to train", file=sys.stderr)
    if missing:
        code = train.run(training)
        if args.queue:
            print("When they are done, the same command without --queue writes the report.")
        if code or args.queue:
            return code
    asked = {config.run_id for config in configs}
    written(out, paper_report(cache, args.data, configs[0].recipe, _spelled(args), args.replicates, asked))
    return 0


def _train(args, cache) -> argparse.Namespace:
    """The arguments of the `train` command that makes the runs."""
    given = ["train", "--cache", str(cache.root), "--data", args.data, "--arch", *args.archs, *_recipe(args), "--device", args.device]
    given += ["--together", str(args.together)]
    given += ["--threads", str(args.threads)] if args.threads else []
    parser = argparse.ArgumentParser()
    train.add(parser.add_subparsers())
    return parser.parse_args([*given, *["--queue"] * args.queue])


def _recipe(args) -> list[str]:
    given = ["--epochs", str(args.epochs), "--seeds", str(args.seeds), "--record", args.record, "--precision", args.precision]
    return given + (["--subset", str(args.subset)] if args.subset else [])


def _spelled(args) -> str:
    """The command as one would type it again."""
    return f"python -m learnability paper --data {args.data} --archs {' '.join(args.archs)} {' '.join(_recipe(args))}"


def _is_done(cache, config) -> bool:
    if config.run_id not in cache.run_ids(config.data):
        return False
    return load_run(cache, config.data, config.run_id).state == "done"
