"""The curriculum that is chosen on its page: order, pacing, length; and what follows from it."""

import dataclasses
import functools

import numpy as np
import streamlit as st

from learnability import curriculum
from learnability.curriculum import ARMS, PACINGS, Order, Pacing, Schedule
from learnability.datasets import Dataset
from learnability.errors import InputError
from ui import state, words
from ui.series import Series

SHAPES = tuple(name for name in PACINGS if name != "full")
ENDS = {
    "easy_first": ("easiest", "hardest"),
    "hard_first": ("hardest", "easiest"),
    "random": ("first", "last"),
    "standard": ("first", "last"),
}
DIRECTIONS = {"higher = easier": "high", "lower = easier": "low"}
OWN = (
    "order",
    "pacing",
    "start",
    "full",
    "f",
    "q",
    "m",
    "c0",
    "p",
    "balance",
    "direction",
    "epochs",
    "batch",
    "seed",
    "step",
    "experiment",
)  # of the URL
FIELDS = {  # parameter of a pacing -> key, label, least, most, step, format
    "b": ("start", "In play at the start, share of the samples", 0.0, 1.0, 0.05),
    "a": ("full", "All in play after, share of the updates", 0.0, 1.0, 0.05),
    "f": ("f", "In play at the start, share of the samples (f)", 0.01, 1.0, 0.01),
    "q": ("q", "Growth at each turn, factor (q)", 1.0, 5.0, 0.1),
    "m": ("m", "Updates between two turns (m)", 1, 10_000, 10),
    "c0": ("c0", "In play at the start, share of the samples (c0)", 0.01, 1.0, 0.01),
    "p": ("p", "Exponent 1/p: p", 1.0, 10.0, 0.5),
}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A curriculum for one score, and the seeded batches it makes."""

    made: Series
    direction: str  # "high" or "low": the easy end of the score
    order: Order
    schedule: Schedule
    epochs: int
    never_N: np.ndarray | None = None  # never learned, which makes hardest; for forgetting events alone

    @property
    def arm(self) -> str:
        return self.order.arm

    @property
    def T(self) -> int:
        return self.schedule.steps

    @functools.cached_property
    def sizes_T(self) -> np.ndarray:
        """Samples in play at each update."""
        starts, pools = self.schedule.passes.T
        return pools[np.searchsorted(starts, np.arange(self.T), side="right") - 1]

    @functools.cached_property
    def times_N(self) -> np.ndarray:
        """How often the sample at each place of the order is shown, over all seeds."""
        return curriculum.expected_presentations(self.schedule)

    def pool(self, step: int) -> np.ndarray:
        """Sample ids in play, first in play first."""
        return self.schedule.order_N[: self.sizes_T[step]]

    def drawn(self, step: int, count: int) -> tuple[np.ndarray, int]:
        """(`count` sample ids as batches from `step` on would hold them, of how many batches)."""
        batches, stop = [], step
        while stop < self.T and sum(map(len, batches)) < count:
            batches.append(self.schedule.batch(stop))
            stop += 1
        return np.concatenate(batches)[:count], stop - step

    @property
    def metadata(self) -> dict[str, str]:
        """What an exported order stands for."""
        config = self.made.runs[0].config
        told = {
            "order": self.arm, "score": self.made.metric, "of": self.made.id, "easy_is": self.direction, "balanced": self.order.balanced,
            "pacing": str(self.schedule.pacing), "batch_size": self.schedule.batch_size, "steps": self.T, "seed": self.schedule.seed,
            "data": config.data, "fingerprint": config.fingerprint, "labels": config.labels,
        }  # fmt: skip
        return {name: str(value) for name, value in told.items()}


def choices(made: Series, never: Series | None = None) -> Plan | None:
    """The controls, and the plan they make; None where they do not fit together, with the reason on the page.

    `never` is the never_learned score, needed where forgetting events make the order.
    """
    config = made.runs[0].config
    arm, balance, direction = _order_controls(made)
    *columns, last = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    pacing = _pacing_controls(arm, columns)
    with last:
        epochs, batch, seed = _length_controls(max(run.head.epochs for run in made.runs), config.batch_size)
    try:
        return plan(made, arm, bool(balance), direction, str(pacing), int(batch), int(epochs), int(seed), never)
    except InputError as error:
        st.warning("These settings do not fit together.")
        st.text(str(error))
        return None


def _order_controls(made: Series) -> tuple[str, bool, str]:
    one, two, three = st.columns([5, 3, 4], vertical_alignment="bottom")
    with one:
        st.segmented_control(
            "Order", ARMS, required=True, default=ARMS[0], key="order", bind="query-params",
            help="random is the control: the same pacing, an order that knows nothing. standard: all samples in play at every update.",
        )  # fmt: skip
    arm = state.widget("order") or ARMS[0]
    with two:
        st.toggle(
            "Classes come in evenly", value=True, key="balance", bind="query-params", disabled=arm == "standard",
            help="Round by round, one sample of every class that still has one. Otherwise an easy class fills the first batches.",
        )  # fmt: skip
    direction = words.metric_named(made.metric).easy_is
    with three:
        if not words.ordered(made.metric):
            st.selectbox(f"{words.label(made.metric)} has no easy end: take", list(DIRECTIONS), key="direction", bind="query-params")
            direction = DIRECTIONS[state.widget("direction") or "higher = easier"]
        else:
            st.caption(f"By **{words.label(made.metric)}** ({words.direction(made.metric)}); another score is chosen in the sidebar.")
    return arm, bool(state.widget("balance")), direction


def _pacing_controls(arm: str, columns: list) -> Pacing:
    if arm == "standard":
        columns[0].caption("standard has no pacing: every sample is in play from the first update on, as in ordinary training.")
        return Pacing(name="full")
    with columns[0]:
        st.selectbox(
            "Pacing", SHAPES, index=SHAPES.index("linear"), key="pacing", bind="query-params", help="How fast samples come into play."
        )
    name = state.widget("pacing") or "linear"
    fields = {}
    for place, field in enumerate(_in_order(Pacing(name=name).parameters)):
        key, label, least, most, step = FIELDS[field]
        default = getattr(Pacing(), field)
        with columns[1 + place % 2]:
            draw = st.number_input if field == "m" else st.slider
            draw(label, least, most, default, step, key=key, bind="query-params")
        fields[field] = type(default)(state.widget(key) if state.widget(key) is not None else default)
    return Pacing(name=name, **fields)


def _in_order(parameters: dict) -> list[str]:
    return [field for field in FIELDS if field in parameters]


def _length_controls(epochs: int, batch: int) -> tuple[int, int, int]:
    """As long as A was asked to train; what nobody changed follows another A."""
    for name, default in (("epochs", epochs), ("batch", batch)):
        state.follow_default(name, default)
    with st.popover("Length, batch, seed"):
        st.number_input("Epochs", 1, 10_000, epochs, key="epochs", bind="query-params", help="As long as this many ordinary epochs")
        st.number_input("Batch size", 2, 100_000, batch, key="batch", bind="query-params", help="Samples of one update, over all devices")
        st.number_input("Seed", 0, 2**31 - 1, 0, key="seed", bind="query-params", help="Of ties, of the random order and of the batches")
    return tuple(
        state.widget(name) if state.widget(name) is not None else default
        for name, default in (("epochs", epochs), ("batch", batch), ("seed", 0))
    )


@st.cache_resource(max_entries=8, show_spinner="Ordering the samples ...", hash_funcs={Series: lambda made: made.key})
def plan(
    made: Series, arm: str, balance: bool, direction: str, pacing: str, batch: int, epochs: int, seed: int, never: Series | None = None
) -> Plan:
    """InputError where batch and samples do not fit. Samples without a score, or dropped by the labels, are in no pool."""
    known = made.labels_N >= 0
    never_N = None if never is None else never.of(made.sample_ids_N) == 1
    order = curriculum.order(
        np.where(known, made.score_N, np.nan),
        direction,
        arm,
        seed=seed,
        labels_N=made.labels_N,
        balance=balance,
        never_learned_N=never_N,
        sample_ids_N=made.sample_ids_N,
    )
    ids = order.in_play()
    steps = epochs * -(-len(ids) // batch)
    schedule = Schedule(order_N=ids, pacing=curriculum.parse_pacing(pacing), batch_size=batch, steps=steps, seed=seed)
    return Plan(made=made, direction=direction, order=order, schedule=schedule, epochs=epochs, never_N=never_N)


def scores_by_id(opened: Dataset, made: Series) -> np.ndarray:
    """(N,) score of every train sample of the data set version, NaN where there is none."""
    score = np.full(opened.N, np.nan)
    score[made.sample_ids_N] = made.score_N
    return score


def written(value) -> str:
    """A control's value as the URL has it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
