"""What runs were asked to do; names and notes that people give to recipes and groups."""

import pyarrow as pa
import streamlit as st

from learnability import jobs
from learnability.errors import LearnabilityError
from learnability.store.runs import Run
from ui import data, state, words


def draw(name: str, recipe: str | None, runs: list[Run]) -> None:
    """A form for the recipe and each of its groups; what is kept stands in recipes.json."""
    if recipe is None:
        return
    st.subheader("Names and notes, disk", anchor=False)
    try:
        kept = jobs.notes(data.cache(), name)
    except LearnabilityError as error:
        st.text(str(error))
        return
    keys = [recipe, *dict.fromkeys(run.group for run in runs if run.config)]
    one, two, three, four = st.columns([3, 2, 4, 1], vertical_alignment="bottom")
    key = one.selectbox("Recipe or group", keys, key="note-key")
    had = kept.get(key, {"name": "", "note": ""})
    two.text_input("Name", had["name"], key=f"note-name-{key}", help="Letters, digits, - and _.")
    three.text_input("Note", had["note"], key=f"note-text-{key}")
    four.button("Keep", key="note-keep", on_click=_keep, args=(name, key))
    if said := state.widget("note-told"):
        st.text(said)
    totals = {of: told["dataset"] + sum(told["runs"].values()) for of, told in jobs.disk_used(data.cache()).items()}
    st.caption("Disk used, by data set: " + ", ".join(f"{of} {words.megabytes(size)}" for of, size in totals.items()))


def configs(runs: list[Run]) -> None:
    """Two configs side by side; only what differs unless everything is wanted."""
    ids = [run.id for run in runs if run.config]
    one, other, which = st.columns([3, 3, 2], vertical_alignment="bottom")
    first = one.selectbox("Run", ids, key="config-first")
    second = other.selectbox("beside", ids, index=None, placeholder="no other run", key="config-second")
    only = which.toggle("Only what differs", key="config-only", disabled=second is None)
    fields = {run.id: words.asked(run.config) for run in runs if run.config}
    chosen = [first, *([second] if second else [])]
    names = [name for name in fields[first] if not (only and second) or fields[first][name] != fields[second][name]]
    if not names:
        st.caption("These two runs have the same config.")
        return
    st.dataframe(
        pa.table(
            {"Field": names, **{id: ["not set" if fields[id][name] is None else str(fields[id][name]) for name in names] for id in chosen}}
        ),
        hide_index=True,
        key="config-table",
        height="content",
    )


def _keep(name: str, key: str) -> None:
    try:
        jobs.write_note(data.cache(), name, key, state.widget(f"note-name-{key}"), state.widget(f"note-text-{key}"))
        state.set_widget("note-told", "Kept.")
    except LearnabilityError as error:
        state.set_widget("note-told", str(error))
