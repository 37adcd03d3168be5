"""The scores of one group of runs, as the review reads them."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from learnability.datasets import Dataset
from learnability.errors import NotFound
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_runs
from learnability.store.scores import load_run_scores


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GroupScores:
    """Scores of the R runs of a group, or of one run: metric -> score_RN, NaN where a run does not hold the sample."""

    id: str
    dataset: Dataset  # the version and labels of the runs
    sample_ids_N: np.ndarray
    scores: dict[str, np.ndarray]
    runs: tuple[Run, ...]

    @property
    def labels_N(self) -> np.ndarray:
        return self.dataset.labels_N[self.sample_ids_N]

    def mean_N(self, metric: str) -> np.ndarray:
        """Mean over the runs that hold the sample, NaN where none does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return np.nanmean(self.scores[metric], axis=0)


def group_scores(cache: Cache, data: str, group: str | None, metrics: Sequence[str]) -> GroupScores:
    """Scores of the runs of a group id or run id; None: the first group of the newest recipe. Damaged runs are left out."""
    runs = [run for run in load_runs(cache, data) if run.config is not None and not run.problem and run.looks]
    if group is None and runs:
        runs.sort(key=lambda run: -(cache.run_folder(data, run.id) / "config.json").stat().st_mtime_ns)
        newest = [run for run in runs if run.recipe == runs[0].recipe]
        group = min(newest, key=lambda run: (-sum(other.group == run.group for other in newest), run.group)).group
    chosen = sorted((run for run in runs if group in (run.group, run.id)), key=lambda run: run.id)
    held, tables = [], []
    for run in chosen:
        try:
            tables.append(load_run_scores(cache, data, run.id, list(metrics))[0])
            held.append(run)
        except NotFound:
            continue
    if not tables:
        there = ", ".join(sorted({run.group for run in runs})) or "none yet"
        raise NotFound(
            f"no scores for {group or 'any run'} of data set {data!r}; groups with committed looks: {there}. "
            f"Train: python -m learnability train --data {data} --arch resnet20"
        )
    config = held[0].config
    sample_ids_N = np.unique(np.concatenate([table["sample_id"].to_numpy() for table in tables]))
    scores = {metric: np.full((len(tables), len(sample_ids_N)), np.nan) for metric in metrics}
    for row, table in enumerate(tables):
        at = np.searchsorted(sample_ids_N, table["sample_id"].to_numpy())
        for metric in metrics:
            scores[metric][row, at] = table[metric].to_numpy(zero_copy_only=False)
    return GroupScores(
        id=group,
        dataset=open_dataset(cache, data, config.fingerprint[:8], config.labels),
        sample_ids_N=sample_ids_N,
        scores=scores,
        runs=tuple(held),
    )
