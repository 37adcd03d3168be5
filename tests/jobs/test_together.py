"""Runs that share a device: one process, and each run its own job, stop, log and end."""

import os
import signal

import pytest

from learnability import jobs
from learnability.errors import InputError
from learnability.store.locks import is_held, run_lock
from learnability.store.runs import load_run
from learnability.training import train
from tests.jobs.conftest import started_for, until

LONG = {"epochs": 40}


def launched(place, *configs, together: int = 2) -> list[str]:
    return [run_id for run_id, _ in jobs.launch(place.cache, configs, "cpu", threads=1, together=together)]


def test_as_many_as_asked_share_a_process_and_the_next_waits_for_both(place):
    first, second, third = launched(place, *(place.config(seed=seed) for seed in range(3)))
    assert place.trainer(first) == place.trainer(second)
    assert place.state(third).state == "queued"
    alone = place.trainer(third)
    for run_id in (first, second, third):
        place.until(run_id, "done")
    assert place.job(first).pid == place.job(second).pid != alone.pid
    for run_id in (first, second):
        assert "done, 2 of 2 looks" in jobs.log_tail(place.cache, "digits", run_id)
    until(lambda: not started_for(place.cache))


def test_those_of_one_architecture_begin_together(place):
    """One of each network first, as a study is asked for: a group of unlike ones would wait for its slowest."""
    place.as_worker()
    configs = [place.config(arch, seed) for seed in range(2) for arch in ("steady", "chatty")]
    assert [run_id.rsplit("-", 1)[0] for run_id in launched(place, *configs)] == ["steady-s0", "steady-s1", "chatty-s0", "chatty-s1"]
    assert [run_id.rsplit("-", 1)[0] for run_id in launched(place, *configs, together=1)] == [
        "steady-s0",
        "chatty-s0",
        "steady-s1",
        "chatty-s1",
    ]


def test_one_is_stopped_and_resumed_and_the_other_goes_on(place):
    first, second = launched(place, *(place.config(seed=seed, **LONG) for seed in range(2)))
    until(lambda: load_run(place.cache, "digits", second).looks)
    shared = place.trainer(first)
    assert jobs.stop(place.cache, "digits", first)
    place.until(first, "stopped", seconds=30)
    until(lambda: place.job(first).state == "ended")
    assert shared.alive and place.state(second).state == "running" and not is_held(place.cache, run_lock("digits", first))
    assert jobs.resume(place.cache, "digits", first)
    place.until(second, "done")
    place.until(first, "done")
    assert load_run(place.cache, "digits", first).looks == LONG["epochs"]


def test_all_are_stopped_by_one_press(place):
    run_ids = launched(place, *(place.config(seed=seed, **LONG) for seed in range(2)))
    until(lambda: all(load_run(place.cache, "digits", run_id).looks for run_id in run_ids))
    jobs.stop_all(place.cache)
    for run_id in run_ids:
        place.until(run_id, "stopped", seconds=30)
    until(lambda: all(place.job(run_id).state == "ended" for run_id in run_ids))


def test_one_that_does_not_hear_is_left_alone_until_it_is_alone(place, monkeypatch, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("FAULT_FILE", str(tmp_path / "pipe"))
    hanging, steady = launched(place, place.config("hangs"), place.config(**LONG))
    shared = place.trainer(hanging)
    until(lambda: load_run(place.cache, "digits", steady).looks)
    assert jobs.stop(place.cache, "digits", hanging)
    place.until(steady, "done")
    place.until(hanging, "stopped", seconds=30)
    until(lambda: not shared.alive)
    assert load_run(place.cache, "digits", steady).looks == LONG["epochs"]


def test_a_killed_process_is_two_crashed_runs_that_go_on_together(place):
    run_ids = launched(place, *(place.config(seed=seed, **LONG) for seed in range(2)))
    until(lambda: all(load_run(place.cache, "digits", run_id).looks > 3 for run_id in run_ids))
    place.trainer(run_ids[0]).send(signal.SIGKILL)
    for run_id in run_ids:
        place.until(run_id, "crashed")
    jobs.resume_interrupted(place.cache, [("digits", run_id) for run_id in run_ids])
    for run_id in run_ids:
        place.until(run_id, "done")


def test_another_worker_takes_both_over(place):
    run_ids = launched(place, *(place.config(seed=seed, **LONG) for seed in range(2)))
    until(lambda: all(load_run(place.cache, "digits", run_id).looks for run_id in run_ids))
    shared = place.trainer(run_ids[0])
    worker = place.worker()
    worker.send(signal.SIGKILL)
    until(lambda: not worker.alive)
    jobs.launch(place.cache, [place.config(seed=5)], "cpu", threads=1)
    for run_id in run_ids:
        place.until(run_id, "done")
    assert place.job(run_ids[0]).pid == place.job(run_ids[1]).pid == shared.pid


def test_one_fails_and_says_why_while_the_other_ends_well(place):
    failing, steady = launched(place, place.config("missing"), place.config(epochs=4))
    place.until(steady, "done")
    failed = place.until(failing, "failed", "crashed")
    assert "a_module_that_nobody_has" in f"{failed.reason} {jobs.log_tail(place.cache, 'digits', failing)}"


def test_the_engine_records_what_each_would_record_alone(real_place):
    configs = [real_place.config("resnet20", seed=seed, epochs=1, subset=32, batch_size=16) for seed in range(2)]
    run_ids = launched(real_place, *configs)
    for run_id in run_ids:
        real_place.until(run_id, "done")
    assert real_place.job(run_ids[0]).pid == real_place.job(run_ids[1]).pid
    together = [real_place.recording(run_id) for run_id in run_ids]
    for config in configs:
        train(config, real_place.cache, "cpu", threads=1, restart=True)
    assert [real_place.recording(run_id) for run_id in run_ids] == together


def test_a_cluster_and_runs_over_several_devices_share_nothing(place):
    with pytest.raises(InputError, match="side by side"):
        jobs.launch(place.cache, [place.config()], "ray:10.0.0.1:6379", together=2)
    with pytest.raises(InputError, match="side by side"):
        jobs.launch(place.cache, [place.config(devices=2)], "cpu", together=2)
