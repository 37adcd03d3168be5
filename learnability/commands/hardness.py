"""For which network a sample is hard, as a column of `scores`."""

import sys

import numpy as np
import pyarrow as pa

from learnability.agreement import Group, HardFor, hard_for, hit_shares
from learnability.config import RunConfig, train_command
from learnability.errors import InputError
from learnability.report.agreement import furthest
from learnability.store.scores import ScoreTable

HELP = "one more column: for which network a sample is hard (missed at most looks); 'only' beyond what seeds do (two or more of each)"


def with_hard_for(found: ScoreTable, table: pa.Table) -> pa.Table:
    """`table` with a column hard_for: `every network`, `no network`, `only vgg16`, ...; null where some run never saw the sample."""
    told, notes = _hard_for(found)
    for line in (*notes, *filter(None, [told.untold])):
        print(line, file=sys.stderr)
    places = [told.places[place] if place >= 0 else None for place in told.place_N]
    return table.append_column("hard_for", pa.array(places, pa.string()))


def hard_for_summary(found: ScoreTable) -> dict:
    """The same for programs: samples in each place, those that some run never saw, networks that single runs cannot tell to be the only
    one, and which runs were left out."""
    told, notes = _hard_for(found)
    blind = [name for name, can in zip(told.names, told.testable, strict=True) if not can]
    return {"counts": told.counts, "unseen": int((told.place_N < 0).sum()), "cannot_be_told_alone": blind, "notes": list(notes)}


def _hard_for(found: ScoreTable) -> tuple[HardFor, tuple[str, ...]]:
    """From the runs that came furthest, and those left out in words. InputError says what to do where it cannot be told."""
    if found.metric != "learnability":
        raise InputError(f"--hard-for: expected learnability, got {found.metric}. Leave out --metric.")
    if found.recipe == "all":
        raise InputError("--hard-for: expected the runs of one recipe, got all. Name a recipe with --recipe.")
    found, notes = furthest(found)
    rows: dict[str, list[int]] = {}
    for row, run in enumerate(found.runs.values()):
        rows.setdefault(run.config.arch, []).append(row)
    if len(rows) < 2:
        raise InputError(_one_network(next(iter(found.runs.values())).config, notes))
    looks = [run.looks for run in found.runs.values()]
    score_RN = hit_shares(np.stack(list(found.columns.values())), looks)
    groups = [Group(name=arch, rows=tuple(own), seeds=tuple(range(len(own)))) for arch, own in rows.items()]
    return hard_for(score_RN, groups, 1 / looks[0], np.random.default_rng(0)), notes


OTHERWISE = {
    None: " of recipe {} from the dashboard, which keeps its recipe.",
    "imported": " elsewhere and import it too.",
    "recorder": " and record it too.",
}


def _one_network(config: RunConfig, notes: tuple[str, ...]) -> str:
    said = train_command(config, ["vgg16" if config.arch == "resnet20" else "resnet20"])
    return (
        f"--hard-for: expected two networks or more of one recipe that came as far, got {config.arch} alone. "
        + "".join(f"{note[0].upper()}{note[1:]} " for note in notes)
        + ("Let them go on, or train a second network" if notes else "Train a second network")
        + (f": {said}" if said else OTHERWISE[config.origin].format(config.recipe))
    )
