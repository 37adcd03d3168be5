"""Whether the next job can begin: is there anything to do, is its device free, has it enough memory."""

from learnability.errors import LearnabilityError, NotFound
from learnability.jobs import devices
from learnability.jobs.queue import Job
from learnability.store.locks import holder, is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import load_run

BEGIN, LATER, OVER, GONE = "begin", "later", "over", "gone"


def of_run(cache: Cache, job: Job) -> tuple[str, str | None]:
    """BEGIN; LATER while somebody trains it in the foreground; OVER where it is done or damaged; GONE without its folder."""
    try:
        run = load_run(cache, job.data, job.name)
    except NotFound:
        return GONE, None
    if run.problem:
        return OVER, run.problem
    if is_held(cache, run_lock(job.data, job.name)):
        return LATER, None
    done = run.head is not None and run.head.state == "done" and not job.asked.get("restart")
    return (OVER, None) if done else (BEGIN, None)


def device_taken(cache: Cache, job: Job) -> str | None:
    """Why the job's device cannot take it now, naming who has it; None where it can."""
    if job.lane == devices.PREPARE:
        return None
    lock = f"device-{job.lane}"
    if is_held(cache, lock):
        return f"{job.lane} is in use by {holder(cache, lock)}"
    return devices.too_full(job.lane, _image_bytes(cache, job)) if job.lane.startswith("cuda") else None


def _image_bytes(cache: Cache, job: Job) -> float:
    try:
        config = load_run(cache, job.data, job.name).config
        return (cache.dataset_folder(job.data, config.fingerprint) / "images.npy").stat().st_size if config else 0.0
    except (LearnabilityError, OSError):
        return 0.0
