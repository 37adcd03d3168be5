"""The form that starts training and preparing, in the sidebar. It asks the queue; nothing trains in this process."""

import dataclasses
from collections.abc import Callable, Sequence

import streamlit as st

from learnability import jobs
from learnability.config import ARCHITECTURES, AUGMENTS, HEADS, PRECISIONS, RECORD_MODES, SCHEDULES, RunConfig, planted_name
from learnability.errors import LearnabilityError
from learnability.jobs.plans import Plan, plan_for_budget, planned, presets
from ui import data, roots, state, trust, words

PRESETS = {
    "Quick look": "quick",
    "Overnight": "overnight",
    "Paper": "paper",
    "Time budget": "budget",
    "Own choice": "own",
}
DEFAULTS = RunConfig(data="x", fingerprint="0" * 64, arch="resnet20")
TOLD = "launch-told"
PREPARING = "prepare-asked"  # the preparation asked for here: the sidebar tells how it goes
SCRATCH = "from scratch"
SIDE_BY_SIDE = "Runs at a time, in one process: they share a GPU, or the cores. The first is done later, all need memory at once."
ARCHS = "Add one of your own in a shell: python -m learnability architectures add timm:NAME"


def draw(name: str | None) -> None:
    """The two forms; each is built only while it is open. `name` is the data set chosen above."""
    if name is not None:
        form = st.expander("Train", icon=":material/play_arrow:", key="launch-open", on_change="rerun")
        if form.open:
            with form:
                _train(name)
    form = st.expander("Add images", icon=":material/add_photo_alternate:", key="prepare-open", on_change="rerun")
    if form.open:
        with form:
            _prepare()
    _tell()


def _tell() -> None:
    for good, said in state.widget(TOLD) or ():
        (st.success if good else st.warning)("Done:" if good else "Not done:")
        st.text(said)


def _train(name: str) -> None:
    st.selectbox("What to train", list(PRESETS), key="launch-preset", help="The first three propose a study from the speed measured here.")
    preset = PRESETS[state.widget("launch-preset")]
    if preset == "budget":
        st.number_input("Hours", min_value=0.05, max_value=1000.0, value=1.0, step=0.5, key="launch-hours")
    if preset == "own":
        _choices(name)
    try:
        plan = _plan(name, preset)
    except LearnabilityError as error:
        st.warning("This cannot be trained:")
        st.text(str(error))
        return
    st.caption(plan.sentence)
    if advice := trust.advice(name):
        st.text(advice)
    estimate = plan.estimate
    takes = f"{words.count(estimate.runs, 'run')}, {words.duration(estimate.seconds)}, {words.megabytes(estimate.bytes)} on disk"
    st.text(f"{takes}\n{estimate.basis}")
    st.button("Launch", type="primary", key="launch", width="stretch", on_click=_launch, args=(name, preset))


def _choices(name: str) -> None:
    """Everything a run is asked to do."""
    if starts := data.starts(name):
        st.selectbox("Start", [SCRATCH, *starts], key="launch-start", help="Small heads train in seconds on features made before.")
    if state.widget("launch-start") in starts:
        st.multiselect("Heads", list(HEADS), default=list(HEADS)[:1], key="launch-heads")
    else:
        st.multiselect("Architectures", data.architectures(), default=list(ARCHITECTURES), key="launch-archs", help=ARCHS)
    one, two = st.columns(2)
    one.number_input("Seeds", 1, 100, 1, key="launch-seeds", help="Two or more tell how reliable a score is.")
    two.number_input("First seed", 0, 10_000, 0, key="launch-first")
    one.number_input("Epochs", 1, 10_000, DEFAULTS.epochs, key="launch-epochs")
    two.number_input("Batch size", 2, 65_536, DEFAULTS.batch_size, key="launch-batch_size")
    rows = data.dataset(name).N
    one.number_input("Samples", 2, rows, rows, key="launch-subset", help="Fewer than all: the same share of every class.")
    two.number_input("Learning rate", 0.0, 100.0, 0.0, format="%.4g", key="launch-lr", help="0: the default, 0.1; for VGG-16 0.05.")
    one.selectbox("Schedule", SCHEDULES, key="launch-schedule")
    two.selectbox("Augment", AUGMENTS, key="launch-augment", help="auto: crop and flip for colour, none for grey.")
    one.selectbox("Recorded in", RECORD_MODES, key="launch-record", help="train: in the update itself. eval: in a pass after each epoch.")
    two.selectbox("Precision", PRECISIONS, key="launch-precision", help="auto measures once what is fastest here.")
    one.selectbox("Labels", data.label_versions(name), key="launch-labels")
    two.number_input("Planted noise, %", 0.0, 90.0, 0.0, 1.0, key="launch-noise", help="Wrong labels put in on purpose, to test scores.")
    st.selectbox("Device", jobs.device_choices(), key="launch-device")
    st.number_input("Side by side", 1, 16, 1, key="launch-together", help=SIDE_BY_SIDE)


