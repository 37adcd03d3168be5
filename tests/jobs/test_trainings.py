"""Real trainings through the real queue: killed, stopped, resumed, adopted."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from learnability import jobs
from learnability.jobs import queue
from learnability.jobs.processes import Process
from learnability.store.locks import is_held, run_lock
from learnability.store.runs import create_run
from tests.jobs.conftest import FAULTS, make_place, started_for, timeouts, until

LONG = {"epochs": 30}  # 60 steps of 0.03 s
LAUNCH = """
import sys
from learnability import jobs
from learnability.config import RunConfig
from learnability.store.paths import Cache
config = RunConfig.from_json(eval(sys.argv[2]))
print(jobs.launch(Cache.at(sys.argv[1]), [config], "cpu", threads=1)[0][1])
"""


def undisturbed(digits_cache, root: Path, engine: str) -> dict[str, bytes]:
    """The recording of LONG that nobody disturbed, trained in the foreground."""
    here = make_place(digits_cache, root / "cache")
    config = here.config(**LONG)
    create_run(here.cache, config)
    command = [sys.executable, "-m", "learnability", "trainer", "digits", config.run_id, "--device", "cpu", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(FAULTS), "FAULT_SECONDS": "0", "OMP_NUM_THREADS": "1", "ENGINE": engine}
    subprocess.run([*command, "--cache", str(here.cache.root)], check=True, env=environment, capture_output=True, timeout=200)
    return here.recording(config.run_id)


@pytest.fixture(scope="module")
def twin(digits_cache, tmp_path_factory):
    return undisturbed(digits_cache, tmp_path_factory.mktemp("twin"), "light")


@pytest.fixture(scope="module")
def real_twin(digits_cache, tmp_path_factory):
    return undisturbed(digits_cache, tmp_path_factory.mktemp("real twin"), "torch")


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.soak)])
def test_many_launches_of_one_config_are_one_run(place, count):
    config, made = place.config("resnet20"), []
    asked = [sys.executable, "-c", LAUNCH, str(place.cache.root), repr(config.to_json())]
    launches = [subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    threads = [threading.Thread(target=lambda: made.append(jobs.launch(place.cache, [config], "cpu", 1)[0])) for _ in range(count - 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    created = [told for _, told in made] + [launch.communicate()[0].strip() == "True" for launch in launches]
    assert len(created) == count
    assert sum(created) == 1
    assert {run_id for run_id, _ in made} == {config.run_id}
    assert place.cache.run_ids("digits") == [config.run_id]
    assert len(queue.read(place.cache, queue.jobs)) == 1
    done = place.until(config.run_id, "done")
    assert (done.looks, done.epochs, done.actions) == (2, 2, ("delete",))
    workers = [process for process in started_for(place.cache) if "worker" in process.cmdline()]
    assert len(workers) <= 1
    until(lambda: not started_for(place.cache))
    assert place.worker() is None
    assert jobs.launch(place.cache, [config], "cpu")[0] == (config.run_id, False)
    assert not started_for(place.cache), "a run that is done starts no worker"


def test_a_killed_run_is_shown_as_crashed_and_its_resume_is_byte_equal(real_place, real_twin):
    place = real_place
    run_id = place.launch(place.config(**LONG))
    place.until_looks(run_id, 3)
    assert place.trainer(run_id).send(signal.SIGKILL)
    crashed = place.until(run_id, "crashed", seconds=5)
    crashed = until(lambda: (state := place.state(run_id)).signal and state)
    assert crashed.signal == 9
    assert "signal 9 (SIGKILL)" in crashed.reason
    assert "out of memory" in crashed.reason
    assert crashed.actions == ("resume", "delete")
    assert jobs.status(place.cache).interrupted == (("digits", run_id),)
    assert jobs.resume(place.cache, "digits", run_id)
    assert not jobs.resume(place.cache, "digits", run_id), "asked twice is asked once"
    place.until(run_id, "done")
    assert place.recording(run_id) == real_twin
    assert place.head(run_id).generation == 1


def test_a_killed_worker_leaves_its_run_at_work_and_the_next_one_takes_it_over(place, twin):
    run_id = place.launch(place.config(**LONG))
    trainer = place.trainer(run_id)
    place.until_looks(run_id, 1)
    assert place.worker().send(signal.SIGKILL)
    until(lambda: place.worker() is None)
    assert trainer.alive
    assert place.state(run_id).state == "running"
    other = place.launch(place.config(seed=1))
    worker = until(place.worker)
    begun = until(lambda: place.state(other).state in ("running", "done"))
    assert begun
    assert place.state(run_id).state == "done", "one device, one run at a time"
    assert place.job(run_id).pid == trainer.pid, "it was not begun again"
    assert place.head(run_id).generation == 0
    assert place.recording(run_id) == twin
    place.until(other, "done")
    assert worker.alive or place.worker() is None


def test_run_and_worker_killed_together_are_offered_as_interrupted(place, twin):
    run_id = place.launch(place.config(**LONG))
    waiting = place.launch(place.config(seed=1))
    place.until_looks(run_id, 2)
    assert place.worker().send(signal.SIGKILL)
    assert place.trainer(run_id).send(signal.SIGKILL)
    until(lambda: not is_held(place.cache, run_lock("digits", run_id)))
    crashed = place.until(run_id, "crashed", seconds=5)
    assert crashed.signal is None
    assert "without a word" in crashed.reason
    assert {state.name for state in jobs.interrupted(place.cache)} == {run_id, waiting}
    resumed = jobs.resume_interrupted(place.cache, jobs.status(place.cache).interrupted)
    assert sorted(resumed) == sorted([("digits", run_id), ("digits", waiting)])
    place.until(run_id, "done")
    place.until(waiting, "done")
    assert place.recording(run_id) == twin
    assert jobs.status(place.cache).interrupted == ()


@pytest.mark.parametrize("cycles", [3, pytest.param(200, marks=pytest.mark.soak)])
def test_stop_and_resume_leave_no_process_behind_and_no_descriptor_open(place, twin, cycles):
    own = psutil.Process()
    before, run_id = None, place.launch(place.config(epochs=LONG["epochs"] if cycles == 3 else 20 * cycles))
    for cycle in range(cycles):
        trainer = place.trainer(run_id)
        until(lambda: place.state(run_id).phase == "train" or place.state(run_id).state == "done")
        if place.state(run_id).state == "done":
            break
        assert jobs.stop(place.cache, "digits", run_id)
        assert place.state(run_id).state in ("stopping", "stopped")
        stopped = place.until(run_id, "stopped", seconds=30)
        assert stopped.actions == ("resume", "delete")
        until(lambda: place.job(run_id).state == "ended")
        assert not trainer.alive
        assert not jobs.stop(place.cache, "digits", run_id), "nothing is left to stop"
        if cycle == 1:
            before = own.num_fds()
        assert jobs.resume(place.cache, "digits", run_id)
    place.until(run_id, "done", seconds=2000)
    assert own.num_fds() <= before
    if cycles == 3:
        assert place.recording(run_id) == twin
    until(lambda: not started_for(place.cache))


def test_a_run_that_is_cut_off_while_it_starts_begins_when_resumed(place):
    run_id = place.launch(place.config())
    trainer = place.trainer(run_id)
    place.worker().send(signal.SIGKILL)
    trainer.send(signal.SIGKILL)
    until(lambda: not trainer.alive and place.worker() is None)
    told = place.state(run_id)
    assert (told.state, told.interrupted) == ("failed", True)
    assert jobs.resume(place.cache, "digits", run_id)
    place.until(run_id, "done")


def test_a_lost_queue_is_made_anew_while_a_run_is_at_work(place):
    run_id = place.launch(place.config(**LONG))
    trainer = place.trainer(run_id)
    waiting = place.launch(place.config(seed=1))
    place.until_looks(run_id, 1)
    place.cache.queue.unlink()
    found = place.job(run_id)
    assert (found.state, found.process, found.lane) == ("running", trainer, "cpu")
    assert place.state(waiting).state == "queued"
    until(lambda: place.worker() is not None, 5)
    place.cache.queue.write_bytes(b"no database at all" * 500)
    assert place.job(run_id).process == trainer
    assert (place.cache.root / "jobs.sqlite.damaged").exists()
    assert jobs.stop_all(place.cache) == [("digits", waiting), ("digits", run_id)]
    place.until(run_id, "stopped")
    assert place.state(waiting).state == "stopped"
    assert "before it began" in place.state(waiting).reason
    assert place.head(run_id).generation == 0


def test_a_trainer_in_the_foreground_and_the_queue_take_turns_at_the_device(place):
    config = place.config(**LONG)
    create_run(place.cache, config)
    first = config.run_id
    command = [sys.executable, "-m", "learnability", "trainer", "digits", first, "--device", "cpu", "--cache", str(place.cache.root)]
    shell = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: place.state(first).state == "running")
    second = place.launch(place.config(seed=1))
    waits = until(lambda: place.state(second).reason)
    assert f"cpu is in use by process {shell.pid}" in waits
    assert jobs.status(place.cache).waits == waits
    assert [state.name for state in jobs.status(place.cache).at_work] == [first]
    assert jobs.stop(place.cache, "digits", first), "a stop file is all that is used on a stranger"
    assert shell.wait(60) == 0
    place.until(second, "done")
    assert not place.state(first).interrupted


def test_low_priority_and_a_session_of_its_own(place, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_TEST_PRIORITY", "low")
    run_id = place.launch(place.config(**LONG))
    trainer = psutil.Process(place.trainer(run_id).pid)
    assert trainer.nice() >= 10
    assert os.getsid(trainer.pid) == os.getpgid(trainer.pid) == trainer.pid
    assert os.getsid(place.worker().pid) == place.worker().pid
    place.until_looks(run_id, 1)
    trainer.terminate()
    ended = place.until(run_id, "stopped")
    assert "from outside" in ended.reason
    assert ended.interrupted
    assert until(lambda: place.job(run_id).code) == 143


def test_a_second_worker_of_a_device_does_not_begin(place, monkeypatch):
    timeouts(monkeypatch, idle=60)
    command = [sys.executable, "-m", "learnability", "worker", "--device", "cpu", "--cache", str(place.cache.root)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    until(place.worker)
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 0
    assert "another worker has cpu" in second.stdout
    assert place.worker() == Process.of(first.pid)
    first.terminate()
    first.communicate(timeout=30)
    assert place.worker() is None
