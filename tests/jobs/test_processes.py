"""Which process is meant: ids that were used again, zombies, strangers, families."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from learnability.jobs import processes
from learnability.jobs.processes import TOKEN, Process, end_family, family, with_token
from tests.jobs.conftest import until


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_its_id_its_start_and_the_boot(sleeper):
    process = Process.of(sleeper.pid)
    assert process.alive
    assert process == Process.of(sleeper.pid)
    assert Process.of(os.getpid()) != process
    assert process.boot == processes.boot_id()


@pytest.mark.parametrize("changed", [{"started": "1"}, {"boot": "another boot"}], ids=["id used again", "machine restarted"])
def test_a_stranger_with_the_same_id_is_never_signalled(sleeper, changed):
    meant = dataclasses.replace(Process.of(sleeper.pid), **changed)
    assert not meant.alive
    assert not meant.send(signal.SIGKILL)
    assert not end_family(meant, "a token that nobody has")
    assert not meant.catches(signal.SIGUSR1)
    assert not meant.has_open(sleeper.args[0])
    assert meant.environment("PATH") is None
    time.sleep(0.05)
    assert sleeper.poll() is None


def test_a_zombie_has_ended(sleeper):
    process = Process.of(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    until(lambda: not process.alive)
    os.kill(sleeper.pid, 0)  # a naive check still calls it alive
    assert Process.of(sleeper.pid) is None
    assert not process.send(signal.SIGTERM)
    sleeper.wait()
    assert Process.of(sleeper.pid) is None
    assert process.environment("PATH") is None


def test_a_signal_reaches_the_one_that_is_meant(sleeper):
    assert Process.of(sleeper.pid).send(signal.SIGTERM)
    assert sleeper.wait(5) == -signal.SIGTERM


def test_without_pidfd_the_same_rules_hold(sleeper, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    process = Process.of(sleeper.pid)
    assert not dataclasses.replace(process, started="1").send(signal.SIGKILL)
    assert process.send(signal.SIGKILL)
    assert sleeper.wait(5) == -signal.SIGKILL
    assert not process.send(signal.SIGKILL)


def test_without_proc_the_start_time_comes_from_elsewhere(sleeper):
    told = processes._start_time_elsewhere(sleeper.pid)
    assert float(told) > 0
    assert told == processes._start_time_elsewhere(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    until(lambda: processes._start_time_elsewhere(sleeper.pid) is None)
    sleeper.wait()
    assert processes._start_time_elsewhere(sleeper.pid) is None


def test_a_handler_is_seen():
    code = "import faulthandler, signal, time; faulthandler.register(signal.SIGUSR1); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    try:
        told = Process.of(process.pid)
        assert told.catches(signal.SIGUSR1)
        assert not told.catches(signal.SIGUSR2)
        assert told.send(signal.SIGUSR1)
        time.sleep(0.1)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def names(processes) -> list[str]:
    found = []
    for process in processes:
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{process.pid}/comm").read_text().strip())
    return sorted(found)


def test_a_family_is_found_by_session_and_token_and_ended_to_the_last(tmp_path):
    token = f"test-{os.getpid()}-{time.time_ns()}"
    script = "sleep 61 & (setsid sleep 62 &) ; env -u LEARNABILITY_JOB sleep 63 & wait; while :; do :; done"  # never ends by itself
    leader = subprocess.Popen(["bash", "-c", script], start_new_session=True, env={**os.environ, TOKEN: token})
    process = Process.of(leader.pid)
    settled = ["bash", "sleep", "sleep", "sleep"]  # no shell on its way is among them
    until(lambda: names(family(process, token)) == settled and len(with_token(token)) == 3)
    assert family(process, token)[-1] == process, "the leader is the last; one forgot the token and is found by the session"
    assert end_family(process, token) >= 4
    assert not family(process, token)
    assert leader.wait(5) == -signal.SIGKILL
    assert end_family(process, token) == 0


def test_a_family_whose_leader_is_gone_is_found_by_the_token():
    token = f"test-{os.getpid()}-{time.time_ns()}"
    leader = subprocess.Popen(["bash", "-c", "sleep 61 & exit 0"], start_new_session=True, env={**os.environ, TOKEN: token})
    process = Process.of(leader.pid)
    leader.wait(5)
    assert len(family(process, token)) == 1
    assert len(family(None, token)) == 1
    assert end_family(process, token) == 1


def test_who_has_a_file_open(tmp_path):
    me = Process.of(os.getpid())
    path = tmp_path / "lock"
    assert not me.has_open(path)
    with path.open("w"):
        assert me.has_open(path)
    assert not me.has_open(path)
