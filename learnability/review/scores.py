"""The scores of one group of runs, as the review reads them."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from learnability.datasets import Dataset
from learnability.errors import NotFound
from learnability.store.datasets import open_dataset
from learnability.store.heldout import units
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_runs
from learnability.store.scores import is_trial, load_seed_scores, recipes


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GroupScores:
    """Scores of the R seeds of a group, or of one run: metric -> score_RN, NaN where a seed does not hold the sample.

    The folds of a seed are one row: of each sample the score from the run that never trained on it.
    """

    id: str
    dataset: Dataset  # the version and labels of the runs
    sample_ids_N: np.ndarray
    scores: dict[str, np.ndarray]
    runs: tuple[Run, ...]  # seed by seed; with folds every one of them

    @property
    def labels_N(self) -> np.ndarray:
        return self.dataset.labels_N[self.sample_ids_N]

    def mean_N(self, metric: str) -> np.ndarray:
        """Mean over the seeds that hold the sample, NaN where none does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return np.nanmean(self.scores[metric], axis=0)


def group_scores(cache: Cache, data: str, group: str | None, metrics: Sequence[str]) -> GroupScores:
    """Scores of the runs of a group id or run id; None: the largest group of the newest ordinary recipe. Damaged runs are left out."""
    runs = [run for run in load_runs(cache, data) if run.config is not None and not run.problem and run.looks]
    if group is None and runs:
        group = _newest_ordinary(cache, data, runs)
    chosen = sorted((run for run in runs if group in (run.group, run.id)), key=lambda run: run.id)
    seeds = [made for unit in units(chosen) if (made := load_seed_scores(cache, unit, metrics))[0]]
    if not seeds:
        raise NotFound(
            f"no scores for {group or 'any run'} of data set {data!r}; groups with committed looks: {_named(runs)}. "
            f"Train: python -m learnability train --data {data} --arch resnet20"
        )
    sample_ids_N = np.unique(np.concatenate([ids_n for _, ids_n, _ in seeds]))
    scores = {metric: np.full((len(seeds), len(sample_ids_N)), np.nan) for metric in metrics}
    for row, (_, ids_n, own) in enumerate(seeds):
        at = np.searchsorted(sample_ids_N, ids_n)
        for metric in metrics:
            scores[metric][row, at] = own[metric]
    held = tuple(run for scored, _, _ in seeds for run in scored)
    config = held[0].config
    return GroupScores(
        id=group,
        dataset=open_dataset(cache, data, config.fingerprint[:8], config.labels),
        sample_ids_N=sample_ids_N,
        scores=scores,
        runs=held,
    )


def _newest_ordinary(cache: Cache, data: str, runs: Sequence[Run]) -> str:
    """The group with most runs of the newest recipe that is no trial and holds no folds out."""
    ordinary = [run for run in runs if not is_trial(run.config) and run.config.folds is None]
    if not ordinary:
        raise NotFound(
            f"data set {data!r}: expected a run on its own labels, without a curriculum and without folds, to order the review by; "
            f"got only {_named(runs)}. Name one of these with --run, or train: python -m learnability train --data {data} --arch resnet20"
        )
    there = {run.recipe for run in ordinary}
    newest = next(key for key in recipes(cache, data) if key in there)
    groups = [run.group for run in ordinary if run.recipe == newest]
    return min(groups, key=lambda group: (-groups.count(group), group))


def _named(runs: Sequence[Run]) -> str:
    return ", ".join(sorted({run.group for run in runs})) or "none yet"
