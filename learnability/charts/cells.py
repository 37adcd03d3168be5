"""Cells: the grid of values a score can take, or bins where it takes too many."""

import dataclasses

import numpy as np

MAX_CELLS = 256
BINS = 64


@dataclasses.dataclass(frozen=True)
class Cells:
    """`count` cells of width `step`; `low` is the middle of the first. `exact`: one cell a value."""

    low: float
    step: float
    count: int
    exact: bool

    @property
    def middles(self) -> np.ndarray:
        return self.low + self.step * np.arange(self.count)

    @property
    def span(self) -> tuple[float, float]:
        """Outer edges of the first and the last cell."""
        return self.low - self.step / 2, self.low + self.step * (self.count - 0.5)

    def index(self, values: np.ndarray) -> np.ndarray:
        """Which cell each finite value lies in."""
        return np.clip(np.rint((np.asarray(values, float) - self.low) / self.step), 0, self.count - 1).astype(np.int64)


def cells(values: np.ndarray, *, span: tuple[float, float] | None = None, levels: int | None = None) -> Cells:
    """Cells for `values`. With `span` and `levels` (steps from one end to the other) one cell a value, if there are few enough.

    Without them: one cell a whole number if all are whole and few, else 64 bins over the finite values.
    """
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if span is not None and levels and levels < MAX_CELLS:
        return Cells(span[0], (span[1] - span[0]) / levels, levels + 1, True)
    if not len(finite):
        return Cells(0.0, 1.0, 1, False)
    low, high = (float(finite.min()), float(finite.max())) if span is None else span
    if span is None and high - low < MAX_CELLS and (finite == np.rint(finite)).all():
        return Cells(low, 1.0, int(high - low) + 1, True)
    step = (high - low) / BINS or 1.0
    return Cells(low + step / 2, step, BINS, False)


def counts(x: np.ndarray, y: np.ndarray, across: Cells, up: Cells) -> np.ndarray:
    """(up.count, across.count) number of samples in each cell; samples with NaN in either are left out."""
    known = np.isfinite(x) & np.isfinite(y)
    flat = up.index(y[known]) * across.count + across.index(x[known])
    return np.bincount(flat, minlength=across.count * up.count).reshape(up.count, across.count)


def jitter(sample_ids: np.ndarray, seed: int) -> np.ndarray:
    """Offsets in -1/2..1/2, one a sample, the same whenever that sample is drawn."""
    if not len(sample_ids):
        return np.zeros(0)
    table = np.random.Generator(np.random.Philox(key=[seed, 0x1EA2])).random(int(np.max(sample_ids)) + 1)
    return table[sample_ids] - 0.5
