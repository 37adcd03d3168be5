"""Judging a curriculum: paired differences between arms, and no seed on both sides."""

import dataclasses
import math

import numpy as np

from learnability.errors import InputError

CONTRASTS = {"the order": ("easy_first", "random"), "the pacing": ("random", "standard")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean difference of two arms over S seeds, with its interval mean +- half (NaN below two seeds)."""

    mean: float
    half: float
    seeds: int
    confidence: float

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half


def paired_difference(difference_S: np.ndarray, confidence: float = 0.95) -> PairedDifference:
    """Mean and interval of differences taken within a seed: mean +- t(S-1) sd / sqrt(S), sd with ddof 1."""
    difference_S = np.asarray(difference_S, np.float64)
    if difference_S.ndim != 1 or len(difference_S) == 0 or not np.isfinite(difference_S).all():
        raise InputError(f"difference_S: expected one finite difference a seed, got {difference_S}. Leave unfinished seeds out.")
    S = len(difference_S)
    half = math.nan
    if S > 1:
        from scipy import special  # slow to import, needed here alone

        half = float(special.stdtrit(S - 1, (1 + confidence) / 2) * difference_S.std(ddof=1) / math.sqrt(S))
    return PairedDifference(mean=float(difference_S.mean()), half=half, seeds=S, confidence=confidence)


def check_no_leak(score_seeds, evaluated_seeds) -> None:
    """Refuse scores made by the very seeds that are evaluated on them."""
    both = sorted(set(score_seeds) & set(evaluated_seeds))
    if both:
        raise InputError(
            f"seeds {both}: expected scores from seeds other than those evaluated, got scores from {sorted(set(score_seeds))} for runs of "
            f"{sorted(set(evaluated_seeds))}. Give the evaluated runs --first-seed {max(score_seeds) + 1}."
        )
