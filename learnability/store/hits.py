"""Who was classified right at one look: for the question whether networks err on the same samples."""

from collections.abc import Sequence

import numpy as np

from learnability.errors import NotFound
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_recording


def hits_at(cache: Cache, unit: Sequence[Run], look: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sample_ids_N, hits_N, seen_N) of a run at look 0..E-1; of the folds of a seed each sample from the run that held it out.

    NotFound where the run did not come so far, or keeps no predictions.
    """
    recordings = [load_recording(cache, run.data, run.id, ["prediction", "loss"], looks=look + 1, first=look) for run in unit]
    for run, one in zip(unit, recordings, strict=True):
        if one.prediction_NE is None:
            raise NotFound(f"run {run.id} keeps no predictions, which hits are made of.")
    ids_N = np.unique(np.concatenate([one.sample_ids_N for one in recordings]))
    hits_N, seen_N = np.zeros((2, len(ids_N)), bool)
    for one in recordings:
        rows = ~one.trained_N if unit[0].config.folds is not None else slice(None)
        at = np.searchsorted(ids_N, one.sample_ids_N[rows])
        hits_N[at], seen_N[at] = one.hits_NE[rows, 0], one.seen_NE[rows, 0]
    return ids_N, hits_N, seen_N


def hits_of(cache: Cache, units: Sequence[Sequence[Run]], sample_ids_n: np.ndarray, look: int) -> tuple[np.ndarray, np.ndarray]:
    """(hits_Sn, seen_n) of several seeds for these samples; seen are those that every seed has seen at that look."""
    hits_Sn, seen_n = np.zeros((len(units), len(sample_ids_n)), bool), np.ones(len(sample_ids_n), bool)
    for unit, hits_n in zip(units, hits_Sn, strict=True):
        ids_N, hits_N, seen_N = hits_at(cache, unit, look)
        at = np.searchsorted(ids_N, sample_ids_n).clip(max=len(ids_N) - 1)
        hits_n[:] = hits_N[at]
        seen_n &= seen_N[at] & (ids_N[at] == sample_ids_n)
    return hits_Sn, seen_n
