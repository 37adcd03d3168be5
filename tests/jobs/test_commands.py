"""The queue from the shell."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from learnability import jobs
from learnability.__main__ import main
from learnability.store.runs import create_run
from tests.jobs.conftest import until

ASKED = ["--data", "digits", "--epochs", "2", "--subset", "64", "--precision", "fp32", "--threads", "1", "--device", "cpu"]


@pytest.fixture
def shell(place, capsys):
    """Runs a command on the place's cache: (exit code, what it printed)."""

    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([*arguments, "--cache", str(place.cache.root)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def test_queue_watch_stop_resume_delete(place, shell):
    code, told = shell("train", *ASKED, "--arch", "resnet20", "mobilenet", "--queue")
    assert code == 0
    assert told.count(": queued") == 2
    runs = place.cache.run_ids("digits")
    code, told = shell("train", *ASKED, "--arch", "resnet20", "--seeds", "2", "--queue", "--json")
    launched = json.loads(told)
    assert [one["created"] for one in launched] == [False, True]
    code, told = shell("runs", "--watch", "--every", "0.1")
    assert code == 0
    assert "done" in told.splitlines()[-1]
    for run_id in runs:
        assert place.state(run_id).state == "done"
    assert f"{runs[0]}: is there already: done" in shell("train", *ASKED, "--arch", "resnet20", "mobilenet", "--queue")[1]
    code, told = shell("runs", "--json")
    assert {row["state"] for row in json.loads(told)} == {"done"}
    assert shell("stop", runs[0]) == (0, f"{runs[0]}: is neither queued nor at work\n")
    code, told = shell("resume", runs[0])
    assert code == 2
    assert "is done" in told
    code, told = shell("delete", runs[0])
    assert (code, "expected --yes" in told) == (2, True)
    code, told = shell("delete", runs[0], "--yes")
    assert code == 0
    assert "MB freed" in told
    assert runs[0] not in place.cache.run_ids("digits")


def test_stopping_and_resuming_by_name_and_all_at_once(place, shell):
    place.as_worker()
    runs = [place.launch(place.config(seed=seed)) for seed in range(2)]
    assert shell("stop", runs[0])[1] == f"{runs[0]}: asked to stop\n"
    assert shell("resume", f"digits/{runs[0]}")[1] == f"{runs[0]}: queued\n"
    assert "already" in shell("resume", runs[0])[1]
    assert shell("stop", "--all")[1].count("asked to stop") == 2
    assert shell("stop", "--all")[1] == "nothing is queued or at work\n"
    assert shell("resume", "--all")[1] == "nothing was interrupted\n"
    create_run(place.cache, place.config(seed=5))
    assert "1 interrupted. Go on: python -m learnability resume --all" in shell("runs", "--watch")[1]
    assert shell("resume", "--all")[1] == f"{place.config(seed=5).run_id}: queued\n"
    for command in ("stop", "resume"):
        assert shell(command)[0] == 2
        assert shell(command, runs[0], "--all")[0] == 2
    assert shell("stop", "nobody-s0-12345678")[0] == 2
    code, told = shell("train", *ASKED, "--arch", "resnet20", "--queue", "--restart")
    assert (code, "resume RUN --restart" in told) == (2, True)


def test_a_preparation_in_the_background(place, shell):
    code, told = shell("prepare", "digits", "--name", "some", "--limit", "60", "--queue")
    name = told.split(":")[0]
    assert code == 0
    code, told = shell("runs", "--watch", "--every", "0.1")
    assert "data set some is ready" in told
    assert place.cache.current("some")
    assert shell("delete", name, "--yes")[0] == 0
    assert jobs.preparations(place.cache) == []


def test_a_trainer_ends_with_the_number_of_its_signal_and_says_when_it_must_wait(place, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"] + os.pathsep + os.getcwd())
    command = [sys.executable, "-m", "learnability", "trainer", "digits", "--device", "cpu", "--cache", str(place.cache.root)]
    config = place.config(epochs=2000)
    create_run(place.cache, config)
    command.insert(5, config.run_id)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        trainer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until(lambda: place.state(config.run_id).phase == "train")
        busy = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert busy.returncode == 75
        assert f"in use by process {trainer.pid}" in busy.stderr
        trainer.send_signal(number)
        trainer.send_signal(number)
        _, told = trainer.communicate(timeout=60)
        assert trainer.returncode == code, told
        assert "stopped" in told
        assert place.state(config.run_id).state == "stopped"


def test_deleting_asks_a_person_first(place):
    config = place.config()
    create_run(place.cache, config)
    for answer, there in ((b"n\n", True), (b"y\n", False)):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "learnability", "delete", config.run_id, "--cache", str(place.cache.root)]
        asked = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, text=True)
        os.write(ours, answer)
        told, _ = asked.communicate(timeout=60)
        assert asked.returncode == 0
        assert f"Delete {config.run_id}" in told
        assert (config.run_id in place.cache.run_ids("digits")) == there
        os.close(ours)
        os.close(theirs)
