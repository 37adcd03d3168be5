"""How many epochs and seeds are enough: curves, what they come to, and the button for one more seed."""

import numpy as np
import streamlit as st

from learnability import agreement
from learnability.charts import reliability
from learnability.store.runs import Run
from ui import listing, state, trust, words
from ui.series import Series

SEEDS = tuple(range(1, 11))
QUIET = {"displayModeBar": False}


def draw(found: list[Run], several: list[Series], names: list[str]) -> None:
    """The section for these groups or runs; read at once where that is little, else when asked."""
    if not trust.of_networks(several[0]):
        return
    st.subheader("How many epochs and seeds are enough?", anchor=False)
    large = sum(map(trust.cost, several)) > trust.MOST_VALUES
    if large and not state.widget("read-epochs"):
        st.caption("These recordings are large: reading every epoch of them takes a while.")
        st.button("Read them", key="ask-epochs", on_click=state.set_widget, args=("read-epochs", True))
        return
    measured = [trust.enough(made) for made in several]
    left, right = st.columns(2, gap="large")
    with left:
        over_epochs(measured, names, several[0].metric)
    with right:
        over_seeds(measured, names)
    more_seeds(found, several, names)


def over_epochs(measured: list[agreement.Enough], names: list[str], metric: str) -> None:
    curves = [
        (f"{name}: {'two seeds' if one.S > 1 else 'with its own end (one seed)'}", one.looks,
         one.reliability if one.S > 1 else one.final, marked(one), one.S > 1)
        for one, name in zip(measured, names, strict=True)
    ]  # fmt: skip
    said = [epochs_sentence(one, name) for one, name in zip(measured, names, strict=True)]
    others = [
        (i, f"{name}: one seed with all epochs of the others", one.looks, one.others)
        for i, (one, name) in enumerate(zip(measured, names, strict=True)) if one.S > 1
    ]  # fmt: skip
    figure = reliability.epochs_figure(curves, title=f"correlation of {words.label(metric)}<br>(1 = the same order)", quiet=others)
    st.plotly_chart(figure, key="enough-epochs", config=QUIET, alt=" ".join(said))
    st.caption(
        "The score over the first epochs alone. Solid: how far two seeds agree at that point; dashed: how well one seed's first epochs "
        "foretell the other seeds after all epochs; dotted, with one seed: how far it agrees with its own end, which says when it stops "
        "moving and nothing of what another training would give. Circle: enough; without one, more may change the score."
    )
    for line in said:
        st.text(line)


def marked(one: agreement.Enough) -> int | None:
    """The epoch to circle; none at the last one, which every score agrees with."""
    e = one.enough if one.S > 1 else one.settled
    return None if e == one.looks[-1] else e


def over_seeds(measured: list[agreement.Enough], names: list[str]) -> None:
    curves = []
    for one, name in zip(measured, names, strict=True):
        r = one.reliability[-1]
        if np.isfinite(r) and r > 0:
            known = [(step.k, step.measured) for step in one.seeds if step.measured is not None]
            predicted = tuple(agreement.spearman_brown(r, k) for k in SEEDS)
            curves.append((name, SEEDS, predicted, known, agreement.last_worthwhile_seed(r)))
    said = [seeds_sentence(one.S, one.reliability[-1], name) for one, name in zip(measured, names, strict=True)]
    if curves:
        st.plotly_chart(reliability.seeds_figure(curves), key="enough-seeds", config=QUIET, alt=" ".join(said))
        st.caption(
            "Line: predicted from how far single seeds agree (Spearman-Brown). Cross: measured, with the seeds there are split in halves. "
            "Circle: from here on one more seed adds less than 0.01."
        )
    for line in said:
        st.text(line)


def epochs_sentence(one: agreement.Enough, name: str) -> str:
    E = one.looks[-1]
    if one.S > 1 and one.enough is not None:
        last = words.r(one.reliability[-1])
        early = "An early score says how fast a sample is learned, a late one also what is learned by heart."
        if one.best is not None:
            best = f"{words.count(one.best, 'epoch')} ({words.r(one.reliability[one.looks.index(one.best)])})"
            return f"{name}: seeds agreed best after {best}, less since; after all {E} at {last}. {early}"
        if one.enough == E:
            still = "seeds agree still better from epoch to epoch; " if len(one.looks) > 1 else "two seeds agree "
            return f"{name}: {still}after {words.count(E, 'epoch')} at {last}. More may help."
        return f"{name}: after {words.count(one.enough, 'epoch')} two seeds agree as far as after all {E} ({last}, within 0.01). {early}"
    if one.S == 1 and one.settled is not None:
        moving = f"the score was still moving at the end of its {words.count(E, 'epoch')}; more may change it"
        still = f"from {words.count(one.settled, 'epoch')} on the score hardly moves (it agrees with its own end at 0.99 or more)"
        return f"{name}: {moving if one.settled == E else still}. Whether a second training would agree is unknown."
    return f"{name}: not known, the score is the same for all samples."


def seeds_sentence(S: int, r: float, name: str) -> str:
    """What the seeds there are come to, and what one more would give."""
    if S == 1:
        return f"{name}: unknown with one seed. Train a second one: then this says how many are enough."
    if not np.isfinite(r) or r <= 0:
        return f"{name}: its {S} seeds do not agree ({words.r(r)}), so no number of seeds can be named."
    enough, needed = agreement.last_worthwhile_seed(r), agreement.seeds_needed(r)
    have, following = agreement.spearman_brown(r, S), agreement.spearman_brown(r, S + 1)
    told = f"{name}: two seeds agree at {words.r(r)}. The mean of {S} is reliable to {words.r(have)}; one more gives {words.r(following)}"
    told += "." if enough > S else ", hardly more."
    return f"{told} 0.95 takes {words.count(needed, 'seed')}; from {words.count(enough, 'seed')} on one more adds less than 0.01."


def more_seeds(found: list[Run], several: list[Series], names: list[str]) -> None:
    """A button for each group that fills the launch form with its next seed."""
    with st.container(horizontal=True):
        for made, name in zip(several, names, strict=True):
            listing.one_more(found, made, f"Train one more seed of {name}", "enough")
