"""stop: asks runs to end cleanly."""

from learnability import jobs
from learnability.commands.arguments import cache_of, command
from learnability.errors import InputError


def add(commands) -> None:
    own = command(
        commands,
        "stop",
        run,
        "Stop runs, queued or at work. What was committed is kept, a resume goes on from there.",
        "  python -m learnability stop resnet20-s0-4f1c2a9b\n  python -m learnability stop --all",
    )
    own.add_argument("runs", nargs="*", metavar="RUN", help="run ids, or prepare-<key>")
    own.add_argument("--all", action="store_true", help="all that is queued or at work")


def run(args) -> int:
    cache = cache_of(args)
    if bool(args.runs) == args.all:
        raise InputError("expected run ids, or --all. See: python -m learnability runs")
    if args.all:
        asked = jobs.stop_all(cache)
        print("\n".join(f"{name}: asked to stop" for _, name in asked) or "nothing is queued or at work")
        return 0
    for name in args.runs:
        key = jobs.find(cache, name)
        print(f"{key[1]}: {'asked to stop' if jobs.stop(cache, *key) else 'is neither queued nor at work'}")
    return 0
