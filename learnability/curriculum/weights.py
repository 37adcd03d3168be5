"""Score to drawing probabilities and the weights that make up for them."""

import dataclasses
import math

import numpy as np

from learnability.curriculum.orders import difficulty
from learnability.curriculum.randomness import PURPOSES, words
from learnability.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """How often each sample is drawn, and by what its loss is multiplied so that the mean stays unbiased.

    p_N  (N,) drawing probabilities, sum 1; 0 for a sample without a score
    w_N  (N,) weights 1 / (n p) over the n samples with a score, 0 for the others; sum p w = 1
    """

    p_N: np.ndarray
    w_N: np.ndarray

    @property
    def in_play(self) -> float:
        """1 / sum p^2: on how many samples the draw concentrates, 1..n."""
        return float(1 / np.sum(self.p_N**2))

    @property
    def effective_fraction(self) -> float:
        """1 / sum p w^2: share of a large draw that the weighted mean still uses, 0..1."""
        return float(1 / np.sum(self.p_N * self.w_N**2))

    @property
    def warning(self) -> str | None:
        """A sentence when less than half of a draw is effective, else None."""
        if self.effective_fraction >= 0.5:
            return None
        return (
            f"Only {100 * self.effective_fraction:.0f} % of each draw is effective: a few samples carry most of the weight. "
            f"Lower alpha or the cap."
        )


def importance(difficulty_N: np.ndarray, looks: int, alpha: float = 1.0, cap: float = 10.0) -> Weights:
    """Draw hard samples more often, with the weights that correct for it.

    difficulty_N  (N,) in 0..1, larger is harder: 1 - learnability, or `rank_difficulty`; NaN is never drawn
    looks         E: 1/E is added, so that no sample is impossible
    alpha         0: uniform; 1: proportional to difficulty
    cap           the largest probability is at most `cap` times the smallest (acts on p, so the weights stay exact)
    Weights are unbiased: w = 1 / (N p) (arXiv 1803.00942). A draw used with w = 1 is biased and must be called so.
    """
    difficulty_N = np.asarray(difficulty_N, np.float64)
    known = ~np.isnan(difficulty_N)
    if not known.any() or (difficulty_N[known] < 0).any() or (difficulty_N[known] > 1).any():
        raise InputError("difficulty_N: expected numbers from 0 to 1, at least one. Use 1 - learnability, or rank_difficulty.")
    if not (looks >= 1 and 0 <= alpha < math.inf and 1 <= cap < math.inf):
        raise InputError(
            f"looks {looks}, alpha {alpha}, cap {cap}: expected looks of at least 1, alpha of at least 0, cap of at least 1, all of them "
            "finite. The usual ones are alpha 1 and cap 10."
        )
    hardness = difficulty_N[known] + 1 / looks
    q = (hardness / hardness.max()) ** alpha
    q = np.maximum(q, q.max() / cap)
    p_N, w_N = np.zeros(len(difficulty_N)), np.zeros(len(difficulty_N))
    p_N[known] = q / q.sum()
    w_N[known] = 1 / (known.sum() * p_N[known])
    return Weights(p_N=p_N, w_N=w_N)


def rank_difficulty(score_N: np.ndarray, easy_is: str) -> np.ndarray:
    """Difficulty 0..1 of any score by its mid-rank: (rank - 1/2) / n, larger is harder; NaN stays NaN."""
    from scipy import stats  # slow to import, needed here alone

    difficulty_N = difficulty(score_N, easy_is)
    return (stats.rankdata(difficulty_N, nan_policy="omit") - 0.5) / max(int((~np.isnan(difficulty_N)).sum()), 1)


def weighted_draw(weights: Weights, n: int, seed: int, step: int) -> np.ndarray:
    """Rows (n,) drawn with replacement by `p_N` at this step, from the words of (seed, step)."""
    share = words(seed, PURPOSES["draw"], step, n) / 2.0**64
    cumulated = np.cumsum(weights.p_N)
    return np.searchsorted(cumulated, share * cumulated[-1], side="right").clip(max=int(np.flatnonzero(weights.p_N)[-1]))


def effective_sample_size(w_n: np.ndarray) -> float:
    """(sum w)^2 / sum w^2 over the weights actually drawn: as many equal samples would say as much."""
    w_n = np.asarray(w_n, np.float64)
    return float(w_n.sum() ** 2 / np.sum(w_n**2))
