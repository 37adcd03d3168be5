"""Hard for both, for one, for none: counts, and the way to their pictures."""

import numpy as np
import streamlit as st

from learnability.agreement import QUADRANTS
from learnability.store.runs import Run
from ui import data, listing, order, state
from ui.series import Series

HELP = {
    "Hard for both": "A label or image problem more often than one of the network: review these.",
    "Hard for A only": "Capacity or inductive bias of A: change the model, not the data.",
    "Hard for B only": "Capacity or inductive bias of B: change the model, not the data.",
    "Easy for both": "Learned by both in most epochs.",
    "Not told apart": "On different sides of one half, but not further apart than two seeds of one network can be.",
}


def draw(now: state.State, found: list[Run], made: Series, b: Series) -> None:
    st.subheader("Hard for whom?", anchor=False)
    pair = listing.learnability_of(now, found, made, b)
    if pair is None:
        st.caption("Not shown: A and B share runs, or learned different labels.")
        return
    explained = "A weaker network misses more everywhere. Removed: both are brought to the same distribution of scores first."
    st.toggle("Remove the difference in level", key="level-removed", help=explained)
    removed = bool(state.widget("level-removed"))
    placed, _ = data.quadrants(*pair, removed)
    counts = np.bincount(placed.quadrant_N[placed.quadrant_N >= 0], minlength=len(QUADRANTS))
    for column, (label, name) in zip(st.columns(len(order.QUADRANTS)), order.QUADRANTS.items(), strict=True):
        with column, st.container(border=True):
            n = int(counts[QUADRANTS.index(name)])
            st.metric(label, f"{n:,}", help=HELP[label])
            params = {"which": label, "level": "removed" if removed else None}
            st.button("Show", key=f"quadrant-{label}", disabled=n == 0, on_click=state.leave_note, args=("gallery",), kwargs=params)
    if placed.reason:
        st.caption(f"{placed.reason[0].upper()}{placed.reason[1:]}. So no sample is called hard for one only; train a second seed.")
    st.caption(
        "Hard: right in fewer than half of the epochs, whatever score is chosen above. Only: beyond what seeds do "
        f"(false discoveries at most {100 * placed.q:.0f} %), and by at least {placed.least:g}. {placed.seeds_a} and {placed.seeds_b} "
        "seeds see little: what is not found is not told apart from seed noise, never equal."
    )
