"""Reading the default cache from Python: what `import learnability` offers."""

import os

from learnability.datasets import Dataset
from learnability.recording import Recording
from learnability.store import datasets, runs, scores
from learnability.store.paths import Cache


def open_dataset(name: str, *, version: str | None = None, labels: str = "original", cache: str | os.PathLike | None = None) -> Dataset:
    """A prepared data set: `images` (N, H, W, C) uint8 mapped from disk, `labels_N`, `keys`, `class_names`, `fingerprint`.

    `version`: its first 8 hex digits, default the newest. NotFound tells what there is instead.
    """
    return datasets.open_dataset(Cache.at(cache), name, version, labels)


def load_runs(name: str | None = None, *, cache: str | os.PathLike | None = None) -> list[runs.Run]:
    """The runs of a data set (of all without a name), damaged ones included, with `id`, `config`, `head`, `problem`."""
    return runs.load_runs(Cache.at(cache), name)


def load_recording(run: runs.Run, *, cache: str | os.PathLike | None = None, verify: bool = True) -> Recording:
    """What a run noted at its committed looks: labels_N and the signals, (N, E) each. DamagedFile names a bad file."""
    return runs.load_recording(Cache.at(cache), run.data, run.id, verify=verify)


def load_scores(
    name: str, metric: str = "learnability", *, recipe: str | None = None, cache: str | os.PathLike | None = None
) -> scores.ScoreTable:
    """One score a sample and run: `columns` maps `<arch>-s<seed>` to score_N, beside sample_ids_N, keys_N, labels_N."""
    return scores.load_scores(Cache.at(cache), name, metric, recipe)
