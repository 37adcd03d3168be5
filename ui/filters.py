"""What the gallery shows: the order, and the filters that can stand together."""

import dataclasses

import numpy as np
import streamlit as st

from learnability.datasets import Dataset
from learnability.store.runs import Run
from ui import data, hard_for_whom, listing, order, reviews, state
from ui.series import Series

BOUND = {"bind": "query-params", "on_change": state.set_widget, "args": ("sheet", 1)}
OWN = ("which", "class", "wrong", "hard", "reviewed")


@dataclasses.dataclass(frozen=True)
class Filters:
    """As chosen; None where everything passes."""

    which: str
    label: str | None
    wrong: str | None
    hard: str | None
    reviewed: str | None

    @property
    def params(self) -> dict[str, str | None]:
        """The part of a link that these make."""
        return dict(zip(OWN, dataclasses.astuple(self), strict=True))


def controls(now: state.State, found: list[Run], opened: Dataset, b: Series | None) -> Filters:
    names, saved, hard = listing.class_names(opened), data.selection_names(now.data), hard_for_whom.choices(now, found)
    columns = iter(st.columns(4 + bool(hard) + bool(saved)))
    copies = [order.COPIES] if opened.info.get("duplicates") else []
    next(columns).selectbox("Show", [*order.WHICH, *copies, *(order.QUADRANTS if b else ())], key="which", **BOUND)
    next(columns).selectbox("Class", names, index=None, placeholder="all classes", key="class", **BOUND)
    told = "The class that the networks predict most often when they miss the label."
    next(columns).selectbox("Often taken for", names, index=None, placeholder="any class", key="wrong", help=told, **BOUND)
    if hard:
        told = (
            "Missed in most epochs, by the mean over the seeds of each network of this recipe. Only: beyond what seeds do, tested for all "
            "networks and samples together (at most 5 % false discoveries)."
        )
        next(columns).selectbox(
            "Hard for", list(hard), format_func=hard.get, index=None, placeholder="anyone", key="hard", help=told, **BOUND
        )
    told = "What the review has decided so far."
    next(columns).selectbox("Review", reviews.STATUS, index=None, placeholder="any", key="reviewed", help=told, **BOUND)
    own = list(OWN)
    if saved:
        next(columns).selectbox("Selection", saved, index=None, placeholder="no saved selection", key="selection", **BOUND)
        own.append("selection")
    state.report_ignored(**{name: state.widget(name) for name in own})
    return Filters(*map(state.widget, OWN))


def apply(
    now: state.State, found: list[Run], made: Series, b: Series | None, opened: Dataset, ids: np.ndarray, chosen: Filters
) -> tuple[np.ndarray, dict[str, str]]:
    """(the ids that pass, in their order; what filters beyond the page's own controls are at work)."""
    ids, parts = listing.restricted(now, found, made, b, opened, ids, chosen.which, chosen.label, chosen.wrong)
    if chosen.hard is not None:
        ids, untold = hard_for_whom.kept(now, found, ids, chosen.hard)
        if untold:
            st.caption(untold)
    if chosen.reviewed is not None:
        ids = ids[np.isin(reviews.status_of(opened, ids), reviews.STATUS.index(chosen.reviewed))]
    return ids, parts
