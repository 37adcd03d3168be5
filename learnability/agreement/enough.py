"""How many epochs and how many seeds are enough, read off one group of runs."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np

from learnability.agreement.correlation import as_scores, correlations, known
from learnability.agreement.groups import ONE_SEED, spearman_brown
from learnability.errors import InputError

SEEDS = (1, 2, 3, 5, 10)
TOLERANCE = 0.01
HALVINGS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedStep:
    """Reliability of the mean of k seeds: by Spearman-Brown from single runs, and measured where the seeds can be split."""

    k: int
    predicted: float
    measured: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Enough:
    """Curves over the first e looks. Early looks measure speed, late ones memorisation: a prefix is another score.

    looks        the e of the curves
    reliability  seed reliability of the score over the first e looks
    others       correlation of one seed's prefix score with the mean over all looks of the other seeds
    final        mean over the seeds of the correlation of a run's prefix score with its own score over all looks: says when the
                 score stops moving, nothing of what another training would give
    enough       smallest e from which on the reliability is within 0.01 of that of all looks; None for a single seed
    settled      smallest e from which on `final` is at least 0.99
    seeds        reliability of means over k seeds, all looks
    """

    kind: str
    N: int
    S: int
    looks: tuple[int, ...]
    reliability: tuple[float, ...]
    others: tuple[float, ...]
    final: tuple[float, ...]
    enough: int | None
    settled: int | None
    seeds: tuple[SeedStep, ...]
    reason: str | None = None

    @property
    def best(self) -> int | None:
        """The e after which seeds agreed best, where they agree less since, by more than 0.01; else None."""
        e, r = max(zip(self.looks, self.reliability, strict=True), key=lambda one: -math.inf if math.isnan(one[1]) else one[1])
        return e if r > self.reliability[-1] + TOLERANCE else None


def prefixes(E: int) -> tuple[int, ...]:
    """1, 2, 3, 5, 8, 13, ... and E itself."""
    if E < 1:
        raise InputError(f"E {E!r}: expected at least one look.")
    steps, following = [1], 2
    while following < E:
        steps.append(following)
        following = sum(steps[-2:])
    return (*steps, E) if E > 1 else (1,)


def enough_looks_and_seeds(
    prefix_score: Callable[[int], np.ndarray] | np.ndarray, E: int, rng: np.random.Generator, kind: str = "pearson"
) -> Enough:
    """Reliability of one group over growing prefixes of its looks.

    prefix_score  e -> (S, N) scores over the first e looks, one row a seed; or all of them at once, (S, e, N) for e in prefixes(E)
    """
    looks = prefixes(E)
    if not callable(prefix_score):
        score_SeN = as_scores(prefix_score)
        if score_SeN.ndim != 3 or score_SeN.shape[1] != len(looks):
            raise InputError(f"prefix scores: expected (S, {len(looks)}, N) for the first {looks} looks, got {score_SeN.shape}.")
        prefix_score = dict(zip(looks, score_SeN.transpose(1, 0, 2), strict=True)).__getitem__
    whole_SN = as_scores(prefix_score(E))
    S, seen_N = len(whole_SN), known(whole_SN)
    whole_SN = whole_SN[:, seen_N]
    reliability, others, final = [], [], []
    for e in looks:
        prefix_SN = whole_SN if e == E else as_scores(prefix_score(e))[:, seen_N]
        reliability.append(_mean_of_pairs(prefix_SN, kind))
        others.append(_with_others(prefix_SN, whole_SN, kind))
        final.append(_with_own(prefix_SN, whole_SN, kind))
    return Enough(
        kind=kind,
        N=int(seen_N.sum()),
        S=S,
        looks=looks,
        reliability=tuple(reliability),
        others=tuple(others),
        final=tuple(final),
        enough=_from_then_on(looks, [abs(r - reliability[-1]) <= TOLERANCE for r in reliability]),
        settled=_from_then_on(looks, [r >= 1 - TOLERANCE for r in final]),
        seeds=tuple(SeedStep(k=k, predicted=spearman_brown(reliability[-1], k), measured=_measured(whole_SN, k, kind, rng)) for k in SEEDS),
        reason=ONE_SEED if S < 2 else None,
    )


def last_worthwhile_seed(r: float, gain: float = TOLERANCE) -> int | None:
    """Number of seeds from which one more raises the reliability of their mean by less than `gain`; None where r is not in 0..1."""
    if not 0 < r <= 1:
        return None
    return next(k for k in itertools.count(1) if spearman_brown(r, k + 1) - spearman_brown(r, k) < gain)


def _mean_of_pairs(score_SN: np.ndarray, kind: str) -> float:
    pairs = correlations(score_SN, kind)[np.triu_indices(len(score_SN), 1)]
    return float(pairs.mean()) if len(pairs) else math.nan


def _with_others(prefix_SN: np.ndarray, whole_SN: np.ndarray, kind: str) -> float:
    """Mean over seeds of the correlation of one's prefix with the mean of the others' whole score; NaN for one seed."""
    S = len(whole_SN)
    if S < 2:
        return math.nan
    total_N = whole_SN.sum(axis=0)
    pairs = (np.stack([prefix_SN[s], (total_N - whole_SN[s]) / (S - 1)]) for s in range(S))
    seen = (pair_2N[:, known(pair_2N)] for pair_2N in pairs)
    return float(np.mean([correlations(pair_2N, kind)[0, 1] for pair_2N in seen]))


def _with_own(prefix_SN: np.ndarray, whole_SN: np.ndarray, kind: str) -> float:
    """Mean over seeds of the correlation of a run's prefix with its own whole score."""
    pairs = (np.stack(pair)[:, known(np.stack(pair))] for pair in zip(prefix_SN, whole_SN, strict=True))
    return float(np.mean([correlations(pair_2N, kind)[0, 1] for pair_2N in pairs]))


def _from_then_on(looks: tuple[int, ...], good: list[bool]) -> int | None:
    """The first look from which on all are good."""
    after = len(good) - next((i for i, one in enumerate(reversed(good)) if not one), len(good))
    return looks[after] if after < len(looks) else None


def _measured(score_SN: np.ndarray, k: int, kind: str, rng: np.random.Generator) -> float | None:
    """Mean correlation of the means of two disjoint sets of k seeds, None with fewer than 2 k seeds."""
    S = len(score_SN)
    if 2 * k > S:
        return None
    if k == 1:
        return _mean_of_pairs(score_SN, kind)
    if math.comb(S, k) * math.comb(S - k, k) // 2 <= HALVINGS:
        sets = itertools.combinations(range(S), k)
        halves = [(a, b) for a in sets for b in itertools.combinations(range(a[0] + 1, S), k) if not set(a) & set(b)]
    else:
        halves = [np.split(rng.permutation(S)[: 2 * k], 2) for _ in range(HALVINGS)]
    return float(np.mean([correlations(np.stack([score_SN[list(half)].mean(axis=0) for half in pair]), kind)[0, 1] for pair in halves]))
