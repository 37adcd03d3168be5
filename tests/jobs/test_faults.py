"""What goes wrong in a run, and what is said then: a hang, no memory, no disk, no number, code of one's own."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import psutil
import pytest

from learnability import jobs
from learnability.jobs.logs import LIMIT
from learnability.store.locks import is_held, run_lock
from learnability.store.paths import Cache
from tests.jobs.conftest import Place, started_for, timeouts, until


def log_of(place: Place, run_id: str) -> str:
    return jobs.log_tail(place.cache, "digits", run_id)


def test_a_run_that_does_not_hear_is_killed_with_all_it_started(place):
    run_id = place.launch(place.config("deaf"))
    trainer = place.trainer(run_id)
    until(lambda: [process for process in started_for(place.cache) if process.name() == "sleep"])
    asked = time.monotonic()
    assert jobs.stop(place.cache, "digits", run_id)
    assert place.state(run_id).state == "stopping"
    assert place.state(run_id).actions == ()
    stopped = place.until(run_id, "stopped", seconds=30)
    assert time.monotonic() - asked >= 2.0, "it has the time it was promised"
    assert "did not obey" in until(lambda: (reason := place.state(run_id).reason) and "obey" in reason and reason)
    assert stopped.actions == ("resume", "delete")
    assert not trainer.alive
    assert not is_held(place.cache, run_lock("digits", run_id))
    assert not [process for process in started_for(place.cache) if process.name() == "sleep"]
    assert not jobs.status(place.cache).interrupted


def test_a_read_that_never_returns_is_stalled_and_its_stack_is_in_the_log(real_place, monkeypatch, tmp_path):
    place = real_place
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("FAULT_FILE", str(tmp_path / "pipe"))
    monkeypatch.setenv("FAULT_AT", "2")
    timeouts(monkeypatch, stall=1.5)
    run_id = place.launch(place.config("hangs"))
    stalled = place.until(run_id, "stalled")
    assert "no new step" in stalled.reason
    assert stalled.actions == ("stop",)
    until(lambda: "misdeeds.py" in log_of(place, run_id))
    assert "in hangs" in log_of(place, run_id)
    assert "in train_epoch" in log_of(place, run_id)
    assert place.trainer(run_id).alive, "a stack dump ends nothing"
    assert jobs.stop(place.cache, "digits", run_id)
    place.until(run_id, "stopped", seconds=30)
    assert place.state(run_id).looks == 0


def test_a_device_out_of_memory_names_the_batch_and_leaves_it_alone(real_place, monkeypatch):
    place = real_place
    monkeypatch.setenv("FAULT_AT", "3")
    config = place.config("greedy")
    run_id = place.launch(config)
    failed = place.until(run_id, "failed")
    assert "out of memory at batch size 32" in failed.reason
    assert "16" in failed.reason
    assert "resume" in failed.actions
    assert place.head(run_id).looks in (0, 1)


def test_a_loss_that_is_no_number_ends_the_run_and_says_at_which_samples(real_place, monkeypatch):
    place = real_place
    monkeypatch.setenv("FAULT_AT", "3")
    run_id = place.launch(place.config("infinite"))
    failed = place.until(run_id, "failed")
    assert "NaN or infinity" in failed.reason
    assert "first of them" in failed.reason
    assert not failed.interrupted
    assert place.head(run_id).looks in (0, 1)


@pytest.mark.parametrize(
    ("arch", "state", "said"),
    [
        ("missing", "failed", "import error: No module named 'a_module_that_nobody_has'"),
        ("exits", "failed", "ended itself early (sys.exit 0)"),
        ("dies", "crashed", "signal 11 (SIGSEGV)"),
    ],
)
def test_code_of_ones_own_ends_its_run_alone(place, arch, state, said):
    run_id = place.launch(place.config(arch))
    ended = place.until(run_id, state)
    assert said in ended.reason
    assert "resume" in ended.actions
    if arch == "dies":
        assert "Segmentation fault" in log_of(place, run_id)
        assert ended.signal == signal.SIGSEGV


def test_a_log_keeps_its_beginning_and_its_end_and_no_more(place):
    run_id = place.launch(place.config("chatty"))
    log, largest = place.cache.run_folder("digits", run_id) / "log.txt", 0
    while place.state(run_id).state in ("queued", "running"):
        largest = max(largest, log.stat().st_size if log.exists() else 0)
        time.sleep(0.05)
    place.until(run_id, "done")
    assert LIMIT / 2 < log.stat().st_size <= LIMIT + 1000
    assert largest < 2 * LIMIT
    text = log.read_text()
    assert "the beginning" in text
    assert "bytes left out" in text
    assert "the end" in log_of(place, run_id)


@pytest.fixture
def small_disk(real_place, tmp_path):
    """The place on a disk of its own with 24 MB, and a file that fills it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {mounted.stderr.strip()}")
    shutil.copytree(real_place.cache.root, disk / "cache")
    here = Place(Cache(disk / "cache"), real_place.fingerprint)
    ballast = disk / "ballast"

    def fill(left: int) -> None:
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while (free := shutil.disk_usage(disk).free) > left:
                file.write(b"x" * min(free - left, 1 << 20))

    yield here, fill, ballast
    for process in started_for(real_place.cache):
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(10)
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_full_disk_ends_the_run_in_words_and_a_resume_goes_on_once_there_is_space(small_disk):
    here, fill, ballast = small_disk
    run_id = here.launch(here.config(epochs=30))
    here.until_looks(run_id, 1)
    fill(0)
    ended = here.until(run_id, "failed", "crashed")
    assert "disk full" in until(lambda: (reason := here.state(run_id).reason) and "disk full" in reason and reason, 20)
    assert "resume" in ended.actions
    looks = ended.looks
    assert 1 <= looks < 30
    assert len(here.recording(run_id)) == 5, "what was committed can be read"
    ballast.unlink()
    until(lambda: here.job(run_id).state == "ended")
    assert jobs.resume(here.cache, "digits", run_id)
    assert here.until(run_id, "done").looks == 30


def test_preparing_is_a_job_too(place):
    name = jobs.prepare(place.cache, "digits", name="few", limit=100)
    assert jobs.prepare(place.cache, "digits", limit=100, name="few") == name, "asked twice is asked once"
    until(lambda: jobs.state(place.cache, "", name).state == "done")
    assert jobs.state(place.cache, "", name).reason == "data set few is ready"
    assert place.cache.current("few")
    assert "few" in jobs.log_tail(place.cache, "", name)
    bad = jobs.prepare(place.cache, "folder:/nowhere/at/all")
    failed = until(lambda: (state := jobs.state(place.cache, "", bad)).state == "failed" and state)
    assert "/nowhere/at/all" in failed.reason
    assert [state.name for state in jobs.preparations(place.cache)] == [name, bad]
    assert jobs.resume(place.cache, "", bad)
    until(lambda: jobs.state(place.cache, "", bad).state == "failed")
    assert jobs.delete(place.cache, "", bad) > 0
    assert [state.name for state in jobs.preparations(place.cache)] == [name]
