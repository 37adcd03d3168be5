"""The queue's file: order, damage, loss, a full or foreign one; and the summary of a hundred runs."""

import dataclasses
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator

import pytest

from learnability import jobs
from learnability.errors import InputError, Locked, NewerFormat, NotFound, StoreError
from learnability.jobs import queue, rebuild
from learnability.jobs.processes import Process
from learnability.jobs.timeouts import Timeouts
from learnability.store.locks import hold, run_lock
from learnability.store.runs import Head, create_run, write_head
from tests.jobs.conftest import until


@pytest.fixture
def queued(place):
    """Three runs in the queue, and nobody who trains them."""
    place.as_worker()
    return place, [place.launch(place.config(seed=seed)) for seed in range(3)]


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The paths of all files that this process opens."""
    paths: list[str] | None = []

    def listen(event, args):  # it cannot be taken off again
        if event == "open" and paths is not None:
            paths.append(str(args[0]))

    sys.addaudithook(listen)
    yield paths
    paths = None


def order(place) -> list[str]:
    return [job.name for job in queue.read(place.cache, lambda connection: queue.jobs(connection, state="queued"))]


def end(place, run_id: str, state: str, looks: int = 0, generation: int = 0) -> None:
    head = Head(state=state, looks=looks, epochs=2, rows=64, class_count=10, crc={}, generation=generation)
    write_head(place.cache.run_folder("digits", run_id), head)


def test_moving_up_changes_places(queued):
    place, runs = queued
    assert order(place) == runs
    assert [place.state(run_id).position for run_id in runs] == [1, 2, 3]
    assert place.state(runs[0]).actions == ("move_up", "stop", "delete")
    assert jobs.move_up(place.cache, "digits", runs[2])
    assert order(place) == [runs[0], runs[2], runs[1]]
    assert jobs.move_up(place.cache, "digits", runs[2])
    assert not jobs.move_up(place.cache, "digits", runs[2])
    assert order(place) == [runs[2], runs[0], runs[1]]
    assert not jobs.move_up(place.cache, "digits", "steady-s9-00000000")
    assert jobs.status(place.cache).next == runs[2]


def test_what_is_queued_leaves_the_queue_when_stopped_and_comes_back_at_its_end(queued):
    place, runs = queued
    assert jobs.stop(place.cache, "digits", runs[0])
    assert place.state(runs[0]).state == "stopped"
    assert not jobs.stop(place.cache, "digits", runs[0])
    assert not jobs.move_up(place.cache, "digits", runs[0])
    assert jobs.status(place.cache).queued == 2
    assert jobs.resume(place.cache, "digits", runs[0], threads=2)
    assert order(place) == [runs[1], runs[2], runs[0]]
    assert place.job(runs[0]).threads == 2
    assert [name for _, name in jobs.stop_all(place.cache)] == [runs[1], runs[2], runs[0]]
    assert jobs.stop_all(place.cache) == []


def test_deleting_tells_what_it_frees_and_is_refused_while_the_run_is_at_work(queued):
    place, runs = queued
    (place.cache.run_folder("digits", runs[0]) / "log.txt").write_bytes(b"x" * 5000)
    used = jobs.disk_used(place.cache)["digits"]
    assert used["runs"][runs[0]] > 5000
    assert used["dataset"] > 1_000_000
    with hold(place.cache, run_lock("digits", runs[0])), pytest.raises(Locked, match="in use by process"):
        jobs.delete(place.cache, "digits", runs[0])
    me = Process.of(os.getpid())
    fields = {"state": "running", "pid": me.pid, "started": me.started, "boot": me.boot, "token": "x"}
    queue.write(place.cache, lambda connection: queue.change(connection, ("digits", runs[1]), **fields))
    with pytest.raises(Locked, match="Stop it first"):
        jobs.delete(place.cache, "digits", runs[1])
    assert jobs.delete(place.cache, "digits", runs[0]) == used["runs"][runs[0]]
    assert not place.cache.run_folder("digits", runs[0]).exists()
    assert place.job(runs[0]) is None
    with pytest.raises(NotFound, match="not found"):
        jobs.delete(place.cache, "digits", runs[0])
    with pytest.raises(NotFound):
        place.state(runs[0])


def test_resuming_what_cannot_go_on_is_refused_in_words(queued):
    place, runs = queued
    end(place, runs[0], "done", 2)
    with pytest.raises(InputError, match="is done: 2 looks"):
        jobs.resume(place.cache, "digits", runs[0])
    (place.cache.run_folder("digits", runs[1]) / "config.json").write_text("{")
    assert place.state(runs[1]).state == "damaged"
    with pytest.raises(InputError, match="damaged.*Delete it"):
        jobs.resume(place.cache, "digits", runs[1])
    with pytest.raises(NotFound, match="prepare SOURCE"):
        jobs.resume(place.cache, "", "prepare-00000000")
    with pytest.raises(NotFound):
        jobs.delete(place.cache, "", "prepare-00000000")
    with pytest.raises(NotFound):
        jobs.state(place.cache, "", "prepare-00000000")
    with hold(place.cache, run_lock("digits", runs[2])):
        queue.write(place.cache, lambda connection: queue.forget(connection, ("digits", runs[2])))
        assert not jobs.resume(place.cache, "digits", runs[2]), "somebody is at work on it"
    assert jobs.resume(place.cache, "digits", runs[2], device="cpu", restart=True)
    assert place.job(runs[2]).asked == {"restart": True}


def test_names_that_are_no_names(place):
    with pytest.raises(InputError, match="prepare- and 8 hex digits"):
        jobs.log_tail(place.cache, "", "../../etc/passwd")
    with pytest.raises(InputError, match="expected"):
        jobs.log_tail(place.cache, "digits", "../../etc/passwd")
    with pytest.raises(InputError, match="surprise.*name, size"):
        jobs.prepare(place.cache, "digits", surprise=1)


def test_a_run_is_found_by_its_id(queued):
    place, runs = queued
    assert jobs.find(place.cache, runs[1]) == ("digits", runs[1])
    assert jobs.find(place.cache, f"digits/{runs[1]}") == ("digits", runs[1])
    assert jobs.find(place.cache, "prepare-12345678") == ("", "prepare-12345678")
    with pytest.raises(NotFound, match="learnability runs"):
        jobs.find(place.cache, "steady-s9-00000000")
    other = place.cache.runs_folder("other") / runs[1]
    other.mkdir(parents=True)
    (other / "config.json").write_text("{}")
    with pytest.raises(InputError, match=f"digits/{runs[1]}, other/{runs[1]}"):
        jobs.find(place.cache, runs[1])


def test_the_queue_is_made_anew_from_the_run_folders(queued, monkeypatch):
    place, runs = queued
    place.launch(place.config(seed=3))
    end(place, runs[1], "stopped")
    (place.cache.run_folder("digits", runs[2]) / "log.txt").write_text("it had begun\n")
    os.utime(place.cache.run_folder("digits", runs[0]) / "config.json", (2e9, 2e9))
    place.cache.queue.unlink()
    found = queue.read(place.cache, queue.jobs)
    assert [(job.name, job.state) for job in found] == [(runs[2], "ended"), (place.config(seed=3).run_id, "queued"), (runs[0], "queued")]
    assert place.state(runs[2]).state == "failed"
    assert place.state(runs[1]).state == "stopped"
    assert jobs.status(place.cache).queued == 2
    place.cache.queue.write_bytes(b"")
    assert len(queue.read(place.cache, queue.jobs)) == 3


def test_a_run_of_its_owners_loop_is_in_no_queue_that_is_made_anew(queued):
    place, runs = queued
    create_run(place.cache, dataclasses.replace(place.config(seed=9), origin="recorder"))  # killed before its first HEAD
    place.cache.queue.unlink()
    assert [job.name for job in queue.read(place.cache, queue.jobs)] == runs


@pytest.mark.parametrize("offset", [0, 20, 100, 4096, 5000, 9000])
def test_a_damaged_queue_is_made_anew(queued, offset):
    place, runs = queued
    data = bytearray(place.cache.queue.read_bytes())
    data[offset : offset + 600] = b"\xff" * 600
    place.cache.queue.write_bytes(data)
    queue.check(place.cache)
    assert [job.name for job in queue.read(place.cache, queue.jobs)] == runs
    assert not list(place.cache.root.glob(".tmp-*"))


def test_a_file_without_the_tables_is_made_anew(queued):
    place, runs = queued
    connection = sqlite3.connect(place.cache.queue)
    connection.execute("DROP TABLE jobs")
    connection.commit()
    connection.close()
    assert order(place) == runs


def test_a_newer_queue_is_refused_with_both_versions(queued):
    place, _ = queued
    connection = sqlite3.connect(place.cache.queue)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(NewerFormat, match="format 7.*up to 1"):
        jobs.status(place.cache)


def test_a_queue_in_use_for_too_long_and_one_that_cannot_be_opened_are_said(queued, monkeypatch):
    place, runs = queued
    monkeypatch.setenv("LEARNABILITY_TIMEOUTS", "busy=0.05")
    other = sqlite3.connect(place.cache.queue)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Locked, match="in use by another process"):
        jobs.stop(place.cache, "digits", runs[0])
    other.close()
    place.cache.queue.unlink()
    place.cache.queue.mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        jobs.status(place.cache)


def test_where_no_queue_can_be_written_the_runs_are_shown_all_the_same(queued, monkeypatch):
    place, runs = queued
    place.cache.queue.unlink()

    def refuse(cache):
        raise StoreError("read-only")

    monkeypatch.setattr(queue, "make_anew", refuse)
    assert jobs.status(place.cache).queued == 3
    assert [state.name for state in jobs.states(place.cache)] == runs
    with pytest.raises(StoreError, match="read-only"):
        jobs.stop(place.cache, "digits", runs[0])


def test_many_make_it_anew_at_once(queued):
    place, runs = queued
    place.cache.queue.unlink()
    found = []
    threads = [threading.Thread(target=lambda: found.append(order(place))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [runs] * 8


def test_a_launch_that_was_killed_halfway_is_offered_and_finished_by_the_next(queued):
    place, _ = queued
    config = place.config(seed=7)
    create_run(place.cache, config)
    half = place.state(config.run_id)
    assert (half.state, half.interrupted, half.position) == ("queued", True, None)
    assert ("digits", config.run_id) in jobs.status(place.cache).interrupted
    assert jobs.launch(place.cache, [config], "cpu") == [(config.run_id, False)]
    assert place.state(config.run_id).position == 4
    assert not jobs.status(place.cache).interrupted


def test_a_launch_of_labels_that_are_not_there_makes_no_run(place):
    place.as_worker()
    with pytest.raises(NotFound, match="no label version 'mine'"):
        jobs.launch(place.cache, [place.config(labels="mine")], "cpu")
    assert place.cache.run_ids("digits") == []
    ((run_id, created),) = jobs.launch(place.cache, [place.config(labels="planted-0.1-0")], "cpu")
    assert created
    assert place.state(run_id).position == 1


def test_a_summary_of_a_hundred_runs_reads_only_those_that_may_change(place, opened):
    place.as_worker()
    runs = [run_id for run_id, _ in jobs.launch(place.cache, [place.config(seed=seed) for seed in range(100)], "cpu")]
    for run_id in runs[:60]:
        end(place, run_id, "done", 2)
        queue.write(place.cache, lambda connection, run_id=run_id: queue.change(connection, ("digits", run_id), state="ended"))
    for run_id in runs[60:70]:
        end(place, run_id, "running")
    queue.write(place.cache, lambda connection: connection.execute("DELETE FROM jobs WHERE place % 5 = 0"))
    told = jobs.status(place.cache)
    assert told.queued == len([run_id for run_id in runs[60:] if place.job(run_id)])
    opened.clear()
    assert jobs.status(place.cache) == told
    configs = {name for name in runs if any(f"/{name}/" in path and path.endswith("config.json") for path in opened)}
    assert configs == {name for name in runs[60:] if not place.job(name)}, "only where no job says who works on it"
    heads = [path for path in opened if path.endswith("HEAD.json") and any(f"/{name}/" in path for name in runs[:60])]
    assert not heads, "a HEAD that stayed is not read again"
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        jobs.status(place.cache)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_run_deleted_under_a_summary_is_left_out(queued):
    place, runs = queued
    end(place, runs[0], "done")
    (place.cache.run_folder("digits", runs[0]) / "HEAD.json").write_text("{}")
    assert jobs.status(place.cache).queued == 3
    assert rebuild.generation(place.cache, "digits", runs[0]) == -1


def test_timeouts_are_read_from_text(monkeypatch):
    assert Timeouts.parse("") == Timeouts()
    assert Timeouts.parse("poll=0.1  kill=3").kill == 3
    for text in ("poll", "poll=x", "patience=3", "kill=-1", "kill=nan"):
        with pytest.raises(InputError, match="expected <name>=<seconds>"):
            Timeouts.parse(text)


def test_a_stranger_that_holds_the_lock_file_is_no_trainer(queued):
    place, runs = queued
    with hold(place.cache, run_lock("digits", runs[0])):
        assert rebuild.trainer_of(place.cache, "digits", runs[0]) == (None, None), "no worker started this process"
        place.cache.queue.unlink()
        assert place.job(runs[0]) is None
        assert place.state(runs[0]).state == "running"
    assert rebuild.trainer_of(place.cache, "digits", runs[0]) == (None, None), "its lock file is old"
    assert rebuild.trainer_of(place.cache, "digits", runs[1]) == (None, None)
    until(lambda: place.state(runs[0]).state == "queued")
