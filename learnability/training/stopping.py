"""How a run is asked to stop, how far it is, and when the epoch at work is dropped rather than finished."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator


class Stop:
    """A wish to stop, from a signal or from a caller; `signal` is the number of the signal it came from."""

    def __init__(self):
        self.asked = False
        self.signal: int | None = None

    def ask(self, number: int | None = None) -> None:
        self.asked = True
        self.signal = self.signal or number


@contextlib.contextmanager
def stop_on_signals(stop: Stop | None = None) -> Iterator[Stop]:
    """Within it SIGTERM and SIGINT ask `stop` instead of ending the process; outside the main thread nothing changes."""
    stop = stop or Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda got, _frame: stop.ask(got)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Dropped(BaseException):
    """The epoch at work is given up, because a stop was asked for and it would take too long to finish."""


class Pace:
    """Follows the batches of a run: tells where it is, sees a wish to stop, and drops an epoch that cannot end in time.

    stop    a wish to stop, seen at every batch
    asked   whether there is another way that somebody asks; called at most every `poll_s` seconds
    tell    told where the run is (keyword arguments), at most every `tell_s` seconds
    grace_s an epoch that ends within this many seconds of a wish to stop is finished
    plan    phase -> number of batches of one epoch, in order
    """

    def __init__(
        self,
        stop: Stop,
        asked: Callable[[], bool],
        tell: Callable[..., None],
        plan: dict[str, int],
        epochs: int,
        *,
        poll_s: float = 0.2,
        tell_s: float = 1.0,
        grace_s: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.stop, self._asked, self._tell, self.plan, self.epochs = stop, asked, tell, plan, epochs
        self.poll_s, self.tell_s, self.grace_s, self.clock = poll_s, tell_s, grace_s, clock
        self.stopping = False
        self.epoch = 0
        self._stopping_since = self._told = self._polled = -float("inf")
        self._seconds: dict[str, float] = {}  # phase -> seconds a batch, lately

    @property
    def first(self) -> bool:
        """Whether no batch has been timed yet."""
        return not self._seconds

    def poll(self) -> bool:
        """Whether the run is to stop."""
        now = self.clock()
        if self.stopping:
            return True
        wanted = self.stop.asked
        if not wanted and now - self._polled >= self.poll_s:
            self._polled, wanted = now, self._asked()
        if wanted:
            self.stopping, self._stopping_since = True, now
        return self.stopping

    def drops(self, phase: str, batches_left: int) -> bool:
        """Whether a stop was asked for and the epoch would end too late."""
        return self.poll() and self.clock() + self.left(phase, batches_left) > self._stopping_since + self.grace_s

    def through(self, phase: str, batches: Iterable) -> Iterator:
        """The batches, one after the other, watched; Dropped where a stop was asked and the epoch would take too long."""
        total, start = self.plan[phase], self.clock()
        self.tell(phase, 0)
        for done, batch in enumerate(batches):
            if done:
                self._seconds[phase] = (self.clock() - start) / done
            if self.drops(phase, total - done):
                raise Dropped
            if self.clock() - self._told >= self.tell_s:
                self.tell(phase, done)
            yield batch
        self._seconds[phase] = (self.clock() - start) / max(total, 1)

    def left(self, phase: str, batches_left: int) -> float:
        """Seconds until the epoch ends, by what its batches took so far."""
        phases = list(self.plan)
        known = max(self._seconds.values(), default=0.0)
        counts = {phase: batches_left} | {later: self.plan[later] for later in phases[phases.index(phase) + 1 :] if later != "features"}
        return sum(self._seconds.get(name, known) * count for name, count in counts.items())

    def tell(self, phase: str, done: int = 0, **more) -> None:
        """Tells where the run is, now: `done` batches of `phase`."""
        self._told = self.clock()
        steps, known = self.plan["train"], self._seconds.get("train")
        later = phase in self.plan and phase != "train"
        eta = None
        if known is not None and phase in self.plan:
            epoch_s = sum(self._seconds.get(name, known) * count for name, count in self.plan.items() if name != "features")
            eta = self.left(phase, self.plan[phase] - done) + max(self.epochs - self.epoch - 1, 0) * epoch_s
        self._tell(
            phase=phase,
            epoch=self.epoch,
            epochs=self.epochs,
            step=min(self.epoch * steps + (steps if later else done), self.epochs * steps),
            steps=self.epochs * steps,
            step_s=known,
            eta_s=eta,
            **more,
        )
