"""Hard for every network, hard for one alone: all groups against all, tested together against what seeds do."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from learnability.agreement.correlation import as_scores, known
from learnability.agreement.groups import Group, seed_mean
from learnability.agreement.seed_noise import ROUNDING, benjamini_hochberg, level_removed, spread, tested
from learnability.errors import InputError

EVERY, EASY, SOME = "every network", "no network", "some, not told apart from seed noise"


def only(name: str) -> str:
    """What a sample is called that is hard for the group `name` alone."""
    return f"only {name}"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HardFor:
    """For whom each sample is hard: a mean score below `threshold`, missed at most looks.

    place_N   (N,) index into `places`, -1 for a sample that some run never saw
    only_N    (N,) the group a sample is hard for alone: hard for it, for no other group, and different from each of them beyond
              seed noise (false discoveries at most q, over all samples and groups) by at least `least`; else -1
    testable  for each group whether seeds let it be told apart from every other one: two runs or more of it and of each
    """

    names: tuple[str, ...]
    seeds: tuple[int, ...]
    N: int
    threshold: float
    least: float
    q: float
    place_N: np.ndarray
    only_N: np.ndarray
    adjusted_GN: np.ndarray
    testable: tuple[bool, ...]

    @property
    def places(self) -> tuple[str, ...]:
        """Hard for: every network, no network, each one alone, some."""
        return (EVERY, EASY, *map(only, self.names), SOME)

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each place."""
        count = np.bincount(self.place_N[self.place_N >= 0], minlength=len(self.places))
        return dict(zip(self.places, count.tolist(), strict=True))

    @property
    def untold(self) -> str | None:
        """What single runs do not allow to say, and what would; None where every group has two runs or more."""
        single = [name for name, seeds in zip(self.names, self.seeds, strict=True) if seeds == 1]
        if not single:
            return None
        return (
            f"Nothing can be called hard for one network alone: how far a second run of {' or '.join(single)} would differ is unknown. "
            f"It takes a second seed of {' and of '.join(single)}."
        )

    def rows(self, place: str) -> np.ndarray:
        """(N,) bool, the samples of a place."""
        if place not in self.places:
            raise InputError(f"hard for {place!r}: expected one of {', '.join(self.places)}.")
        return self.place_N == self.places.index(place)


def hit_shares(score_SN: np.ndarray, looks: Sequence[int]) -> np.ndarray:
    """Learnability as hits over looks again, (S, N): stored in single precision, a half may lie just below the border of one half."""
    score_SN, looks_S1 = as_scores(score_SN), np.array(looks, float)[:, None]
    whole_SN = np.rint(score_SN * looks_S1) / looks_S1
    return np.where(np.abs(whole_SN - score_SN) < 1e-6, whole_SN, score_SN)


def hard_for(
    score_RN: np.ndarray,
    groups: Sequence[Group],
    grain: float,
    rng: np.random.Generator,
    *,
    threshold: float = 0.5,
    least: float = 0.1,
    q: float = 0.05,
    remove_level: bool = False,
) -> HardFor:
    """For whom each sample is hard, among all groups.

    score_RN  (R, N) scores in which larger is easier;  grain  smallest step of the score, 1/E for learnability

    "Only" is a claim against every other group, so its p value is the largest of that group's pairs (an intersection-union
    test), adjusted once over all samples and groups. With two groups this is the test of `quadrants`.
    """
    score_RN = as_scores(score_RN)
    seen_N = known(score_RN)
    kept_RN = level_removed(score_RN[:, seen_N]) if remove_level else score_RN[:, seen_N]
    G, n = len(groups), kept_RN.shape[1]
    mean_Gn = np.stack([seed_mean(kept_RN, group) for group in groups])
    p_GGn = np.zeros((G, G, n))
    for a, b in itertools.combinations(range(G), 2):
        p_GGn[a, b], splits = tested(kept_RN, groups[a], groups[b], grain, rng)
        p_GGn[b, a] = p_GGn[a, b] if splits else np.nan
    p_Gn = p_GGn.max(axis=1)
    testable = tuple(G > 1 and not np.isnan(p_n).any() and n > 0 for p_n in p_Gn)
    adjusted_Gn = np.full((G, n), np.nan)
    if any(testable):
        adjusted_Gn[list(testable)] = benjamini_hochberg(p_Gn[list(testable)].ravel()).reshape(-1, n)
    hard_Gn = mean_Gn < threshold - ROUNDING
    alone_n = np.where(hard_Gn.sum(axis=0) == 1, hard_Gn.argmax(axis=0), -1)
    if G > 1:
        rows = np.arange(n)
        others_Gn = np.where(np.arange(G)[:, None] == alone_n, np.inf, mean_Gn)
        apart_n = others_Gn.min(axis=0) - mean_Gn[alone_n, rows] >= least - ROUNDING
        alone_n = np.where(apart_n & (adjusted_Gn[alone_n, rows] <= q), alone_n, -1)
    else:
        alone_n = np.full(n, -1)
    place_n = np.select([hard_Gn.all(axis=0), ~hard_Gn.any(axis=0), alone_n >= 0], [0, 1, 2 + alone_n], 2 + G)
    return HardFor(
        names=tuple(group.name for group in groups),
        seeds=tuple(group.S for group in groups),
        N=n,
        threshold=threshold,
        least=least,
        q=q,
        place_N=spread(place_n, seen_N, -1),
        only_N=spread(alone_n, seen_N, -1),
        adjusted_GN=np.stack([spread(adjusted_n, seen_N, np.nan) for adjusted_n in adjusted_Gn]),
        testable=testable,
    )
