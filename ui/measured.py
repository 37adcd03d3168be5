"""The experiment on the curriculum page: what to measure, what it costs, its launch."""

import streamlit as st

from learnability import experiments
from learnability.config import RunConfig, planted_name
from learnability.curriculum import ARMS, Pacing
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.experiments import Design, Proposal
from learnability.experiments.design import RECIPE
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
        design = _choices(plan, opened)
        try:
            proposal = _proposed(str(data.cache().root), design, _seen(opened.name))
        except LearnabilityError as error:
            st.warning("This cannot be measured:")
            st.text(str(error))
        else:
            _offer(proposal)
    _tell()
    measured_results.draw(opened.name, proposal and proposal.id)


def _choices(plan: Plan, opened: Dataset) -> Design:
    one, two, three = st.columns([6, 5, 2], vertical_alignment="bottom")
    with one:
        st.segmented_control(
            "Setting", SETTINGS, required=True, default=AS_A, key="measure-setting",
            help="Gains of easy first were published for little data and for wrong labels: each is one click away. Wrong labels are "
            "planted in a label version of their own and never mix with the real ones.",
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


def _offer(proposal: Proposal) -> None:
    """What is launched, what it costs, and the button."""
    design = proposal.design
    st.markdown(f"**{proposal.said}**")
    parts = [f"Pacing {design.pacing}; recipe of A, the same learning rate in every arm."]
    if proposal.scores is not None:
        parts.append(f"Scores: {proposal.scores.said}.")
    st.text(" ".join([*parts, *proposal.notes]))
    estimate, left, right = proposal.estimate, *st.columns([2, 5], vertical_alignment="center")
    unfinished = _unfinished(proposal)
    if proposal.new:
        label = f"Launch {words.count(len(proposal.new), 'run')}" if proposal.complete else "Train the scores first"
    else:
        label = f"Go on with {words.count(unfinished, 'run')}" if unfinished else "Launched already"
    with left:
        st.button(
            label, type="primary", key="measure-launch", width="stretch", disabled=not proposal.new and not unfinished,
            on_click=_launch, args=(design,),
        )  # fmt: skip
    with right:
        time = "time unknown" if estimate.seconds is None else f"about {working.left(max(estimate.seconds, 1.0))}"
        there = len(proposal.configs) - len(proposal.new)
        st.text(
            f"{words.count(estimate.runs, 'new run')}, {time} one after the other, {words.megabytes(estimate.bytes)} on disk "
            f"({estimate.basis})" + (f"; {there} of {len(proposal.configs)} there already" if there else "")
            if proposal.new
            else f"{words.count(there, 'run')} there already; nothing new to train."
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
        launched = experiments.launch(data.cache(), experiments.propose(data.cache(), design))
    except LearnabilityError as error:
        state.set_widget(TOLD, (str(error), False))
    else:
        state.set_widget(TOLD, (f"Runs: {launched.said}.", True))


def _tell() -> None:
    """What the press just now did, or why it did nothing; said once."""
    text, good = state.widget(TOLD) or (None, True)
    state.drop_widget(TOLD)
    if text is not None:
        (st.success if good else st.warning)("Done:" if good else "Not done:")
        st.text(text)
