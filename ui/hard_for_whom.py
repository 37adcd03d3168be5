"""Hard for both, for one, for none: counts tested against seed noise, and the way to their pictures."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability.agreement import EVERY, QUADRANTS, SOME, HardFor, only
from learnability.datasets import Dataset
from learnability.store.runs import Run
from ui import headline, listing, numbers, order, state, trust, words
from ui.series import Series, joined

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
    explained = "A weaker network misses more everywhere. Removed: all are brought to the same distribution of scores first."
    st.toggle("Remove the difference in level", key="level-removed", help=explained)
    removed = bool(state.widget("level-removed"))
    level = "removed" if removed else None
    placed, _ = numbers.placed(*pair, removed)
    counts = np.bincount(placed.quadrant_N[placed.quadrant_N >= 0], minlength=len(QUADRANTS))
    for column, (label, name) in zip(st.columns(len(order.QUADRANTS)), order.QUADRANTS.items(), strict=True):
        with column, st.container(border=True):
            n = int(counts[QUADRANTS.index(name)])
            st.metric(label, f"{n:,}", help=HELP[label])
            params = {"which": label, "level": level}
            st.button("Show", key=f"quadrant-{label}", disabled=n == 0, on_click=state.leave_note, args=("gallery",), kwargs=params)
    if placed.reason:
        st.caption(f"{placed.reason[0].upper()}{placed.reason[1:]}. So no sample is called hard for one only; train a second seed.")
    seeds = " and ".join(words.count(n, "seed") for n in (placed.seeds_a, placed.seeds_b))
    st.caption(
        "Hard: right in fewer than half of the epochs, whatever score is chosen above. Only: beyond what seeds do "
        f"(false discoveries at most {100 * placed.q:.0f} %), and by at least {placed.least:g}. {seeds} "
        "see little: what is not found is not told apart from seed noise, never equal."
    )
    everyone(now, found, removed, level)


def everyone(now: state.State, found: list[Run], removed: bool, level: str | None) -> None:
    """The same among all networks of the recipe, from the third on."""
    several, names = trust.everyone(now, found)
    if len(several) < 3:
        return
    if len(several[0].sample_ids_N) > trust.MOST_TESTED and not state.widget("test-all"):
        st.button("Test all networks of this recipe together", key="ask-all", on_click=state.set_widget, args=("test-all", True))
        return
    hard, _ = trust.hard_for(tuple(several), tuple(names), removed)
    counts = hard.counts
    st.markdown(f"**Among all {len(names)} networks of this recipe** ({', '.join(names)}), tested together:")
    shown = [(EVERY, "Hard for every network"), *((only(name), f"Hard only for {name}") for name in names)]
    for column, (place, label) in zip(st.columns(len(shown)), shown, strict=True):
        with column, st.container(border=True):
            st.metric(label, f"{counts[place]:,}")
            st.button("Show", key=f"hard-{place}", disabled=counts[place] == 0, on_click=state.leave_note, args=("gallery",),
                      kwargs={"hard": place, "level": level})  # fmt: skip
    if untold := needs(hard):
        st.caption(untold)


def needs(hard: HardFor) -> str | None:
    """What the seeds do not allow to say, and what would."""
    return hard.untold if len(hard.names) > 1 else None


def sample_table(now: state.State, found: list[Run], opened: Dataset, made: Series, b: Series) -> pa.Table:
    """The samples of both with their scores, and for whom each is hard."""
    ids = joined(made, b)[2]
    table = headline.sample_table(opened, ids, made, b)
    pair = listing.learnability_of(now, found, made, b)
    if pair is not None:
        placed, placed_ids = numbers.placed(*pair, False)
        table = table.append_column("hard for", pa.array(_named(placed.quadrant_N, placed_ids, ids, QUADRANTS), pa.string()))
    several, names = trust.everyone(now, found)
    if len(several) > 2:
        hard, hard_ids = trust.hard_for(tuple(several), tuple(names))
        table = table.append_column(
            "hard among all", pa.array(_named(hard.place_N, hard_ids, ids, [f"hard for {place}" for place in hard.places]), pa.string())
        )
    return table


def _named(place_N: np.ndarray, place_ids: np.ndarray, ids: np.ndarray, names) -> list[str | None]:
    """The name of each sample's place; None for a sample that has none."""
    at = np.minimum(np.searchsorted(place_ids, ids), max(len(place_ids) - 1, 0))
    place = np.where(place_ids[at] == ids, place_N[at], -1) if len(place_ids) else np.full(len(ids), -1)
    return [names[i] if i >= 0 else None for i in place]


# in the gallery


def choices(now: state.State, found: list[Run]) -> dict[str, str]:
    """Value of the gallery's filter -> how it reads; nothing with a single network."""
    several, names = trust.everyone(now, found)
    if len(several) < 2:
        return {}
    said = {EVERY: "every network", SOME: "some, not told apart from seed noise"}
    return {EVERY: said[EVERY], **{only(name): only(name) for name in names}, SOME: said[SOME]}


def kept(now: state.State, found: list[Run], ids: np.ndarray, place: str) -> tuple[np.ndarray, str | None]:
    """(those of the ids that are hard for `place`, what the seeds do not allow to say)."""
    several, names = trust.everyone(now, found)
    hard, hard_ids = trust.hard_for(tuple(several), tuple(names), state.url_value("level") == "removed")
    return ids[np.isin(ids, hard_ids[hard.rows(place)])], needs(hard) if place.startswith("only") else None
