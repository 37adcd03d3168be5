"""One more seed of every group at once: with one seed of a network nobody knows how far seeds would let it agree with another."""

import dataclasses

import streamlit as st

from learnability import jobs
from learnability.config import RunConfig
from learnability.errors import LearnabilityError
from learnability.store.runs import Run
from learnability.store.scores import is_trial
from ui import data, launch, state, trust, words
from ui.series import Series


def draw(now: state.State, found: list[Run]) -> None:
    """The button, where a ceiling of the page's recipe is unknown because a network has one seed; of ordinary recipes only."""
    several = trust.groups(now, found, "learnability")
    if len(several) < 2 or all(one.seeds > 1 for one in several) or not _ordinary(several[0].config):
        return
    configs = configs_of(found, several)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("One more seed of each", key="more-each", disabled=not configs, on_click=launch.ask_for, args=(configs,))
        st.text(_cost(configs) if configs else "One more seed of each is in the queue or at work.")


def configs_of(found: list[Run], several: list[Series]) -> list[RunConfig]:
    """The following seed of each group; none of a group of which a run still waits or is at work."""
    made = []
    for one in several:
        own = [run for run in found if run.config and run.group == one.runs[0].group]
        if not any(run.state in ("queued", "running") for run in own):
            made.append(dataclasses.replace(one.config, seed=max(run.config.seed for run in own) + 1))
    return made


def _ordinary(config: RunConfig) -> bool:
    return config.origin is None and config.folds is None and not is_trial(config)


def _cost(configs: list[RunConfig]) -> str:
    """`resnet20 seed 1, vgg16 seed 2: 3 min, 4 MB on disk (from 3 earlier runs here).`"""
    said = ", ".join(f"{config.arch} seed {config.seed}" for config in configs)
    try:
        cost = jobs.estimate(data.cache(), configs)
    except LearnabilityError:
        return f"{said}."
    return f"{said}: {words.duration(cost.seconds)}, {words.megabytes(cost.bytes)} on disk ({cost.basis})."
