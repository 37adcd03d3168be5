"""What several commands say alike: the cache, --json, a progress bar."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable

from tqdm import tqdm

from learnability.errors import InputError
from learnability.jobs import devices
from learnability.store.paths import Cache


def command(commands, name: str, run: Callable, summary: str, examples: str) -> argparse.ArgumentParser:
    """A sub-parser that teaches: summary, options, examples; with --cache."""
    own = commands.add_parser(
        name, help=summary, description=summary, epilog=f"examples:\n{examples}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own.add_argument(
        "--cache", metavar="FOLDER", help="the cache folder (default: $LEARNABILITY_CACHE, else cache/ of a checkout, else ./cache)"
    )
    own.set_defaults(run=run)
    return own


def cache_of(args: argparse.Namespace) -> Cache:
    return Cache.at(args.cache)


def add_cluster(own: argparse.ArgumentParser) -> None:
    own.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a Ray cluster, <host>:<port> or auto: one run a GPU, else a run every --threads CPUs (default: $RAY_ADDRESS)",
    )


def at_least_one(text: str) -> int:
    """A count, as a type for argparse."""
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1.")
    return count


def device_of(args: argparse.Namespace) -> str | None:
    """The device asked for, which may be a cluster."""
    if args.cluster is None:
        return args.device
    if args.device not in (None, "auto"):
        raise InputError(f"--cluster {args.cluster} with --device {args.device}: expected one of them.")
    return devices.cluster(args.cluster)


def user() -> str:
    """Who decides, where nobody is named; "unknown" where the system knows no name either, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def print_json(content) -> None:
    json.dump(content, sys.stdout, indent=1, default=str)
    print()


def table(rows: list[dict], columns: list[str]) -> str:
    """Rows as aligned text; "" for None."""
    cells = [columns] + [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)


class Bar:
    """A tqdm bar on stderr, made at the first call: `bar(done, total)`, with rate and time left."""

    def __init__(self, description: str, unit: str):
        self.description, self.unit, self.bar = description, unit, None

    def __call__(self, done: int, total: int | None = None, **shown) -> None:
        if self.bar is None:
            self.bar = tqdm(
                total=total, desc=self.description, unit=self.unit, unit_scale=total is None or total > 10_000, dynamic_ncols=True
            )
        if total is not None and total != self.bar.total:
            self.bar.total = total
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
