"""The pair plot as points: one dot a sample, coloured by what one wants to know."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability.charts import pairs, style
from learnability.charts.cells import jitter
from learnability.config import planted
from learnability.datasets import Dataset
from ui import data, disagreements, headline, listing, numbers, reviews, state, words
from ui.series import Series, joined

BOUND = {"bind": "query-params"}
MAX_POINTS, SAMPLED = 60_000, 2_000
MOST_GROUPS = 12


def colour_controls(opened: Dataset) -> None:
    """By what the points are coloured, and by which score or column."""
    one, other = st.columns(2)
    one.selectbox("Colour", list(COLOURS), key="colour", **BOUND)
    names = columns(opened)
    if state.widget("colour") == "Another score of A":
        choices = words.choosable()
        other.selectbox("of", choices, index=choices.index("suspicion"), format_func=words.label, key="score", **BOUND)
    elif state.widget("colour") == "A column of the source" and names:
        other.selectbox("of", names, key="column", **BOUND)
    elif state.widget("colour") == "A column of the source":
        other.caption("The source had no columns of its own.")
    state.report_ignored(colour=state.widget("colour"))


def draw(opened: Dataset, made: Series, b: Series) -> None:
    """Each dot is moved by at most half a cell, so that equal scores do not hide each other."""
    rows_a, rows_b, ids = joined(made, b)
    x, y, across, up = made.score_N[rows_a], b.score_N[rows_b], made.cells, b.cells
    drawn = np.arange(len(ids))
    if len(ids) > MAX_POINTS:
        furthest = np.searchsorted(ids, disagreements.furthest(made, b, SAMPLED // 4))
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
        webgl = " So many are drawn with WebGL; where the plot says that it is not supported, choose Counts."
        st.caption(
            f"Each dot is a sample, moved at random within its cell so that equal scores do not hide each other.{some} "
            f"Selecting is done in Counts.{webgl if len(drawn) > pairs.SVG_POINTS else ''}"
        )
    with beside:
        numbers.draw(numbers.measured(made, b), made, b)


def _by_class(opened: Dataset, made: Series, ids: np.ndarray):
    return _grouped([headline.class_name(opened, k) for k in opened.labels_N[ids]]), None, ""


def _by_taken_for(opened: Dataset, made: Series, ids: np.ndarray):
    taken = listing.taken_for(state.current(), data.all_runs(opened.name), made, ids)
    return _grouped(["always right" if k < 0 else headline.class_name(opened, k) for k in taken]), None, ""


def _by_status(opened: Dataset, made: Series, ids: np.ndarray):
    """Whether the label is the source's own, and what the review says of it."""
    original = data.dataset(opened.name, opened.fingerprint).labels_N[ids]
    planted_here = planted(opened.labels) is not None
    changed = np.where(original != opened.labels_N[ids], "planted wrong" if planted_here else "changed by the review", "")
    status = np.array([one.lower() for one in reviews.STATUS], object)[reviews.status_of(opened, ids)]
    return _grouped([one or other for one, other in zip(changed, status, strict=True)]), None, ""


def _by_score(opened: Dataset, made: Series, ids: np.ndarray):
    """Any other score of A."""
    metric = state.widget("score") or "suspicion"
    other = listing.other_score(state.current(), data.all_runs(opened.name), made.id, metric)
    return _one(opened, made, ids) if other is None else (None, other.of(ids), words.axis(metric, "A"))


def _by_column(opened: Dataset, made: Series, ids: np.ndarray):
    """A column that the source had for its samples: numbers as shades, words as colours."""
    names, table = columns(opened), data.samples(opened)
    name = state.widget("column") if state.widget("column") in names else next(iter(names), None)
    if name is None:
        return _one(opened, made, ids)
    values = table[name].take(pa.array(ids))
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return None, values.to_numpy(zero_copy_only=False).astype(float), style.plain(name)
    return _grouped(["(none)" if value is None else str(value) for value in values.to_pylist()]), None, ""


def columns(opened: Dataset) -> list[str]:
    """Columns of the source that can colour: words and numbers."""
    table = data.samples(opened)
    good = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    return [name for name in table.column_names
            if name not in ("sample_id", "key", "hash", "split") and any(is_one(table[name].type) for is_one in good)]  # fmt: skip


def _one(opened: Dataset, made: Series, ids: np.ndarray):
    return _grouped(["samples"] * len(ids)), None, ""


COLOURS = {
    "Class": _by_class,
    "Most often taken for, by A": _by_taken_for,
    "Label status": _by_status,
    "Another score of A": _by_score,
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
