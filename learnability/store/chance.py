"""Whether a run learned anything: its training accuracy beside that of always naming the largest class."""

import contextlib
import math

import numpy as np

from learnability.errors import DamagedFile
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_looks

DEVIATIONS = 3.0  # standard deviations above the largest class's share that an accuracy has to be


def chance(labels_N: np.ndarray) -> float:
    """Highest accuracy, 0 to 1, that says nothing: the share of the largest class and what N answers vary around it.

    labels_N  (N,) whole numbers, -1 where there is no label
    """
    counts = np.bincount(labels_N[labels_N >= 0])
    share, n = (counts.max() / counts.sum(), counts.sum()) if counts.any() else (0.0, 1)
    return float(share + DEVIATIONS * math.sqrt(share * (1 - share) / n))


def learned_nothing(name: str, state: str, looks: list[dict], labels_N: np.ndarray) -> str | None:
    """What to say of a run that ended no better than chance; None of another one, one at work, and one that keeps no accuracy."""
    accuracy = looks[-1].get("accuracy") if looks and state != "running" else None
    if accuracy is None or not accuracy <= chance(labels_N):
        return None
    share = np.bincount(labels_N[labels_N >= 0]).max() / (labels_N >= 0).sum()
    return (
        f"{name} learned nothing: {accuracy:.1%} right in its last epoch, {share:.1%} by always naming the largest class. Its scores say "
        "nothing of the samples: delete it, and train another seed, more epochs or a lower learning rate."
    )


def of_runs(cache: Cache, runs: dict[str, Run], labels_N: np.ndarray) -> tuple[str, ...]:
    """`learned_nothing` of each of them by name."""
    said = []
    for name, run in runs.items():
        with contextlib.suppress(DamagedFile):  # of looks.jsonl; scores are not made of it, and `doctor` tells
            looks = load_looks(cache, run.data, run.id) if run.looks and not run.problem else []
            said.append(learned_nothing(name, run.state, looks, labels_N))
    return tuple(one for one in said if one)
