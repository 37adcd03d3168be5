"""Scores over the first looks of a run, as if it had ended there: for the question how many epochs are enough."""

from collections.abc import Sequence

import numpy as np

from learnability.metrics import METRICS, score_all
from learnability.recording import Recording
from learnability.store import heldout
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_recording


def prefix_scores(cache: Cache, unit: Sequence[Run], metric: str, looks: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(sample_ids_N, score_eN) of a run over its first e looks, for each e in `looks`; of the folds of a seed the held-out scores."""
    needed = {name for part in heldout.parts(metric) for name in METRICS[part].needs}
    signals = sorted(needed | {"loss"})  # an absent loss marks what was not seen
    recordings = [load_recording(cache, run.data, run.id, signals, looks=max(looks)) for run in unit]
    ids_N = np.unique(np.concatenate([one.sample_ids_N for one in recordings]))
    score_eN = np.stack([_score(recordings, ids_N, metric, e, folded=unit[0].config.folds is not None) for e in looks])
    return ids_N, score_eN


def _score(recordings: list[Recording], ids_N: np.ndarray, metric: str, e: int, folded: bool) -> np.ndarray:
    parts = heldout.parts(metric) if folded else [metric]
    score_PN = np.full((len(parts), len(ids_N)), np.nan)
    for one in recordings:
        rows = ~one.trained_N if folded else slice(None)
        signals = {f"{name}_NE": signal[:, :e] for name, signal in one.signals.items()}
        cut = Recording(
            labels_N=one.labels_N,
            sample_ids_N=one.sample_ids_N,
            class_count=one.class_count,
            record=one.record,
            epochs=one.epochs,
            **signals,
        )
        at = np.searchsorted(ids_N, one.sample_ids_N[rows])
        for score_N, score_n in zip(score_PN, score_all(cut, parts).values(), strict=True):
            score_N[at] = score_n[rows]
    return METRICS[metric].formula(*score_PN) if folded and METRICS[metric].ranks else score_PN[0]
