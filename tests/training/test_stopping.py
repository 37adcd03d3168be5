"""When an epoch is finished and when dropped, and how often things go to disk, with time that the tests make."""

import os
import signal

import pytest
import torch

from learnability.training.commits import CommitPolicy, Commits
from learnability.training.stopping import Dropped, Pace, Stop, stop_on_signals


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def walked(plan: dict[str, int], seconds: dict[str, float], stop_after: int, grace: float, epochs: int = 1):
    """Batches walked through before an epoch was dropped, or all of them; the wish to stop comes at batch `stop_after`."""
    clock, walked = Clock(), []
    pace = Pace(Stop(), lambda: len(walked) >= stop_after, lambda **_: None, plan, epochs, poll_s=0, tell_s=1, grace_s=grace, clock=clock)
    for phase in plan:
        for batch in pace.through(phase, range(plan[phase])):
            walked.append((phase, batch))
            clock.now += seconds[phase]
    return len(walked)


def test_an_epoch_that_ends_in_time_is_finished_and_another_is_dropped():
    assert walked({"train": 100}, {"train": 1.0}, stop_after=80, grace=20) == 100
    with pytest.raises(Dropped):
        walked({"train": 100}, {"train": 1.0}, stop_after=79, grace=20)


def test_the_passes_after_the_updates_count_too():
    plan = {"train": 10, "eval": 4, "test": 4}
    with pytest.raises(Dropped):
        walked(plan, {"train": 1.0, "eval": 1.0, "test": 1.0}, stop_after=9, grace=8)
    assert walked(plan, {"train": 1.0, "eval": 1.0, "test": 1.0}, stop_after=9, grace=9) == 18


def test_an_epoch_that_turns_out_slower_is_dropped_at_the_end_of_the_grace():
    clock, done = Clock(), []
    pace = Pace(Stop(), lambda: len(done) >= 5, lambda **_: None, {"train": 10}, 1, poll_s=0, grace_s=20, clock=clock)
    with pytest.raises(Dropped):
        for batch in pace.through("train", range(10)):
            done.append(batch)
            clock.now += 1 if batch < 5 else 30
    assert len(done) == 6


def test_a_wish_is_polled_seldom_and_where_the_run_is_is_told_seldom():
    clock, asked, told = Clock(), [], []
    pace = Pace(
        Stop(), lambda: bool(asked.append(clock.now)), lambda **now: told.append(now), {"train": 100}, 2, poll_s=0.2, tell_s=1, clock=clock
    )
    for _ in pace.through("train", range(100)):
        clock.now += 0.05
    assert 20 <= len(asked) <= 26 and 4 <= len(told) <= 7
    assert [now["step"] for now in told] == sorted(now["step"] for now in told)
    assert told[-1]["steps"] == 200 and told[-1]["phase"] == "train"
    assert told[-1]["step_s"] == pytest.approx(0.05) and told[-1]["eta_s"] == pytest.approx((200 - told[-1]["step"]) * 0.05)


def test_a_wish_of_the_process_itself_is_seen_at_the_next_batch():
    stop, clock, done = Stop(), Clock(), []
    pace = Pace(stop, lambda: False, lambda **_: None, {"train": 100}, 1, poll_s=1e9, grace_s=0, clock=clock)
    with pytest.raises(Dropped):
        for batch in pace.through("train", range(100)):
            done.append(batch)
            clock.now += 1
            if batch == 41:
                stop.ask(signal.SIGTERM)
    assert len(done) == 42 and stop.signal == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_ask_and_are_put_back(number):
    before = signal.getsignal(number)
    with stop_on_signals(Stop()) as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.asked and stop.signal == number
    assert signal.getsignal(number) is before


