"""The matrix of groups: how far every two of them order the samples alike, with what seeds allow on the diagonal."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability.agreement import NO_DIFFERENCE, NOT_TOLD, ONE_SEED, OVER_SAMPLES
from learnability.charts import style
from learnability.store.runs import Run
from ui import headline, launch, listing, matrix_table, state, trust, words
from ui.series import Series

KINDS = {"Pearson": "pearson", "Spearman": "spearman"}
MOST = 12  # groups in the table


def draw(now: state.State, found: list[Run], made: Series, b: Series | None) -> None:
    """The table with its switches, what it says in words, and every number behind it."""
    if not trust.of_networks(made):
        return
    everywhere = trust.groups(now, found, made.metric, every_recipe=True)
    own = [one for one in everywhere if one.runs[0].recipe == now.recipe]
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        st.subheader("How far do the groups agree?", anchor=False)
    several = own
    with right, st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        if len(everywhere) > len(own):
            told = "Groups that were trained otherwise, on other labels or for other epochs. What differs is then named."
            st.toggle("Other recipes too", key="recipes", bind="query-params", help=told)
            several = everywhere if state.widget("recipes") else own
        st.segmented_control("Correlation", list(KINDS), default="Pearson", required=True, key="kind", bind="query-params",
                             label_visibility="collapsed")  # fmt: skip
    state.report_ignored(kind=state.widget("kind"), recipes=str(bool(state.widget("recipes"))).lower())
    chosen = [one for one in everywhere if one.id in (made.id, b.id if b else None)]
    if len(several) > MOST:
        st.caption(f"The {MOST} groups with most seeds of {len(several)}, and the chosen ones.")
        several = several[:MOST]
    several = several + [one for one in chosen if one not in several]
    kind = KINDS[state.widget("kind") or "Pearson"]
    cells = [[trust.within(one, kind) if one is other else trust.between(*_ordered(one, other), kind) for other in several]
             for one in several]  # fmt: skip
    names = [trust.title(one, several) for one in several]
    table(several, names, cells, made, b)
    st.caption(
        "Each cell: how far a run of one group and a run of the other order the samples alike, 1 = exactly, 0 = not at all; beneath it how "
        "much of what seeds allow (the ceiling) that is. On the diagonal: how far two seeds of one group agree (reliability). "
        f"{_samples(cells)}A cell chooses A and B."
    )
    for line in _findings(several, names, cells, made, b):
        st.markdown(line)
    unknown(found, several, names)
    more = st.expander("Every number of the table", key="matrix-numbers", on_change="rerun")
    if more.open:
        with more:
            numbers(several, names, cells)


def table(several: list[Series], names: list[str], cells: list[list[trust.Cell]], made: Series, b: Series | None) -> None:
    dark = st.context.theme.type == "dark"
    shown = [
        [
            _told_more(_cell(cell, names[i], names[j], dark), cell, several[i], several[j]) | {"here": _at(several[i], several[j], made, b)}
            for j, cell in enumerate(row)
        ]
        for i, row in enumerate(cells)
    ]
    said = f"Agreement of {words.count(len(several), 'group')} with each other, {words.label(made.metric)}"
    heads = [[name, words.count(one.seeds, "seed")] for name, one in zip(names, several, strict=True)]
    matrix_table.draw(heads, shown, said, lambda picked: choose(several, picked))


def choose(several: list[Series], picked) -> None:
    """In callbacks: row and column of a cell become A and B; a cell of the diagonal chooses A."""
    if not isinstance(picked, list | tuple) or len(picked) != 2 or not all(isinstance(i, int) and 0 <= i < len(several) for i in picked):
        return
    a, b = (several[i] for i in picked)
    state.set_widget("recipe", a.runs[0].recipe)
    state.set_widget("a", a.id)
    if a is not b:
        state.set_widget("b", b.id)
    elif state.widget("b") == a.id:
        state.set_widget("b", None)


def _ordered(one: Series, other: Series) -> tuple[Series, Series]:
    """A pair is measured once, whichever comes first."""
    return (one, other) if one.id < other.id else (other, one)


def _at(one: Series, other: Series, made: Series, b: Series | None) -> bool:
    return (one.id, other.id) == (made.id, b.id if b else made.id)


def _samples(cells: list[list[trust.Cell]]) -> str:
    """`n = 1,438 samples in each. `, where that is so; else every cell's tooltip says its own."""
    counts = {cell.N for row in cells for cell in row if cell.comparison.refused is None}
    return f"n = {counts.pop():,} samples in each cell. " if len(counts) == 1 else ""


