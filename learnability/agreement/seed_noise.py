"""Hard for all, hard for one: which differences between two groups are larger than what seeds do."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from learnability.agreement.correlation import as_scores, known, mid_ranks
from learnability.agreement.groups import Group, seed_mean
from learnability.errors import InputError

QUADRANTS = ("hard for both", "easy for both", "hard for A only", "hard for B only", "not told apart from seed noise")
BINS = 50
SPLITS = 30
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Quadrants:
    """Where each sample stands in a pair of groups.

    quadrant_N     (N,) index into QUADRANTS, -1 for a sample that some run never saw. "Only" needs a difference beyond
                   seed noise; without one the sample is "not told apart from seed noise", never "equal"
    a_N, b_N       mean score over the seeds (after the level was removed, if it was)
    p_N            p value of the difference, adjusted_N  the same after Benjamini-Hochberg; NaN where there is no test
    significant_N  adjusted <= q and a difference of at least `least`
    """

    a: str
    b: str
    N: int
    seeds_a: int
    seeds_b: int
    threshold: float
    least: float
    q: float
    level_removed: bool
    splits: int
    quadrant_N: np.ndarray
    a_N: np.ndarray
    b_N: np.ndarray
    p_N: np.ndarray
    adjusted_N: np.ndarray
    significant_N: np.ndarray
    reason: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each quadrant, A and B replaced by their names."""
        count = np.bincount(self.quadrant_N[self.quadrant_N >= 0], minlength=len(QUADRANTS)).tolist()
        names = {"hard for A only": f"hard for {self.a} only", "hard for B only": f"hard for {self.b} only"}
        return {names.get(name, name): n for name, n in zip(QUADRANTS, count, strict=True)}


def quadrants(
    score_RN: np.ndarray,
    groups: Sequence[Group],
    grain: float,
    rng: np.random.Generator,
    *,
    threshold: float = 0.5,
    least: float = 0.1,
    q: float = 0.05,
    remove_level: bool = False,
) -> tuple[Quadrants, ...]:
    """The quadrants of every pair of groups, tested together.

    score_RN   (R, N) scores in which larger is easier
    grain      smallest step of the score: 1/E for learnability
    threshold  hard means a mean score below it (0.5: missed at most looks);  least  the smallest difference that matters
    remove_level  map every run to the pooled distribution first: a weaker architecture misses more everywhere
    """
    score_RN = as_scores(score_RN)
    seen_N = known(score_RN)
    kept_RN = level_removed(score_RN[:, seen_N]) if remove_level else score_RN[:, seen_N]
    tests = [(a, b, *tested(kept_RN, a, b, grain, rng)) for a, b in itertools.combinations(groups, 2)]
    defined = [p_n for *_, p_n, splits in tests if splits]
    adjusted = iter(np.split(benjamini_hochberg(np.concatenate(defined)), len(defined)) if defined else [])
    made = []
    for a, b, p_n, splits in tests:
        adjusted_n = next(adjusted) if splits else p_n
        a_n, b_n = seed_mean(kept_RN, a), seed_mean(kept_RN, b)
        significant_n = (adjusted_n <= q) & (np.abs(a_n - b_n) >= least - ROUNDING)
        quadrant_n = _placed(a_n < threshold - ROUNDING, b_n < threshold - ROUNDING, significant_n)
        made.append(
            Quadrants(
                a=a.name,
                b=b.name,
                N=int(seen_N.sum()),
                seeds_a=a.S,
                seeds_b=b.S,
                threshold=threshold,
                least=least,
                q=q,
                level_removed=remove_level,
                splits=splits,
                quadrant_N=spread(quadrant_n, seen_N, -1),
                a_N=spread(a_n, seen_N, np.nan),
                b_N=spread(b_n, seen_N, np.nan),
                p_N=spread(p_n, seen_N, np.nan),
                adjusted_N=spread(adjusted_n, seen_N, np.nan),
                significant_N=spread(significant_n, seen_N, False),
                reason=None if splits else _untested(a, b),
            )
        )
    return tuple(made)


