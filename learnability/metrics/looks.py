"""Rows of a recording, look by look: what the formulas of the metrics share, worked out once."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from learnability.recording import Recording

CELLS = 2**16  # samples x looks worked on at a time: half a MiB of float64, so that it stays in the cache of a core

FLOAT16 = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float64)  # every float16 by its bits: a look-up beats a conversion


class Looks:
    """Rows of a recording with at least one look; arrays are (E, n), one look after the other, as they lie on disk.

    Only looks that saw a sample count for it. Numbers are float64; those of a sample never seen mean nothing.
    """

    def __init__(self, recording: Recording):
        self.recording = recording
        self.E = recording.E
        self.look_E1 = np.arange(self.E, dtype=np.int32)[:, None]
        self.seen_En = np.ascontiguousarray(recording.seen_NE.T)
        looks_n = count(self.seen_En)
        self.all_seen = bool((looks_n == self.E).all())
        self.never_seen_n = looks_n == 0
        self.seen_n = np.maximum(looks_n, 1)  # a divisor
        self.first_seen_n = np.where(self.seen_En, self.look_E1, self.E - 1).min(axis=0)

    @functools.cached_property
    def prediction_En(self) -> np.ndarray:
        """Class predicted. A look that did not see the sample repeats the last that did; before the first, that one."""
        prediction_En = np.array(self.recording.prediction_NE.T, order="C")
        if not self.all_seen:
            prediction_En[0] = np.take_along_axis(prediction_En, self.first_seen_n[None], axis=0)
            for e in range(1, self.E):
                np.copyto(prediction_En[e], prediction_En[e - 1], where=~self.seen_En[e])
        return prediction_En

    @functools.cached_property
    def hit_En(self) -> np.ndarray:
        """bool, prediction equals label; unseen looks repeat as in `prediction_En`, so that no event happens there."""
        return self.prediction_En == self.recording.labels_N

    @functools.cached_property
    def wrong_En(self) -> np.ndarray:
        """bool, looks that saw the sample and were wrong."""
        return self.seen_En & ~self.hit_En

    @functools.cached_property
    def hits_n(self) -> np.ndarray:
        """Number of looks that saw the sample and were right."""
        return count(self.hit_En & self.seen_En)

    @functools.cached_property
    def loss_En(self) -> np.ndarray:
        return self.signal("loss")

    @functools.cached_property
    def p_En(self) -> np.ndarray:
        """Probability of the label."""
        return np.exp(-self.loss_En)

    @functools.cached_property
    def wrong_class(self) -> tuple[np.ndarray, np.ndarray]:
        """(class_n, count_n) of the most frequent wrong prediction."""
        return wrong_class([self])

    def signal(self, name: str) -> np.ndarray:
        """A signal as float64; where the sample was not seen it may hold anything."""
        signal_En = getattr(self.recording, f"{name}_NE").T
        if signal_En.dtype == np.float16:
            return FLOAT16[signal_En.view(np.uint16)]
        return signal_En.astype(np.float64, order="C")

    def mean(self, value_En: np.ndarray) -> np.ndarray:
        """Mean over the looks that saw the sample."""
        return self._kept(value_En).sum(axis=0) / self.seen_n

    def deviation(self, value_En: np.ndarray) -> np.ndarray:
        """Standard deviation (ddof 0) over the looks that saw the sample."""
        difference_En = self._kept(value_En - self.mean(value_En))
        return np.sqrt(np.einsum("en,en->n", difference_En, difference_En) / self.seen_n)

    def first(self, true_En: np.ndarray) -> np.ndarray:
        """First look (its own index) at which it is true, E where it never is."""
        return np.maximum(np.where(true_En, self.look_E1, self.E).min(axis=0), self.first_seen_n)

    def after_last(self, true_En: np.ndarray) -> np.ndarray:
        """First look (its own index) after the last one at which it is true: E where it is true to the end."""
        return np.maximum(np.where(true_En, self.look_E1 + 1, 0).max(axis=0), self.first_seen_n)

    def _kept(self, value_En: np.ndarray) -> np.ndarray:
        return value_En if self.all_seen else np.where(self.seen_En, value_En, 0)


def wrong_class(several: Sequence[Looks]) -> tuple[np.ndarray, np.ndarray]:
    """(class_n, count_n) of the most frequent wrong class over the looks of all; -1 and 0 where no prediction was wrong.

    Each wrong prediction becomes one number, class above look; sorted, a class is a stretch of neighbours, its last look at the end.
    Of the stretches of a sample the longest wins, then the one that ends later, then the lowest class.
    """
    bits = max(looks.E for looks in several).bit_length()
    class_bits = max(looks.recording.K for looks in several).bit_length()
    integer = np.int32 if class_bits + bits < 32 else np.int64  # half the width sorts in half the time
    wrong = [np.where(looks.wrong_En, looks.prediction_En.astype(integer) << bits | looks.look_E1, integer(-1)) for looks in several]
    key_nX = np.sort(np.ascontiguousarray(np.concatenate(wrong).T), axis=1)
    begins_nX = np.ones(key_nX.shape, bool)
    begins_nX[:, 1:] = (key_nX[:, 1:] >> bits) != (key_nX[:, :-1] >> bits)
    begin_s = np.flatnonzero(begins_nX)
    end_s = np.append(begin_s[1:], key_nX.size)
    key_s = key_nX.ravel()[end_s - 1].astype(np.int64)
    rank_s = ((end_s - begin_s) << bits | key_s & (1 << bits) - 1) << class_bits | (1 << class_bits) - 1 - (key_s >> bits)
    best_n = np.maximum.reduceat(np.where(key_s < 0, -1, rank_s), np.searchsorted(begin_s, np.arange(len(key_nX)) * key_nX.shape[1]))
    class_n = (1 << class_bits) - 1 - (best_n & (1 << class_bits) - 1)
    return np.where(best_n < 0, -1, class_n), np.where(best_n < 0, 0, best_n >> bits + class_bits)


def count(true_En: np.ndarray) -> np.ndarray:
    """At how many looks it is true."""
    return np.count_nonzero(true_En, axis=0)


def chunks(N: int, E: int) -> Iterator[slice]:
    """The rows 0..N-1 in slices of about CELLS samples x looks."""
    step = max(1, CELLS // max(E, 1))
    return (slice(start, min(start + step, N)) for start in range(0, N, step))
