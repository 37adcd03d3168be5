"""The readings of forgetting events that papers disagree on. They work on scores, so on what scores.parquet holds."""

from collections.abc import Mapping

import numpy as np

from learnability.errors import InputError

NEVER = ("separate", "E", "inf", "zero")
MIXED = (
    "Samples that were never learned have 0 forgetting events, like those that were never forgotten: a correlation of the counts mixes the "
    "hardest with the easiest. Learnability tells them apart."
)


def forgetting_events(scores: Mapping[str, np.ndarray], E: int, never: str = "separate") -> np.ndarray:
    """Forgetting events with a value for samples that were never learned and so have nothing to forget.

    scores   the columns `forgetting_events` and `never_learned`, (N,) each
    E        looks the scores stand for
    never    "separate" (default): the count stays 0, `never_learned` tells, orders put them last;
             "E" (mtoneva/example_forgetting): the number of looks, so that correlations exist; "inf" (mansheej/data_diet);
             "zero" (PatrickZH/DeepCore, CCS, H-CAT): 0, among the samples that were never forgotten
    """
    if never not in NEVER:
        raise InputError(f"never {never!r}: expected one of {', '.join(NEVER)}.")
    value = {"separate": 0.0, "E": float(E), "inf": np.inf, "zero": 0.0}[never]
    return np.where(scores["never_learned"] == 1, value, scores["forgetting_events"])


def unforgettable(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Learned and never forgotten: (N,) bool. Zero events alone is not enough, and a sample never seen is not among them."""
    return (scores["forgetting_events"] == 0) & (scores["never_learned"] == 0)
