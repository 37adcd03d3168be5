"""The runs of one recipe as a report reads them: scores by group, accuracies, and what they rest on."""

import dataclasses
import functools
import platform
from collections.abc import Sequence

import numpy as np

import learnability
from learnability.agreement import Group
from learnability.config import RunConfig, planted
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.metrics import METRICS
from learnability.store.datasets import open_dataset
from learnability.store.files import read_json
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_looks, load_runs
from learnability.store.scores import ScoreTable, load_run_scores, load_scores, recipes


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """One metric of one recipe's runs: a row of `score_RN` for each, NaN where a run does not hold the sample.

    left_out  runs that came less far, in words: scores over fewer epochs are other scores
    """

    cache: Cache
    table: ScoreTable
    dataset: Dataset
    left_out: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        return list(self.table.runs.values())

    @property
    def config(self) -> RunConfig:
        return self.runs[0].config

    @functools.cached_property
    def score_RN(self) -> np.ndarray:
        return np.stack([score_N.astype(np.float64) for score_N in self.table.columns.values()])

    @functools.cached_property
    def groups(self) -> dict[str, Group]:
        """Architecture -> its rows and seeds."""
        found: dict[str, list[tuple[int, int]]] = {}
        for row, run in enumerate(self.runs):
            found.setdefault(run.config.arch, []).append((row, run.config.seed))
        return {arch: Group(name=arch, rows=tuple(r for r, _ in own), seeds=tuple(s for _, s in own)) for arch, own in found.items()}

    def mean_N(self, archs: Sequence[str]) -> np.ndarray:
        """Mean over architectures of the mean over seeds: each architecture counts once."""
        return np.mean([self.score_RN[list(self.groups[arch].rows)].mean(axis=0) for arch in archs], axis=0)

    def column(self, metric: str) -> np.ndarray | None:
        """(R, N) of another metric of the same runs, or None where a run lacks it."""
        rows = []
        for run in self.runs:
            try:
                table, _ = load_run_scores(self.cache, run.data, run.id, [metric])
            except LearnabilityError:
                return None
            row = np.full(len(self.table.sample_ids_N), np.nan)
            row[np.searchsorted(self.table.sample_ids_N, table["sample_id"].to_numpy())] = table[metric].to_numpy(zero_copy_only=False)
            rows.append(row)
        return np.stack(rows)

    def accuracies(self, arch: str) -> list[tuple[float | None, float | None]]:
        """(accuracy in training, test accuracy) at the last look of each seed."""
        found = []
        for row in self.groups[arch].rows:
            last = load_looks(self.cache, self.runs[row].data, self.runs[row].id)[-1]
            found.append((last.get("accuracy"), last.get("test_accuracy")))
        return found

    def minutes(self) -> float:
        """Training time of all runs together, by their own clocks."""
        looks = (look for run in self.runs for look in load_looks(self.cache, run.data, run.id))
        return sum(look.get("seconds") or 0.0 for look in looks) / 60

    def device(self) -> str:
        """Where it was trained, and with which versions."""
        try:
            told = read_json(self.cache.run_folder(self.runs[0].data, self.runs[0].id) / "environment.json")
        except LearnabilityError:
            return "not known"
        return f"{told.get('device_name', told.get('device', 'not known'))}, PyTorch {told.get('torch', 'not known')}"


def open_study(cache: Cache, data: str, metric: str, recipe: str) -> Study:
    """The runs of a recipe that came furthest."""
    found = load_scores(cache, data, metric, recipe)
    most = max(run.looks for run in found.runs.values())
    short = {name: run for name, run in found.runs.items() if run.looks < most}
    table = dataclasses.replace(
        found,
        columns={name: score_N for name, score_N in found.columns.items() if name not in short},
        runs={name: run for name, run in found.runs.items() if name not in short},
    )
    config = next(iter(table.runs.values())).config
    opened = open_dataset(cache, data, config.fingerprint[:8], config.labels)
    return Study(cache, table, opened, tuple(f"{name} ({run.looks} of {most} epochs)" for name, run in short.items()))


def real_recipe(cache: Cache, data: str) -> str | None:
    """The newest recipe with scores on labels that were not planted, trained on every row; None where there is none."""
    usable = {
        run.recipe
        for run in load_runs(cache, data)
        if run.config is not None and not run.problem and run.looks and not planted(run.config.labels) and run.config.folds is None
    }
    return next((key for key in recipes(cache, data) if key in usable), None)


def versions() -> str:
    return f"learnability {learnability.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"


def axis(metric: str, of: str = "") -> str:
    """`Learnability of vgg16<br>(higher = easier)`, for an axis."""
    easy = {"high": "higher = easier", "low": "lower = easier"}.get(METRICS[metric].easy_is, "no easy end")
    unit = "share of epochs predicted right, " if metric == "learnability" else ""
    return f"{METRICS[metric].label}{f' of {of}' if of else ''} ({unit}{easy})"
