"""In which state a run is: derived from its HEAD, its lock, its place in the queue and its process, never stored."""

import dataclasses
import time

from learnability.jobs.devices import on_cluster
from learnability.jobs.processes import boot_id
from learnability.jobs.queue import Job
from learnability.jobs.reasons import disk_full, of_crash, plain
from learnability.jobs.timeouts import Timeouts
from learnability.store.locks import is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import Head, Run, read_progress

ENDS = ("done", "stopped", "failed")
AT_WORK = ("running", "stalled", "stopping")
PATIENT = ("probe", "compile", "eval", "test", "features", "own loop")  # phases that may be silent for long


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobState:
    """One run or preparation as a page shows it."""

    data: str  # "" of a preparation
    name: str  # run id, or prepare-<8 hex digits>
    state: str  # queued, running, stalled, stopping, stopped, done, failed, crashed, damaged
    reason: str | None = None  # why it waits, or how it ended, in words
    actions: tuple[str, ...] = ()  # what may be asked now: stop, resume, delete, move_up
    position: int | None = None  # 1: next in its lane
    device: str | None = None
    pid: int | None = None
    host: str | None = None  # the machine of that process
    signal: int | None = None  # what ended it, where a worker saw it
    looks: int = 0  # committed
    epochs: int = 0
    phase: str | None = None  # starting, probe, compile, train, eval, test, features
    epoch: int | None = None  # the one at work, from 0
    step: int | None = None
    steps: int | None = None
    images_per_second: float | None = None
    eta_s: float | None = None
    silent_s: float | None = None  # since its last sign of life
    interrupted: bool = False  # was to run on when it ended: cut off, or queued with nobody to begin it

    @property
    def at_work(self) -> bool:
        return self.state in AT_WORK


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What was found of a run, at one moment."""

    run: Run
    job: Job | None
    held: bool  # some process has the run's lock
    alive: bool  # the job's process lives, or its worker is about to say how it ended
    device_in_use: bool  # somebody holds a device; looked at only where nothing else is known of the run
    stop_file: bool
    progress: dict | None
    worker: bool  # the lane has a living worker
    position: int | None
    now: float


def look(cache: Cache, run: Run, job: Job | None, worker: bool = False, position: int | None = None) -> Seen:
    """Looks at lock, process and progress of a run."""
    held = is_held(cache, run_lock(run.data, run.id))
    alive = job is not None and alive_or_in_hand(cache, job, worker)
    return Seen(
        run=run,
        job=job,
        held=held,
        alive=alive,
        device_in_use=job is None and run.head is None and not held and _some_device_in_use(cache),
        stop_file=(cache.run_folder(run.data, run.id) / "stop").exists(),
        progress=read_progress(cache, run.data, run.id) if held or alive else None,
        worker=worker,
        position=position,
        now=time.time(),
    )


def _some_device_in_use(cache: Cache) -> bool:
    return any(is_held(cache, path.stem) for path in cache.locks.glob("device-*.lock"))


def alive_or_in_hand(cache: Cache, job: Job, worker: bool) -> bool:
    """Whether a job's process lives, or its worker does: that is about to note its process, or how it ended.

    Not while the disk is full, for then the worker cannot note anything.
    """
    if job.state != "running":
        return False
    return (job.process is not None and job.process.alive) or (worker and disk_full(cache.root) is None)


def begun_anew(head: Head | None, job: Job | None) -> bool:
    """Whether HEAD was written by the job's latest start, or there is no job to ask."""
    return head is not None and (job is None or job.begun is None or head.generation > job.generation)


def derived(seen: Seen, cache: Cache, timeouts: Timeouts) -> JobState:
    """The state, by these rules in this order: damaged, at work, queued, what HEAD says, what the queue says, crashed."""
    run, job, head = seen.run, seen.job, seen.run.head
    epochs = (run.config and run.config.epochs) or (head.epochs if head else 0)
    shown = {"data": run.data, "name": run.id, "looks": run.looks, "epochs": epochs}
    shown["device"] = job.lane if job else None
    if run.problem:
        return JobState(state="damaged", reason=run.problem, actions=() if seen.held else ("delete",), **shown)
    ended = begun_anew(head, job) and head.state in ENDS
    if run.config is not None and run.config.origin is not None:  # a summary of the queue looks at runs without their config
        return _of_others(seen, timeouts, shown, ended)
    if (seen.held or seen.alive) and not ended:
        return JobState(**shown, **_at_work(seen, timeouts))
    if job is not None and job.state == "queued":
        return JobState(
            state="queued",
            reason=job.note,
            actions=("move_up", "stop", "delete"),
            position=seen.position,
            interrupted=not seen.worker,
            **shown,
        )
    if ended:
        unasked = head.state == "stopped" and job is not None and not job.stop
        reason = "ended from outside, cleanly. Resume it." if unasked else plain(head.reason)
        return JobState(state=head.state, reason=reason, actions=_after(head.state), interrupted=unasked, **shown)
    if job is None and head is None:
        reason = "launched, but in no queue: about to begin in a shell, or cut off. Resume puts it into the queue."
        return JobState(state="queued", reason=reason, actions=("resume", "delete"), interrupted=not seen.device_in_use, **shown)
    return _cut_off(seen, cache, shown)