def hard_samples(score_SN: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """One group alone: (N,) bool, mean score over the seeds below the threshold. A sample some run never saw is not hard."""
    return as_scores(score_SN).mean(axis=0) < threshold - ROUNDING


def benjamini_hochberg(p_N: np.ndarray) -> np.ndarray:
    """p values adjusted for the false discovery rate, (N,): q at which each would be found."""
    p_N = np.asarray(p_N, np.float64)
    n = len(p_N)
    order = np.argsort(p_N, kind="stable")
    scaled = p_N[order] * n / np.arange(1, n + 1)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return adjusted


def level_removed(score_RN: np.ndarray) -> np.ndarray:
    """Every run mapped, by mid-rank, to the pooled distribution of all runs, (R, N)."""
    R, N = score_RN.shape
    pooled = np.sort(score_RN, axis=None)
    place = (np.arange(R * N) + 0.5) / (R * N)
    return np.stack([np.interp((mid_ranks(score_N) - 0.5) / N, place, pooled) for score_N in score_RN])


def noise_variance(a_SN: np.ndarray, b_SN: np.ndarray, grain: float) -> np.ndarray:
    """Between-seed variance of A and of B over samples with a similar mean, (2, N), never the sample's own alone.

    Each from two seeds or more, averaged in 50 bins of the samples sorted by (m_A + m_B)/2, at least grain^2 / 12. Not pooled: with
    unequal seeds a noisier group of few would be called different. Samples with the same mean share their variance, so the order
    of samples changes nothing.
    """
    middle_N = (a_SN.mean(axis=0) + b_SN.mean(axis=0)) / 2
    middle, tie_N, count = np.unique(np.round(middle_N, 12), return_inverse=True, return_counts=True)
    order = np.argsort(tie_N, kind="stable")
    binned_2N = np.empty((2, len(middle_N)))
    for binned_N, own_N in zip(binned_2N, (a_SN.var(axis=0, ddof=1), b_SN.var(axis=0, ddof=1)), strict=True):
        shared_N = (np.bincount(tie_N, weights=own_N) / count)[tie_N]
        for rows in np.array_split(order, min(BINS, len(order))):
            binned_N[rows] = shared_N[rows].mean() if len(rows) else 0
        binned_N[:] = (np.bincount(tie_N, weights=binned_N, minlength=len(middle)) / count)[tie_N]
    return np.maximum(binned_2N, grain**2 / 12)


def balanced_splits(S_A: int, S_B: int, rng: np.random.Generator, most: int = SPLITS) -> list[tuple[int, ...]]:
    """Runs (0..S_A-1 of A, then those of B) that stand for A in each relabelling: the most balanced other splits.

    All of them up to `most`, else `most` drawn ones. Nine for 3 + 3. None for 1 + 1.
    """
    least = max(0, S_A - S_B)
    if S_A == S_B:
        least = max(1, (S_A + 1) // 2)  # the others are the same splits with the names exchanged
    imbalance = {k: abs(k / S_A - (S_A - k) / S_B) for k in range(least, S_A)}
    if not imbalance:
        return []
    best = [k for k, value in imbalance.items() if value <= min(imbalance.values()) + ROUNDING]
    mirrored = S_A == S_B and S_A % 2 == 0
    total = sum(math.comb(S_A, k) * math.comb(S_B, S_A - k) for k in best) // (2 if mirrored else 1)
    if total <= most:
        return [
            (*of_a, *of_b)
            for k in best
            for of_a in itertools.combinations(range(S_A), k)
            for of_b in itertools.combinations(range(S_A, S_A + S_B), S_A - k)
            if not mirrored or 0 in of_a
        ]
    chances = np.array([math.comb(S_A, k) * math.comb(S_B, S_A - k) for k in best], float)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < most:
        k = best[int(rng.choice(len(best), p=chances / chances.sum()))]
        of_a = sorted(rng.choice(S_A, k, replace=False).tolist())
        of_b = sorted((S_A + rng.choice(S_B, S_A - k, replace=False)).tolist())
        if mirrored and 0 not in of_a:
            of_a, of_b = sorted(set(range(S_A)) - set(of_a)), sorted(set(range(S_A, S_A + S_B)) - set(of_b))
        drawn[(*of_a, *of_b)] = None
    return list(drawn)


def split_statistics(run_RN: np.ndarray, chosen: Sequence[int], variance_RN: np.ndarray) -> np.ndarray:
    """|t| of every sample when the chosen runs stand for A, the others for B, (N,); every run with the variance of its own group."""
    chosen = list(chosen)
    others = [row for row in range(len(run_RN)) if row not in chosen]
    difference_N = run_RN[chosen].mean(axis=0) - run_RN[others].mean(axis=0)
    of_means_N = variance_RN[chosen].sum(axis=0) / len(chosen) ** 2 + variance_RN[others].sum(axis=0) / len(others) ** 2
    return np.abs(difference_N) / np.sqrt(of_means_N)


def relabelled_p(run_RN: np.ndarray, S_A: int, variance_RN: np.ndarray, splits: Sequence[Sequence[int]]) -> np.ndarray:
    """p of each sample, (N,): (1 + null |t| as large) / (1 + size of the null), the null pooled over samples and splits."""
    t_N = split_statistics(run_RN, range(S_A), variance_RN)
    order = np.argsort(t_N, kind="stable")
    reached = np.zeros(len(t_N) + 1, np.int64)
    for chosen in splits:
        null_N = split_statistics(run_RN, chosen, variance_RN) * (1 + ROUNDING) + ROUNDING
        reached += np.bincount(np.searchsorted(t_N[order], null_N, side="right"), minlength=len(reached))
    as_large = len(splits) * len(t_N) - np.cumsum(reached)[:-1]
    p_N = np.empty(len(t_N))
    p_N[order] = (1 + as_large) / (1 + len(splits) * len(t_N))
    return p_N


def tested(score_RN: np.ndarray, a: Group, b: Group, grain: float, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """p values of one pair and the number of relabellings behind them (0: no test, p NaN; so with a single run on a side)."""
    if grain <= 0:
        raise InputError(f"grain {grain!r}: expected the smallest step of the score, above 0; 1/E for learnability.")
    if min(a.S, b.S) < 2 or not score_RN.shape[1]:  # the noise of a single run is unknown, and that of the others says nothing of it
        return np.full(score_RN.shape[1], np.nan), 0
    splits = balanced_splits(a.S, b.S, rng)
    a_SN, b_SN = score_RN[list(a.rows)], score_RN[list(b.rows)]
    variance_RN = np.repeat(noise_variance(a_SN, b_SN, grain), [a.S, b.S], axis=0)
    return relabelled_p(np.concatenate([a_SN, b_SN]), a.S, variance_RN, splits), len(splits)


def _untested(a: Group, b: Group) -> str:
    single = [group.name for group in (a, b) if group.S < 2]
    if not single:
        return "no sample that every run saw"
    return f"seed noise unknown: {'one seed per architecture' if len(single) == 2 else f'{single[0]} has one seed'}"


def _placed(hard_a_n: np.ndarray, hard_b_n: np.ndarray, significant_n: np.ndarray) -> np.ndarray:
    return np.select([hard_a_n & hard_b_n, ~hard_a_n & ~hard_b_n, hard_a_n & significant_n, hard_b_n & significant_n], [0, 1, 2, 3], 4)


def spread(value_n: np.ndarray, seen_N: np.ndarray, fill) -> np.ndarray:
    """Values of the samples seen by all runs, among all N."""
    value_N = np.full(len(seen_N), fill, value_n.dtype if value_n.dtype.kind != "i" else np.int64)
    value_N[seen_N] = value_n
    return value_N
