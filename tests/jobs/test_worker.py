"""The rounds of a worker, one by one, in this process; what it starts is real."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from learnability import jobs
from learnability.errors import DiskFull
from learnability.jobs import logs, queue, starts, worker
from learnability.jobs.processes import TOKEN, Process
from learnability.jobs.timeouts import Timeouts
from learnability.jobs.worker import Worker, sweep_launches, work
from learnability.store.locks import hold, run_lock
from learnability.store.runs import Head, write_head
from tests.jobs.conftest import timeouts, until


@pytest.fixture
def at(place):
    """The place, and a worker of its CPU that this process is."""
    place.as_worker()
    said = []
    here = Worker(place.cache, "cpu", Timeouts.here(), said.append)
    return place, here, said


def rounds(here: Worker, found) -> None:
    """Round after round until `found()`."""

    def once():
        here.round()
        return found()

    until(once)


def test_a_run_from_its_start_to_its_end(at):
    place, here, said = at
    run_id = place.launch(place.config())
    assert here.round()
    assert place.state(run_id).state == "running"
    assert place.state(run_id).actions == ("stop",)
    rounds(here, lambda: place.job(run_id).state == "ended")
    assert place.job(run_id).code == 0
    assert not here.round()
    assert said[0].startswith(f"{run_id} begins on cpu, process")
    assert said[-1] == f"{run_id} ended: done"
    assert "ended: done" in jobs.log_tail(place.cache, "digits", run_id)
    assert not here.children


def test_one_run_at_a_time_in_their_order(at):
    place, here, _ = at
    runs = [place.launch(place.config(seed=seed, epochs=1)) for seed in range(2)]
    begun = []

    def all_done():
        begun.extend(job.name for job in queue.read(place.cache, lambda c: queue.jobs(c, state="running")))
        return all(place.job(run_id).state == "ended" for run_id in runs)

    rounds(here, all_done)
    assert list(dict.fromkeys(begun)) == runs
    assert len([name for name in begun if name == runs[0]]) == begun.index(runs[1])


def test_runs_that_need_no_trainer_are_passed_over(at):
    place, here, _ = at
    gone, done, damaged, elsewhere, last = [place.launch(place.config(seed=seed, epochs=1)) for seed in range(5)]
    shutil.rmtree(place.cache.run_folder("digits", gone))
    write_head(place.cache.run_folder("digits", done), Head(state="done", looks=0, epochs=1, rows=64, class_count=10, crc={}))
    (place.cache.run_folder("digits", damaged) / "HEAD.json").write_text("{")
    with hold(place.cache, run_lock("digits", elsewhere)):
        here.round()
        assert place.job(gone) is None
        assert place.job(done).state == "ended"
        assert "damaged" in place.job(damaged).note
        assert place.job(elsewhere).state == "queued"
        assert place.job(last).state == "running"
    rounds(here, lambda: place.job(elsewhere).state == "ended")
    assert place.state(elsewhere).state == "done"


def test_a_device_that_is_taken_between_look_and_start_puts_the_run_back(at, monkeypatch):
    place, here, _ = at
    run_id = place.launch(place.config())
    monkeypatch.setattr(worker.readiness, "device_taken", lambda *_: None)
    with hold(place.cache, "device-cpu"):
        here.round()
        assert place.job(run_id).state == "running"
        rounds(here, lambda: place.job(run_id).state == "queued")
        assert place.job(run_id).note == "cpu is in use"
        assert place.state(run_id).state == "queued"
    rounds(here, lambda: place.job(run_id).state == "ended")
    assert place.state(run_id).state == "done"


def test_what_a_killed_worker_had_only_announced_is_queued_again(at):
    place, here, _ = at
    run_id = place.launch(place.config())
    half = {"state": "running", "token": "nobody carries this", "begun": time.time()}
    queue.write(place.cache, lambda connection: queue.change(connection, ("digits", run_id), **half))
    assert place.state(run_id).state == "running", "its worker is about to say more"
    assert not jobs.resume(place.cache, "digits", run_id)
    here.round()
    rounds(here, lambda: place.job(run_id).state == "ended")
    assert place.state(run_id).state == "done"


def test_what_a_killed_worker_had_started_but_not_noted_is_found_by_its_token(at):
    place, here, said = at
    run_id = place.launch(place.config())
    child = subprocess.Popen(["sleep", "60"], env={**os.environ, TOKEN: "found by this"}, start_new_session=True)
    half = {"state": "running", "token": "found by this", "begun": time.time()}
    queue.write(place.cache, lambda connection: queue.change(connection, ("digits", run_id), **half))
    here.round()
    assert place.job(run_id).process == Process.of(child.pid)
    child.kill()
    child.wait()
    rounds(here, lambda: place.job(run_id).state == "ended")
    assert place.job(run_id).code is None
    assert "without a word" in place.state(run_id).reason


def test_an_adopted_preparation_is_known_by_its_last_words(place):
    place.as_worker("prepare")
    here = Worker(place.cache, "prepare", Timeouts.here(), print)
    for source, words, state in (("a", "Next: python -m learnability train --data few --arch x", "done"), ("b", "Killed", "crashed")):
        name = jobs.prepare(place.cache, source)
        gone = Process(2**22 - 7, "1", "another boot")
        fields = {"state": "running", "token": "x", "pid": gone.pid, "started": gone.started, "boot": gone.boot}
        queue.write(place.cache, lambda connection, name=name, fields=fields: queue.change(connection, ("", name), **fields))
        place.cache.logs.mkdir(exist_ok=True)
        logs.note(starts.log_file(place.cache, "", name), words)
        here.round()
        told = jobs.state(place.cache, "", name)
        assert told.state == state
        assert ("few is ready" if state == "done" else "machine was restarted") in told.reason


def test_a_stalled_run_that_moves_again_is_running(at, monkeypatch):
    place, here, said = at
    run_id = place.launch(place.config(epochs=500))
    rounds(here, lambda: place.state(run_id).phase == "train")
    trainer = place.trainer(run_id)
    here.timeouts = Timeouts(stall=0.6, stall_steps=1)
    trainer.send(signal.SIGSTOP)
    rounds(here, lambda: place.state(run_id).state == "stalled")
    assert any("stalled" in line for line in said)
    trainer.send(signal.SIGCONT)
    rounds(here, lambda: place.state(run_id).state == "running")
    assert "where every thread is" in jobs.log_tail(place.cache, "digits", run_id)
    until(lambda: "Current thread" in jobs.log_tail(place.cache, "digits", run_id))
    assert jobs.stop(place.cache, "digits", run_id)
    rounds(here, lambda: place.job(run_id).state == "ended")
    assert place.state(run_id).state == "stopped"


def test_a_run_whose_folder_is_deleted_by_hand_ends_with_the_reason(at):
    place, here, _ = at
    run_id = place.launch(place.config(epochs=500))
    rounds(here, lambda: place.state(run_id).phase == "train")
    shutil.rmtree(place.cache.run_folder("digits", run_id), ignore_errors=True)
    shutil.rmtree(place.cache.run_folder("digits", run_id), ignore_errors=True)
    rounds(here, lambda: place.job(run_id) is None or place.job(run_id).state == "ended")
    assert "deleted" in (place.job(run_id).note or "") or "not found" in place.job(run_id).note


def test_a_start_that_fails_ends_the_job_in_words(at, monkeypatch):
    place, here, _ = at
    run_id = place.launch(place.config())
    monkeypatch.setattr(sys, "executable", "/no/python/here")
    here.round()
    here.round()
    assert place.state(run_id).state == "failed"
    assert "/no/python/here" in place.state(run_id).reason


def test_a_job_that_is_stopped_in_the_instant_of_its_start_does_not_start(at):
    place, here, _ = at
    run_id = place.launch(place.config())
    job = place.job(run_id)
    jobs.stop(place.cache, "digits", run_id)
    here._start(job)
    assert not here.children
    assert place.state(run_id).state == "stopped"


def test_trouble_with_the_queue_is_said_once_and_what_is_known_is_written_later(at, monkeypatch):
    place, here, said = at
    here.timeouts = Timeouts(poll=0.01, idle=0.1)
    calls, real = [], here.round

    def troubled():
        calls.append(1)
        if len(calls) < 4:
            raise DiskFull("disk full: the queue needs more space")
        return real()

    monkeypatch.setattr(here, "round", troubled)
    here.until_idle()
    assert said == ["disk full: the queue needs more space"]
    assert len(calls) > 4


def test_news_of_a_job_that_was_asked_for_anew_are_dropped(at):
    place, here, _ = at
    run_id = place.launch(place.config())
    here._note(place.job(run_id), state="ended", code=1, note="old news")
    here.round()
    assert place.job(run_id).state == "running"
    rounds(here, lambda: place.job(run_id).state == "ended")
    assert place.state(run_id).state == "done"


def test_a_worker_ends_when_there_is_nothing_and_not_before(place, monkeypatch):
    timeouts(monkeypatch, idle=0.2)
    said = []
    monkeypatch.setattr(os, "nice", lambda more: 0)
    assert work(place.cache, "cpu", said.append) == 0
    assert said == ["nothing to do on cpu: ends"]
    assert place.worker() is None
    with hold(place.cache, "worker-cpu"):
        assert work(place.cache, "cpu", said.append) == 0
    assert said[-1] == "another worker has cpu"
    place.as_worker()
    run_id = place.launch(place.config())
    assert not worker._signed_off(place.cache, "cpu"), "a launch between the last look and the end is seen"
    assert work(place.cache, "cpu", said.append) == 0
    assert place.state(run_id).state == "done"


def test_old_leftovers_of_launches_are_swept_and_fresh_ones_are_not(place):
    folder = place.cache.runs_folder("digits")
    (folder / ".tmp-old").mkdir(parents=True)
    (folder / ".tmp-new").mkdir()
    os.utime(folder / ".tmp-old", (1, 1))
    sweep_launches(place.cache)
    assert sorted(entry.name for entry in folder.iterdir()) == [".tmp-new"]


def test_a_source_is_never_an_option(place):
    place.as_worker("prepare")
    name = jobs.prepare(place.cache, "--cache=/somewhere/else", limit=5)
    job = queue.read(place.cache, lambda connection: queue.job(connection, ("", name)))
    assert starts._preparation(place.cache, job) == [
        "prepare",
        "--limit=5",
        "--cache",
        str(place.cache.root),
        "--",
        "--cache=/somewhere/else",
    ]
