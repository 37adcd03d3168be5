"""Every waiting time of the queue in one place, so that a test waits for none of them."""

import dataclasses
import os

from learnability.errors import InputError

VARIABLE = "LEARNABILITY_TIMEOUTS"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds, unless said otherwise."""

    poll: float = 0.5  # between two rounds of a worker
    idle: float = 60.0  # a worker without work ends after this
    term: float = 5.0  # from the wish to stop to SIGTERM: a trainer that still starts does not see the stop file
    kill: float = 30.0  # from the wish to stop to SIGKILL
    stall: float = 300.0  # without a new step, outside compile and eval phases
    stall_steps: float = 20.0  # the same in median steps; the longer of the two counts
    busy: float = 20.0  # for the queue's file while others write
    device: float = 5.0  # between two looks at a device that others use

    @classmethod
    def parse(cls, text: str) -> "Timeouts":
        """`poll=0.1 idle=2`: the defaults but for what is named. InputError for anything else."""
        known, changed = {field.name for field in dataclasses.fields(cls)}, {}
        for part in text.split():
            name, _, value = part.partition("=")
            try:
                changed[name] = float(value)
            except ValueError:
                name = ""
            if name not in known or not changed[name] >= 0:
                raise InputError(f"time-outs {part!r}: expected <name>=<seconds> with a name of {', '.join(sorted(known))}.")
        return cls(**changed)

    @classmethod
    def here(cls) -> "Timeouts":
        """The defaults, changed by LEARNABILITY_TIMEOUTS; a worker hands that variable on to what it starts."""
        return cls.parse(os.environ.get(VARIABLE, ""))
