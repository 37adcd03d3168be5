"""Judging a curriculum: arms over seeds, paired differences between them, and no seed on both sides."""

import dataclasses
import math

import numpy as np

from learnability.errors import InputError

CONTRASTS = {"the order": ("easy_first", "random"), "the pacing": ("random", "standard")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedMean:
    """A mean over S seeds, with its interval mean +- half (NaN below two seeds)."""

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

    @property
    def holds_zero(self) -> bool:
        """Whether 0 lies in the interval; True where there is none."""
        return not (self.low > 0 or self.high < 0)


def mean_over_seeds(value_S: np.ndarray, confidence: float = 0.95) -> SeedMean:
    """Mean and interval of one value a seed: mean +- t(S-1) sd / sqrt(S), sd with ddof 1."""
    value_S = np.asarray(value_S, np.float64)
    if value_S.ndim != 1 or len(value_S) == 0 or not np.isfinite(value_S).all():
        raise InputError(f"value_S: expected one finite value a seed, got {value_S}. Leave unfinished seeds out.")
    S = len(value_S)
    half = math.nan
    if S > 1:
        from scipy import special  # slow to import, needed here alone

        half = float(special.stdtrit(S - 1, (1 + confidence) / 2) * value_S.std(ddof=1) / math.sqrt(S))
    return SeedMean(mean=float(value_S.mean()), half=half, seeds=S, confidence=confidence)


def paired_difference(difference_S: np.ndarray, confidence: float = 0.95) -> SeedMean:
    """Mean and interval of differences of two arms that were taken within a seed: the same first weights on both sides."""
    difference_S = np.asarray(difference_S, np.float64)
    if difference_S.ndim != 1 or len(difference_S) == 0 or not np.isfinite(difference_S).all():
        raise InputError(f"difference_S: expected one finite difference a seed, got {difference_S}. Leave unfinished seeds out.")
    return mean_over_seeds(difference_S, confidence)


def time_to_accuracy(accuracy_SE: np.ndarray, step_E: np.ndarray, target: float) -> np.ndarray:
    """(S,) updates after which each seed first reached `target`, NaN for one that never did; as fine as the looks are apart."""
    reached_SE = np.asarray(accuracy_SE, np.float64) >= target  # NaN is not reached
    return np.where(reached_SE.any(1), np.asarray(step_E, np.float64)[reached_SE.argmax(1)], np.nan)


def check_no_leak(score_seeds, evaluated_seeds) -> None:
    """Refuse scores made by the very seeds that are evaluated on them."""
    both = sorted(set(score_seeds) & set(evaluated_seeds))
    if both:
        raise InputError(
            f"seeds {both}: expected scores from seeds other than those evaluated, got scores from {sorted(set(score_seeds))} for runs of "
            f"{sorted(set(evaluated_seeds))}. Give the evaluated runs --first-seed {max(score_seeds) + 1}."
        )