def _of_others(seen: Seen, timeouts: Timeouts, shown: dict, ended: bool) -> JobState:
    """A run that its owner's loop records, or that was read from files: it is neither stopped nor resumed from here."""
    if seen.held and not ended:
        return JobState(**shown, **{**_at_work(seen, timeouts), "actions": ()})
    if ended:
        return JobState(state=seen.run.head.state, reason=plain(seen.run.head.reason), actions=("delete",), **shown)
    reason = "its owner's loop ended without a word; what was committed is kept. Start that loop again from its own checkpoint."
    return JobState(state="crashed", reason=reason, actions=("delete",), **shown)


def _cut_off(seen: Seen, cache: Cache, shown: dict) -> JobState:
    """Nobody works on it, and its latest start left no end in HEAD."""
    job = seen.job
    if job is not None and job.stop:
        return JobState(state="stopped", reason=job.note or "asked to stop", actions=_after("stopped"), **shown)
    rebooted = job is not None and job.boot is not None and job.boot != boot_id()
    noted = job is not None and job.state == "ended"
    reason = job.note if noted and job.note else of_crash(rebooted, cache.root)
    if noted and job.code is not None and job.code >= 0:
        return JobState(state="failed", reason=reason, actions=_after("failed"), **shown)
    number = -job.code if noted and job.code is not None else None
    before_the_first_word = job is not None and number is None and not rebooted and not begun_anew(seen.run.head, job)
    state = "failed" if before_the_first_word else "crashed"
    return JobState(state=state, reason=reason, actions=_after(state), signal=number, interrupted=True, **shown)


def _after(state: str) -> tuple[str, ...]:
    return ("delete",) if state == "done" else ("resume", "delete")


def _at_work(seen: Seen, timeouts: Timeouts) -> dict:
    job, told = seen.job, seen.progress or {}
    begun = job.begun if job and job.begun else 0.0
    if told.get("time", 0.0) < begun:  # of an earlier start
        told = {}
    last = max(told.get("time", 0.0), begun)
    silent = max(seen.now - last, 0.0) if last else None
    if seen.stop_file or (job is not None and job.stop):
        state = "stopping"
    elif (job is not None and job.stalled) or (silent is not None and silent > patience(told, timeouts)):
        state = "stalled"
    else:
        state = "running"
    reason = None
    if state == "stalled":
        reason = f"no new step for {silent or 0:.0f} s; where it hangs stands in the log. Stop it, then resume."
    elif job is not None and on_cluster(job.lane) and "host" in told:
        reason = f"on {told['host']}"
    return {
        "state": state,
        "reason": reason,
        "actions": () if state == "stopping" else ("stop",),
        "pid": told.get("pid") or (job.pid if job else None),
        "host": told.get("host"),
        "phase": told.get("phase", "starting"),
        "epoch": told.get("epoch"),
        "step": told.get("step"),
        "steps": told.get("steps"),
        "images_per_second": told.get("images_per_second"),
        "eta_s": told.get("eta_s"),
        "silent_s": silent,
    }


def patience(progress: dict, timeouts: Timeouts) -> float:
    """Seconds without a new step after which a run counts as stalled; endless in compile and eval phases."""
    if progress.get("phase") in PATIENT:
        return float("inf")
    return max(timeouts.stall, timeouts.stall_steps * (progress.get("step_s") or 0.0))


def of_preparation(cache: Cache, job: Job, worker: bool, position: int | None) -> JobState:
    """The state of a preparation: it has no folder of its own, so the queue and its process say all."""
    shown = {"data": "", "name": job.name, "device": job.lane}
    if job.state == "queued":
        return JobState(
            state="queued", reason=job.note, actions=("move_up", "stop", "delete"), position=position, interrupted=not worker, **shown
        )
    if alive_or_in_hand(cache, job, worker):
        return JobState(
            state="stopping" if job.stop else "running", actions=() if job.stop else ("stop",), pid=job.pid, phase="prepare", **shown
        )
    if job.stop:
        return JobState(state="stopped", reason=job.note or "asked to stop", actions=_after("stopped"), **shown)
    if job.state == "ended" and job.code == 0:
        return JobState(state="done", reason=job.note, actions=_after("done"), **shown)
    by_signal = job.code is not None and job.code < 0
    if job.state == "ended" and job.code is not None and not by_signal:
        return JobState(state="failed", reason=job.note, actions=_after("failed"), **shown)
    reason = job.note or "its process ended without a word. Nothing of it was kept: resume begins anew."
    return JobState(
        state="crashed", reason=reason, actions=_after("crashed"), signal=-job.code if by_signal else None, interrupted=True, **shown
    )
