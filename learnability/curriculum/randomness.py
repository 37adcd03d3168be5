"""All randomness of the engine: one 64-bit word per sample, purpose and index. A function, not a history."""

import numpy as np

from learnability.errors import InputError

PURPOSES = {
    "order": 0,
    "ties": 1,
    "random_order": 2,
    "pruning": 3,
    "draw": 4,
    "crop": 5,
    "flip": 6,
    "labels": 7,
    "folds": 8,
    "dropout": 9,
}


def words(seed: int, purpose: int, index: int, n: int) -> np.ndarray:
    """Random words (n,) uint64 that depend on (seed, purpose, index) alone; word i belongs to sample id i.

    purpose  one of PURPOSES.values();  index  the epoch, the pass or the step
    A longer draw begins with the shorter one, so a subset keeps its words and nothing depends on what was drawn before.
    Source: Philox4x64-10 (Salmon et al. 2011) as in numpy, whose bit streams are stable (NEP 19).
    """
    if purpose not in PURPOSES.values():
        raise InputError(f"purpose {purpose!r}: expected one of {sorted(PURPOSES.values())}. See learnability.curriculum.PURPOSES.")
    for what, value in (("seed", seed), ("index", index)):
        if not 0 <= value < 2**64:
            raise InputError(f"{what} {value!r}: expected a whole number from 0 to 2^64 - 1.")
    key = np.array([seed, purpose], np.uint64)
    counter = np.array([0, 0, 0, index], np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(n)


def shuffled(seed: int, purpose: int, index: int, n: int) -> np.ndarray:
    """Sample ids 0..n-1 in the order of their words: the one way anything here is shuffled."""
    return np.argsort(words(seed, purpose, index, n), kind="stable")
