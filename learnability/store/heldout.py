"""Held-out scores: of every sample the value from the run that never trained on it. A seed with folds is one unit of that."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from learnability.metrics import METRICS
from learnability.store.files import read_table
from learnability.store.paths import Cache
from learnability.store.runs import Run


def units(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of one group by what counts as one seed: a single run, or the folds of one seed in their order."""
    found: dict[int, list[Run]] = {}
    for run in runs:
        found.setdefault(run.config.seed, []).append(run)
    return [sorted(own, key=lambda run: run.config.fold or 0) for own in found.values()]


def parts(metric: str) -> list[str]:
    """The columns of scores.parquet that a held-out score is put together from."""
    return list(METRICS[metric].ranks or (metric,))


def held_out_rows(cache: Cache, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(sample_ids_N, held_N): the samples a run holds, and which of them it never trained on."""
    rows = read_table(cache.run_folder(run.data, run.id) / "rows.parquet", ["sample_id", "trained"])
    return rows["sample_id"].to_numpy(), ~rows["trained"].to_numpy(zero_copy_only=False)


def put_together(cache: Cache, folds: Sequence[Run], tables: Sequence[pa.Table], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """(sample_ids_N, score_N) of one seed from the score tables of its folds; NaN where no fold that is here held the sample out.

    A metric that ranks the rows of a run (Label suspicion) ranks the rows put together.
    """
    named = parts(metric)
    ids_N = np.unique(np.concatenate([table["sample_id"].to_numpy() for table in tables]))
    score_PN = np.full((len(named), len(ids_N)), np.nan)
    for run, table in zip(folds, tables, strict=True):
        held_ids, held_N = held_out_rows(cache, run)
        mine, rows = np.intersect1d(held_ids[held_N], table["sample_id"].to_numpy(), assume_unique=True, return_indices=True)[::2]
        for score_N, part in zip(score_PN, named, strict=True):
            score_N[np.searchsorted(ids_N, mine)] = table[part].to_numpy(zero_copy_only=False)[rows]
    return ids_N, METRICS[metric].formula(*score_PN) if METRICS[metric].ranks else score_PN[0]
