"""The card that says whether the scores of a page can be trusted yet."""

import dataclasses

import numpy as np
import streamlit as st

from learnability import agreement, jobs
from learnability.errors import LearnabilityError
from learnability.store.runs import Run
from ui import data, listing, matrix, trust, words
from ui.series import Series

SAFE, FAIR = 0.9, 0.7


def draw(found: list[Run], made: Series) -> None:
    if not trust.of_networks(made):
        return
    with st.container(border=True, key="reliability"):
        left, right = st.columns([5, 2], vertical_alignment="center")
        with left:
            st.markdown(f"**Can these scores be trusted yet?** {said(made)}", help=HELP)
        with right:
            listing.one_more(found, made, "Train a second seed" if made.seeds == 1 else "Train one more seed", "card")
            if not listing.coming(found, made) and (takes := _time(found, made)):
                st.caption(takes)


HELP = (
    "Seed reliability: the correlation of two trainings that differ in nothing but their random start and order. Where it is low, another "
    "training would call other samples hard. The reliability of a mean over seeds follows by the Spearman-Brown formula."
)


def said(made: Series) -> str:
    """In plain words: yes, partly, not yet, or unknown."""
    if made.seeds == 1:
        return (
            "**Unknown: one seed.** Nobody can tell yet which of these samples are hard and which ones this training just happened to "
            "miss. A second seed of the same network tells."
        )
    cell = trust.within(made)
    (own,) = cell.reliabilities
    if not np.isfinite(own.value):
        return f"**Unknown:** {own.reason or 'the seeds have no correlation'}."
    more = agreement.spearman_brown(own.value, made.seeds + 1) if own.value > 0 else np.nan
    needed = agreement.seeds_needed(own.value)
    verdict = "Yes" if own.stepped_up >= SAFE else "Roughly" if own.stepped_up >= FAIR else "Not yet"
    lines = [
        f"**{verdict}.** Two seeds agree at **{words.r(own.value)}**{matrix.interval(own.interval)}, so the mean of the {made.seeds} seeds "
        f"shown here is reliable to **{words.r(own.stepped_up)}** (1 = another set of seeds would say exactly the same).",
    ]
    if np.isfinite(more):
        gain = more - own.stepped_up
        lines.append(f"One more seed would give {words.r(more)}" + (", hardly more." if gain < 0.01 else "."))
    if needed is not None and needed > made.seeds:
        lines.append(f"0.95 takes {words.count(needed, 'seed')}.")
    return " ".join(lines)


def _time(found: list[Run], made: Series) -> str | None:
    """How long another seed takes, where earlier runs tell."""
    folds = range(made.config.folds) if made.config.folds else [None]
    following = max(run.config.seed for run in found if run.config) + 1
    configs = [dataclasses.replace(made.config, seed=following, fold=fold) for fold in folds]
    try:
        seconds = jobs.estimate(data.cache(), configs, "auto").seconds
    except LearnabilityError:
        return None
    return None if seconds is None else f"It takes {words.duration(seconds)} here."
