"""The experiment on the curriculum page: what to measure, what it costs, its launch."""

import streamlit as st

from learnability import experiments
from learnability.config import RunConfig, planted_name
from learnability.curriculum import ARMS, Pacing
from learnability.datasets import Dataset
from learnability.errors import InputError, LearnabilityError
from learnability.experiments import Design, Proposal, background
from learnability.experiments.design import RECIPE
from learnability.jobs import Estimate
from learnability.metrics import METRICS
from learnability.store.paths import Cache
from ui import curriculum_views, data, measured_results, state, words, working
from ui.curriculum import Plan

AS_A, FEW, NOISY, BOTH = SETTINGS = ("As A was trained", "20 % of the samples", "20 % wrong labels", "Both")
SHARE, NOISE = 0.2, 0.2
TOLD = "measure-told"


def draw(plan: Plan, opened: Dataset) -> None:
    """Choices, cost and button, then what there is so far."""
    st.subheader("Does it help here? Measured", anchor=False)
    st.markdown(
        "The same network is trained under each order with **equal updates**, on seeds that made none of the scores, and compared within a "
        "seed. The likeliest outcome is no difference. That is a result too: it spares you the curriculum.",
        help=curriculum_views.SOURCES,
    )
    proposal = None
    with st.container(border=True):
        try:
            _check_metric(plan.made.metric)
            proposal = _proposed(str(data.cache().root), _choices(plan, opened), _seen(opened.name))
        except LearnabilityError as error:
            st.warning("This cannot be measured:")
            st.text(str(error))
        else:
            _offer(proposal)
    _tell()
    measured_results.draw(opened.name, proposal and proposal.id)


def _check_metric(metric: str) -> None:
    """Refuses a score that no run here makes: the arms may not train on the seeds that made their order, and it has none."""
    if metric not in METRICS:
        raise InputError(
            f"{words.label(metric)} comes from elsewhere. An experiment makes its order from runs trained here, on seeds other than "
            "those it compares, and notes what they cost; of an imported score neither is known. Choose a score of the network in the "
            "sidebar, for example Learnability, to measure that one; this one can be kept as an order or exported below, for a loop "
            "of your own."
        )


def _choices(plan: Plan, opened: Dataset) -> Design:
    one, two, three = st.columns([6, 5, 2], vertical_alignment="bottom")
    with one:
        st.segmented_control(
            "Setting", SETTINGS, required=True, default=AS_A, key="measure-setting",
            help="Gains of easy first were published for little data and for wrong labels: each is one click away, the runs for its scores "
            "come first. Wrong labels are planted in a label version of their own and never mix with the real ones.",
        )  # fmt: skip
    with two:
        st.pills(
            "Arms", ARMS, selection_mode="multi", default=list(ARMS), key="measure-arms",
            help="random is the control for the order and always drawn; standard is ordinary training, the control for the pacing.",
        )  # fmt: skip
    with three:
        st.number_input("Seeds", 1, 100, 3, key="measure-seeds", help="Of each arm. At least 3 for an interval; 5 are better.")
    config, setting = plan.made.runs[0].config, state.widget("measure-setting") or AS_A
    own = setting == AS_A
    count = config.subset or int((opened.labels_N >= 0).sum())
    pacing = plan.schedule.pacing if plan.schedule.pacing.name != "full" else Pacing()
    return Design(
        data=opened.name, arch=config.arch, metric=plan.made.metric, easy_is=plan.direction,
        scores=plan.made.id if own and not config.curriculum else None,
        balance=state.widget("balance") is not False, arms=_arms(), seeds=int(state.widget("measure-seeds") or 3), pacing=pacing,
        subset=max(2, round(SHARE * count)) if setting in (FEW, BOTH) else config.subset,
        labels=planted_name(NOISE) if setting in (NOISY, BOTH) else config.labels,
        recipe=_recipe(config, plan),
    )  # fmt: skip


def _arms() -> tuple[str, ...]:
    """Those chosen, in the usual order; random always, and easy first where no order is chosen."""
    chosen = {"random", *(state.widget("measure-arms") or ())}
    return tuple(arm for arm in ARMS if arm in chosen or (arm == "easy_first" and not chosen & {"easy_first", "hard_first"}))


def _recipe(config: RunConfig, plan: Plan) -> tuple[tuple[str, object], ...]:
    """A's recipe with the length and batch chosen above."""
    fields = {field: getattr(config, field) for field in RECIPE} | {"epochs": plan.epochs, "batch_size": plan.schedule.batch_size}
    default = RunConfig(data="x", fingerprint="0" * 64, arch=config.arch)
    return tuple((field, value) for field, value in fields.items() if value != getattr(default, field))


@st.cache_resource(max_entries=4, show_spinner="Ordering the samples ...", hash_funcs={Design: repr})
def _proposed(root: str, design: Design, seen: tuple) -> Proposal:
    return experiments.propose(Cache.at(root), design)


def _seen(name: str) -> tuple:
    """Changes when a run begins, ends or is deleted: then a proposal is made anew."""
    return tuple((run.id, run.state, run.looks) for run in data.all_runs(name))


def _states(name: str) -> tuple:
    """Changes when a run begins or ends, but not with every epoch."""
    return tuple((run.id, run.state) for run in data.all_runs(name))