# one cell


def _cell(cell: trust.Cell, name: str, other: str, dark: bool) -> dict:
    if cell.comparison.refused is not None:
        told = f"{name} and {other} cannot be compared. {cell.comparison.refused}"
        return {"value": "refused", "lines": ["not comparable"], "told": told, "fill": None, "ink": None}
    if cell.cross is None:
        return _diagonal(cell, name, dark)
    found = cell.cross
    value, lines = words.r(found.single_run), []
    told = f"{name} and {other} agree at {value}"
    if (over := found.single_run_interval) is not None and np.isfinite(over.low):
        lines.append(interval(over).strip())
        told += f", between {words.r(over.low)} and {words.r(over.high)} {over.over}"
    if np.isfinite(found.ratio):
        lines.append(f"{100 * found.ratio:.0f} % of {words.r(found.ceiling)}")
        told += f"; seeds allow at most {words.r(found.ceiling)}, so {words.r(found.ratio)} of that"
    else:
        lines.append("ceiling unknown")
        told += f"; {unknown_ceiling(cell)}"
    if cell.comparison.differs:
        lines.append(f"≠ {', '.join(one.what.lower() for one in cell.comparison.differs)}")
        told += f". Not made alike: {cell.comparison.short}"
    return {"value": value, "lines": lines, "told": f"{told}. {cell.N:,} samples.", **_fill(found.single_run, dark)}


def _diagonal(cell: trust.Cell, name: str, dark: bool) -> dict:
    (own,) = cell.reliabilities
    if not own.pairs:
        told = f"How far two seeds of {name} agree is unknown: it has one seed. Train a second one to know it."
        return {"value": "unknown", "lines": ["one seed"], "told": told, "fill": None, "ink": None}
    told = f"Two seeds of {name} agree at {words.r(own.value)}{interval(own.interval)}, their mean is reliable to {words.r(own.stepped_up)}"
    lines = [*filter(None, [interval(own.interval).strip()]), "two of its seeds"]
    return {"value": words.r(own.value), "lines": lines, "told": f"{told}. {cell.N:,} samples.", **_fill(own.value, dark)}


def _told_more(shown: dict, cell: trust.Cell, one: Series, other: Series) -> dict:
    """The same cell, its tooltip with what the number rests on: pairs of runs, seeds, epochs, how it was recorded."""
    pairs = cell.cross.pairs if cell.cross else cell.reliabilities[0].pairs if cell.reliabilities else ()
    if not pairs:
        return shown
    spread = f" ({words.r(min(pairs))} to {words.r(max(pairs))})" if len(pairs) > 1 else ""
    sides = (one,) if one is other else (one, other)
    seeds = " and ".join(words.count(side.seeds, "seed") for side in sides)
    made = dict.fromkeys(f"{words.count(max(side.looks), 'epoch')}, {side.mode}" for side in sides)
    return shown | {"told": f"{shown['told']} {words.count(len(pairs), 'pair')} of runs{spread}; {seeds}; {' and '.join(made)}."}


def unknown_ceiling(cell: trust.Cell) -> str:
    """Why there is no ceiling, in words."""
    single = sum(one.seeds == 1 for one in cell.reliabilities)
    if single and cell.cross.reason == ONE_SEED:
        return f"how far seeds would let them is unknown: {'both have' if single == 2 else 'one of them has'} one seed"
    return cell.cross.reason or "ceiling unknown"


def interval(found) -> str:
    """` [0.81, 0.85]`, or nothing where there is none."""
    return f" [{words.r(found.low)}, {words.r(found.high)}]" if found is not None and np.isfinite(found.low) else ""


def _fill(value: float, dark: bool) -> dict:
    """Background by the value, 0 to 1, and black or white text on it, whichever can be read."""
    if not np.isfinite(value):
        return {"fill": None, "ink": None}
    fill = style.shade(value, dark)
    return {"fill": fill, "ink": style.ink_on(fill)}


