"""delete: removes runs for good."""

import sys

from learnability import jobs
from learnability.commands.arguments import cache_of, command
from learnability.errors import InputError
from learnability.jobs.disk import size


def add(commands) -> None:
    own = command(
        commands,
        "delete",
        run,
        "Delete runs with their recordings, scores and checkpoints. Refused while they are at work.",
        "  python -m learnability delete resnet20-s0-4f1c2a9b\n  python -m learnability delete resnet20-s0-4f1c2a9b --yes",
    )
    own.add_argument("runs", nargs="+", metavar="RUN", help="run ids, or prepare-<key>")
    own.add_argument("--yes", action="store_true", help="do not ask")


def run(args) -> int:
    cache = cache_of(args)
    keys = [jobs.find(cache, name) for name in args.runs]
    freed = sum(size(cache.run_folder(*key)) for key in keys if key[0])
    if not args.yes:
        if not sys.stdin.isatty():
            raise InputError("deleting cannot be undone: expected --yes where nobody can be asked.")
        if input(f"Delete {', '.join(name for _, name in keys)}, {freed / 1e6:.1f} MB, for good? [y/N] ").strip().lower() not in (
            "y",
            "yes",
        ):
            print("nothing was deleted")
            return 0
    for key in keys:
        print(f"{key[1]}: deleted, {jobs.delete(cache, *key) / 1e6:.1f} MB freed")
    return 0
