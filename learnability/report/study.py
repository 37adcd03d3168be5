"""The runs of one recipe as a report reads them: scores by group, accuracies, and what they rest on."""

import dataclasses
import functools
import platform
from collections.abc import Collection, Iterable, Sequence

import numpy as np

import learnability
from learnability.agreement import Group
from learnability.config import RunConfig
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.metrics import METRICS
from learnability.report.agreement import grouped, whole_steps
from learnability.store.chance import of_runs
from learnability.store.datasets import open_dataset
from learnability.store.files import read_json
from learnability.store.paths import Cache
from learnability.store.runs import Run, device_seconds, load_looks, load_runs
from learnability.store.scores import ScoreTable, is_trial, load_scores, load_seed_scores, recipes, unit_of


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """One metric of one recipe's runs: a row of `score_RN` for each, NaN where a run does not hold the sample.

    The folds of a seed are one row: of each sample the score from the run that never trained on it.

    units     the runs that each row stands for: one, or the folds of a seed
    left_out  seeds that came less far, in words: scores over fewer epochs are other scores
    """

    cache: Cache
    table: ScoreTable
    dataset: Dataset
    units: tuple[list[Run], ...]
    left_out: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        return list(self.table.runs.values())

    @property
    def config(self) -> RunConfig:
        return self.runs[0].config

    @functools.cached_property
    def score_RN(self) -> np.ndarray:
        return np.stack(whole_steps(self.table))

    @functools.cached_property
    def groups(self) -> dict[str, Group]:
        """Architecture -> its rows and seeds."""
        return {group.name: group for group in grouped(self.table)}

    def mean_N(self, archs: Sequence[str]) -> np.ndarray:
        """Mean over architectures of the mean over seeds: each architecture counts once."""
        return np.mean([self.score_RN[list(self.groups[arch].rows)].mean(axis=0) for arch in archs], axis=0)

    def column(self, metric: str) -> np.ndarray | None:
        """(R, N) of another metric of the same runs, or None where a run lacks it."""
        score_RN = np.full((len(self.runs), len(self.table.sample_ids_N)), np.nan)
        for score_N, unit in zip(score_RN, self.units, strict=True):
            try:
                scored, ids_n, found = load_seed_scores(self.cache, unit, [metric])
            except LearnabilityError:
                return None
            if len(scored) < len(unit):
                return None
            score_N[np.searchsorted(self.table.sample_ids_N, ids_n)] = found[metric]
        return score_RN

    def accuracies(self, arch: str) -> list[tuple[float | None, float | None]]:
        """(accuracy in training, test accuracy) at the last look of each seed; with folds the means over them."""
        found = []
        for row in self.groups[arch].rows:
            last = [load_looks(self.cache, run.data, run.id)[-1] for run in self.units[row]]
            found.append((_mean(look.get("accuracy") for look in last), _mean(look.get("test_accuracy") for look in last)))
        return found

    def minutes(self) -> float:
        """How long a device was at work for all runs together, by their own clocks."""
        return device_seconds(look for unit in self.units for run in unit for look in load_looks(self.cache, run.data, run.id)) / 60

    def learned_nothing(self) -> tuple[str, ...]:
        """What to say of runs that are no better than chance."""
        return of_runs(self.cache, self.table.runs, self.table.labels_N)

    def device(self) -> str:
        """Where it was trained, and with which versions."""
        try:
            told = read_json(self.cache.run_folder(self.runs[0].data, self.runs[0].id) / "environment.json")
        except LearnabilityError:
            return "not known"
        return f"{told.get('device_name', told.get('device', 'not known'))}, PyTorch {told.get('torch', 'not known')}"


def open_study(cache: Cache, data: str, metric: str, recipe: str, run_ids: Collection[str] | None = None) -> Study:
    """The runs of a recipe that came furthest, of `run_ids` alone where they are given."""
    found = load_scores(cache, data, metric, recipe)
    if run_ids is not None:
        found = found.only([name for name, run in found.runs.items() if run.id in run_ids])
    of_seed = {name: unit_of(cache, run) for name, run in found.runs.items()}
    came = {name: (len(of_seed[name]), run.looks) for name, run in found.runs.items()}
    most = max(came.values())
    kept = [name for name in came if came[name] == most]
    table = found.only(kept)
    config = next(iter(table.runs.values())).config
    opened = open_dataset(cache, data, config.fingerprint[:8], config.labels)
    return Study(cache, table, opened, tuple(of_seed[name] for name in kept), _left_out(came, most, config.folds))


def _left_out(came: dict[str, tuple[int, int]], most: tuple[int, int], folds: int | None) -> tuple[str, ...]:
    """What is not counted, in words; `came` is how many folds and epochs of each seed there are."""
    short = {name: one for name, one in came.items() if one != most}
    said = [
        f"{name} ({n} of {folds} folds)" if n < most[0] else f"{name} ({looks} of {most[1]} epochs)" for name, (n, looks) in short.items()
    ]
    if folds and most[0] < folds:
        said.append(f"the samples of {folds - most[0]} of {folds} folds, which have no scores yet")
    return tuple(said)


def _mean(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else sum(known) / len(known)


def real_recipe(cache: Cache, data: str) -> str | None:
    """The newest ordinary recipe with scores, trained on every row: no curriculum, no planted labels; None where there is none."""
    usable = {
        run.recipe
        for run in load_runs(cache, data)
        if run.config is not None and not run.problem and run.looks and not is_trial(run.config) and run.config.folds is None
    }
    return next((key for key in recipes(cache, data) if key in usable), None)


def versions() -> str:
    return f"learnability {learnability.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"


def axis(metric: str, of: str = "") -> str:
    """`Learnability of vgg16<br>(higher = easier)`, for an axis."""
    easy = {"high": "higher = easier", "low": "lower = easier"}.get(METRICS[metric].easy_is, "no easy end")
    unit = "share of epochs predicted right, " if metric == "learnability" else ""
    return f"{METRICS[metric].label}{f' of {of}' if of else ''} ({unit}{easy})"