class Written:
    """Stands where a RunWriter does, for the times of its calls: each costs `cost` seconds, or `signals` without a checkpoint."""

    def __init__(self, clock: Clock, cost: float, signals: float | None = None):
        self.clock, self.cost, self.calls, self.done_epochs = clock, cost, [], 0
        self.signals = cost if signals is None else signals
        self.head = self

    looks, rows, crc = 0, 1, {}

    def commit(self, signals, looks, checkpoint):
        self.looks += len(looks)
        self.done_epochs = checkpoint[1]["epoch"] if checkpoint else self.done_epochs
        self.clock.now += self.cost if checkpoint else self.signals
        self.calls.append(("checkpoint" if checkpoint else "signals", self.clock.now, len(looks)))

    def write_scores(self):
        self.clock.now += self.cost
        self.calls.append(("scores", self.clock.now, 0))


def run(epoch_s: float, epochs: int, cost: float, signals=None, state=(), **policy) -> tuple[Written, Commits, Clock]:
    clock = Clock()
    written, state = Written(clock, cost, signals), None if state is None else dict(state)
    commits = Commits(written, CommitPolicy(**policy), clock)
    for epoch in range(epochs):
        clock.now += epoch_s
        commits.add(epoch, {}, {"epoch": epoch}, state)
    return written, commits, clock


def gaps(written: Written, kinds) -> list[float]:
    times = [at for kind, at, _ in written.calls if kind in kinds]
    return [b - a for a, b in zip(times, times[1:], strict=False)]


def test_cheap_commits_come_at_their_intervals():
    written, commits, _ = run(epoch_s=0.5, epochs=400, cost=0.001)
    assert min(gaps(written, ("signals", "checkpoint"))) >= 2 and max(gaps(written, ("signals", "checkpoint"))) < 3
    assert min(gaps(written, ("checkpoint",))) >= 30 and max(gaps(written, ("checkpoint",))) < 33
    assert min(gaps(written, ("scores",))) >= 10 and max(gaps(written, ("scores",))) < 13
    commits.flush()
    assert written.looks == 400 and written.done_epochs == 400 and written.calls[-1][0] == "scores"


def test_dear_commits_cost_one_percent_together():
    written, commits, clock = run(epoch_s=1.0, epochs=20_000, cost=0.5)
    assert commits.spent / (clock.now - 100) < 0.0115
    assert written.looks > 19_900


def test_a_short_run_keeps_its_share_for_the_checkpoint_at_its_end():
    weights = {"network.weight": torch.zeros(25_000_000)}  # 100 MB: taken to need 0.4 s before one is written, and needing as much
    written, commits, clock = run(epoch_s=8.0, epochs=9, cost=0.4, signals=0.003, state=weights, scores_s=1e9)
    commits.flush()
    assert [kind for kind, _, _ in written.calls].count("checkpoint") == 1 and written.done_epochs == 9
    assert commits.spent < 0.01 * (clock.now - 100) + 0.4  # the scores at the end cost as much here
    longer, *_ = run(epoch_s=8.0, epochs=40, cost=0.4, signals=0.003, state=weights, scores_s=1e9)
    first = next(at for kind, at, _ in longer.calls if kind == "checkpoint") - 100
    assert 80 < first < 100


def test_a_loop_of_somebodys_own_keeps_its_state_itself():
    written, commits, _ = run(epoch_s=1.0, epochs=400, cost=0.001, state=None)
    commits.settle()
    assert written.looks == 400 and {kind for kind, _, _ in written.calls} == {"signals", "scores"}


def test_a_commit_waits_for_its_share_only_so_long():
    written, _, _ = run(epoch_s=1.0, epochs=2000, cost=50.0)
    assert max(gaps(written, ("checkpoint",))) < 500


def test_every_look_is_handed_over_once_and_in_order():
    written, commits, _ = run(epoch_s=0.7, epochs=57, cost=0.0, signals_s=1.0, checkpoint_s=3.0, share=1.0)
    commits.flush()
    commits.flush()
    assert sum(count for _, _, count in written.calls) == written.looks == 57
