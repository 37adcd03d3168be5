"""Agreement of groups of runs, each with the ceiling that seeds allow."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from learnability.agreement import bootstrap
from learnability.agreement.bootstrap import Interval
from learnability.agreement.correlation import as_scores, correlations, known, standardised, undefined_because
from learnability.errors import InputError

ONE_SEED = "ceiling unknown: one seed per architecture"
NO_DIFFERENCE = "no difference beyond what seeds do"
NOT_TOLD = "not told: with two seeds the interval knows only these runs; a third seed of each tells"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that differ only in seed: `rows` of a score_RN, one a seed, the seeds all different."""

    name: str
    rows: tuple[int, ...]
    seeds: tuple[int, ...]

    def __post_init__(self):
        if len(self.rows) != len(self.seeds) or len(set(self.seeds)) < len(self.seeds) or not self.seeds:
            raise InputError(f"group {self.name}: expected one run a seed, all seeds different, got seeds {list(self.seeds)}.")

    @property
    def S(self) -> int:
        return len(self.seeds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far the seeds of one group agree: mean correlation over pairs of different seeds, NaN for a single run.

    stepped_up  reliability of the mean over the S seeds (Spearman-Brown)
    pairs       the S(S-1)/2 correlations behind the mean
    """

    group: str
    seeds: int
    value: float
    stepped_up: float
    pairs: tuple[float, ...]
    interval: Interval | None = None
    reason: str | None = None

    def seeds_for(self, target: float = 0.95) -> int | None:
        """Seeds whose mean would reach this reliability, None where that cannot be said."""
        return seeds_needed(self.value, target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cross:
    """How far two groups agree, and how far seeds would let them.

    single_run  mean correlation over all pairs of a run of A and a run of B; belongs to `ceiling` and `ratio`
    seed_mean   correlation of the means over seeds; belongs to `seed_mean_ceiling` and `seed_mean_ratio`
    ratio       disattenuated correlation, single_run / ceiling: may exceed 1
    exact       whether the ceiling is exact (Pearson) or an approximation
    verdict     in words, from the interval of the ratio, where that is over seeds too; None where no interval was asked for
    """

    a: str
    b: str
    single_run: float
    ceiling: float
    ratio: float
    seed_mean: float
    seed_mean_ceiling: float
    seed_mean_ratio: float
    pairs: tuple[float, ...]
    exact: bool
    single_run_interval: Interval | None = None
    ceiling_interval: Interval | None = None
    ratio_interval: Interval | None = None
    verdict: str | None = None
    reason: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """All groups against all, over the N samples that every run saw."""

    kind: str
    N: int
    left_out: int
    groups: tuple[Group, ...]
    reliabilities: tuple[Reliability, ...]
    crosses: tuple[Cross, ...]
    runs: tuple[tuple[float, ...], ...]  # correlation of every run with every other, by rows of score_RN

    def reliability(self, name: str) -> Reliability:
        """The diagonal of the matrix."""
        return next(found for found in self.reliabilities if found.group == name)

    def cross(self, a: str, b: str) -> Cross:
        """Off the diagonal, in either order of the names."""
        return next(found for found in self.crosses if {found.a, found.b} == {a, b})


def agree(
    score_RN: np.ndarray,
    groups: Sequence[Group],
    kind: str = "pearson",
    *,
    replicates: int = 0,
    rng: np.random.Generator | None = None,
) -> Agreement:
    """Reliability of every group and agreement of every pair, each beside its ceiling.

    score_RN    (R, N) scores; a sample that any run never saw (NaN) is left out and counted
    replicates  bootstrap replicates for the intervals (2,000 are usual), 0 for none; tau-b has none
    """
    bootstrap.check_replicates(replicates)
    score_RN = as_scores(score_RN)
    if replicates and rng is None:
        raise InputError("rng: expected a numpy.random.Generator for the bootstrap, got none, for example numpy.random.default_rng(0).")
    if len({group.name for group in groups}) < len(groups):
        raise InputError(f"groups: expected different names, got {[group.name for group in groups]}.")
    seen_N = known(score_RN)
    score_RN = score_RN[:, seen_N]
    r_RR = correlations(score_RN, kind)
    draws = None
    if replicates and kind != "kendall" and score_RN.shape[1] > 1:
        draws = _Draws.make(standardised(score_RN, kind), groups, replicates, rng)
    reliabilities = tuple(_reliability(group, r_RR, score_RN, kind, draws) for group in groups)
    crosses = tuple(
        _cross(a, b, r_RR, score_RN, kind, draws, reliabilities[groups.index(a)], reliabilities[groups.index(b)])
        for a, b in itertools.combinations(groups, 2)
    )
    return Agreement(
        kind=kind,
        N=int(seen_N.sum()),
        left_out=int((~seen_N).sum()),
        groups=tuple(groups),
        reliabilities=reliabilities,
        crosses=crosses,
        runs=tuple(map(tuple, r_RR.tolist())),
    )


def ceiling(r_AA: float, r_BB: float) -> float:
    """sqrt(r_AA r_BB): the agreement that seeds would allow if A and B ordered alike; NaN unless both are above 0."""
    return math.sqrt(r_AA * r_BB) if r_AA > 0 and r_BB > 0 else math.nan


def disattenuated(r_AB: float, r_AA: float, r_BB: float) -> float:
    """r_AB / ceiling, not clipped: above 1 is possible and shown."""
    return r_AB / ceiling(r_AA, r_BB)


def spearman_brown(r: float, k: float) -> float:
    """Reliability of the mean of k seeds, from that of one: k r / (1 + (k-1) r); NaN where that is not defined."""
    divisor = 1 + (k - 1) * r
    return k * r / divisor if divisor else math.nan


def seeds_needed(r: float, target: float = 0.95) -> int | None:
    """Seeds whose mean reaches the target reliability: t(1-r) / (r(1-t)), rounded up; None where r is not in 0..1."""
    if not 0 < target < 1:
        raise InputError(f"target {target!r}: expected a reliability between 0 and 1, for example 0.95.")
    if not 0 < r <= 1:
        return None
    return max(1, math.ceil(target * (1 - r) / (r * (1 - target)) - 1e-9))


def verdict(a: str, b: str, ratio_interval: Interval) -> str:
    """The interval of the disattenuated correlation in words."""
    if math.isnan(ratio_interval.high):
        return f"ceiling unknown: {ratio_interval.reason}"
    if ratio_interval.over == bootstrap.OVER_SAMPLES:
        return NOT_TOLD
    return NO_DIFFERENCE if ratio_interval.high >= 1 else f"{a} and {b} order samples differently"


def seed_mean(score_RN: np.ndarray, group: Group) -> np.ndarray:
    """Mean score over the seeds of a group, (N,)."""
    return score_RN[list(group.rows)].mean(axis=0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Draws:
    """Bootstrap replicates: correlations of all pairs of runs, and drawn seeds for groups that have enough."""

    r_BRR: np.ndarray
    seeds: dict[str, np.ndarray]

    @classmethod
    def make(cls, z_RN: np.ndarray, groups: Sequence[Group], replicates: int, rng: np.random.Generator) -> "_Draws":
        seeds = {group.name: bootstrap.drawn_seeds(group.S, replicates, rng) for group in groups if group.S >= bootstrap.LEAST_SEEDS}
        return cls(r_BRR=bootstrap.replicated_correlations(z_RN, replicates, rng), seeds=seeds)

    def over(self, *groups: Group) -> str:
        return bootstrap.OVER_SEEDS if all(group.name in self.seeds for group in groups) else bootstrap.OVER_SAMPLES

    def counts(self, group: Group, over: str) -> np.ndarray:
        return self.seeds[group.name] if over == bootstrap.OVER_SEEDS else np.ones((len(self.r_BRR), group.S), int)

    def within(self, group: Group, over: str) -> np.ndarray:
        rows = list(group.rows)
        return bootstrap.mean_within(self.r_BRR[:, rows][:, :, rows], self.counts(group, over))

    def across(self, a: Group, b: Group, over: str) -> np.ndarray:
        return bootstrap.mean_across(self.r_BRR[:, list(a.rows)][:, :, list(b.rows)], self.counts(a, over), self.counts(b, over))


def _reliability(group: Group, r_RR: np.ndarray, score_RN: np.ndarray, kind: str, draws: _Draws | None) -> Reliability:
    pairs = [float(r_RR[i, j]) for i, j in itertools.combinations(group.rows, 2)]
    if not pairs:
        return Reliability(group=group.name, seeds=1, value=math.nan, stepped_up=math.nan, pairs=(), reason=ONE_SEED)
    value = float(np.mean(pairs))
    made = None if draws is None else bootstrap.interval(draws.within(group, draws.over(group)), draws.over(group))
    return Reliability(
        group=group.name,
        seeds=group.S,
        value=value,
        stepped_up=spearman_brown(value, group.S),
        pairs=tuple(pairs),
        interval=made,
        reason=_undefined_run([group], score_RN, kind),
    )


def _cross(
    a: Group,
    b: Group,
    r_RR: np.ndarray,
    score_RN: np.ndarray,
    kind: str,
    draws: _Draws | None,
    of_a: Reliability,
    of_b: Reliability,
) -> Cross:
    pairs = r_RR[np.ix_(a.rows, b.rows)].ravel().tolist()
    single_run, top = float(np.mean(pairs)), ceiling(of_a.value, of_b.value)
    means = float(correlations(np.stack([seed_mean(score_RN, a), seed_mean(score_RN, b)]), kind)[0, 1])
    means_top = ceiling(of_a.stepped_up, of_b.stepped_up)
    reason = _undefined_run([a, b], score_RN, kind)
    if reason is None and 1 in (a.S, b.S):
        reason = ONE_SEED
    if reason is None and math.isnan(top):
        reason = "ceiling unknown: a seed reliability is not above 0"
    found = Cross(
        a=a.name,
        b=b.name,
        single_run=single_run,
        ceiling=top,
        ratio=single_run / top,
        seed_mean=means,
        seed_mean_ceiling=means_top,
        seed_mean_ratio=means / means_top,
        pairs=tuple(pairs),
        exact=kind == "pearson",
        reason=reason,
    )
    return found if draws is None else _with_intervals(found, a, b, draws)


def _with_intervals(found: Cross, a: Group, b: Group, draws: _Draws) -> Cross:
    over = draws.over(a, b)
    r_AB = draws.across(a, b, over)
    of_single_run = bootstrap.interval(r_AB, over)
    if found.reason is not None:
        words = found.reason if found.reason.startswith("ceiling unknown") else f"ceiling unknown: {found.reason}"
        return dataclasses.replace(found, single_run_interval=of_single_run, verdict=words)
    r_AA, r_BB = draws.within(a, over), draws.within(b, over)
    top = np.sqrt(np.where((r_AA > 0) & (r_BB > 0), r_AA * r_BB, np.nan))
    of_ratio = bootstrap.interval(r_AB / top, over)
    return dataclasses.replace(
        found,
        single_run_interval=of_single_run,
        ceiling_interval=bootstrap.interval(top, over),
        ratio_interval=of_ratio,
        verdict=verdict(a.name, b.name, of_ratio),
    )


def _undefined_run(groups: Sequence[Group], score_RN: np.ndarray, kind: str) -> str | None:
    for group in groups:
        for row, seed in zip(group.rows, group.seeds, strict=True):
            if why := undefined_because(score_RN[row], kind):
                return f"the score of {group.name}, seed {seed}, is {why}"
    return None
