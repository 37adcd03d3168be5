"""A series: one score of all samples of a run, or its mean over the seeds of a group."""

import dataclasses
import functools

import numpy as np

from learnability.charts.cells import Cells, cells
from learnability.config import RunConfig
from learnability.metrics import SHARES, mean_of_runs
from learnability.store import heldout
from learnability.store.runs import Run
from ui import words


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Series:
    """score_N over the samples `sample_ids_N` (rising); score_RN has one row a seed. `key` names it in caches.

    A seed is one run, or the folds of one seed: then each sample's score is that of the run which held it out.
    """

    key: tuple
    id: str  # of the group or run
    name: str  # for people: "resnet20, mean of 3 seeds"
    metric: str
    sample_ids_N: np.ndarray
    labels_N: np.ndarray  # -1: dropped in this label version
    score_RN: np.ndarray
    runs: tuple[Run, ...]
    looks: tuple[int, ...]  # looks that each seed's scores stand for
    left_out: str | None  # which runs of the group do not count, and why
    held_RN: tuple[np.ndarray, ...] | None = None  # with folds: which samples each of the runs held out

    @functools.cached_property
    def score_N(self) -> np.ndarray:
        """The mean over the seeds."""
        return self.score_RN[0] if len(self.score_RN) == 1 else mean_of_runs(self.score_RN, self.metric, self.looks)

    @property
    def seeds(self) -> int:
        return len(self.score_RN)

    @property
    def config(self) -> RunConfig:
        """What its runs were asked to do, seed and fold aside."""
        return self.runs[0].config

    @property
    def mode(self) -> str:
        """How its samples were recorded: `train`, `eval`, `unknown`, or `held-out`."""
        return "held-out" if self.held_RN is not None else self.config.record

    def runs_of(self, sample_id: int) -> tuple[Run, ...]:
        """The runs that a sample's score comes from: with folds those that held it out."""
        row = int(self.rows(np.array([sample_id]))[0])
        if self.held_RN is None or row < 0:
            return self.runs
        return tuple(run for run, held_N in zip(self.runs, self.held_RN, strict=True) if held_N[row])

    @functools.cached_property
    def cells(self) -> Cells:
        """The grid of values this score can take."""
        if self.metric in SHARES and len(set(self.looks)) == 1:
            return cells(self.score_N, span=(0.0, 1.0), levels=self.looks[0] * self.seeds)
        if self.metric in SHARES:
            return cells(self.score_N, span=(0.0, 1.0))
        if words.metric_named(self.metric).whole and np.isfinite(self.score_N).any():
            span = float(np.nanmin(self.score_N)), float(np.nanmax(self.score_N))
            return (
                cells(self.score_N, span=span, levels=round((span[1] - span[0]) * self.seeds) or None)
                if span[1] > span[0]
                else cells(self.score_N)
            )
        return cells(self.score_N)

    @property
    def epochs_line(self) -> str:
        """How many epochs the score stands for: `30 epochs`, or `12 of 30 epochs so far`."""
        asked = max(run.head.epochs for run in self.runs)
        low, high = min(self.looks), max(self.looks)
        if low == high == asked:
            return words.count(asked, "epoch")
        return f"{low if low == high else f'{low} to {high}'} of {asked} epochs so far"

    @property
    def partial(self) -> bool:
        return min(self.looks) < max(run.head.epochs for run in self.runs)

    def rows(self, sample_ids: np.ndarray) -> np.ndarray:
        """Rows of these samples; -1 where the series does not hold one."""
        sample_ids, N = np.asarray(sample_ids), len(self.sample_ids_N)
        if N and self.sample_ids_N[0] == 0 and self.sample_ids_N[-1] == N - 1:  # ids rise and differ: they are the rows
            return np.where((sample_ids >= 0) & (sample_ids < N), sample_ids, -1)
        at = np.searchsorted(self.sample_ids_N, sample_ids)
        at = np.minimum(at, max(len(self.sample_ids_N) - 1, 0))
        return np.where(self.sample_ids_N[at] == sample_ids, at, -1) if len(self.sample_ids_N) else np.full(len(sample_ids), -1)

    def harder_than(self, row: int) -> str:
        """Where a sample stands among the others, in words."""
        hardness_N = words.hardness(self.metric, self.score_N)
        known = int(np.isfinite(hardness_N).sum())
        return standing(*(int(part.sum()) / known for part in (hardness_N < hardness_N[row], hardness_N > hardness_N[row])))

    def of(self, sample_ids: np.ndarray) -> np.ndarray:
        """Scores of these samples, NaN where there is none."""
        rows = self.rows(np.asarray(sample_ids))
        return np.where(rows >= 0, self.score_N[np.maximum(rows, 0)], np.nan)


def standing(easier: float, harder: float) -> str:
    """Where a sample stands, in words, by the shares of samples that are easier and harder than it."""
    if not easier and not harder:
        return "the same as every sample"
    side, share = ("harder", 100 * easier) if easier >= harder else ("easier", 100 * harder)
    return f"{side} than {share:.0f} % of the samples" if share <= 99 else f"{side} than {min(share, 99.9):.1f} % of the samples"


def counted(runs: list[Run], looks: dict[str, int]) -> tuple[list[list[Run]], str | None]:
    """Which seeds of a group make its mean: the whole ones; while there is none, those that came furthest.

    Scores over other numbers of epochs are other scores, so they are not averaged. With folds a seed is whole when all its folds
    are. `looks` lacks runs whose scores are damaged.
    """
    came: list[tuple[list[Run], tuple[int, int]]] = []  # the scored runs of a seed, (how many, epochs)
    for unit in heldout.units(runs):
        scored = [run for run in unit if looks.get(run.id, 0) > 0 and not run.problem]
        if scored:
            came.append((scored, (len(scored), min(looks[run.id] for run in scored))))
    if not came:
        return [], None
    most = max(reached for _, reached in came)
    used = [unit for unit, reached in came if reached == most]
    kept = {run.id for unit in used for run in unit}
    others = [run for run in runs if run.id not in kept]
    said = []
    if others:
        why = {run.id: "damaged" if run.problem or run.id not in looks else f"{looks[run.id]} epochs" for run in others}
        said.append(f"Not in the mean: {', '.join(f'{run.label} ({why[run.id]})' for run in others)}.")
    if (folds := runs[0].config.folds) and most[0] < folds:
        said.append(f"{most[0]} of {folds} folds have scores so far: a sample that none of them held out has none.")
    return used, " ".join(said) or None


def joined(a: Series, b: Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows of a, rows of b, sample ids) of the samples that both hold with a score."""
    if np.array_equal(a.sample_ids_N, b.sample_ids_N):  # as good as always, and 1.28 M ids are then joined in no time
        rows = np.flatnonzero(np.isfinite(a.score_N) & np.isfinite(b.score_N))
        return rows, rows, a.sample_ids_N[rows]
    shared, rows_a, rows_b = np.intersect1d(a.sample_ids_N, b.sample_ids_N, assume_unique=True, return_indices=True)
    known = np.isfinite(a.score_N[rows_a]) & np.isfinite(b.score_N[rows_b])
    return rows_a[known], rows_b[known], shared[known]
