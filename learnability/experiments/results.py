"""What an experiment has shown so far: test accuracy by update, differences within a seed, updates to an accuracy."""

import dataclasses
import math

import numpy as np

from learnability.curriculum import (
    CONTRASTS,
    Schedule,
    SeedMean,
    expected_presentations,
    mean_over_seeds,
    paired_difference,
    parse_pacing,
    time_to_accuracy,
)
from learnability.errors import LearnabilityError
from learnability.experiments.found import Experiment, orders_metadata
from learnability.store.files import read_json
from learnability.store.paths import Cache
from learnability.store.runs import Run, device_seconds, load_looks

TARGET = 0.95  # of the last accuracy of ordinary training: what `time to accuracy` is measured to, unless named


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ArmResult:
    """One arm: a row a seed, a column a look; NaN where a run has not come so far."""

    arm: str
    seeds: tuple[int, ...]
    accuracy_SE: np.ndarray  # test accuracy, 0..1
    seconds: float  # that its runs trained
    failed: tuple[str, ...]  # runs that ended badly or are damaged

    @property
    def finished_S(self) -> np.ndarray:
        return ~np.isnan(self.accuracy_SE[:, -1])

    @property
    def mean_E(self) -> np.ndarray:
        """Mean of each look over the seeds that have come so far, NaN where none has."""
        return _mean_E(self.accuracy_SE)

    @property
    def half_E(self) -> np.ndarray:
        """Of the 95 % interval of each look over the seeds that have come so far, NaN below two."""
        return _half_E(self.accuracy_SE)

    @property
    def last(self) -> SeedMean | None:
        """Test accuracy after the last update over the finished seeds; never the best of some epochs."""
        value_S = self.accuracy_SE[self.finished_S, -1]
        return mean_over_seeds(value_S) if len(value_S) else None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ContrastResult:
    """The difference of two arms, taken within a seed."""

    name: str  # of CONTRASTS
    a: str
    b: str
    seeds: tuple[int, ...]  # that both arms have begun
    difference_SE: np.ndarray
    half_E: np.ndarray  # of the 95 % interval by look, NaN below two seeds

    @property
    def mean_E(self) -> np.ndarray:
        return _mean_E(self.difference_SE)

    @property
    def last(self) -> SeedMean | None:
        """After the last update, over the seeds that finished both arms."""
        value_S = self.difference_SE[:, -1]
        value_S = value_S[~np.isnan(value_S)]
        return paired_difference(value_S) if len(value_S) else None

    @property
    def sentence(self) -> str:
        """What can be concluded, and what not."""
        pair, last = f"{self.name.capitalize()} ({self.a} - {self.b})", self.last
        if last is None:
            return f"{pair}: not known yet, no seed has finished both arms."
        said = f"{pair}: {points(last.mean)} after the last update"
        if last.seeds < 2:
            return f"{said}, one seed. Whether that is chance cannot be said: a second seed is needed."
        said += f", 95 % interval {100 * last.low:+.2f} to {points(last.high)}, {last.seeds} seeds."
        if last.holds_zero:
            return f"{said} The interval holds 0: no difference is shown. One as large as the interval's ends is not ruled out."
        better = self.a if last.mean > 0 else self.b
        return f"{said} The interval leaves 0 out: {better} did better, here, with this network, data and length."


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TimeResult:
    """Updates after which an arm first reached an accuracy."""

    arm: str
    step_S: np.ndarray  # of all its seeds; NaN for one that has not come to it
    finished: int  # seeds that have made their last update

    @property
    def seeds(self) -> int:
        return len(self.step_S)

    @property
    def reached(self) -> int:
        return int((~np.isnan(self.step_S)).sum())

    @property
    def mean(self) -> SeedMean | None:
        """Only where every seed is finished and reached it: leaving out the slow ones would flatter the arm."""
        whole = self.seeds and self.reached == self.finished == self.seeds
        return mean_over_seeds(self.step_S) if whole else None

    @property
    def standing(self) -> str:
        """How many seeds came to it, where that gives no mean."""
        return f"reached by {self.reached} of {self.seeds}{' so far' if self.finished < self.seeds else ''}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    experiment: Experiment
    step_E: np.ndarray  # updates done at each look, the same in all arms
    arms: dict[str, ArmResult]
    contrasts: tuple[ContrastResult, ...]
    target: float | None  # accuracy that `times` are measured to; None before there is one
    times: dict[str, TimeResult]
    shown: dict[str, tuple[float, float]]  # arm -> how often the first and the last tenth of its order are shown
    scores: dict[str, str]  # what the orders were made of, and what it cost
    samples: int

    @property
    def done(self) -> bool:
        return all(arm.finished_S.all() for arm in self.arms.values())


