"""prepare killed, or refused by the disk, at every one of its file operations: never half a version, and the next one starts clean."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from learnability.datasets import image_hash, open_version
from learnability.prepare import prepare
from learnability.store.paths import Cache
from tests.sources.odd_files import encoded, picture

# Forks once for every file operation; the child stops there: killed, or told by the system that it cannot.
DRIVER = """
import errno, os, shutil, signal, sys
from pathlib import Path
import sklearn.datasets
from learnability.prepare.version import prepare
from learnability.store.paths import Cache

old, places, how, step = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate"}

def run(place, stop_at):
    count = 0
    def operation():
        nonlocal count
        count += 1
        if count == stop_at:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)))
    def hook(event, arguments):
        if event in WATCHED and str(arguments[0]).startswith(str(place)):
            writing = event != "open" or (isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR))
            if writing:
                operation()
    def counted(function):
        def call(*arguments, **named):
            operation()
            return function(*arguments, **named)
        return call
    os.fsync, os.write, os.pwrite = counted(os.fsync), counted(os.write), counted(os.pwrite)
    sys.addaudithook(hook)
    outcome = "done"
    try:
        prepare(Cache.at(place), "digits", limit=40)
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    if count < stop_at:
        outcome = "never stopped"
    count = -10**9
    (place / "outcome").write_text(outcome)

stop_at, ended = 1 - step, False
while not ended:
    stop_at += step
    place = places / str(stop_at)
    shutil.copytree(old, place)
    child = os.fork()
    if child == 0:
        run(place, stop_at)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    told = (place / "outcome").read_text() if (place / "outcome").exists() else ""
    ended = told == "never stopped"
print(stop_at)
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    """A cache with an earlier version of the same data set."""
    root = tmp_path_factory.mktemp("old") / "cache"
    prepare(Cache.at(root), "digits", limit=20)
    return root


def stopped_everywhere(old: Path, places: Path, how: str, step: int = 1) -> list[Path]:
    """Copies of the cache in which a prepare was stopped at every `step`-th file operation, in turn."""
    output = subprocess.run(
        [sys.executable, "-c", DRIVER, str(old), str(places), how, str(step)], capture_output=True, text=True, timeout=280
    )
    assert output.returncode == 0, output.stderr
    assert int(output.stdout) > 30
    return [places / str(i) for i in range(1, int(output.stdout) + 1, step)]


def check_whole(cache: Cache, before: str) -> None:
    """`current` names the old version or the new one, and every version there is opens with the pixels of its hashes."""
    versions = cache.versions("digits")
    assert before in versions and cache.current("digits") in versions and len(versions) <= 2
    for version in versions:
        dataset = open_version(cache.dataset_folder("digits", version))
        assert [image_hash(image) for image in dataset.images] == dataset.hashes
    folders = [path.name for path in cache.dataset_home("digits").iterdir() if path.name != "current" and not path.name.startswith(".tmp-")]
    assert sorted(folders) == sorted(versions), "half a version"


def finish(cache: Cache, new: str) -> None:
    prepare(cache, "digits", limit=40)
    assert cache.current("digits") == new and not [path for path in cache.dataset_home("digits").iterdir() if path.name.startswith(".")]


@pytest.fixture(scope="module")
def new(tmp_path_factory) -> str:
    return prepare(Cache.at(tmp_path_factory.mktemp("new")), "digits", limit=40).folder.name


def test_killed_at_every_file_operation(old, new, tmp_path):
    before = Cache.at(old).current("digits")
    places = stopped_everywhere(old, tmp_path, "kill")
    seen = set()
    for place in places:
        cache = Cache.at(place)
        check_whole(cache, before)
        seen.add((cache.current("digits") == new, len(cache.versions("digits"))))
    assert seen == {(False, 1), (False, 2), (True, 2)}, "not every moment was met"
    for place in places[:: max(1, len(places) // 12)]:
        finish(Cache.at(place), new)


@pytest.mark.parametrize(
    ("how", "step"),
    [("ENOSPC", 3), *(pytest.param(how, step, marks=pytest.mark.soak) for how, step in (("ENOSPC", 1), ("EIO", 4), ("EROFS", 5)))],
)
def test_refused_at_every_file_operation(old, new, tmp_path, how, step):
    before = Cache.at(old).current("digits")
    places = stopped_everywhere(old, tmp_path, how, step)
    told = [(place / "outcome").read_text() for place in places]
    expected = {"ENOSPC": "DiskFull: disk full: needs", "EIO": "StoreError: input/output error in", "EROFS": "StoreError: cannot write in"}[
        how
    ]
    for place, outcome in zip(places, told, strict=True):
        check_whole(Cache.at(place), before)
        assert outcome in ("done", "never stopped") or (outcome.startswith(expected) and str(place) in outcome), outcome
    assert sum(outcome.startswith(expected) for outcome in told) > len(told) // 2
    finish(Cache.at(places[len(places) // 2]), new)


def at_work(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


SLOW = """
import sys
from learnability.prepare import prepare
from learnability.store.paths import Cache
prepare(Cache.at(sys.argv[1]), sys.argv[2], name="pets", workers=2)
"""


@pytest.mark.parametrize("after", [0.0, 0.3])
def test_killed_while_its_workers_decode(tmp_path, after):
    """The workers end with it, nothing half is seen, and the next one starts clean."""
    content = encoded(picture(1, 800, 800), "PNG")
    for i in range(150):
        (tmp_path / "pets" / str(i % 2)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / str(i % 2) / f"{i}.png").write_bytes(content)
    cache = Cache.at(tmp_path / "cache")
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(cache.root), str(tmp_path / "pets")])
    staged = cache.root / "datasets" / "pets"
    deadline = time.monotonic() + 60
    while not list(staged.glob(".tmp-images-*/images.npy")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert workers
    deadline = time.monotonic() + 20
    while any(at_work(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
    assert cache.dataset_names() == [] and list(staged.glob(".tmp-images-*"))
    for path in (tmp_path / "pets").rglob("*.png"):
        with contextlib.suppress(ValueError):
            if int(path.stem) > 5:
                os.unlink(path)
    prepared = prepare(cache, str(tmp_path / "pets"))
    assert prepared.train == 6 and sorted(path.name for path in staged.iterdir()) == sorted([prepared.folder.name, "current"])
