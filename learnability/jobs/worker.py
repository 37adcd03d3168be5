"""One worker a device: takes the queue's next job, watches it, notes how it ended. It holds nothing that a job needs.

Killed, it leaves its jobs at work; the next worker finds them by process and lock. Nothing is begun twice: a run is held by
its own lock, a device by another, both taken by the trainer itself.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence

from learnability.errors import LearnabilityError, Locked, NotFound, StoreError
from learnability.jobs import derivation, logs, queue, readiness, rebuild, starts
from learnability.jobs.processes import Process, boot_id, end_family, family, with_token
from learnability.jobs.queue import Job, Key
from learnability.jobs.reasons import BUSY, of_end, plain
from learnability.jobs.timeouts import Timeouts
from learnability.store.files import LEFTOVER
from learnability.store.locks import hold, is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import load_run, read_progress

LEFT_OVER_S = 3600.0  # a launch takes no longer
LOW_PRIORITY = 10  # niceness of what shares the processor with its owner: CPU runs and preparations


def work(cache: Cache, lane: str, say=print, kind: "type[Worker] | None" = None) -> int:
    """Works until the lane has been empty for a while. 0 also where another worker has the lane."""
    timeouts = Timeouts.here()
    if not lane.startswith("cuda"):
        os.nice(max(LOW_PRIORITY - os.nice(0), 0))
    while True:
        try:
            with hold(cache, f"worker-{lane}"):
                (kind or Worker)(cache, lane, timeouts, say).until_idle()
        except Locked:
            say(f"another worker has {lane}")
            return 0
        if _signed_off(cache, lane):
            say(f"nothing to do on {lane}: ends")
            return 0


def _signed_off(cache: Cache, lane: str) -> bool:
    """Takes the worker off the list in the transaction that finds the lane empty: a launch sees either us or nobody."""

    def leave(connection) -> bool:
        if any(job.state != "ended" for job in queue.jobs(connection, lane=lane)):
            return False
        queue.unset_worker(connection, lane)
        return True

    return queue.write(cache, leave)


class Worker:
    """The rounds of one worker."""

    def __init__(self, cache: Cache, lane: str, timeouts: Timeouts, say):
        self.cache, self.lane, self.timeouts, self.say = cache, lane, timeouts, say
        self.me = Process.of(os.getpid())
        self.children: dict[Key, subprocess.Popen] = {}  # what this worker started itself
        self.news: dict[Key, tuple[Job, dict]] = {}  # fields of jobs at work that the queue's file has still to take
        self.steps: dict[Key, tuple] = {}  # where a run was, and since when
        self.pressed: dict[Key, float] = {}  # since when a job is seen to be asked to stop
        self.warned: set[Key] = set()  # have got SIGTERM
        self.at_work: list[Job] = []  # as this round found them
        self.asked_device = -float("inf")

    def until_idle(self) -> None:
        """Round after round, until nothing is queued or at work for `idle` seconds."""
        queue.check(self.cache)
        sweep_launches(self.cache)
        since, trouble = time.monotonic(), None
        while time.monotonic() - since < self.timeouts.idle:
            try:
                busy, trouble = self.round(), None
            except StoreError as error:  # full, or in use for too long: what is known is written later
                if str(error) != trouble:
                    self.say(str(error))
                busy, trouble = True, str(error)
            if busy:
                since = time.monotonic()
            time.sleep(self.timeouts.poll)

    def round(self) -> bool:
        """Watches what is at work and starts what is next; whether there was anything."""
        known, jobs = queue.read(self.cache, self._lane)
        self.at_work = [job for job in jobs if job.state == "running" and not self._over(job)]
        for job in self.at_work:
            self._watch(job)
        if self.news or known != self.me:
            jobs = self._written()
        if self._room(jobs):
            self._start_next([job for job in jobs if job.state == "queued"])
        logs.cut(starts.worker_log(self.cache, self.lane))
        return any(job.state != "ended" for job in jobs)

    def _room(self, jobs: list[Job]) -> bool:
        """Whether one more job may begin: a device has one at a time."""
        return not any(job.state == "running" for job in jobs)

    def _lane(self, connection) -> tuple[Process | None, list[Job]]:
        return queue.worker(connection, self.lane), queue.jobs(connection, lane=self.lane)

    def _written(self) -> list[Job]:
        """Writes down who works here and what is new; the lane's jobs."""

        def note(connection) -> list[Job]:
            queue.set_worker(connection, self.lane, self.me)
            for job, fields in self.news.values():
                queue.change_at_work(connection, job, **fields)
            return queue.jobs(connection, lane=self.lane)

        jobs = queue.write(self.cache, note)
        self.news = {}
        return jobs

    def _note(self, job: Job, **fields) -> None:
        self.news[job.key] = job, {**self.news.get(job.key, (job, {}))[1], **fields}

    # jobs at work

    def _over(self, job: Job) -> bool:
        """Whether its end is known and has still to be written."""
        return "state" in self.news.get(job.key, (job, {}))[1]

    def _beside(self, job: Job) -> list[Job]:
        """The runs that are at work in the same process."""
        same = [other for other in self.at_work if other.token == job.token and other.key != job.key] if job.token else []
        return [other for other in same if not self._over(other)]

    def _watch(self, job: Job) -> None:
        logs.cut(starts.log_file(self.cache, *job.key))
        child = self.children.get(job.key)
        if self._beside(job) and self._came_to_its_end(job):
            return self._ended(job, 0)
        if child is not None:
            if child.poll() is not None:
                return self._ended(job, child.returncode)
        elif not self._adopted(job):
            if job.pid is None and not job.stop:  # the worker that had it was killed before it started anything
                return self._note(job, state="queued", begun=None)
            return self._ended(job, None)
        if job.stop:
            self._press(job)
        elif job.kind == "run":
            self._look_for_stall(job)

    def _came_to_its_end(self, job: Job) -> bool:
        """Whether a run has ended, though its process goes on with others."""
        try:
            head = load_run(self.cache, *job.key).head
        except NotFound:
            return False
        ended = derivation.begun_anew(head, job) and head.state in derivation.ENDS
        return ended and not is_held(self.cache, run_lock(*job.key))

    def _adopted(self, job: Job) -> bool:
        """Whether a job that another worker started is still at work; finds the process that it had no time to note."""
        if job.process is None:
            found = with_token(job.token) if job.token else []
            if found:
                leader = min(found, key=lambda process: (len(process.started), process.started))
                self._note(job, pid=leader.pid, started=leader.started, boot=leader.boot)
            return bool(found)
        return job.process.alive or (job.kind == "run" and is_held(self.cache, run_lock(*job.key)))

    def _press(self, job: Job) -> None:
        """From the wish to stop to its end: the stop file once more, SIGTERM, SIGKILL to all that belongs to it."""
        waited = time.monotonic() - self.pressed.setdefault(job.key, time.monotonic())
        if job.kind == "run" and is_held(self.cache, run_lock(*job.key)):
            with contextlib.suppress(OSError):
                (self.cache.run_folder(*job.key) / "stop").touch()
        if any(not other.stop for other in self._beside(job)):
            return  # the stop file alone: a signal would stop the others too
        if waited >= self.timeouts.kill:
            if count := self._kill(job):
                self.say(f"{job.name} did not obey for {waited:.0f} s: killed {count} process(es)")
                self._note(job, note=f"asked to stop, did not obey for {waited:.0f} s and was killed; what was committed is kept")
            return
        late = waited >= self.timeouts.term or job.kind == "prepare"
        warned = self.warned & {one.key for one in (job, *self._beside(job))}
        if late and not warned and self._send(job, signal.SIGTERM):
            self.warned.add(job.key)

    def _send(self, job: Job, number: int) -> bool:
        """Signals the process of a job; whether there was one."""
        return job.process is not None and job.process.send(number)

    def _ask_where(self, job: Job) -> None:
        """Has a job write into its log where every thread is."""
        if job.process is not None and job.process.catches(signal.SIGUSR1):
            job.process.send(signal.SIGUSR1)

    def _kill(self, job: Job) -> int:
        """Ends a job and all it started, at once; how many processes that were."""
        return end_family(job.process, job.token or "")

    def _look_for_stall(self, job: Job) -> None:
        """Marks a run without a new step, and once has it write where it hangs into its log."""
        told = read_progress(self.cache, *job.key) or {}
        where, now = (told.get("phase"), told.get("step")), time.monotonic()
        if self.steps.get(job.key, (None,))[0] != where:
            self.steps[job.key] = where, now
            if job.stalled:
                self._note(job, stalled=0)
            return
        silent = now - self.steps[job.key][1]
        if job.stalled or silent <= derivation.patience(told, self.timeouts):
            return
        self.say(f"{job.name} stalled: no new step for {silent:.0f} s")
        self._note(job, stalled=1)
        logs.note(starts.log_file(self.cache, *job.key), f"[worker] no new step for {silent:.0f} s; where every thread is:")
        self._ask_where(job)

    def _ended(self, job: Job, code: int | None) -> None:
        """Notes how a job ended, and ends what it left behind."""
        self._leave(job)
        if code == BUSY and not job.stop:
            self._note(job, state="queued", note=self._busy(), pid=None, begun=None)
            self.asked_device = time.monotonic()
            return
        if code is None and job.kind == "prepare" and self._made(job):
            code = 0
        note = job.note if job.stop and job.note else self._why(job, code)
        self._note(job, state="ended", ended=time.time(), code=code, note=note, stalled=0)
        said = f"{job.name} ended: {note or 'done'}"
        self.say(said)
        logs.note(starts.log_file(self.cache, *job.key), f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {said}")

    def _busy(self) -> str:
        """Why a trainer found that it must wait."""
        return f"{self.lane} is in use"

    def _leave(self, job: Job) -> None:
        """Ends what a job left behind, and forgets it."""
        if job.token and not self._beside(job) and family(job.process, job.token):
            self.say(f"{job.name} left {end_family(job.process, job.token)} process(es) behind: killed")
        self._forget(job)

    def _forget(self, job: Job) -> None:
        for kept in (self.children, self.steps, self.pressed):
            kept.pop(job.key, None)
        self.warned.discard(job.key)

    def _why(self, job: Job, code: int | None) -> str | None:
        log, config = starts.log_file(self.cache, *job.key), None
        if job.kind == "run":
            try:
                run = load_run(self.cache, *job.key)
            except NotFound:
                return "its folder was deleted while it ran"
            if run.problem:
                return run.problem
            if derivation.begun_anew(run.head, job) and run.head.state in derivation.ENDS:
                return plain(run.head.reason)
            config = run.config
        elif made := self._made(job):
            return f"data set {made} is ready"
        if job.stop:
            return "asked to stop"
        rebooted = job.boot is not None and job.boot != boot_id()
        return of_end(code, logs.tail(log, 60), config, self.cache.root, rebooted)

    def _made(self, job: Job) -> str | None:
        """The data set that a preparation says it has made."""
        made = re.search(r"^Next: .* --data (\S+)", logs.tail(starts.log_file(self.cache, *job.key), 5), re.MULTILINE)
        return made[1] if made else None

    # the next job

    def _start_next(self, waiting: list[Job]) -> None:
        for number, job in enumerate(waiting):
            ready, note = readiness.of_run(self.cache, job) if job.kind == "run" else (readiness.BEGIN, None)
            if ready == readiness.GONE:
                queue.write(self.cache, lambda connection, job=job: queue.forget(connection, job.key))
            elif ready == readiness.OVER:
                over = {"state": "ended", "ended": time.time(), "note": note}
                queue.write(self.cache, lambda connection, job=job, over=over: queue.change(connection, job.key, **over))
            elif ready == readiness.BEGIN:
                if time.monotonic() - self.asked_device >= self.timeouts.device:
                    self._start_on_free_device(job, waiting[number + 1 :])
                return

    def _start_on_free_device(self, job: Job, behind: Sequence[Job] = ()) -> None:
        why = readiness.device_taken(self.cache, job)
        if why is None:
            return self._start(job, self._companions(job, behind))
        self.asked_device = time.monotonic()
        self._waits(job, why)

    def _waits(self, job: Job, why: str) -> None:
        if why != job.note:
            self.say(f"{job.name} waits: {why}")
            queue.write(self.cache, lambda connection: queue.change(connection, job.key, note=why))

    def _companions(self, job: Job, behind: Sequence[Job]) -> list[Job]:
        """The runs right behind a job that begin in its process: of the same data set, asked for in the same way."""
        found = []
        for other in behind:
            alike = (other.kind, other.data, other.threads, other.options) == (job.kind, job.data, job.threads, job.options)
            if len(found) + 1 >= job.asked.get("together", 1) or not alike or readiness.of_run(self.cache, other)[0] != readiness.BEGIN:
                break
            found.append(other)
        return found

    def _start(self, job: Job, beside: Sequence[Job] = ()) -> None:
        """Notes the token first, so that a worker killed between the two lines leaves nothing that cannot be found."""
        token, now = secrets.token_hex(8), time.time()
        generations = {one.key: rebuild.generation(self.cache, *one.key) if one.kind == "run" else -1 for one in (job, *beside)}
        fields = {"state": "running", "token": token, "begun": now, "note": None, "pid": None}

        def begin(connection) -> list[Job]:
            begun = []
            for key, generation in generations.items():
                current = queue.job(connection, key)
                if current is not None and current.state == "queued":  # else stopped or deleted meanwhile
                    queue.change(connection, key, **fields, generation=generation)
                    begun.append(queue.job(connection, key))
            return begun

        begun = queue.write(self.cache, begin)
        if not begun:
            return
        try:
            for one in begun:
                if one.kind == "run":
                    (self.cache.run_folder(*one.key) / "stop").unlink(missing_ok=True)
            child = self._spawned(*begun)
        except (LearnabilityError, OSError) as error:
            for one in begun:
                self._note(one, state="ended", ended=time.time(), code=1, note=str(error))
            return
        self.children |= {one.key: child for one in begun}
        self._written()

    def _spawned(self, job: Job, *beside: Job) -> subprocess.Popen:
        """Starts the process of a job and of those beside it, and notes which it is."""
        child = starts.spawn_job(self.cache, job, job.token, beside)
        for one in (job, *beside):
            if (identity := Process.of(child.pid)) is not None:
                self._note(one, pid=identity.pid, started=identity.started, boot=identity.boot)
            self.say(f"{one.name} begins on {self.lane}, process {child.pid}")
        return child


def sweep_launches(cache: Cache) -> None:
    """Removes what launches that were killed long ago left beside the runs."""
    for data in cache.run_data_names():
        for leftover in cache.runs_folder(data).glob(f"{LEFTOVER}*"):
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > LEFT_OVER_S:
                    shutil.rmtree(leftover, ignore_errors=True)
