"""The top of every page: title, what the numbers rest on, link and downloads."""

import contextlib

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability import export
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.store.chance import learned_nothing
from ui import data, recorded, state, words
from ui.series import Series


def draw(title: str, page: str, made: Series | None = None, b: Series | None = None, table=None, **params) -> None:
    """Title and context; `table` is called for the download, `params` are the page's own part of the link."""
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        st.title(title, anchor=False)
    with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        with st.popover("Link", help="The whole selection as a link"):
            st.caption("Copy this link: it opens the page with everything chosen here.")
            st.code(state.link(page, **params), language=None, wrap_lines=True)
            if params.get("in"):
                st.caption("The area drawn moves with the scores: after more epochs other samples may lie in it.")
        if table is not None:
            with st.popover("Download"):
                downloads(table, page)
    if made is not None:
        st.caption(rests_on(made, b))
        for one in (made, b):
            if one is not None and one.partial:
                st.info(f"{one.name}: scores after {one.epochs_line}. They will change.", icon=":material/hourglass_top:")
            if one is not None and one.left_out:
                st.caption(one.left_out)
            for run in one.runs if one is not None and one.name != words.THEMSELVES else ():
                with contextlib.suppress(LearnabilityError):  # looks.jsonl damaged: the runs page and `doctor` tell
                    if said := learned_nothing(run.id, run.state, recorded.looks_of(run) if run.looks else [], one.labels_N):
                        st.warning(said, icon=":material/trending_flat:")


def basis(made: Series) -> list[str]:
    """What a score was made of, in words."""
    return ["imported, the same for every run"] if made.name == words.THEMSELVES else [made.epochs_line, words.mode_line(made.mode)]


def rests_on(made: Series, b: Series | None) -> str:
    config = made.config
    parts = [f"**A** {made.name}" if b else made.name, *basis(made), f"labels: {config.labels}"]
    parts += [f"recipe {config.recipe}", words.count(len(made.sample_ids_N), "sample")]
    said = " · ".join(parts)
    if b is not None:
        said += f"  \n**B** {b.name} · {' · '.join(basis(b))} · labels: {b.config.labels} · recipe {b.config.recipe}"
    return said


def downloads(table, name: str) -> None:
    st.caption(
        "Parquet is exact. In CSV, a cell that begins with = + - or @ gets a leading apostrophe, so that no spreadsheet takes it "
        "for a formula."
    )
    for kind, mime in (("csv", "text/csv"), ("parquet", "application/vnd.apache.parquet")):
        st.download_button(
            kind.upper() if kind == "csv" else "Parquet", lambda kind=kind: export.table_file(table(), kind), f"{name}.{kind}", mime,
            key=f"download-{name}-{kind}", on_click="ignore", width="stretch",
        )  # fmt: skip


def sample_table(opened: Dataset, sample_ids: np.ndarray, *several: Series) -> pa.Table:
    """The samples with key, hash, label and the scores of each series, in the order given."""
    ids = np.asarray(sample_ids, np.int64)
    labels, identities = opened.labels_N[ids], data.identity_of(opened, ids)
    columns = {
        "sample_id": ids,
        "key": pa.array([key for key, _ in identities], pa.string()),
        "hash": pa.array([hashed for _, hashed in identities], pa.string()),
        "label": labels,
        "class": pa.array([class_name(opened, label) for label in labels], pa.string()),
    }
    for made in several:
        columns[f"{made.metric} {made.id}"] = made.of(ids)
    return pa.table(columns)


def class_name(opened: Dataset, label: int) -> str:
    return str(opened.class_names[label]) if 0 <= label < len(opened.class_names) else "(no label)"
