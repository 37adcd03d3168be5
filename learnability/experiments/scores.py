"""Whose scores make an order: finished runs of seeds that are not evaluated, on the very samples and labels of the arms."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from learnability.config import RunConfig
from learnability.errors import InputError, LearnabilityError, NotFound
from learnability.experiments.found import experiments, orders_metadata
from learnability.metrics import METRICS, mean_of_runs
from learnability.store.paths import Cache
from learnability.store.runs import Run, device_seconds, load_looks, load_runs
from learnability.store.scores import load_run_scores


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """The mean score of some runs over the samples that the arms train on, and what it cost."""

    of: str  # group or run id
    runs: tuple[Run, ...]
    metric: str
    score_n: np.ndarray  # of the samples asked for
    never_n: np.ndarray | None  # never learned by any of the runs; for forgetting events alone
    seconds: float  # that the runs trained

    @property
    def seeds(self) -> list[int]:
        return sorted({run.config.seed for run in self.runs})

    @property
    def said(self) -> str:
        """`seeds 0, 1 of resnet20-4f1c2a9b (2 runs of 12 epochs, 0.9 min)`"""
        looks, several = sorted({run.looks for run in self.runs}), "s" if len(self.runs) > 1 else ""
        epochs = f"{looks[0]} epochs" if len(looks) == 1 else f"{looks[0]} to {looks[-1]} epochs"
        seeds = ", ".join(map(str, self.seeds))
        return f"seed{several} {seeds} of {self.of} ({len(self.runs)} run{several} of {epochs}, {self.seconds / 60:.1f} min)"


def candidates(cache: Cache, data: str, fingerprint: str) -> dict[str, list[Run]]:
    """Group id -> its finished ordinary runs on this data set version; runs under a curriculum or with held-out folds make no order."""
    groups: dict[str, list[Run]] = {}
    for run in load_runs(cache, data):
        config = run.config
        if config is None or run.problem or run.state != "done" or config.curriculum or config.folds or config.fingerprint != fingerprint:
            continue
        groups.setdefault(run.group, []).append(run)
    return groups


def found(groups: dict[str, list[Run]], arch: str, subset: int | None, labels: str, count: int) -> str | None:
    """The group of this network, these `count` samples and these labels with most seeds, then most looks; None where there is none."""
    own = [
        id
        for id, runs in groups.items()
        if (runs[0].config.arch, runs[0].config.subset, runs[0].config.labels) == (arch, subset, labels)
        and runs[0].head.rows >= count  # an import or a loop of somebody's own may hold a part
    ]
    return max(own, key=lambda id: (len(groups[id]), groups[id][0].looks, id), default=None)


def named(groups: dict[str, list[Run]], id: str, labels: str) -> list[Run]:
    """The runs of a group, or the one run, that somebody named; labels must be those of the arms."""
    runs = groups.get(id) or [run for own in groups.values() for run in own if run.id == id]
    if not runs:
        there = ", ".join(groups) or "none"
        raise NotFound(f"no finished ordinary runs {id!r} to take scores from; there is: {there}.")
    if runs[0].config.labels != labels:
        raise InputError(
            f"scores of {id}: expected runs on labels {labels!r}, as the arms train on, got {runs[0].config.labels!r}. "
            "Take other scores, or leave them out: what is missing is trained first."
        )
    return runs


def taken_before(
    cache: Cache, groups: dict[str, list[Run]], arm: RunConfig, pacing: str, balanced: bool, told: dict[str, str]
) -> list[Run] | None:
    """The runs whose scores this very experiment took when it was launched: their order stays when others are trained meanwhile.

    `arm` is any run of the experiment; `told` what its orders say of the score. None where it was not launched yet.
    """
    shared = dataclasses.replace(arm, seed=0, curriculum=None)
    kind = arm.arch, arm.subset, arm.labels
    there = {run.id: run for own in groups.values() for run in own if (run.config.arch, run.config.subset, run.config.labels) == kind}
    for one in experiments(cache, arm.data):
        orders = orders_metadata(cache, one)
        ids = orders.get("runs", "").split(", ")
        same = (one.config, one.pacing, one.balanced) == (shared, pacing, balanced) and orders.items() >= told.items()
        if same and all(id in there for id in ids):
            return [there[id] for id in ids]
    return None


def load(cache: Cache, id: str, runs: Iterable[Run], metric: str, ids_n: np.ndarray) -> Scores:
    """The mean over the runs of one metric, (n,) for the samples `ids_n`; InputError where a sample has no score."""
    wanted = [metric, "never_learned"] if metric == "forgetting_events" else [metric]
    runs, columns, seconds = tuple(runs), {name: [] for name in wanted}, 0.0
    for run in runs:
        table, _ = load_run_scores(cache, run.data, run.id, wanted)
        rows = np.searchsorted(table["sample_id"].to_numpy(), ids_n).clip(max=table.num_rows - 1)
        here_n = table["sample_id"].to_numpy()[rows] == ids_n
        for name in wanted:
            if name not in table.column_names:
                raise InputError(f"metric {name!r}: run {run.id} has no such score. Choose another of {', '.join(METRICS)}.")
            score_n = table[name].to_numpy(zero_copy_only=False).astype(np.float64)[rows]
            columns[name].append(np.where(here_n, score_n, np.nan))
        seconds += _seconds(cache, run)
    score_n = mean_of_runs(np.stack(columns[metric]), metric, [run.looks for run in runs])
    if missing := int(np.isnan(score_n).sum()):
        raise InputError(
            f"scores of {id}: expected one for each of the {len(ids_n)} samples that the arms train on, got {len(ids_n) - missing}. "
            "Take runs that trained on at least these samples."
        )
    never_n = None if len(wanted) == 1 else np.mean(columns["never_learned"], axis=0) == 1
    return Scores(of=id, runs=runs, metric=metric, score_n=score_n, never_n=never_n, seconds=seconds)


def _seconds(cache: Cache, run: Run) -> float:
    try:
        return device_seconds(load_looks(cache, run.data, run.id))
    except LearnabilityError:
        return 0.0
