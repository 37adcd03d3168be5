"""How well the scores find wrong labels here: labels planted wrong in runs of their own, looked for again by every metric."""

import bisect
import dataclasses
from collections.abc import Sequence

import numpy as np

from learnability.agreement import mid_ranks
from learnability.config import RunConfig, planted, planted_name
from learnability.datasets import Dataset, planted_labels, trained_ids
from learnability.errors import ConfigError, InputError, NotFound
from learnability.metrics import METRICS, mean_of_runs
from learnability.store.datasets import open_dataset
from learnability.store.heldout import put_together, units
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_runs
from learnability.store.scores import load_run_scores

FRACTION = 0.02
WINDOW, LEAST = 100, 5  # go on while the last 100 samples held at least 5 errors


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """Planted errors found by reviewing in the order of one metric.

    found    (n + 1,) errors among the first 0..n samples; within a tie the order is chance, so the curve is straight there
    auroc    chance that a planted sample stands before another one, ties half; 0.5 is a random order
    """

    metric: str
    found: np.ndarray
    auroc: float

    @property
    def planted(self) -> int:
        return round(float(self.found[-1]))

    def share(self, reviewed: int) -> float:
        """Share of the planted errors among the first so many samples."""
        return float(self.found[min(reviewed, len(self.found) - 1)]) / max(self.planted, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stop:
    """How far to review: up to where the last `window` samples held fewer than `least` errors."""

    reviewed: int
    found: float
    window: int
    least: float
    reached: bool  # False: the errors never become that rare, so everything is reviewed


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class PlantedAudit:
    """One group of runs on planted labels: n samples of which `planted` are wrong, and a curve for each metric with a hard end.

    held_out   scores come from networks that never saw the label
    """

    group: str
    config: RunConfig
    held_out: bool
    seeds: int
    looks: int
    n: int
    planted: int
    curves: dict[str, Curve]

    @property
    def first(self) -> str:
        """The metric to speak of: suspicion, which orders the review, else the best one."""
        return "suspicion" if "suspicion" in self.curves else self.by_auroc[0].metric

    @property
    def told(self) -> str:
        """What its scores rest on, in a sentence."""
        kind = "Held out: scores from networks that never saw the label" if self.held_out else "Networks trained on these labels"
        epochs = f"{self.looks} epochs" if self.looks == self.config.epochs else f"{self.looks} of {self.config.epochs} epochs so far"
        return f"{kind}; {epochs}, {self.seeds} seed{'s' if self.seeds > 1 else ''}."

    def too_few(self, least: float = LEAST) -> bool:
        """Whether even all planted errors would count as rare: then `how_far` ends at its first window, whatever the scores."""
        return self.planted < least

    @property
    def by_auroc(self) -> list[Curve]:
        """The curves, the best detector first."""
        return sorted(self.curves.values(), key=lambda one: (-one.auroc, one.metric))


def planted_configs(base: RunConfig, fraction: float = FRACTION, seeds: int = 1, folds: int | None = None) -> list[RunConfig]:
    """The runs that plant `fraction` wrong labels, else as `base` was trained; with `folds`, each sample is held out once a seed.

    ConfigError for fewer than one seed or two folds.
    """
    if seeds < 1:
        raise ConfigError(f"seeds {seeds}: expected a count of at least 1.")
    if folds is not None and folds < 2:
        raise ConfigError(f"folds {folds}: expected at least 2.")
    own = {"labels": planted_name(fraction), "curriculum": None, "folds": folds}
    return [dataclasses.replace(base, seed=seed, fold=fold, **own) for seed in range(seeds) for fold in (range(folds) if folds else [None])]


def check_planted(own: Dataset, config: RunConfig) -> None:
    """InputError where no label would be planted among the samples that a run uses. `own` is the data set under its own labels."""
    fraction, seed = planted(config.labels)
    if _planted_count(own, config.subset, fraction, seed):
        return
    used = len(trained_ids(own.labels_N, config.subset))
    millionths = range(1, 1_000_000)
    enough = bisect.bisect_left(millionths, 1, key=lambda millionth: _planted_count(own, config.subset, millionth / 1e6, seed))
    raise InputError(
        f"label noise {fraction:g} plants no wrong label among the {used:,} samples used: expected at least one. "
        f"One is planted from {millionths[enough] / 1e6:g} on; {LEAST} or more tell how far to review."
    )


def _planted_count(own: Dataset, subset: int | None, fraction: float, seed: int) -> int:
    labels_N = planted_labels(own.labels_N, own.K, fraction, seed)
    return int((labels_N != own.labels_N)[trained_ids(labels_N, subset)].sum())


def is_audit(config: RunConfig) -> bool:
    """Whether a run was trained to be looked through for planted labels: a curriculum's arm on such labels was not."""
    return planted(config.labels) is not None and config.curriculum is None


def planted_groups(cache: Cache, data: str) -> dict[str, list[Run]]:
    """Group id -> its runs on planted labels that have scores; held-out groups only once every fold of a seed is done.

    Runs under a curriculum are arms of an experiment on noisy labels, and no audit.
    """
    groups: dict[str, list[Run]] = {}
    for run in load_runs(cache, data):
        if run.config is not None and not run.problem and run.looks and is_audit(run.config):
            groups.setdefault(run.group, []).append(run)
    whole = {group: _whole_seeds(runs) for group, runs in sorted(groups.items())}
    return {group: runs for group, runs in whole.items() if runs}


def planted_audit(cache: Cache, data: str, group: str) -> PlantedAudit:
    """The audit of one group, from the mean of its scores over the seeds. NotFound names the groups there are."""
    there = planted_groups(cache, data)
    if group not in there:
        raise NotFound(
            f"no finished run of {group!r} on planted labels of data set {data!r}; there is: {', '.join(there) or 'none'}. "
            f"Make one: python -m learnability audit --data {data}"
        )
    runs = there[group]
    config = runs[0].config
    seeds = units(runs)
    ids_n, scores = _mean([_scores(cache, unit) for unit in seeds], runs[0].looks)
    fingerprint8 = config.fingerprint[:8]
    own_N = open_dataset(cache, data, fingerprint8).labels_N
    wrong_n = (open_dataset(cache, data, fingerprint8, config.labels).labels_N != own_N)[ids_n]
    return PlantedAudit(
        group=group,
        config=config,
        held_out=config.folds is not None,
        seeds=len(seeds),
        looks=runs[0].looks,
        n=len(ids_n),
        planted=int(wrong_n.sum()),
        curves=curves(scores, wrong_n),
    )


def curves(scores: dict[str, np.ndarray], wrong_n: np.ndarray) -> dict[str, Curve]:
    """A curve for each metric that has a hard end; the others order nothing."""
    made = {}
    for metric, score_n in scores.items():
        if METRICS[metric].easy_is in ("high", "low"):
            hard_n = hardness(metric, score_n, scores.get("never_learned"))
            made[metric] = Curve(metric=metric, found=found_by(hard_n, wrong_n), auroc=auroc(hard_n, wrong_n))
    return made


def hardness(metric: str, score_n: np.ndarray, never_learned_n: np.ndarray | None = None) -> np.ndarray:
    """The score turned so that higher is reviewed first; never learned counts as most often forgotten; NaN comes last."""
    hard_n = np.asarray(score_n, np.float64) * {"low": 1, "high": -1}[METRICS[metric].easy_is]
    if metric == "forgetting_events" and never_learned_n is not None:
        hard_n = np.where((np.asarray(never_learned_n) == 1) & ~np.isnan(hard_n), np.inf, hard_n)
    return np.where(np.isnan(hard_n), -np.inf, hard_n)


def found_by(hard_n: np.ndarray, wrong_n: np.ndarray) -> np.ndarray:
    """(n + 1,) wrong samples among the first 0..n, hardest first; within a tie what a random order finds on average."""
    order = np.argsort(-hard_n, kind="stable")
    sorted_n, total = hard_n[order], np.concatenate([[0], np.cumsum(wrong_n[order])])
    ends = np.flatnonzero(sorted_n[1:] != sorted_n[:-1]) + 1
    knots = np.concatenate([[0], ends, [len(hard_n)]])
    return np.interp(np.arange(len(hard_n) + 1), knots, total[knots])


def auroc(hard_n: np.ndarray, wrong_n: np.ndarray) -> float:
    """Area under the ROC curve by mid-ranks; NaN where nothing or everything is wrong."""
    wrong, right = int(wrong_n.sum()), int((~wrong_n).sum())
    if not wrong or not right:
        return float("nan")
    return float((mid_ranks(hard_n)[wrong_n].sum() - wrong * (wrong + 1) / 2) / (wrong * right))


def how_far(found: np.ndarray, window: int = WINDOW, least: float = LEAST) -> Stop:
    """The first place at which the last `window` samples reviewed held fewer than `least` errors."""
    n = len(found) - 1
    window = min(window, n)
    below = np.flatnonzero(found[window:] - found[: n - window + 1] < least - 1e-9)
    reviewed = window + int(below[0]) if len(below) else n
    return Stop(reviewed=reviewed, found=float(found[reviewed]), window=window, least=least, reached=bool(len(below)))


def how_far_told(made: PlantedAudit, metric: str, stop: Stop) -> str:
    """`Reviewing the first 143 samples by Label suspicion finds 24 of 28 planted (86 %); the last 100 of them hold fewer than 5.`"""
    if made.too_few(stop.least):
        return f"{made.planted} planted: too few to say how far to review; it takes at least {stop.least:g}."
    share = 100 * stop.found / max(made.planted, 1)
    said = f"Reviewing the first {stop.reviewed:,} samples by {METRICS[metric].label} finds {stop.found:.0f} of {made.planted} planted"
    rare = f"the last {stop.window} of them hold fewer than {stop.least:g}"
    return f"{said} ({share:.0f} %); {rare if stop.reached else f'{stop.window} samples never hold fewer than {stop.least:g}'}."


# scores


def _whole_seeds(runs: Sequence[Run]) -> list[Run]:
    """Runs that count: those that came furthest; with folds, seeds of which every fold came as far."""
    folds, most = runs[0].config.folds, max(run.looks for run in runs)
    if folds is None:
        return [run for run in runs if run.looks == most]
    done = [run for run in runs if not run.partial]
    return [run for run in done if sum(other.config.seed == run.config.seed for other in done) == folds]


def _scores(cache: Cache, unit: Sequence[Run]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(sample ids, scores) of one run, or of the folds of a seed: then each sample's from the run that did not train on it."""
    tables = [load_run_scores(cache, run.data, run.id)[0] for run in unit]
    names = [name for name in tables[0].column_names if name in METRICS]
    if unit[0].config.folds is None:
        scores = {name: tables[0][name].to_numpy(zero_copy_only=False) for name in names}
        return tables[0]["sample_id"].to_numpy(), {name: score_n.astype(np.float64) for name, score_n in scores.items()}
    held = {name: put_together(cache, unit, tables, name) for name in names}
    return held[names[0]][0], {name: score_n for name, (_, score_n) in held.items()}


def _mean(seeds: Sequence[tuple[np.ndarray, dict[str, np.ndarray]]], looks: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Mean over seeds of so many looks each; the seeds of a group hold the same samples."""
    ids_n, names = seeds[0][0], seeds[0][1]
    return ids_n, {name: mean_of_runs(np.stack([scores[name] for _, scores in seeds]), name, [looks] * len(seeds)) for name in names}
