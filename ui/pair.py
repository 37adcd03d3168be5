"""The pair plot of A and B: counts per cell with a lasso, the numbers beside it, and what leads to it."""

import numpy as np
import streamlit as st

from learnability.config import ARCHITECTURES
from learnability.datasets import Dataset
from learnability.metrics import SHARES
from learnability.store.runs import Run
from ui import data, lasso, listing, numbers, pair_points, pair_selection, scored, state, words
from ui.series import Series, joined

VIEWS = ("Counts", "Points")
ALT = (
    "Number of samples by their score for A (across) and for B (up). A lasso or a box selects samples; two ranges do the same by keyboard."
)
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["pan2d", "autoScale2d"]}


def choose_b(now: state.State, found: list[Run], made: Series) -> None:
    """What stands on the page while there is nothing to compare with."""
    known = data.choices([run for run in found if run.recipe == now.recipe])
    mine = {run.id for run in known.get(now.a, [])}
    others = [id for id, runs in known.items() if any(run.looks for run in runs) and not mine & {run.id for run in runs}]
    if not others:
        config = made.runs[0].config
        st.subheader("One network so far", anchor=False)
        needed = "Comparing needs a second network, or a second seed of the same one."
        if unfinished := [*listing.other_networks_coming(found, made), *listing.coming(found, made)]:
            st.markdown(f"{needed} Not finished yet:")
            st.text(", ".join(unfinished))
        else:
            st.markdown(f"{needed} Either command trains it with the same recipe:")
            listing.command(config, [arch for arch in ARCHITECTURES if arch != config.arch][:1])
            listing.command(config, [config.arch], seeds=made.seeds + 1)
        st.button("Look again", key="look-again")
        return
    st.subheader("Compare with what?", anchor=False)
    st.markdown("Two networks agree on what is hard, or one finds hard what the other finds easy. Choose B here or in the sidebar.")
    row = st.container(horizontal=True)
    for id in others[:8]:
        row.button(data.name_of(id, known[id]), key=f"choose-{id}", on_click=state.set_widget, args=("b", id))


def metric_of_b(made: Series) -> str:
    """The metric shown of B: the page's, until another is chosen."""
    data_name = made.runs[0].data
    chosen = state.widget("metric_b") or words.named(state.url_value("metric_b"), data_name)  # a link is read before its widget stands
    return chosen if chosen in words.choosable(data_name) else made.metric


def controls(opened: Dataset, made: Series, b: Series) -> None:
    view, other, colour = st.columns([2, 3, 5], vertical_alignment="bottom")
    with view:
        st.segmented_control("View", VIEWS, required=True, default=VIEWS[0], key="view", bind="query-params")
    with other:
        st.selectbox(
            "Score of B", words.choosable(made.runs[0].data), index=None, format_func=words.label,
            placeholder=f"the same: {words.label(made.metric)}",
            key="metric_b", bind="query-params",
        )  # fmt: skip
    with colour:
        if state.widget("view") == "Points":
            pair_points.colour_controls(opened)
    state.report_ignored(view=state.widget("view"), metric_b=words.label(b.metric))


def shared(made: Series, b: Series) -> np.ndarray:
    return joined(made, b)[2]


def lasso_text() -> str | None:
    shapes = state.kept_lasso()
    return lasso.as_text(shapes) if shapes else None


def draw(opened: Dataset, made: Series, b: Series) -> None:
    state.take_lasso_from_url()
    if state.widget("view") == "Points":
        pair_points.draw(opened, made, b)
    else:
        counts(opened, made, b)


@st.fragment
def counts(opened: Dataset, made: Series, b: Series) -> None:
    """The pair plot, the numbers beside it, and what is selected beneath."""
    key, outline = state.pair_plot((made.key, b.key))
    plot, beside = st.columns([7, 4], gap="large")
    with plot:
        figure = scored.counts_figure(made, b, st.context.theme.type == "dark", outline)
        event = st.plotly_chart(figure, key=key, on_select="rerun", selection_mode=("box", "lasso"), alt=ALT, config=CONFIG)
        same = " On the dotted line both agree." if made.metric == b.metric else ""
        st.caption(f"Each cell counts the samples with these two scores.{same} Draw around any area to see its samples.")
        shapes = state.keep_lasso(event.selection)
        ranges(made, b)
    with beside:
        numbers.draw(numbers.measured(made, b), made, b)
    rows_a, rows_b, ids = joined(made, b)
    inside = ids[lasso.inside(shapes, made.score_N[rows_a], b.score_N[rows_b])] if shapes else np.zeros(0, np.int64)
    pair_selection.draw(opened, made, b, shapes, inside)


def ranges(made: Series, b: Series) -> None:
    """What a lasso does, by two ranges."""
    with st.popover("Select by two ranges"):
        chosen = []
        for side, one in (("A", made), ("B", b)):
            low, high = map(float, one.cells.span if one.metric not in SHARES else (0, 1))
            key = f"range-{side}-{one.metric}"
            chosen.append(st.slider(f"{words.label(one.metric)} of {side}", low, high, (low, high), key=key))
        (x0, x1), (y0, y1) = chosen
        area = lasso.box(x0 - 1e-9, x1 + 1e-9, y0 - 1e-9, y1 + 1e-9)
        st.button("Select", key="select-ranges", on_click=state.set_lasso, args=(area,), type="primary")