# in words


def _findings(several: list[Series], names: list[str], cells: list[list[trust.Cell]], made: Series, b: Series | None):
    """What the chosen pair comes to, and what is still unknown and how to learn it."""
    ids = [one.id for one in several]
    if b is not None and made.id in ids and b.id in ids and made.id != b.id:
        cell = cells[ids.index(made.id)][ids.index(b.id)]
        if cell.cross is not None:
            yield f"**{names[ids.index(made.id)]} and {names[ids.index(b.id)]}**: {_pair_sentence(cell)}"


def unknown(found: list[Run], several: list[Series], names: list[str]) -> None:
    """Which groups have one seed, and the way to a second one."""
    single = [(name, one) for name, one in zip(names, several, strict=True) if one.seeds == 1]
    if not single:
        return
    st.markdown(
        f"Unknown for {', '.join(name for name, _ in single)}: with one seed nobody can tell how much of a difference is chance. "
        "A second seed tells."
    )
    with st.container(horizontal=True):
        for name, one in single[:4]:
            if launch.can_ask(one.config):
                listing.one_more(found, one, f"Train a second seed of {name}", "matrix")


def _pair_sentence(cell: trust.Cell) -> str:
    found = cell.cross
    over = found.single_run_interval
    alone = ", over samples alone" if over is not None and over.over == OVER_SAMPLES else ""
    said = f"single runs agree at **{words.r(found.single_run)}**{interval(over)} (n = {cell.N:,} samples{alone})"
    if not np.isfinite(found.ratio):
        return f"{said}; {unknown_ceiling(cell)}."
    said += f", seeds would allow {words.r(found.ceiling)}; that is **{words.r(found.ratio)}** of it{interval(found.ratio_interval)}"
    if found.ratio_interval is not None and np.isfinite(found.ratio_interval.high):
        told = found.verdict if found.verdict in (NO_DIFFERENCE, NOT_TOLD) else "they order the samples differently"
        return f"{said}: **{told}**."
    return f"{said}."


def numbers(several: list[Series], names: list[str], cells: list[list[trust.Cell]]) -> None:
    """Every pair as a row, to read with a screen reader, to sort and to take along."""
    made = rows(several, names, cells)
    st.dataframe(made, hide_index=True, key="matrix-table", height="content")
    some = next((one.interval for row in cells for cell in row for one in cell.reliabilities if one.interval), None) or next(
        (cell.cross.single_run_interval for row in cells for cell in row if cell.cross and cell.cross.single_run_interval), None
    )
    said = "No intervals: more samples than a page draws from." if some is None else f"Intervals: 95 %, {some.replicates} bootstrap draws"
    st.caption(
        f"{said}, over seeds and samples from three seeds on, else over samples alone. `python -m learnability agreement` makes 2,000 "
        "and adds Kendall's tau-b. Of ceiling: the disattenuated correlation; it may exceed 1. The ceiling is exact for Pearson."
    )
    headline.downloads(lambda: made, "agreement")


def rows(several: list[Series], names: list[str], cells: list[list[trust.Cell]]) -> pa.Table:
    """A table with one row a pair, and one a group with itself."""
    told = []
    for i, row in enumerate(cells):
        for j, cell in enumerate(row[: i + 1]):
            cross = cell.cross
            own = cell.reliabilities[0] if i == j else None
            value, over = (own.value, own.interval) if own else (cross.single_run, cross.single_run_interval) if cross else (np.nan, None)
            told.append(
                {
                    "A": names[j], "B": names[i], "Agree at": _rounded(value), "low": _rounded(over.low if over else np.nan),
                    "high": _rounded(over.high if over else np.nan), "Ceiling": _rounded(cross.ceiling if cross else np.nan),
                    "Of ceiling": _rounded(cross.ratio if cross else np.nan), "Samples": cell.N,
                    "Seeds of A": several[j].seeds, "Seeds of B": several[i].seeds,
                    "Note": cell.comparison.refused or cell.comparison.short or (own.reason if own else cross.reason) or "",
                }
            )  # fmt: skip
    return pa.Table.from_pylist(told)


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
