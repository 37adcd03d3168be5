"""What every page shows is chosen here: data set, recipe, A, B and metric."""

import streamlit as st

from learnability.store.runs import Run
from ui import data, gallery, launch, state, words, working

BOUND = {"bind": "query-params", "on_change": state.set_widget, "args": ("sheet", 1)}  # another list begins at its first sheet


def draw() -> None:
    """Draws the choices, keeps them as the page's State, and says which parts of a link are not here."""
    names = data.dataset_names()
    if not names:
        state.keep(state.State())
        launch.draw(None)
        working.sidebar(None, {}, ())
        return
    st.selectbox("Data set", names, key="data", **BOUND)
    name = st.session_state["data"]
    state.report_ignored(data=name)
    found = data.all_runs(name)
    working.sidebar(name, {run.id: run.looks for run in found}, tuple(names))
    recipe = _recipe(name, found)
    a, b, metric = _pair(found, recipe) if recipe else (None, None, "learnability")
    state.keep(state.State(name, recipe, a, b, metric))
    _damaged([run for run in found if run.problem])
    launch.draw(name)
    gallery.plain_switch()
    state.report_ignored(plain=str(state.widget("plain")).lower())


def _recipe(name: str, found: list[Run]) -> str | None:
    keys = [key for key in data.recipes(name) if any(run.recipe == key and run.config for run in found)]
    if not keys:
        return None
    scored = [key for key in keys if any(run.recipe == key and run.looks for run in found)]
    if not scored:
        return None  # until the first epoch is committed the pages say what is at work
    a = state.asked("a")  # a link to A alone means A's recipe, also when a newer one has come
    default = next((run.recipe for run in found if run.config and a in (run.id, run.group) and run.recipe in keys), scored[0])
    st.selectbox(
        "Recipe", keys, index=keys.index(default), key="recipe", **BOUND,
        help="What a run was asked to do, architecture and seed aside. Runs of one recipe may be averaged and compared. Newest first.",
    )  # fmt: skip
    recipe = st.session_state["recipe"]
    state.report_ignored(recipe=recipe)
    st.caption(words.recipe_line(next(run.config for run in found if run.recipe == recipe and run.config)))
    return recipe


def _pair(found: list[Run], recipe: str) -> tuple[str, str | None, str]:
    own = data.choices([run for run in found if run.recipe == recipe])
    others = data.choices([run for run in found if run.recipe != recipe])
    ids = list(own)
    default = next((i for i, id in enumerate(ids) if any(run.looks for run in own[id])), 0)
    st.selectbox("A", ids, index=default, key="a", **BOUND, help="A group (the mean over the seeds of one architecture) or a single run.")
    a = st.session_state["a"]
    st.caption(_said(a, own[a]))
    st.selectbox("B, to compare with", [*ids, *others], index=None, placeholder="none", key="b", **BOUND)
    b = st.session_state["b"]
    if b is not None:
        st.caption(_said(b, (own | others)[b], recipe))
    scores = words.choosable(found[0].data)
    if state.widget("metric") not in scores:  # imported for another data set
        state.drop_widget("metric")
    st.selectbox("Score", scores, format_func=words.label, key="metric", **BOUND)
    metric = st.session_state["metric"]
    st.caption(f"{words.metric_named(metric).sentence} **{words.direction(metric).capitalize()}.**")
    state.report_ignored(a=a, b=b, metric=words.label(metric))
    for said in words.damaged_scores(found[0].data):
        st.warning("An imported score cannot be read:")
        st.text(said)
    return a, b, metric


def _said(id: str, members: list[Run], recipe: str | None = None) -> str:
    if len(members) == 1:
        return f"{data.name_of(id, members, recipe)}: {words.state_line(members[0])}"
    whole = sum(not run.partial and not run.problem for run in members)
    return (
        data.name_of(id, members, recipe)
        if whole == len(members)
        else f"{members[0].config.arch}: {len(members)} runs, {whole} of them whole"
    )


def _damaged(damaged: list[Run]) -> None:
    for run in damaged:
        with st.container(border=True, key=f"damaged-{run.id}"):
            st.markdown(f":material/error: **Run damaged** `{run.id}`")
            st.text(run.problem)