def measured(cache: Cache, one: Experiment, target: float | None = None) -> Results:
    """Everything that the committed looks of an experiment's runs say, also while they are at work.

    `target`  the test accuracy, 0..1, of `times`; by default 95 % of the mean last accuracy of standard (or of random)
    """
    E, samples = one.config.epochs, _samples(cache, one)
    arms = {arm: _arm(cache, arm, own, E) for arm, own in one.runs.items()}
    contrasts = tuple(_contrast(name, arms[a], arms[b]) for name, (a, b) in CONTRASTS.items() if a in arms and b in arms)
    if target is None:
        ordinary = next((arms[arm].last for arm in ("standard", "random") if arm in arms and arms[arm].last), None)
        target = None if ordinary is None else TARGET * ordinary.mean
    length = -(-samples // one.config.batch_size)
    step_E = length * np.arange(1, E + 1)
    times = {} if target is None else {arm: _time(own, step_E, target) for arm, own in arms.items()}
    return Results(
        experiment=one, step_E=step_E, arms=arms, contrasts=contrasts, target=target, times=times, shown=_shown(one, samples, step_E[-1]),
        scores=orders_metadata(cache, one), samples=samples,
    )  # fmt: skip


def to_json(results: Results) -> dict:
    """The same as plain JSON; NaN becomes null."""
    one = results.experiment
    return {
        "experiment": one.id,
        "data": one.config.data,
        "arch": one.config.arch,
        "pacing": one.pacing,
        "epochs": one.config.epochs,
        "subset": one.config.subset,
        "labels": one.config.labels,
        "peak_lr": one.config.peak_lr,
        "samples": results.samples,
        "updates": results.step_E.tolist(),
        "done": results.done,
        "scores": results.scores,
        "arms": {arm: _arm_json(own, results) for arm, own in results.arms.items()},
        "contrasts": [
            {"name": own.name, "a": own.a, "b": own.b, "seeds": list(own.seeds), "mean": _plain(own.mean_E), "half": _plain(own.half_E),
             "last": _interval(own.last), "sentence": own.sentence}
            for own in results.contrasts
        ],
        "target": results.target,
    }  # fmt: skip


def points(share: float) -> str:
    """A difference of accuracies in percentage points: `+0.42 points`."""
    return f"{100 * share:+.2f} points"


def _arm_json(own: ArmResult, results: Results) -> dict:
    time = results.times.get(own.arm)
    return {
        "seeds": list(own.seeds),
        "runs": [run.id for run in results.experiment.runs[own.arm].values()],
        "test_accuracy": _plain(own.accuracy_SE),
        "last": _interval(own.last),
        "updates_to_target": time and {"reached": time.reached, "finished": time.finished, "of": time.seeds, "mean": _interval(time.mean)},
        "shown": list(results.shown[own.arm]),
        "seconds": round(own.seconds, 1),
        "failed": list(own.failed),
    }


def _arm(cache: Cache, arm: str, own: dict[int, Run], E: int) -> ArmResult:
    accuracy_SE, seconds, failed = np.full((len(own), E), np.nan), 0.0, []
    for row, run in enumerate(own.values()):
        try:
            looks = load_looks(cache, run.data, run.id) if run.looks and not run.problem else []
        except LearnabilityError:
            looks = []
        found = [math.nan if look.get("test_accuracy") is None else look["test_accuracy"] for look in looks[:E]]
        accuracy_SE[row, : len(found)] = found
        seconds += device_seconds(looks)
        if run.state in ("failed", "damaged"):
            failed.append(run.id)
    return ArmResult(arm=arm, seeds=tuple(own), accuracy_SE=accuracy_SE, seconds=seconds, failed=tuple(failed))


def _contrast(name: str, a: ArmResult, b: ArmResult) -> ContrastResult:
    shared = [seed for seed in a.seeds if seed in b.seeds]
    rows_a, rows_b = ([arm.seeds.index(seed) for seed in shared] for arm in (a, b))
    difference_SE = a.accuracy_SE[rows_a] - b.accuracy_SE[rows_b]
    half_E = _half_E(difference_SE)
    return ContrastResult(name=name, a=a.arm, b=b.arm, seeds=tuple(shared), difference_SE=difference_SE, half_E=half_E)


def _time(own: ArmResult, step_E: np.ndarray, target: float) -> TimeResult:
    step_S = time_to_accuracy(own.accuracy_SE, step_E, target)
    return TimeResult(arm=own.arm, step_S=step_S, finished=int(own.finished_S.sum()))


def _shown(one: Experiment, samples: int, steps: int) -> dict[str, tuple[float, float]]:
    """Times shown, over all seeds, of the first and the last tenth of the order of each arm."""
    tenth, found = max(samples // 10, 1), {}
    for arm in one.runs:
        pacing = parse_pacing("full" if arm == "standard" else one.pacing)
        schedule = Schedule(order_N=np.arange(samples), pacing=pacing, batch_size=one.config.batch_size, steps=int(steps))
        times_N = expected_presentations(schedule)
        found[arm] = float(times_N[:tenth].mean()), float(times_N[-tenth:].mean())
    return found


def _samples(cache: Cache, one: Experiment) -> int:
    """Samples that each arm trains on: those in the order."""
    config, told = one.config, orders_metadata(cache, one)
    if "samples" in told:
        return int(told["samples"])
    return config.subset or read_json(cache.dataset_folder(config.data, config.fingerprint) / "dataset.json")["train"]


def _mean_E(value_SE: np.ndarray) -> np.ndarray:
    """Mean of each column over what is there, NaN where there is nothing."""
    known_SE = ~np.isnan(value_SE)
    count_E = known_SE.sum(0)
    total_E = np.where(known_SE, value_SE, 0).sum(0)
    return np.divide(total_E, count_E, out=np.full(value_SE.shape[1], np.nan), where=count_E > 0)


def _half_E(value_SE: np.ndarray) -> np.ndarray:
    """Of the 95 % interval of each column over what is there, NaN below two values."""
    half_E = np.full(value_SE.shape[1], np.nan)
    for e, value_S in enumerate(value_SE.T):
        if (known := ~np.isnan(value_S)).sum() > 1:
            half_E[e] = mean_over_seeds(value_S[known]).half
    return half_E


def _interval(found: SeedMean | None) -> dict | None:
    return None if found is None else {"mean": found.mean, "half": None if math.isnan(found.half) else found.half, "seeds": found.seeds}


def _plain(values: np.ndarray) -> list:
    return [_plain(row) if isinstance(row, np.ndarray) else None if math.isnan(row) else float(row) for row in values]
