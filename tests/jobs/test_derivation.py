"""In which state a run is, for everything that can be found of it."""

import dataclasses
import time

import pytest

from learnability.config import RunConfig
from learnability.jobs import derivation
from learnability.jobs.derivation import Seen, derived, of_preparation
from learnability.jobs.processes import boot_id
from learnability.jobs.queue import Job
from learnability.jobs.timeouts import Timeouts
from learnability.store.paths import Cache
from learnability.store.runs import Head, Run

CONFIG = RunConfig(data="digits", fingerprint="ab" * 32, arch="resnet20", epochs=10)
NOW = time.time()


def job(state: str = "running", **fields) -> Job:
    known = dict.fromkeys(field.name for field in dataclasses.fields(Job))
    known |= {"id": 1, "kind": "run", "data": "digits", "name": CONFIG.run_id, "lane": "cpu", "options": "{}", "place": 1}
    known |= {"state": state, "stalled": False, "generation": -1, "boot": boot_id()}
    return Job(**(known | fields))


def head(state: str, **fields) -> Head:
    return Head(**({"state": state, "looks": 4, "epochs": 10, "rows": 64, "class_count": 10, "crc": {}} | fields))


def seen(head_: Head | None = None, job_: Job | None = None, **fields) -> Seen:
    run = Run("digits", CONFIG.run_id, CONFIG, head_)
    known = {
        "held": False,
        "alive": False,
        "device_in_use": False,
        "stop_file": False,
        "progress": None,
        "worker": False,
        "position": None,
        "now": NOW,
    }
    return Seen(**({"run": run, "job": job_} | known | fields))


def told(what: Seen, tmp_path, timeouts: Timeouts = Timeouts()):
    return derived(what, Cache(tmp_path), timeouts)


RUNNING = head("running")
AT_WORK = {"held": True, "alive": True}
BEGUN = job(begun=NOW - 100)


@pytest.mark.parametrize(
    ("what", "state", "reason", "interrupted"),
    [
        # nobody has it in hand
        (seen(), "queued", "in no queue", True),
        (seen(device_in_use=True), "queued", "about to begin in a shell", False),
        (seen(RUNNING), "crashed", "without a word", True),
        (seen(head("done")), "done", None, False),
        (seen(head("failed", reason="it was so")), "failed", "it was so", False),
        (seen(head("stopped", reason="asked to stop")), "stopped", "asked to stop", False),
        # in the queue
        (seen(None, job("queued"), worker=True, position=2), "queued", None, False),
        (seen(None, job("queued", note="cpu is in use"), worker=True, position=1), "queued", "cpu is in use", False),
        (seen(None, job("queued")), "queued", None, True),
        (seen(RUNNING, job("queued"), worker=True), "queued", None, False),
        (seen(head("stopped"), job("queued"), worker=True), "queued", None, False),
        # at work
        (seen(RUNNING, BEGUN, **AT_WORK), "running", None, False),
        (seen(RUNNING, None, held=True), "running", None, False),
        (seen(None, BEGUN, alive=True), "running", None, False),
        (seen(head("stopped"), job(begun=NOW, generation=0), alive=True), "running", None, False),
        (seen(RUNNING, BEGUN, stop_file=True, **AT_WORK), "stopping", None, False),
        (seen(RUNNING, job(begun=NOW - 100, stop=NOW), **AT_WORK), "stopping", None, False),
        (seen(RUNNING, job(begun=NOW - 100, stalled=True), **AT_WORK), "stalled", "no new step for 100 s", False),
        (seen(RUNNING, job(begun=NOW - 301), **AT_WORK), "stalled", "no new step for 301 s", False),
        (seen(head("done"), BEGUN, **AT_WORK), "done", None, False),
        # its process is gone
        (seen(RUNNING, BEGUN), "crashed", "without a word", True),
        (seen(RUNNING, job(begun=NOW, boot="another")), "crashed", "machine was restarted", True),
        (seen(None, job(begun=NOW, boot="another")), "crashed", "machine was restarted", True),
        (seen(None, BEGUN), "failed", "without a word", True),
        (seen(head("running"), job(begun=NOW, generation=0)), "failed", "without a word", True),
        (seen(RUNNING, job("ended", begun=NOW, code=-9, note="killed by signal 9")), "crashed", "signal 9", True),
        (seen(RUNNING, job("ended", begun=NOW, code=1, note="disk full")), "failed", "disk full", False),
        (seen(None, job("ended", begun=NOW, code=1, note="import error")), "failed", "import error", False),
        (seen(head("failed", reason="old"), job("ended", begun=NOW, code=1, note="new")), "failed", "old", False),
        (seen(head("failed", reason="old"), job("ended", begun=NOW, generation=0, code=1, note="new")), "failed", "new", False),
        (seen(head("stopped", reason="asked to stop"), job("ended", begun=NOW, code=143)), "stopped", "from outside", True),
        (seen(head("stopped", reason="asked to stop"), job("ended", begun=NOW, stop=NOW, code=0)), "stopped", "asked to stop", False),
        (seen(RUNNING, job("ended", begun=NOW, stop=NOW, code=-9, note="did not obey")), "stopped", "did not obey", False),
        (seen(None, job("ended", stop=NOW, note="taken out")), "stopped", "taken out", False),
        (seen(RUNNING, job(begun=NOW, stop=NOW)), "stopped", "asked to stop", False),
    ],
)  # fmt: skip
def test_states(what, state, reason, interrupted, tmp_path):
    found = told(what, tmp_path)
    assert (found.state, found.interrupted) == (state, interrupted)
    assert (found.reason is None) if reason is None else reason in found.reason
    assert found.at_work == (state in ("running", "stalled", "stopping"))
    actions = {"queued": {"delete"}, "running": {"stop"}, "stalled": {"stop"}, "stopping": set(), "done": {"delete"}}
    assert set(found.actions) >= actions.get(state, {"resume", "delete"})
    assert ("resume" in found.actions) == (state in ("crashed", "failed", "stopped") or (state == "queued" and what.job is None))


