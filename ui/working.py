"""What the queue is doing: a small live display on every page, and one run in full on the runs page."""

import time

import streamlit as st

from learnability import jobs
from learnability.errors import LearnabilityError, NotFound
from learnability.jobs import JobState
from learnability.store.runs import Run
from ui import data, launch, recorded, state, words

SHOWN = 3  # runs at work in the sidebar
LOG_LINES = 200


@st.fragment(run_every="2s")
def sidebar(name: str | None, drawn: dict[str, int], names: tuple[str, ...]) -> None:
    """Shows what is at work and what ended badly; offers to draw new epochs and to resume. Nothing else is touched.

    `drawn` are the runs of data set `name` and the looks that the page was drawn with, `names` the data sets it knew.
    """
    state.stand_by_drawn()
    try:
        found = jobs.status(data.cache())
    except LearnabilityError as error:
        st.text(str(error))
        return
    for one in found.at_work[:SHOWN]:
        st.progress(_share(one), text=_line(one))
    more = len(found.at_work) - SHOWN
    waiting = [f"{more} more at work"] * (more > 0) + [f"{found.queued} queued"] * (found.queued > 0)
    if waiting:
        st.caption(", ".join(waiting))
    if found.waits:
        st.text(found.waits)
    _prepared()
    _changes(name, drawn, names)
    if found.interrupted:
        count = words.count(len(found.interrupted), "run or preparation was", "runs or preparations were")
        st.warning(f"{count} interrupted.")
        st.button("Resume what was interrupted", key="resume-all", width="stretch", on_click=_resume_all, args=(found.interrupted,))


def _prepared() -> None:
    """The preparation that was asked for in this session: on its way, or how it ended."""
    asked = state.widget(launch.PREPARING)
    try:
        now = jobs.state(data.cache(), "", asked) if asked else None
    except LearnabilityError:
        return  # taken out of the queue
    if now is None:
        return
    if now.state == "done":
        st.success("Prepared:")
        st.text(now.reason)
    elif now.state in ("failed", "crashed", "stopped"):
        st.warning("Not prepared:")
        st.text(now.reason)
    else:
        st.caption("Preparing in the background. The data set appears here.")


def _changes(name: str | None, drawn: dict[str, int], names: tuple[str, ...]) -> None:
    new = 0
    if name is not None:
        known = {run.id: run.looks for run in data.all_runs(name)}
        new = sum(max(looks - drawn.get(run_id, 0), 0) for run_id, looks in known.items())
    if (now := tuple(data.dataset_names())) != names:
        added = [one for one in now if one not in names]
        to = {"on_click": state.set_widget, "args": ("data", added[0])} if len(added) == 1 else {}
        if st.button("Show the new data set", key="show-new-data", type="primary", width="stretch", **to):
            st.rerun()
    elif new and st.button(f"Show {words.count(new, 'new epoch')}", key="show-new", width="stretch"):
        st.rerun()


def _resume_all(keys: tuple) -> None:
    jobs.resume_interrupted(data.cache(), keys)


def _share(one: JobState) -> float:
    if one.steps and one.step is not None:
        return min(one.step / one.steps, 1.0)
    return min(one.looks / one.epochs, 1.0) if one.epochs else 0.0


def _line(one: JobState) -> str:
    """`resnet20-s0: epoch 4 of 30, 3 min left`."""
    label = one.name.rsplit("-", 1)[0] if one.data else one.name
    if one.state != "running":
        return f"{label}: {one.state}"
    if not one.epochs:
        return f"{label}: {one.phase or 'at work'}"
    done = f"{one.looks} of {words.count(one.epochs, 'epoch')}"
    doing = "" if one.phase in (None, "train") else f", {one.phase}"
    return f"{label}: {done}{doing}{f', {left(one.eta_s)} left' if one.eta_s else ''}"


