"""Every score of one sample, with where it stands among the others.

Of a small data set the scores themselves are kept in memory, as everywhere. Of a large one all of them together would take gigabytes:
there a score is kept as the shares of samples at or below 4,096 of its values, and the sample's own values are read from the disk.
"""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import streamlit as st

from learnability.metrics import METRICS
from learnability.store import scores
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import data, details, listing, scored, state, words
from ui.series import Series, standing

STEPS = 4096  # values kept of a score


@dataclasses.dataclass(frozen=True, eq=False)
class Spread:
    """How a score is spread: `below` and `upto` are the shares of samples below and at or below each of `values` (rising)."""

    values: np.ndarray
    below: np.ndarray
    upto: np.ndarray

    @classmethod
    def of(cls, score_N: np.ndarray) -> "Spread":
        known = np.sort(score_N[np.isfinite(score_N)])
        last = np.flatnonzero(np.r_[known[1:] != known[:-1], True]) if len(known) else np.zeros(0, np.int64)
        first = np.r_[0, last[:-1] + 1] if len(last) else last
        if len(last) > STEPS:
            some = np.linspace(0, len(last) - 1, STEPS).round().astype(np.int64)
            first, last = first[some], last[some]
        return cls(known[last], first / max(len(known), 1), (last + 1) / max(len(known), 1))

    def around(self, value: float) -> tuple[float, float]:
        """(share of samples below, share above) a value."""
        at = int(np.searchsorted(self.values, value))
        if at == len(self.values):
            return 1.0, 0.0
        return float(self.below[at]), 1.0 - float(self.upto[at] if self.values[at] == value else self.below[at])


def of_sample(
    now: state.State, found: list[Run], made: Series, sample_id: int, metrics: list[str]
) -> list[tuple[str, float, str]]:  # fmt: skip
    """(metric, value, where it stands in words) of those of the metrics that the runs have; names of classes are left out."""
    metrics = [metric for metric in metrics if words.metric_named(metric).easy_is != "none"]
    spreads, values = {}, {}
    if len(made.sample_ids_N) > scored.LARGE and len(made.runs) == len(made.score_RN):
        root, tokens = str(data.cache().root), tuple((run.data, run.id, scored.token(run)) for run in made.runs)
        spreads, values = spread(root, tokens), _row(root, tokens, sample_id)
    told = []
    for metric in metrics:
        if metric in spreads:
            told += [(metric, values[metric], _stands(metric, spreads[metric], values[metric]))] if metric in values else []
        elif held := _held(listing.other_score(now, found, made.id, metric), sample_id):
            told.append(held)
    return told


def _held(one: Series | None, sample_id: int) -> tuple[str, float, str] | None:
    row = -1 if one is None else int(one.rows(np.array([sample_id]))[0])
    return None if row < 0 else (one.metric, float(one.score_N[row]), details.standing(one, row).removeprefix(", "))


def _stands(metric: str, found: Spread, value: float) -> str:
    if not words.ordered(metric) or not np.isfinite(value):
        return ""
    below, above = found.around(value)
    return standing(*((above, below) if METRICS[metric].easy_is == "high" else (below, above)))


@st.cache_resource(max_entries=16, show_spinner="Looking through every score, once ...")
def spread(root: str, tokens: tuple) -> dict[str, Spread]:
    """How every score of these runs, the mean over them, is spread. One score is in memory at a time."""
    paths = [Cache.at(root).run_folder(name, run_id) / "scores.parquet" for name, run_id, _ in tokens]
    held = set.intersection(*(set(pq.read_schema(path).names) for path in paths)) & set(METRICS)
    return {metric: Spread.of(_mean(root, tokens, metric)) for metric in METRICS if metric in held}


def _mean(root: str, tokens: tuple, metric: str) -> np.ndarray:
    columns = [scores.load_run_scores(Cache.at(root), name, run_id, [metric])[0][metric] for name, run_id, _ in tokens]
    return _stored(np.mean([column.to_numpy(zero_copy_only=False) for column in columns], axis=0, dtype=np.float64))


def _stored(mean):
    """A mean in single precision; rounded, so that means that are equal in whole looks are equal."""
    return np.round(mean, 6).astype(np.float32)


@st.cache_data(max_entries=512, show_spinner=False)
def _row(root: str, tokens: tuple, sample_id: int) -> dict[str, float]:
    """Every score of one sample, the mean over the runs: only the part of each file that holds it is read."""
    rows = []
    for name, run_id, _ in tokens:
        file = pq.ParquetFile(Cache.at(root).run_folder(name, run_id) / "scores.parquet", page_checksum_verification=True)
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group).column(0).statistics
            if about is None or about.min <= sample_id <= about.max:
                part = file.read_row_group(group)
                here = np.flatnonzero(part["sample_id"].to_numpy() == sample_id)
                if len(here):
                    rows.append(part.slice(int(here[0]), 1).to_pylist()[0])
                    break
    held = set.intersection(*map(set, rows)) & set(METRICS) if len(rows) == len(tokens) else set()
    return {
        metric: float(_stored(np.mean([np.nan if row[metric] is None else row[metric] for row in rows], dtype=np.float64)))
        for metric in held
    }
