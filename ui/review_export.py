"""What a review leads to: corrected labels, a corrected image folder, a label version, and runs trained on it."""

import dataclasses

import streamlit as st

from learnability import jobs, review
from learnability.config import RunConfig, train_command
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.jobs import logs, starts
from learnability.store import datasets as dataset_store
from learnability.store.runs import Run
from ui import colleague, data, empty, headline, review_verdicts, reviews, state, words


def draw(opened: Dataset, members: list[Run]) -> None:
    done = reviews.reviewed(opened)
    review_verdicts.told()
    told = done.progress
    if not told.decided:
        st.info("Nothing is decided yet: the corrected labels are those of the source.")
        st.button("Go to the queue", key="to-queue", on_click=state.set_widget, args=("queue", "One by one"))
    left, right = st.columns(2, gap="large")
    with left:
        labels(opened, done)
        folder(opened)
    with right:
        label_version(opened)
        retrain(opened, members)
        colleague.draw(opened)


def labels(opened: Dataset, done: reviews.Reviewed) -> None:
    st.subheader("Corrected labels", anchor=False)
    st.markdown("One row a sample: key, hash, old and new label, verdict, by whom, why, when, tags. A dropped sample has no new label.")
    only = st.toggle("Only samples somebody decided or tagged", key="only-changed")
    rows = len(done.resolved.by_id.keys() | done.resolved.tags.keys()) if only else done.resolved.rows
    st.caption(f"{words.count(rows, 'row')}{', test samples among them' * bool(len(opened.test_labels_T))}.")
    headline.downloads(lambda: reviews.corrected(opened, only), "corrected-labels")
    st.code(
        f"python -m learnability export labels --data {opened.name} --out corrected.csv{' --changed' * only}",
        language="bash",
        wrap_lines=True,
    )


# a folder of images


def folder(opened: Dataset) -> None:
    """A folder of images under their new labels, written by a process of its own."""
    st.subheader("Corrected image folder", anchor=False)
    if opened.images is None:
        st.caption("This data set has no pictures: take its labels.")
        return
    st.markdown(
        "One folder a class under the new labels. Where the source's files are still there they are hard linked: do not edit them in place."
    )
    row = st.container(horizontal=True, vertical_alignment="bottom")
    name = row.text_input("Name of the folder", key="export-name", placeholder="for example digits-corrected", max_chars=64, width=300)
    row.button("Write it", key="export-folder", disabled=not name, on_click=write_folder, args=(opened, name))
    st.caption("It is written to exports/ in the cache folder. The command writes it wherever you like:")
    st.code(
        f"python -m learnability export folder --data {opened.name} --out {name or f'{opened.name}-corrected'}",
        language="bash",
        wrap_lines=True,
    )
    if (asked := state.widget("export_asked")) is not None and asked[0] == opened.name:
        _written(*asked)


def write_folder(opened: Dataset, name: str) -> None:
    """In a callback: starts the export beside the dashboard; it goes on whatever becomes of the page."""
    cache = data.cache()
    try:
        out, log = cache.export(opened.name, name), cache.export_log(opened.name, name)
        if out.exists():
            review_verdicts.say(f"The folder {name} is there already and stays as it is. Choose another name.", good=False)
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        starts.spawned(["export", "folder", "--data", opened.name, "--out", str(out), "--cache", str(cache.root)], log, cache)
    except LearnabilityError as error:
        review_verdicts.say(str(error), good=False)
        return
    state.set_widget("export_asked", (opened.name, name))


@st.fragment(run_every="2s")
def _written(dataset: str, name: str) -> None:
    """Only shows: what the export has told so far."""
    state.stand_by_drawn()
    told = logs.tail(data.cache().export_log(dataset, name), 6)
    st.text(f"{name}: {'written' if data.cache().export(dataset, name).exists() else 'at work'}\n{told}")


# a label version, and runs on it


