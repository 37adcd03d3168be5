"""What is selected in the pair plot: its classes, its first pictures, and what can be done with it."""

import numpy as np
import streamlit as st

from learnability.datasets import Dataset
from learnability.errors import InputError
from ui import data, details, gallery, headline, lasso, listing, review_verdicts, reviews, state, words
from ui.series import Series

FIRST = 24


def draw(opened: Dataset, made: Series, b: Series, shapes: lasso.Shapes, ids: np.ndarray) -> None:
    if not shapes:
        st.caption("Nothing is selected.")
        return
    said = f"{words.count(len(ids), 'sample')} selected in the pair plot"
    row = st.container(horizontal=True, vertical_alignment="center")
    row.markdown(f"**{words.count(len(ids), 'sample')} selected**")
    if len(ids):
        _actions(row, opened, made, b, shapes, ids)
    row.button("Clear", key="clear-lasso", on_click=state.clear_lasso)
    if not len(ids):
        return
    st.text(composition(opened, ids))
    hardest = np.lexsort((ids, -words.hardness(made.metric, made.of(ids))))
    first = [int(i) for i in ids[hardest][:FIRST]]
    grid, beside = st.columns([8, 3], gap="medium")
    with grid:
        picked = gallery.tiles("selected", opened, first, *listing.written(opened, made, first, b), said, "compare")
    with beside:
        details.beside("selected", opened, [made, b], picked, first, said, "compare")
    state.hand_over()


def _actions(row, opened: Dataset, made: Series, b: Series, shapes: lasso.Shapes, ids: np.ndarray) -> None:
    params = {"in": lasso.as_text(shapes)} | ({} if b.metric == made.metric else {"metric_b": words.label(b.metric)})
    row.button("Show all in the gallery", key="show-all", on_click=state.leave_note, args=("gallery",), kwargs=params, type="primary")
    row.button("Send to review", key="to-review", on_click=state.leave_note, args=("review",), kwargs=params)
    with row.popover("Tag"):
        target = review_verdicts.Target(ids=tuple(ids.tolist()), key="selected", marked=True).draw()
        review_verdicts.add_tag(opened, reviews.reviewed(opened), target)
        review_verdicts.told()
    with row.popover("Save selection"):
        save(opened, ids, f"area of the pair plot of {made.id} and {b.id}, {made.metric} and {b.metric}", "selected")
    with row.popover("Link to this area"):
        st.code(state.link("compare", **params), language=None, wrap_lines=True)
        st.caption("The area moves with the scores: after more epochs other samples may lie in it. A saved selection stays as it is.")
    with row.popover("Download"):
        headline.downloads(lambda: headline.sample_table(opened, ids, made, b), "selection")


def composition(opened: Dataset, ids: np.ndarray) -> str:
    """`cat: 96, dog: 80, other classes: 12`."""
    labels, counts_K = np.unique(opened.labels_N[ids], return_counts=True)
    largest = np.argsort(-counts_K, kind="stable")[:5]
    said = [f"{headline.class_name(opened, labels[i])}: {counts_K[i]:,}" for i in largest]
    rest = int(counts_K.sum() - counts_K[largest].sum())
    return ", ".join(said) + (f", other classes: {rest:,}" if rest else "")


def save(opened: Dataset, ids: np.ndarray, said: str, place: str) -> None:
    """A form that keeps exactly these samples under a name."""
    st.caption("Keeps exactly these samples under a name, also when scores change.")
    told = f"saved-{place}"
    name = st.text_input("Name", key=f"name-{place}", placeholder="for example hard-for-both")
    if st.button("Save", key=f"save-{place}", disabled=not name, type="primary"):
        try:
            data.save_selection(opened, name, ids, said)
        except InputError as error:
            st.text(str(error))
        else:
            state.set_widget(told, f"Saved {words.count(len(ids), 'sample')}. The gallery shows them under Selection.")
            st.rerun()  # the whole page: the gallery's control for it may not stand yet
    if state.widget(told):
        st.caption(state.widget(told))
        state.drop_widget(told)