def _offer(proposal: Proposal) -> None:
    """What is launched, what it costs, and the button."""
    design = proposal.design
    st.markdown(f"**{proposal.said}**")
    parts = [f"Pacing {design.pacing}; recipe of A, the same learning rate in every arm."]
    if proposal.scores is not None:
        parts.append(f"Scores: {proposal.scores.said}.")
    st.text(" ".join([*parts, *proposal.notes]))
    missing = bool(proposal.new) or not proposal.complete
    behind = background.standing(data.cache(), design) if missing else None
    waits = behind is not None and behind.at_work
    unfinished = _unfinished(proposal)
    if not proposal.complete:
        label = "Train scores, then arms"
    elif proposal.new:
        label = f"Launch {words.count(len(proposal.new), 'run')}"
    else:
        label = f"Go on with {words.count(unfinished, 'run')}" if unfinished else "Launched already"
    left, right = st.columns([2, 5], vertical_alignment="center")
    with left:
        st.button(
            label, type="primary", key="measure-launch", width="stretch", disabled=waits or not (missing or unfinished),
            on_click=_launch, args=(design,),
        )  # fmt: skip
    with right:
        st.text(_cost(proposal))
    if waits:
        st.fragment(_waiting, run_every="2s")(proposal, _states(design.data))
    elif behind is not None:
        st.warning("What was to queue the arms has ended without them. It goes on from there with the button. It said last:")
        st.text(behind.told)
    for said in background.others(data.cache(), design):
        st.text(f"At work in the background, scores first, then arms: {said}.")


def _cost(proposal: Proposal) -> str:
    """What the press will train: where scores are missing, their runs and then those of the arms."""
    there, estimate, later = len(proposal.configs) - len(proposal.new), proposal.estimate, proposal.later
    already = f"; {there} of {len(proposal.configs)} there already" if there else ""
    if later is None and not proposal.new:
        return f"{_already(there)}; nothing new to train."
    if later is None:
        return f"{_estimated(estimate, 'new run')} ({estimate.basis}){already}"
    first = f"{_estimated(estimate, 'new run')} for the scores{already}" if proposal.new else f"{_already(there)} for the scores"
    return f"{first}; then {_estimated(later, 'run')}, of the arms ({later.basis})"


def _already(there: int) -> str:
    return f"{words.count(there, 'run')} there already"


def _estimated(estimate: Estimate, noun: str) -> str:
    time = "time unknown" if estimate.seconds is None else f"about {working.left(max(estimate.seconds, 1.0))}"
    return f"{words.count(estimate.runs, noun)}, {time} one after the other, {words.megabytes(estimate.bytes)} on disk"


def _waiting(proposal: Proposal, drawn: tuple) -> None:
    """What the process in the background waits for; the page is drawn anew when that changes, and when the process ends."""
    state.stand_by_drawn()
    design, ids = proposal.design, {config.run_id for config in proposal.configs}
    behind = background.standing(data.cache(), design)
    if behind is None or not behind.at_work or _states(design.data) != drawn:
        st.rerun()
    own = [one for one in measured_results.states(design.data) if one.name in ids]
    going, looks, whole = sum(one.state != "done" for one in own), sum(one.looks for one in own), sum(one.epochs for one in own)
    ended = sum(one.state not in (*measured_results.GOING, "done") or one.interrupted for one in own)
    if proposal.complete or len(own) == len(ids) and not going:
        st.text("The scores are there; the arms are being queued.")
    elif len(own) < len(ids):
        st.text("The runs for the scores are being queued.")
    else:
        st.text(
            f"Waiting for the scores: {words.count(going, 'run')} to go, {looks} of {words.count(whole, 'epoch')} done. Then the arms are "
            "queued, also when this page is closed."
            + (f" {ended} ended early: unless it is resumed, the arms are not queued." if ended else "")
        )


def _unfinished(proposal: Proposal) -> int:
    """Runs of the proposal that were stopped, failed or cut off."""
    ids = {config.run_id for config in proposal.configs if config not in proposal.new}
    if not ids:
        return 0
    return sum("resume" in one.actions for one in measured_results.states(proposal.design.data) if one.name in ids)


def _launch(design: Design) -> None:
    """In a callback. The same launch twice makes no run twice."""
    try:
        said = _launched(design)
    except LearnabilityError as error:
        state.set_widget(TOLD, (str(error), False))
    else:
        state.set_widget(TOLD, (said, True))


def _launched(design: Design) -> str:
    """What was launched, in words. Where scores are missing, a process of its own queues their runs, waits, and queues the arms."""
    proposal = experiments.propose(data.cache(), design)
    if proposal.complete:
        return f"Runs: {experiments.launch(data.cache(), proposal).said}."
    begun = background.begin(data.cache(), design)
    return f"The runs for the scores, then the arms: {'begun' if begun else 'at work already'}, whatever becomes of this page."


def _tell() -> None:
    """What the press just now did, or why it did nothing; said once."""
    text, good = state.widget(TOLD) or (None, True)
    state.drop_widget(TOLD)
    if text is not None:
        (st.success if good else st.warning)("Done:" if good else "Not done:")
        st.text(text)
