"""What recording costs, measured while it records."""

import contextlib
import time
from collections.abc import Iterator

import torch

SAMPLED = 10  # on a GPU the device's own time is measured at one step in so many


class Clock:
    """Seconds inside the recorder and between its looks."""

    def __init__(self):
        self.inside_s = self.device_s = 0.0
        self.first = self.last = self.lap_start = None
        self.steps = 0
        self._told = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextlib.contextmanager
    def inside(self, logits=None) -> Iterator[None]:
        """Counts the body; given `logits` it is a step, and where these lie on a GPU its kernels are timed there now and then."""
        start = time.perf_counter()
        if self.first is None:
            self.first = self.last = self.lap_start = start
        events = None
        if logits is not None:
            self.steps += 1
            if getattr(logits, "is_cuda", False) and self.steps % SAMPLED == 0:
                events = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                events[0].record()
        try:
            yield
        finally:
            if events:
                events[1].record()
                self._events.append(events)
            self.last = time.perf_counter()
            self.inside_s += self.last - start

    def lap(self) -> float:
        """Seconds since the look before; the device has ended its work."""
        now = time.perf_counter()
        seconds, self.lap_start = now - self.lap_start, now
        self.device_s += SAMPLED * sum(begin.elapsed_time(end) for begin, end in self._events) / 1000
        self._events.clear()
        return seconds

    def every(self, seconds: float) -> bool:
        """Whether so many have passed since it was last true."""
        now = time.perf_counter()
        if now - self._told < seconds:
            return False
        self._told = now
        return True

    def rate(self, count: int) -> float:
        """How many of `count` a second, since the look began."""
        return round(count / max(time.perf_counter() - self.lap_start, 1e-9), 1)

    @property
    def share(self) -> float:
        """The share of the time from the first update to the end that was spent recording; on a GPU at most that."""
        return (self.inside_s + self.device_s) / max(self.last - self.first, 1e-9) if self.first is not None else 0.0

    def said(self) -> str:
        device = f" and {self.device_s:.2f} s on the device" if self.device_s else ""
        at_most = "at most " if self.device_s else ""
        return f"{at_most}{self.share:.2%} of the time: {self.inside_s:.2f} s{device} in {self.steps:,} steps"
