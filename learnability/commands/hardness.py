"""For which network a sample is hard, as a column of `scores`."""

import sys

import numpy as np
import pyarrow as pa

from learnability.agreement import Group, hard_for, hit_shares
from learnability.errors import InputError
from learnability.store.scores import ScoreTable

HELP = "one more column: for which network a sample is hard (missed at most looks); 'only' beyond what seeds do (two or more of each)"


def with_hard_for(found: ScoreTable, table: pa.Table) -> pa.Table:
    """`table` with a column hard_for: `every network`, `no network`, `only vgg16`, ...; null where some run never saw the sample."""
    rows: dict[str, list[int]] = {}
    for row, run in enumerate(found.runs.values()):
        rows.setdefault(run.config.arch, []).append(row)
    looks = {run.looks for run in found.runs.values()}
    if found.metric != "learnability" or found.recipe == "all" or len(rows) < 2 or len(looks) > 1:
        raise InputError(
            f"--hard-for: expected learnability of two networks or more of one recipe, all over as many looks; got {found.metric} of "
            f"{', '.join(found.columns)} over {', '.join(map(str, sorted(looks)))} looks. Name a recipe with --recipe."
        )
    score_RN = hit_shares(np.stack(list(found.columns.values())), [run.looks for run in found.runs.values()])
    groups = [Group(name=arch, rows=tuple(own), seeds=tuple(range(len(own)))) for arch, own in rows.items()]
    told = hard_for(score_RN, groups, 1 / looks.pop(), np.random.default_rng(0))
    if single := [name for name, seeds in zip(told.names, told.seeds, strict=True) if seeds == 1]:
        print(
            f"hard for one network alone: cannot be told. How far a second run of {' or '.join(single)} would differ is unknown; "
            f"train a second seed of {' and of '.join(single)}.",
            file=sys.stderr,
        )
    places = [told.places[place] if place >= 0 else None for place in told.place_N]
    return table.append_column("hard_for", pa.array(places, pa.string()))
