"""How a run's config names its curriculum, `<order>:<pacing>`, and which arm of an experiment that is."""

import dataclasses
import re

from learnability.curriculum.orders import ARMS
from learnability.curriculum.pacing import Pacing

STANDARD = "random:full"  # all samples at every update: the order is of no account, and the batches are those of ordinary training
_MEASURED = re.compile(r"(easy_first|hard_first)-([0-9a-f]{8})")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """What `RunConfig.curriculum` asks for."""

    order: str  # name of a saved order, or random
    pacing: str
    name: str | None = None  # one of ARMS; None for an order that somebody saved under a name of their own
    key: str | None = None  # of the two orders of an experiment, 8 hex digits

    @property
    def said(self) -> str:
        """`easy_first (linear,a=0.8,b=0.2)`, for people."""
        return "standard" if self.name == "standard" else f"{self.name or self.order} ({self.pacing})"


def curriculum_text(arm: str, key: str, pacing: Pacing | str) -> str:
    """What a run of an arm has in its config; `key` names the orders of the experiment."""
    assert arm in ARMS, arm
    return {"standard": STANDARD, "random": f"random:{pacing}"}.get(arm) or f"{order_name(arm, key)}:{pacing}"


def order_name(arm: str, key: str) -> str:
    """Name of the saved order of an ordered arm."""
    return f"{arm}-{key}"


def parse_curriculum(text: str) -> Arm:
    """The arm that a run's config names; nothing is refused here, training does that."""
    order, _, pacing = text.partition(":")
    if text == STANDARD:
        return Arm(order=order, pacing=pacing, name="standard")
    if order == "random":
        return Arm(order=order, pacing=pacing, name="random")
    found = _MEASURED.fullmatch(order)
    return Arm(order=order, pacing=pacing, name=found and found[1], key=found and found[2])
