"""The rounds of the worker of one cluster: those of a device's worker, but for where a run begins and how it is reached."""

import contextlib
import time
from collections.abc import Sequence

from learnability.cluster.place import Gone, Lost, Place, Unreachable, connected, in_short
from learnability.jobs import derivation, devices, logs, queue, starts, worker
from learnability.jobs.queue import Job, Key
from learnability.jobs.worker import Worker
from learnability.store.paths import Cache
from learnability.store.runs import load_run

CPUS = 4  # of a run that names no number of threads, on a cluster without GPUs; fewer where no node has as many
LOSSES = 3  # a run that loses its place so often without getting any further ends


def work(cache: Cache, lane: str, say=print) -> int:
    """Works through the queue of a cluster, as `jobs.worker.work` does through that of a device.

    InputError where there is no cluster at its address, StoreError where it is lost; jobs then wait, and say why.
    """
    try:
        return worker.work(cache, lane, say, ClusterWorker)
    except (Unreachable, Gone) as error:
        said = str(error)
        queue.write(cache, lambda connection: _waiting(connection, lane, said))
        raise


def _waiting(connection, lane: str, why: str) -> None:
    for job in queue.jobs(connection, lane=lane, state="queued"):
        queue.change(connection, job.key, note=why)


class ClusterWorker(Worker):
    """The rounds of the worker of one cluster."""

    def __init__(self, cache: Cache, lane: str, timeouts, say):
        super().__init__(cache, lane, timeouts, say)
        self.children: dict[Key, Place] = {}
        self.ray = connected(lane.removeprefix(devices.CLUSTER))
        self.asked: Place | None = None  # for the next run, whichever that will be
        self.losses: dict[Key, tuple[int, int]] = {}  # looks, and how often a place was lost at these

    def until_idle(self) -> None:
        try:
            super().until_idle()
        except self.ray.exceptions.RayError as error:
            raise Gone(f"the cluster at {self.lane} answers no more: {in_short(error)}. Start it, then: resume --all") from error
        finally:
            self.ray.shutdown()  # ends every place of this worker

    def round(self) -> bool:
        busy = super().round()
        jobs = queue.read(self.cache, lambda connection: queue.jobs(connection, lane=self.lane, state="running"))
        for key in self.children.keys() - {job.key for job in jobs}:  # the queue was lost, and made anew without it
            with contextlib.suppress(Lost):
                if self.children[key].poll() is None:
                    continue
            self.children.pop(key).give_back()
        return busy

    # what begins

    def _room(self, jobs: list[Job]) -> bool:
        """Ray says where there is room."""
        return True

    def _start_next(self, waiting: list[Job]) -> None:
        self.next = None
        super()._start_next(waiting)
        if self.next is None:  # nobody is left who could begin
            self._ask_no_more()

    def _ask_no_more(self) -> None:
        if self.asked is not None:
            self.asked.give_back()
            self.asked = None

    def _start_on_free_device(self, job: Job, _behind: Sequence[Job] = ()) -> None:
        """One place at a time is asked for, and the first job in the queue takes it: until then it may be moved or stopped."""
        self.next = job
        needs = self._needs(job)
        if self.asked is not None and self.asked.needs != needs:
            self._ask_no_more()
        if self.asked is None:
            self.asked = Place(self.ray, needs)
        try:
            if self.asked.granted():
                return self._start(job)
        except Lost as error:
            self.asked = None
            self.asked_device = time.monotonic()
            return self._waits(job, f"the cluster gave it no place: {error}")
        self._waits(job, self._why_pending(needs))

    def _needs(self, job: Job) -> dict[str, int]:
        """What Ray counts for a run: a GPU, or the CPUs that are its threads."""
        if self._most("GPU"):
            return {"num_gpus": 1, "num_cpus": job.threads or 1}
        return {"num_gpus": 0, "num_cpus": job.threads or min(CPUS, max(self._most("CPU"), 1))}

    def _most(self, resource: str) -> int:
        """How many of these the largest node has."""
        return int(max((node["Resources"].get(resource, 0) for node in self.ray.nodes() if node["Alive"]), default=0))

    def _why_pending(self, needs: dict[str, int]) -> str:
        for resource, wanted in (("GPU", needs["num_gpus"]), ("CPU", needs["num_cpus"])):
            if wanted > (most := self._most(resource)):
                return f"no node of the cluster has {wanted} {resource}s, the largest has {most}: add one, or resume with fewer --threads"
        return f"waits for {'a GPU' if needs['num_gpus'] else 'CPUs'} of the cluster"

    def _spawned(self, job: Job) -> "Place":
        place, self.asked = self.asked, None
        gpus, cpus = place.needs["num_gpus"], place.needs["num_cpus"]
        begun_before = load_run(self.cache, *job.key).head is not None
        threads = job.threads or (None if gpus or begun_before else cpus)  # a resume takes those of before
        command = starts.trainer(self.cache, job, "cuda" if gpus else "cpu", threads) + ["--scheduled", "--leash"]
        log = starts.log_file(self.cache, *job.key)
        starts.begins(log, command)
        try:
            place.begin(command, str(log), str(self.cache.root), job.token)
        except BaseException:
            place.give_back()
            raise
        self.say(f"{job.name} begins on {self.lane}, node {place.host}, process {place.pid}")
        return place

    # jobs at work

    def _watch(self, job: Job) -> None:
        try:
            super()._watch(job)
        except Lost as error:
            self._elsewhere(job, str(error))

    def _adopted(self, job: Job) -> bool:
        """Never: the places of a worker end with it, so what it had at work is queued again."""
        return False

    def _send(self, job: Job, number: int) -> bool:
        place = self.children.get(job.key)
        return place is not None and bool(place.ask("send", number))

    def _ask_where(self, job: Job) -> None:
        self.children[job.key].ask("ask_where")

    def _kill(self, job: Job) -> int:
        place = self.children.get(job.key)
        return (place and place.ask("kill")) or 0

    def _busy(self) -> str:
        return "another process still trains it"

    def _leave(self, job: Job) -> None:
        if (place := self.children.get(job.key)) is not None:
            place.give_back()
        self._forget(job)

    def _elsewhere(self, job: Job, why: str) -> None:
        """Queues a run again whose place is gone, unless it had ended by then or loses one place after the other."""
        run = load_run(self.cache, *job.key)
        if job.stop or run.problem or (derivation.begun_anew(run.head, job) and run.head.state in ("done", "failed")):
            return self._ended(job, None)
        looks, count = self.losses.get(job.key, (-1, 0))
        self.losses[job.key] = (run.looks, 1) if run.looks > looks else (looks, count + 1)
        self._leave(job)
        said = f"{why}; it goes on from its last checkpoint in another place"
        if self.losses[job.key][1] < LOSSES:
            self._note(job, state="queued", begun=None, note=said)
        else:
            said = f"lost its place on the cluster {LOSSES} times without a new look, the last time: {why}. Find out why, then resume it."
            self._note(job, state="ended", ended=time.time(), code=None, note=said, stalled=0)
            del self.losses[job.key]
        self.say(f"{job.name}: {said}")
        logs.note(starts.log_file(self.cache, *job.key), f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {said}")