def test_a_damaged_run_is_a_state(tmp_path):
    run = Run("digits", CONFIG.run_id, None, None, "HEAD.json is damaged")
    found = told(dataclasses.replace(seen(), run=run), tmp_path)
    assert (found.state, found.reason, found.actions) == ("damaged", "HEAD.json is damaged", ("delete",))
    assert told(dataclasses.replace(seen(held=True), run=run), tmp_path).actions == ()


@pytest.mark.parametrize("phase", derivation.PATIENT)
def test_a_silence_in_a_long_phase_is_no_stall(phase, tmp_path):
    progress = {"time": NOW - 5000, "phase": phase, "pid": 7, "step": 3}
    found = told(seen(RUNNING, job(begun=NOW - 6000), progress=progress, **AT_WORK), tmp_path)
    assert (found.state, found.phase, found.silent_s, found.pid) == ("running", phase, 5000, 7)


@pytest.mark.parametrize(
    ("step_s", "silence", "state"), [(None, 299, "running"), (None, 301, "stalled"), (20.0, 399, "running"), (20.0, 401, "stalled")]
)
def test_the_longer_of_time_and_steps_counts(step_s, silence, state, tmp_path):
    progress = {
        "time": NOW - silence,
        "phase": "train",
        "step_s": step_s,
        "epoch": 2,
        "step": 9,
        "steps": 90,
        "eta_s": 11.0,
        "images_per_second": 5.0,
    }
    found = told(seen(RUNNING, job(begun=NOW - 600), progress=progress, **AT_WORK), tmp_path)
    assert found.state == state
    assert (found.epoch, found.step, found.steps, found.eta_s, found.images_per_second) == (2, 9, 90, 11.0, 5.0)


def test_progress_of_an_earlier_start_and_a_clock_that_jumped_back(tmp_path):
    old = {"time": NOW - 900, "phase": "train", "epoch": 5}
    found = told(seen(RUNNING, job(begun=NOW - 1), progress=old, **AT_WORK), tmp_path)
    assert (found.state, found.phase, found.epoch) == ("running", "starting", None)
    ahead = {"time": NOW + 900, "phase": "train", "epoch": 5}
    found = told(seen(RUNNING, BEGUN, progress=ahead, **AT_WORK), tmp_path)
    assert (found.state, found.silent_s) == ("running", 0.0)
    assert told(seen(RUNNING, None, held=True), tmp_path).silent_s is None


@pytest.mark.parametrize(
    ("fields", "worker", "state", "interrupted"),
    [
        ({"state": "queued"}, True, "queued", False),
        ({"state": "queued"}, False, "queued", True),
        ({"state": "running"}, True, "running", False),
        ({"state": "running", "stop": NOW}, True, "stopping", False),
        ({"state": "running"}, False, "crashed", True),
        ({"state": "running", "stop": NOW}, False, "stopped", False),
        ({"state": "ended", "code": 0, "note": "data set x is ready"}, False, "done", False),
        ({"state": "ended", "code": None, "note": "its process ended"}, False, "crashed", True),
        ({"state": "ended", "code": 2, "note": "no such folder"}, False, "failed", False),
        ({"state": "ended", "code": -9, "note": "killed"}, False, "crashed", True),
        ({"state": "ended", "stop": NOW, "code": -15}, False, "stopped", False),
    ],
)
def test_preparations(fields, worker, state, interrupted, tmp_path):
    found = of_preparation(Cache(tmp_path), job(kind="prepare", data="", name="prepare-0", lane="prepare", **fields), worker, 1)
    assert (found.state, found.interrupted) == (state, interrupted)
    assert found.signal == (9 if fields.get("code") == -9 else None)
