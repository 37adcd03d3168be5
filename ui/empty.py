"""What a page says when there is nothing to draw yet: always the next step."""

import streamlit as st

from learnability.errors import LearnabilityError
from learnability.store.runs import Run
from learnability.store.scores import scored_looks
from ui import data, launch, scored, state, words
from ui.series import Series

FIRST_RUNS = "python -m learnability train --data {data} --arch resnet20 vgg16 mobilenet"


def no_dataset() -> None:
    """Stops the page with the two commands that lead to a first result."""
    st.title("Learnability Explorer", anchor=False)
    st.markdown("Which images do your networks learn at once, which late, which never? There is no data set here yet.")
    st.subheader("Try it on handwritten digits", anchor=False)
    st.button("Prepare the digits", type="primary", key="empty-digits", on_click=launch.prepare_digits)
    st.markdown("It takes seconds; then this page offers to train three networks on them. The same from the shell:")
    st.code("python -m learnability prepare digits\n" + FIRST_RUNS.format(data="digits"), language="bash")
    st.subheader("Or take your own images", anchor=False)
    st.markdown("A folder with one subfolder a class, a Parquet file or a CSV file with paths and labels: *Add images* in the sidebar, or")
    st.code("python -m learnability prepare path/to/images --name my-images", language="bash")
    st.button("Look again", type="primary", key="look-again")
    st.stop()


def no_runs(name: str) -> None:
    st.subheader("No run yet", anchor=False)
    st.markdown("Scores come from training. This trains three networks in the background, one after the other; the sidebar follows.")
    st.button("Train three networks", type="primary", key="empty-train", on_click=launch.launch_quick, args=(name,))
    st.caption("Other networks, seeds and epochs: *Train* in the sidebar. The same from the shell:")
    st.code(FIRST_RUNS.format(data=name), language="bash")
    st.caption("The command tells the time left as soon as the first batches are through; Ctrl-C stops it, the same command goes on.")
    st.button("Look again", type="primary", key="look-again")


def waiting_or_no_runs(name: str, found: list[Run]) -> None:
    """Before the first score: what is queued or at work, or how to begin."""
    if any(run.state in ("queued", "running") for run in found):
        no_scores(found, "learnability")
    else:
        no_runs(name)


def chosen() -> tuple[state.State, list[Run]]:
    """The page's state and the runs of its data set; stops the page where there is no data set."""
    now = state.current()
    if now.data is None:
        no_dataset()
    return now, data.all_runs(now.data)


def series_or_stop(now: state.State, found: list[Run], id: str | None, title: str, metric: str | None = None) -> Series:
    """The score of a group or run; otherwise says under the page's title what is missing, and stops the page."""
    metric = metric or now.metric
    members = data.choices(found).get(id, [])
    try:
        made = scored.series(now.data, id, members, metric) if members else None
    except LearnabilityError as error:
        st.title(title, anchor=False)
        broken("The scores of this run cannot be read", error)
        st.stop()
    if made is None:
        st.title(title, anchor=False)
        waiting_or_no_runs(now.data, found) if id is None else no_scores(members, metric)
        st.stop()
    return made


def broken(said: str, error: LearnabilityError) -> None:
    with st.container(border=True):
        st.markdown(f":material/error: **{said}**")
        st.text(str(error))


def no_scores(members: list[Run], metric: str) -> None:
    """A run or group without this score: still waiting, ended before its first epoch, or imported without the signal."""
    if not members:
        st.warning("This run is not here any more: its folder is gone.")
        return
    if any(scored_looks(data.cache(), run.data, run.id) for run in members):
        st.warning(f"{words.label(metric)} cannot be made from this recording: it lacks a signal. Choose another score in the sidebar.")
        return
    begun = any(run.looks for run in members)
    st.subheader("The first scores are not written yet" if begun else "No epoch is finished yet", anchor=False)
    for run in members:
        st.text(f"{run.label}: {words.state_line(run)}" + (f" - {run.head.reason}" if run.head and run.head.reason else ""))
    soon = "They are written within ten seconds or so while it trains" if begun else "Scores appear with the first finished epoch"
    st.caption(f"{soon}; the sidebar says how far it is and offers to show it.")
    st.button("Look again", key="look-again")
