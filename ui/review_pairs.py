"""Classes that are mixed up: label x most frequent wrong class, and the samples of one cell, decided together."""

import functools

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability import review
from learnability.charts.style import middle_cut
from learnability.datasets import Dataset
from ui import gallery, headline, listing, review_verdicts, reviews, state, words

MOST = 500  # pairs that are listed
SHEET = 60


def draw(opened: Dataset, found: reviews.Suspects) -> None:
    """The table, and the cell that is open."""
    done = reviews.reviewed(opened)
    review_verdicts.told()
    how, merging = st.columns([4, 1], vertical_alignment="bottom")
    with how:
        st.segmented_control(
            "Count samples that were taken for another class", list(reviews.TAKEN), required=True, default=list(reviews.TAKEN)[0],
            key="taken", bind="query-params",
            help="Most samples are missed once. Those taken for one and the same class for half of the training are odd.",
        )  # fmt: skip
    with (
        merging,
        st.container(horizontal=True, horizontal_alignment="right"),
        st.popover("Merge classes", help="When two folders are one class"),
    ):
        merge(opened, done)
    taken = state.widget("taken") or list(reviews.TAKEN)[0]
    state.report_ignored(taken=taken)
    table = reviews.pairs(found, done, taken)
    shown = table.slice(0, MOST).to_pylist()
    if not shown:
        st.info("No sample was taken for one other class that often. Count those of any epoch, or go through the queue one by one.")
        return
    names = listing.class_names(opened)
    titles = [f"{names[cell['label']]} → {names[cell['wrong']]}" for cell in shown]
    listed, cell = st.columns([2, 3], gap="large")
    with listed:
        pair_table(shown, names, titles, table.num_rows)
    with cell:
        st.selectbox(
            "Open a pair: label → taken for", titles, index=None, placeholder="choose a line of the table", key="pair", bind="query-params"
        )
        state.report_ignored(pair=state.widget("pair"))
        if state.widget("pair") in titles:
            chosen = shown[titles.index(state.widget("pair"))]
            samples(opened, found, taken, chosen["label"], chosen["wrong"])
        else:
            st.caption(
                "Errors of a folder come in pairs: one supplier, one keyword, one typing mistake. Open a pair and decide all of it at once."
            )


def pair_table(shown: list[dict], names: list[str], titles: list[str], count: int) -> None:
    columns = {
        "Label": [names[cell["label"]] for cell in shown],
        "Taken for": [names[cell["wrong"]] for cell in shown],
        "Samples": [cell["count"] for cell in shown],
        "Left": [cell["left"] for cell in shown],
        "Of the label, %": [100 * cell["count"] / max(cell["size"], 1) for cell in shown],
    }
    st.dataframe(
        pa.table(columns), hide_index=True, key="pairs-table", height=430, selection_mode="single-row",
        on_select=functools.partial(_open, tuple(titles)), alt="Labels, the class they are taken for, and how many samples",
        column_config={
            "Label": st.column_config.TextColumn(width=104), "Taken for": st.column_config.TextColumn(width=104),
            "Of the label, %": st.column_config.NumberColumn("Of label, %", format="%.1f"),
            "Left": st.column_config.NumberColumn(help="Not decided yet"),
        },
    )  # fmt: skip
    more = f" The largest {len(shown)} of {count:,} pairs." if count > len(shown) else ""
    total = sum(cell["count"] for cell in shown)
    st.caption(
        f"Click a line to see its samples. {words.count(total, 'sample')} in {words.count(len(shown), 'pair')}, the largest first.{more}"
    )


def _open(titles: tuple[str, ...]) -> None:
    rows = st.session_state["pairs-table"].selection.rows
    state.set_widget("pair", titles[rows[0]] if rows and rows[0] < len(titles) else None)


@st.fragment
def samples(opened: Dataset, found: reviews.Suspects, taken: str, label: int, wrong: int) -> None:
    """The samples of a cell: mark some or all, then one verdict for them."""
    if review_verdicts.news():  # something was decided here: the table counts anew
        st.rerun()
    done = reviews.reviewed(opened)
    place = f"pair-{label}-{wrong}-{taken[:6]}"
    ids = reviews.samples_of(found, taken, label, wrong)
    left = done.left(ids)
    ids = np.concatenate([left, ids[~np.isin(ids, left)]])
    marked = [int(i) for i in ids[np.isin(ids, list(state.chosen(place)))]]
    names = [headline.class_name(opened, k) for k in (label, wrong)]
    st.text(
        f"{words.count(len(ids), 'sample')} labelled {middle_cut(names[0])}, taken for {middle_cut(names[1])}; {len(left):,} not decided."
    )
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.button(f"Mark all {len(left):,} not decided", key=f"all-{place}", disabled=not len(left), on_click=state.choose, args=(place, left))
    row.button("Mark none", key=f"none-{place}", disabled=not marked, on_click=state.choose, args=(place, ()))
    row.markdown(f"**{words.count(len(marked), 'sample')} marked**")
    review_verdicts.verdict_bar(opened, marked, place, marked=True, proposed=names[1])
    st.caption(
        "A click marks a picture, with Shift all from the last one on. One action for all that are marked; Undo takes it back whole."
    )
    sheet = st.pagination(-(-len(ids) // SHEET), key=f"sheet-{place}") if len(ids) > SHEET else 1
    shown = [int(i) for i in ids[SHEET * (sheet - 1) : SHEET * sheet]]
    spoken, captions = listing.written(opened, found.suspicion, shown)
    captions = review_verdicts.with_marks(opened, shown, captions)
    gallery.tiles(place, opened, shown, spoken, captions, f"labelled {names[0]}, taken for {names[1]}", "review", several=True)


def merge(opened: Dataset, done: reviews.Reviewed) -> None:
    """One class becomes part of another: every sample of it is relabelled, as one action."""
    st.caption("Every sample of the first class gets the second as its label: one action, which Undo takes back as a whole.")
    one = st.selectbox("Class", done.classes, index=None, placeholder="the class to give up", key="merge-from")
    into = st.selectbox(
        "becomes part of", done.classes, index=None, placeholder="a class, also a new one", key="merge-into", accept_new_options=True
    )
    if one is not None:
        labels, class_names = review.reviewed_labels(done.resolved, done.original)
        st.text(f"{words.count(int((labels == class_names.index(one)).sum()), 'sample')} carry this label now, test samples too.")
    st.button(
        "Merge", key="merge", type="primary", disabled=one is None or into is None or one == into,
        on_click=review_verdicts.merge, args=(opened, one, into),
    )  # fmt: skip
