"""What several commands say alike: the cache, --json, a progress bar."""

import argparse
import json
import sys
from collections.abc import Callable

from tqdm import tqdm

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