def left(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


def controls(run: Run) -> None:
    """One run: what may be asked of it now, and how it stands."""
    try:
        now = jobs.state(data.cache(), run.data, run.id)
    except NotFound:
        st.warning("Run not found: its folder is gone.")
        return
    with st.container(horizontal=True):
        _asked_first("Stop", "stop" in now.actions, _stop, run, "The epochs that are finished are kept, and the run can be resumed.")
        if "resume" in now.actions:
            st.button("Resume", key="job-resume", type="primary", on_click=_ask, args=(jobs.resume, run))
        if "move_up" in now.actions and (now.position or 1) > 1:
            st.button("Move up", key="job-up", on_click=_ask, args=(jobs.move_up, run))
        if run.config and launch.can_ask(run.config):
            st.button("Duplicate", key="job-duplicate", help="Opens the form with this config and the next seed.",
                      on_click=launch.fill_from, args=(run.config, _next_seed(run)))  # fmt: skip
        elif run.config and run.config.origin is None:
            st.button("Duplicate", key="job-duplicate", on_click=launch.next_seed, args=(run.config, _next_seed(run)),
                      help="Queues the same config with the next seed; the form cannot say all of it.")  # fmt: skip
        freed = f"Its recording and scores go for good; {words.megabytes(recorded.disk_used(run))} are freed."
        _asked_first("Delete", "delete" in now.actions, _delete, run, freed)
    if said := state.widget("job-told"):
        st.text(said)
    _live(run.data, run.id, now.state)


def _asked_first(label: str, possible: bool, act, run: Run, said: str) -> None:
    if possible:
        with st.popover(label):
            st.text(said)
            st.button(f"{label} {run.label}", key=f"job-{label.lower()}", type="primary", on_click=act, args=(run,))


def _next_seed(run: Run) -> int:
    same = [one.config.seed for one in data.all_runs(run.data) if one.config and one.config.group_id == run.config.group_id]
    return max(same) + 1


def _ask(act, run: Run) -> None:
    try:
        act(data.cache(), run.data, run.id)
        state.set_widget("job-told", "")
    except LearnabilityError as error:
        state.set_widget("job-told", str(error))


def _stop(run: Run) -> None:
    _ask(jobs.stop, run)


def _delete(run: Run) -> None:
    try:
        freed = jobs.delete(data.cache(), run.data, run.id)
    except LearnabilityError as error:
        state.set_widget("job-told", str(error))
    else:
        state.set_widget("job-told", f"Deleted {run.id}; {words.megabytes(freed)} freed.")
        state.drop_widget("job")


@st.fragment(run_every="2s")
def _live(name: str, run_id: str, drawn: str) -> None:
    """State, progress and the end of the log; the page is drawn anew when the state changes."""
    state.stand_by_drawn()
    try:
        now = jobs.state(data.cache(), name, run_id)
    except NotFound:
        st.rerun()
    if now.state != drawn:
        st.rerun()
    facts = [
        ("State", now.state + (f" ({now.position})" if now.position else ""), "In the queue, the number is its place."),
        ("Epochs", f"{now.looks} of {now.epochs}", "Finished and kept, of those asked for"),
        ("Phase", now.phase, None),
        ("Images/s", now.images_per_second and f"{now.images_per_second:,.0f}", "In training, over the last steps"),
        ("Time left", left(now.eta_s) if now.at_work else None, "By the speed so far"),
        ("Device", now.device, None),
    ]
    for column, (label, value, said) in zip(st.columns(6), [fact for fact in facts if fact[1]], strict=False):
        column.metric(label, value, help=said)
    if now.at_work:
        st.progress(_share(now))
        if now.silent_s is not None:
            st.caption(f"Last sign of life {now.silent_s:.0f} s ago, seen at {time.strftime('%H:%M:%S')}.")
    if now.reason:
        st.text(now.reason)
    log = jobs.log_tail(data.cache(), name, run_id, LOG_LINES)
    if log:
        with st.expander("Log, its last lines"):
            st.code(log, language=None)
