"""The log of actions: who decided what, when and why; any action can be taken back as a whole."""

import functools

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability import review
from learnability.charts.style import middle_cut
from learnability.datasets import Dataset
from ui import data, gallery, headline, review_verdicts, reviews, state, words

MOST = 500  # actions that are listed
FIRST = 24


def draw(opened: Dataset) -> None:
    """The last actions, newest first, and the one chosen."""
    done = reviews.reviewed(opened)
    review_verdicts.told()
    problems(done)
    if not done.log.actions:
        st.subheader("Nothing decided yet", anchor=False)
        st.markdown(
            "Every verdict given in the queue, in a pair, in the gallery or on a sample's page is kept here, and can be taken back."
        )
        st.button("Go to the queue", key="to-queue", type="primary", on_click=state.set_widget, args=("queue", "One by one"))
        return
    shown = done.log.actions[::-1][:MOST]
    listed, beside = st.columns([5, 3], gap="large")
    with listed:
        table(done, shown)
    with beside:
        ids = [action.id for action in shown]
        labels = {action.id: _title(action, done) for action in shown}
        st.selectbox("Action", ids, format_func=labels.get, key="action", index=None, placeholder="choose a line of the table")
        if state.widget("action") in labels:
            one(opened, done, done.log.by_id[state.widget("action")])
        else:
            st.caption("Choose an action to see its samples, or to take it back.")


def problems(done: reviews.Reviewed) -> None:
    """What of the log does not count here, and why."""
    for problem in done.log.problems[:5]:
        st.text(f"Note: {problem}")
    changed, gone = len(done.resolved.changed), len(done.resolved.gone)
    if changed or gone:
        st.caption(
            f"{changed:,} decisions were about pictures that have changed since, {gone:,} about samples that this version of the data set "
            "does not hold: they do not count here."
        )


def table(done: reviews.Reviewed, shown: tuple[review.Action, ...]) -> None:
    columns = {
        "When (UTC)": [action.when[5:16].replace("T", " ") for action in shown],
        "By": [action.by for action in shown],
        "What": [_what(action, done) for action in shown],
        "Samples": [len(action.samples) or None for action in shown],
        "State": ["taken back" if action.id in done.log.undone else "" for action in shown],
        "Reason": [action.why for action in shown],
    }
    st.dataframe(
        pa.table(columns), hide_index=True, key=f"log-{done.log.length}", height=430, selection_mode="single-row", placeholder="",
        on_select=functools.partial(_choose, f"log-{done.log.length}", tuple(action.id for action in shown)),
        alt="The last actions, newest first",
    )  # fmt: skip
    more = f"; the last {len(shown)} are shown" if len(shown) < len(done.log.actions) else ""
    st.caption(f"{words.count(len(done.log.actions), 'action')}{more}. Nothing in the log is ever edited: to undo is one more line.")


def _choose(key: str, ids: tuple[str, ...]) -> None:
    rows = st.session_state[key].selection.rows
    state.set_widget("action", ids[rows[0]] if rows and rows[0] < len(ids) else None)


def one(opened: Dataset, done: reviews.Reviewed, action: review.Action) -> None:
    """An action with its samples, and the button that takes it back."""
    undone = action.id in done.log.undone
    lines = [f"{_what(action, done)}, by {middle_cut(action.by)}", f"action {action.id}, {action.when[:19].replace('T', ' ')} UTC"]
    lines += [f"Reason: {action.why}"] * bool(action.why) + ["Taken back."] * undone
    st.text("\n".join(lines))
    if action.undo is None and not undone:
        st.button("Take back this action", key=f"take-back-{action.id}", icon=":material/undo:", type="primary",
                  on_click=review_verdicts.take_back, args=(opened, action.id))  # fmt: skip
    if action.samples:
        first = action.samples[:FIRST]
        rows = data.identities(opened).match([key for key, _ in first], [hashed for _, hashed in first]).rows_n
        ids = [int(i) for i in np.unique(rows[(rows >= 0) & (rows < opened.N)])]
        captions = [[headline.class_name(opened, opened.labels_N[i]), review_verdicts.mark(done, i)] for i in ids]
        named = [f"sample {i}, {label}" for i, (label, _) in zip(ids, captions, strict=True)]
        gallery.tiles(f"action-{action.id}", opened, ids, named, captions, f"samples of action {action.id}", "review")
        if len(action.samples) > FIRST:
            st.caption(f"The first {FIRST} of {len(action.samples):,} samples.")


def _what(action: review.Action, done: reviews.Reviewed) -> str:
    if action.undo is not None:
        taken = done.log.by_id.get(action.undo)
        return f"undo of: {_what(taken, done)}" if taken else "undo"
    if action.verdict is None:
        return ", ".join([*(f"+{middle_cut(tag)}" for tag in action.tags_added), *(f"-{middle_cut(tag)}" for tag in action.tags_removed)])
    return f"relabel to {middle_cut(action.class_name)}" if action.verdict == "relabel" else action.verdict


def _title(action: review.Action, done: reviews.Reviewed) -> str:
    return f"{action.when[11:19]}  {_what(action, done)}" + (f", {words.count(len(action.samples), 'sample')}" if action.samples else "")
