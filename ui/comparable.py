"""Whether A and B may be compared at all, and what they do not share although they are."""

import dataclasses

import numpy as np
import streamlit as st

from learnability import agreement
from learnability.config import planted
from learnability.errors import InputError
from ui import words
from ui.series import Series, joined

ALLOWED = ("labels", "looks", "record", "metric")  # named beside the number; metrics are named by the axes


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing in which A and B were not made alike."""

    what: str
    a: str
    b: str
    so: str  # what it can do to the agreement


@dataclasses.dataclass(frozen=True)
class Comparison:
    """`refused` says why there must be no number, `instead` what to do; else `differs` stands beside the number."""

    refused: str | None = None
    instead: str = ""
    differs: tuple[Difference, ...] = ()

    @property
    def short(self) -> str:
        """`epochs, mode differ`, for a cell."""
        return f"{', '.join(one.what.lower() for one in self.differs)} differ" if self.differs else ""


def compared(a: Series, b: Series) -> Comparison:
    one, other = a.config, b.config
    if one.fingerprint != other.fingerprint:
        return Comparison(
            f"They belong to two versions of the data set, {one.fingerprint[:8]} and {other.fingerprint[:8]}: a row is not the same sample "
            "in both.",
            "Train both on the same version, or choose a B of the version that A was trained on.",
        )
    try:
        agreement.check_comparable([origin(a), origin(b)], allow=ALLOWED)
    except InputError:
        real, made_up = sorted((one.labels, other.labels), key=lambda labels: planted(labels) is not None)
        return Comparison(
            f"One learned real labels ({real}), the other labels that were planted wrong on purpose ({made_up}). "
            "What is hard under planted labels is hard because somebody changed the label, so real and planted scores never mix.",
            "Choose two groups of the same label version, or train the other network under it too: planted scores are there to test "
            "a score, not to judge the data.",
        )
    if not len(joined(a, b)[2]):
        return Comparison(
            "They have no sample in common that both gave a score.",
            "Choose two groups that were trained on the same samples: the same --subset, or none.",
        )
    return Comparison(differs=tuple(_differences(a, b)))


def origin(made: Series) -> agreement.Origin:
    config = made.config
    return agreement.Origin(
        name=made.name, fingerprint=config.fingerprint, labels=config.labels, looks=max(made.looks), record=made.mode, metric=made.metric,
        recipe=config.recipe,
    )  # fmt: skip


def _differences(a: Series, b: Series):
    one, other = a.config, b.config
    if one.labels != other.labels:
        yield Difference("Labels", one.labels, other.labels, "a sample with another label is another task")
    if max(a.looks) != max(b.looks):
        told = [words.count(max(made.looks), "epoch") for made in (a, b)]
        yield Difference("Epochs", *told, "a score over fewer epochs is another score, not only a rougher one")
    if a.mode != b.mode:
        yield Difference("Mode", a.mode, b.mode, "the same network scores otherwise when it is recorded otherwise")
    if one.recipe != other.recipe:
        yield Difference("Recipe", one.recipe, other.recipe, f"trained differently: {_fields(a, b)}")
    if len(a.sample_ids_N) != len(b.sample_ids_N) or not np.array_equal(a.sample_ids_N, b.sample_ids_N):
        told = [words.count(len(made.sample_ids_N), "sample") for made in (a, b)]
        yield Difference("Samples", *told, f"only the {len(joined(a, b)[2]):,} that both hold are compared")


def _fields(a: Series, b: Series) -> str:
    """The fields of two recipes that differ, but for those that are named by themselves."""
    one, other = a.config.to_json(), b.config.to_json()
    own = {"arch", "seed", "fold", "lr", "labels", "record"} if a.config.lr is b.config.lr is None else {"arch", "seed", "fold", "labels"}
    told = [f"{name.replace('_', ' ')} {one[name]} and {other[name]}" for name in one if name not in own and one[name] != other[name]]
    return ", ".join(told) or "in what is named above"


def draw(found: Comparison, a: Series, b: Series) -> bool:
    """Says it; True where the two must not be compared."""
    if found.refused is not None:
        st.warning(
            f"**A and B cannot be compared.** {found.refused}\n\n"
            f"A is {a.name} with labels `{a.config.labels}`, B is {b.name} with labels `{b.config.labels}`.\n\n"
            f"**What to do:** {found.instead}",
            icon=":material/block:",
        )
        return True
    if found.differs:
        lines = [f"- **{one.what}**: A `{one.a}`, B `{one.b}` - {one.so}." for one in found.differs]
        st.warning(
            "**A and B were not made alike.** What follows may come from that, not from the networks:\n" + "\n".join(lines),
            icon=":material/difference:",
        )
    return False
