"""merge: collects runs that were recorded in another cache, on another machine's disk or by a job of a cluster."""

from learnability.commands.arguments import cache_of, command, print_json
from learnability.store.merge import merge
from learnability.store.paths import Cache


def add(commands) -> None:
    own = command(
        commands,
        "merge",
        run,
        "Collect the runs of another cache. Runs are copied whole; nothing that is here is overwritten by something shorter or different.",
        "  python -m learnability merge /scratch/node7/cache\n"
        "  python -m learnability merge /scratch/node7/cache --data cifar10 --json\n"
        "The same command again copies what is new since.",
    )
    own.add_argument("other", metavar="OTHER_CACHE", help="the other cache folder")
    own.add_argument("--data", nargs="+", action="extend", metavar="NAME", help="only the runs of these data sets (default: all)")
    own.add_argument("--json", action="store_true", help="for programs: what came of each run")


def run(args) -> int:
    """0 where every run is here now, 1 where some were left."""
    outcomes = merge(cache_of(args), Cache.at(args.other), args.data)
    if args.json:
        print_json([{"data": one.data, "run": one.run_id, "outcome": one.outcome, "why": one.why} for one in outcomes])
    else:
        for one in outcomes:
            print(f"{one.data}/{one.run_id}: {one.outcome}" + (f", {one.why}" if one.why else ""))
        if not outcomes:
            print("no run there")
    return 1 if any(one.outcome == "left" for one in outcomes) else 0
