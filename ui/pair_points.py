"""The pair plot as points: one dot a sample, coloured by what one wants to know."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability.charts import pairs
from learnability.charts.cells import jitter
from learnability.datasets import Dataset
from ui import data, headline, listing, numbers, state, words
from ui.series import Series, joined

MAX_POINTS, SAMPLED = 60_000, 2_000
MOST_GROUPS = 12


def draw(opened: Dataset, made: Series, b: Series) -> None:
    """Each dot is moved by at most half a cell, so that equal scores do not hide each other."""
    rows_a, rows_b, ids = joined(made, b)
    x, y, across, up = made.score_N[rows_a], b.score_N[rows_b], made.cells, b.cells
    drawn = np.arange(len(ids))
    if len(ids) > MAX_POINTS:
        furthest = np.argsort(-np.abs(x - y), kind="stable")[: SAMPLED // 4]
        some = np.random.Generator(np.random.Philox(7)).choice(len(ids), SAMPLED - SAMPLED // 4, replace=False)
        drawn = np.union1d(furthest, some)
    groups, shade, title = COLOURS[state.widget("colour") or "Class"](opened, made, ids[drawn])
    plot, beside = st.columns([7, 4], gap="large")
    with plot:
        figure = pairs.points_figure(
            x[drawn] + jitter(ids[drawn], 1) * across.step * 0.9, y[drawn] + jitter(ids[drawn], 2) * up.step * 0.9, across, up, groups,
            shade=shade, shade_title=title, dark=st.context.theme.type == "dark",
            x_title=words.axis(made.metric, made.name, 2), y_title=words.axis(b.metric, b.name, 2),
        )  # fmt: skip
        st.plotly_chart(figure, key="points", alt=f"{len(drawn)} samples by their score for A and for B", config={"displaylogo": False})
        some = "" if len(drawn) == len(ids) else f" Shown are {len(drawn):,} of {len(ids):,}: a random choice and the largest differences."
        st.caption(
            f"Each dot is a sample, moved at random within its cell so that equal scores do not hide each other.{some} "
            "Selecting is done in Counts."
        )
    with beside:
        numbers.draw(data.agreement(made, b), made, b)


def _by_class(opened: Dataset, made: Series, ids: np.ndarray):
    return _grouped([headline.class_name(opened, k) for k in opened.labels_N[ids]]), None, ""


def _by_taken_for(opened: Dataset, made: Series, ids: np.ndarray):
    taken = listing.taken_for(state.current(), data.all_runs(opened.name), made, ids)
    return _grouped(["always right" if k < 0 else headline.class_name(opened, k) for k in taken]), None, ""


def _by_suspicion(opened: Dataset, made: Series, ids: np.ndarray):
    other = listing.other_score(state.current(), data.all_runs(opened.name), made.id, "suspicion")
    return _one(opened, made, ids) if other is None else (None, other.of(ids), "label suspicion of A (higher = look first)")


def _by_column(opened: Dataset, made: Series, ids: np.ndarray):
    """The first column of words that the source had for its samples."""
    table = data.samples(opened)
    for name in table.column_names:
        if name not in ("sample_id", "key", "hash", "split", "width", "height") and pa.types.is_string(table[name].type):
            return _grouped([str(value) for value in table[name].take(pa.array(ids)).to_pylist()]), None, ""
    return _one(opened, made, ids)


def _one(opened: Dataset, made: Series, ids: np.ndarray):
    return _grouped(["samples"] * len(ids)), None, ""


COLOURS = {
    "Class": _by_class,
    "Most often taken for, by A": _by_taken_for,
    "Label suspicion of A": _by_suspicion,
    "A column of the source": _by_column,
    "One colour": _one,
}


def _grouped(names: list[str]) -> list[tuple[str, np.ndarray]]:
    """(name, rows) of the most frequent names, and of the rest together."""
    values, inverse, counts_n = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True, return_counts=True)
    keep = np.sort(np.argsort(-counts_n, kind="stable")[:MOST_GROUPS])
    groups = [(str(values[i]), np.flatnonzero(inverse == i)) for i in keep]
    rest = np.flatnonzero(~np.isin(inverse, keep))
    return groups + ([("others", rest)] if len(rest) else [])