def _plan(name: str, preset: str) -> Plan:
    if preset == "budget":
        return plan_for_budget(data.cache(), name, 3600 * state.widget("launch-hours"))
    if preset != "own":
        return presets(data.cache(), name)[preset]
    asked = {field: state.widget(f"launch-{field}") for field in ("batch_size", "schedule", "augment", "record", "precision")}
    noise = state.widget("launch-noise")
    start = state.widget("launch-start") if state.widget("launch-start") in data.starts(name) else None
    archs = state.widget("launch-heads" if start else "launch-archs")
    return planned(
        data.cache(), name, "Own choice", archs, state.widget("launch-seeds"), state.widget("launch-epochs"),
        state.widget("launch-subset"), state.widget("launch-device"), "",
        first_seed=state.widget("launch-first"), lr=state.widget("launch-lr") or None,
        labels=planted_name(noise / 100) if noise else state.widget("launch-labels"), start=start, **asked,
    )  # fmt: skip


def _launch(name: str, preset: str) -> None:
    """The button: puts the runs into the queue. The same launch twice makes no run twice."""
    device, together = (state.widget("launch-device"), state.widget("launch-together")) if preset == "own" else (None, None)
    _queue(lambda: _plan(name, preset).configs, device or "auto", together or 1)


def ask_for(configs: Sequence[RunConfig]) -> None:
    """In callbacks: queues these runs."""
    _queue(lambda: configs, "auto")


def next_seed(config: RunConfig, seed: int) -> None:
    """In callbacks: queues what a run was asked to do for another seed, curriculum, folds and all."""
    ask_for([dataclasses.replace(config, seed=seed)])


def _queue(configs: Callable[[], Sequence[RunConfig]], device: str, together: int = 1) -> None:
    try:
        made = jobs.launch(data.cache(), configs(), device, together=together)
    except LearnabilityError as error:
        state.set_widget(TOLD, [(False, str(error))])
        return
    new = [run_id for run_id, created in made if created]
    known = [run_id for run_id, created in made if not created]
    told = [(True, f"{words.count(len(new), 'run')} queued: {', '.join(new)}")] if new else []
    told += [(False, f"There already, not started again: {', '.join(known)}")] if known else []
    state.set_widget(TOLD, told)
    state.set_widget("launch-open", False)


def launch_quick(name: str) -> None:
    """In callbacks: the three networks on this data set, sized for a quick look."""
    _launch(name, "quick")


def prepare_digits() -> None:
    """In callbacks: the handwritten digits that come with scikit-learn."""
    _queue_preparation("digits")


def fill_from(config: RunConfig, first_seed: int) -> None:
    """In callbacks: opens the form with what this run was asked to do, for the next seed."""
    told = {field: getattr(config, field) for field in ("epochs", "batch_size", "schedule", "augment", "record", "precision", "labels")}
    told |= {"preset": "Own choice", "seeds": 1, "first": first_seed, "lr": config.lr or 0.0, "noise": 0.0}
    told |= {"archs": [config.arch], "start": SCRATCH} if config.start is None else {"heads": [config.arch], "start": config.start}
    told |= {"subset": config.subset or data.dataset(config.data).N, "device": jobs.device_choices()[0]}
    for field, value in told.items():
        state.set_widget(f"launch-{field}", value)
    state.set_widget("launch-open", True)


ASKED = {
    "arch",
    "seed",
    "data",
    "fingerprint",
    "epochs",
    "batch_size",
    "schedule",
    "augment",
    "record",
    "precision",
    "labels",
    "lr",
    "subset",
    "start",
}


def can_ask(config: RunConfig) -> bool:
    """Whether the form can say everything that this config asks for, of the newest version of its data set."""
    fields = config.to_json()
    offered = data.architectures() if config.start is None else HEADS if config.start in data.starts(config.data) else ()
    if config.arch not in offered:
        return False
    return config.fingerprint == data.dataset(config.data).fingerprint and all(
        fields[field] == default for field, default in DEFAULTS.to_json().items() if field not in ASKED
    )


def _prepare() -> None:
    st.text_input("Folder, Parquet or CSV file", key="prepare-source", placeholder="photos, or data/train.parquet")
    st.caption("A folder holds one folder a class. Readable here: " + ", ".join(f"`{root}`" for root in roots.roots()))
    st.text_input("Name", key="prepare-name", placeholder="from the source", help="Letters, digits, - and _.")
    one, two = st.columns(2)
    one.number_input("Side, pixels", 0, 1024, 0, key="prepare-size", help="0: from the images; photographs become 64. At least 32.")
    two.selectbox("Fit", ("crop", "pad", "stretch"), key="prepare-fit", help="How images of another shape become square.")
    one.number_input("At most", 0, 10**9, 0, key="prepare-limit", help="Number of train samples, the same share of every class; 0: all.")
    two.number_input("Test share, %", 0, 90, 0, key="prepare-test", help="Held back to measure test accuracy; 0: as the source has it.")
    st.button("Prepare", type="primary", key="prepare", width="stretch", on_click=_prepare_asked)
    st.button("Handwritten digits, to try it", key="prepare-digits", width="stretch", on_click=prepare_digits)


def _prepare_asked() -> None:
    asked = {field: state.widget(f"prepare-{field}") or None for field in ("name", "size", "fit", "limit")}
    share = state.widget("prepare-test")
    try:
        source = str(roots.inside(state.widget("prepare-source") or ""))
    except LearnabilityError as error:
        state.set_widget(TOLD, [(False, str(error))])
        return
    _queue_preparation(source, **asked, test=str(share / 100) if share else None)


def _queue_preparation(source: str, **options) -> None:
    try:
        name = jobs.prepare(data.cache(), source, **options)
    except LearnabilityError as error:
        state.set_widget(TOLD, [(False, str(error))])
    else:
        state.set_widget(TOLD, [])
        state.set_widget(PREPARING, name)
