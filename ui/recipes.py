"""What runs were asked to do and what they ran with; names and notes that people give to recipes and groups."""

import pyarrow as pa
import streamlit as st

from learnability import jobs
from learnability.errors import LearnabilityError
from learnability.store.runs import Run
from ui import data, recorded, state, words


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
    """What runs were asked to do and what they ran with, of two side by side; only what differs unless everything is wanted."""
    known = {run.id: run for run in runs if run.config}
    one, other, which = st.columns([3, 3, 2], vertical_alignment="bottom")
    first = one.selectbox("Run", list(known), key="config-first")
    second = other.selectbox("beside", list(known), index=None, placeholder="no other run", key="config-second")
    only = which.toggle("Only what differs", key="config-only", disabled=second is None)
    chosen = [known[first], *([known[second]] if second else [])]
    asked, ran = st.columns(2, gap="large")
    with asked:
        _table("Asked for", [words.asked(run.config) for run in chosen], chosen, bool(only and second))
    with ran:
        _table("Ran with", [recorded.ran_with(run) for run in chosen], chosen, bool(only and second))


def _table(title: str, told: list[dict], runs: list[Run], only: bool) -> None:
    """One line a field, one column a run."""
    names = list(dict.fromkeys(name for one in told for name in one))
    if only:
        names = [name for name in names if len({str(one.get(name)) for one in told}) > 1]
    if not names:
        st.caption(f"{title}: {'the same' if told[0] else 'not known yet'}.")
        return
    shown = [{name: "not set" if value is None else str(value) for name, value in one.items()} for one in told]
    values = {run.id: [one.get(name, "not known") for name in names] for run, one in zip(runs, shown, strict=True)}
    st.dataframe(pa.table({title: names, **values}), hide_index=True, key=f"config-table-{title}", height="content")


def _keep(name: str, key: str) -> None:
    try:
        jobs.write_note(data.cache(), name, key, state.widget(f"note-name-{key}"), state.widget(f"note-text-{key}"))
        state.set_widget("note-told", "Kept.")
    except LearnabilityError as error:
        state.set_widget("note-told", str(error))
