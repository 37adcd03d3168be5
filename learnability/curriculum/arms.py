"""How a run's config names its curriculum, `<order>:<pacing>`, and which arm of an experiment that is."""

import dataclasses
import re

from learnability.curriculum.orders import ARMS
from learnability.curriculum.pacing import Pacing

STANDARD = "random:full"  # all samples at every update: the order is of no account, and the batches are those of ordinary training
SHUFFLES = {"random": True, "random-unbalanced": False}  # a shuffle of the run's own seed -> whether its classes come in evenly
UNBALANCED = "unbalanced-"  # before the key of an experiment whose classes come as the scores have them, in `random` too
_MEASURED = re.compile(rf"(easy_first|hard_first)-((?:{UNBALANCED})?[0-9a-f]{{8}})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """What `RunConfig.curriculum` asks for."""

    order: str  # name of a saved order, or one of SHUFFLES
    pacing: str
    name: str | None = None  # one of ARMS; None for an order that somebody saved under a name of their own
    key: str | None = None  # of the two orders of an experiment, 8 hex digits, behind UNBALANCED where classes are not balanced

    @property
    def label(self) -> str:
        """`easy_first`, `random unbalanced`, or the name of a saved order."""
        unbalanced = self.name is not None and (not SHUFFLES.get(self.order, True) or not is_balanced(self.key or ""))
        return f"{self.name or self.order}{' unbalanced' if unbalanced else ''}"

    @property
    def said(self) -> str:
        """`easy_first (linear,a=0.8,b=0.2)`, for people."""
        return self.label if self.name == "standard" else f"{self.label} ({self.pacing})"


def curriculum_text(arm: str, key: str, pacing: Pacing | str) -> str:
    """What a run of an arm has in its config; `key` names the orders of the experiment, and says whether classes are balanced."""
    assert arm in ARMS, arm
    if arm == "standard":
        return STANDARD
    shuffle = next(name for name, balanced in SHUFFLES.items() if balanced == is_balanced(key))
    return f"{shuffle if arm == 'random' else order_name(arm, key)}:{pacing}"


def is_balanced(key: str) -> bool:
    """Whether the classes come in evenly in the paced arms of the experiment with this key."""
    return not key.startswith(UNBALANCED)


def order_name(arm: str, key: str) -> str:
    """Name of the saved order of an ordered arm."""
    return f"{arm}-{key}"


def parse_curriculum(text: str) -> Arm:
    """The arm that a run's config names; nothing is refused here, training does that."""
    order, _, pacing = text.partition(":")
    if text == STANDARD:
        return Arm(order=order, pacing=pacing, name="standard")
    if order in SHUFFLES:
        return Arm(order=order, pacing=pacing, name="random")
    found = _MEASURED.fullmatch(order)
    return Arm(order=order, pacing=pacing, name=found and found[1], key=found and found[2])