def label_version(opened: Dataset) -> None:
    st.subheader("Reviewed label version", anchor=False)
    st.markdown("Freezes what is decided now as labels to train on. The source and the original labels stay as they are.")
    st.button("Make a label version", key="make-version", type="primary", on_click=make_version, args=(opened,))
    st.code(f"python -m learnability review --data {opened.name} --make-labels", language="bash", wrap_lines=True)


def make_version(opened: Dataset) -> None:
    try:
        made = review.label_version_from_reviews(data.cache(), opened.name, opened.fingerprint[:8])
    except LearnabilityError as error:
        review_verdicts.say(str(error), good=False)
        return
    state.set_widget("version", made)
    review_verdicts.say(f"Label version {made} holds what is decided now.")


def versions(opened: Dataset) -> list[str]:
    """Reviewed label versions, newest first."""
    found = dataset_store.label_versions(data.cache(), opened.name, opened.fingerprint[:8])
    numbers = sorted((int(name.rpartition("-")[2]) for name in found if name.startswith("reviewed-")), reverse=True)
    return [f"reviewed-{n}" for n in numbers]


def on_labels(members: list[Run], version: str) -> list[RunConfig]:
    """The same trainings under another label version."""
    return [dataclasses.replace(run.config, labels=version) for run in members if run.config is not None]


def commands(configs: list[RunConfig]) -> list[str]:
    """The shell's way to the same runs: one line where the seeds follow each other."""
    seeds = sorted({config.seed for config in configs})
    if seeds and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        told = [train_command(configs[0], [configs[0].arch], seeds=len(seeds), first_seed=seeds[0])]
    else:
        told = [train_command(config, [config.arch], first_seed=config.seed) for config in configs]
    return [line for line in told if line]


def retrain(opened: Dataset, members: list[Run]) -> None:
    """The chosen group's runs once more, on reviewed labels."""
    st.subheader("Retrain on reviewed labels", anchor=False)
    there = versions(opened)
    if not there:
        st.caption("Make a label version first: then the same networks are trained on it, and before is compared with after.")
        return
    version = st.selectbox("Label version", there, key="version")
    configs = on_labels(members, version)
    if not configs:
        empty.no_runs(opened.name)
        return
    here = {run.id for run in data.all_runs(opened.name)}
    new = [config for config in configs if config.run_id not in here]
    if new:
        st.text(cost(new))
        st.button(f"Retrain {words.count(len(new), 'run')}", key="retrain", type="primary", on_click=launch, args=(new,))
        for line in commands(new):
            st.code(line, language="bash", wrap_lines=True)
    else:
        st.text(f"{words.count(len(configs), 'run')} of {configs[0].arch} on {version}: trained, or in the queue.")
        st.button("Before and after", key="to-comparison", on_click=state.set_widget, args=("queue", "Before and after"))


def cost(configs: list[RunConfig]) -> str:
    """`2 runs of resnet20 on reviewed-1: about 12 min here, 4 MB (from 3 earlier runs here)`."""
    said = f"{words.count(len(configs), 'run')} of {configs[0].arch} on {configs[0].labels}"
    try:
        cost = jobs.estimate(data.cache(), configs)
    except LearnabilityError as error:
        return f"{said}. {error}"
    if cost.seconds is None:
        return f"{said}: how long is {cost.basis}; {words.megabytes(int(cost.bytes))} on disk."
    long = f"{cost.seconds / 3600:.1f} h" if cost.seconds > 5400 else f"{max(1, round(cost.seconds / 60))} min"
    return f"{said}: about {long} here, {words.megabytes(int(cost.bytes))} on disk ({cost.basis})."


def launch(configs: list[RunConfig]) -> None:
    """In a callback: a run that is there already is named, not started again."""
    try:
        made = jobs.launch(data.cache(), configs)
    except LearnabilityError as error:
        review_verdicts.say(str(error), good=False)
        return
    review_verdicts.say(f"In the queue: {', '.join(run_id for run_id, _ in made)}.")
