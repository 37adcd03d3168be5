"""Collecting the runs of another cache: folders are copied whole or not at all, and nothing here is overwritten."""

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path

from learnability.errors import InputError, LearnabilityError
from learnability.store.files import LEFTOVER, new_folder, read_file, read_table, write_file, write_new_file
from learnability.store.health import run_problems
from learnability.store.locks import hold, is_held, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_run

LEFT = ("stop", "progress.json")  # of a process that is not here


@dataclasses.dataclass(frozen=True)
class Merged:
    """What came of one run of the other cache."""

    data: str
    run_id: str
    outcome: str  # taken, grown, there, left
    why: str = ""


def merge(cache: Cache, other: Cache, names: list[str] | None = None) -> list[Merged]:
    """Copies the runs of `other`, of the data sets `names` (all by default), into `cache`; what came of each.

    taken   was not here
    grown   had fewer looks here, the same ones: replaced by the longer recording
    there   is here already, with as many looks or more
    left    has no look yet or is at work there, is damaged, or its recording or its label version differs from the one here

    Data set versions that a run needs and that are not here are copied with it. InputError if `other` is no cache,
    Locked if a run is at work here.
    """
    if other.root == cache.root:
        raise InputError(f"{other.root} is this cache. Name another one.")
    found = other.run_data_names() if names is None else names
    if not (other.root / "runs").is_dir():
        raise InputError(f"{other.root} holds no runs: expected a cache folder, with runs/<data set>/<run> in it.")
    new = [data for data in found if not (cache.dataset_home(data) / "current").is_file()]
    merged = [_merged(cache, other, data, run_id) for data in found for run_id in other.run_ids(data)]
    for data in new:
        _take_current(cache, other, data)
    return merged


def _merged(cache: Cache, other: Cache, data: str, run_id: str) -> Merged:
    theirs = load_run(other, data, run_id)
    if theirs.problem or not theirs.looks:
        return Merged(data, run_id, "left", theirs.problem or "it has no look yet")
    if is_held(other, run_lock(data, run_id)):
        return Merged(data, run_id, "left", "it is at work there")
    folder, aside = cache.run_folder(data, run_id), cache.runs_folder(data) / f"{LEFTOVER}{run_id}-replaced"
    with hold(cache, run_lock(data, run_id)):
        _put_back(aside, folder)
        ours = load_run(cache, data, run_id) if run_id in cache.run_ids(data) else None
        if ours is not None and ours.problem:
            return Merged(data, run_id, "left", f"it is damaged here ({ours.problem}) Delete it here first.")
        if ours is not None and ours.looks and not _begin_alike(ours, theirs):
            return Merged(data, run_id, "left", "its recording differs from the one here: another machine or version made it")
        if ours is not None and ours.looks >= theirs.looks:
            return Merged(data, run_id, "there")
        if problem := next(run_problems(other, data, run_id), None):
            return Merged(data, run_id, "left", problem)
        if not _same_labels(cache, other, data, theirs):
            return Merged(data, run_id, "left", f"label version {theirs.config.labels} holds other labels here than there")
        _copy_dataset(cache, other, data, theirs)
        try:
            with new_folder(folder) as filled:
                _copy_run(other, data, run_id, filled)
                if ours is not None:  # not before the longer one is here: a kill or a full disk must not cost ours
                    shutil.rmtree(aside, ignore_errors=True)
                    os.utime(folder)  # young, for whoever sweeps old leftovers
                    folder.rename(aside)
        except _AtWork:
            return Merged(data, run_id, "left", "it is at work there")
        except BaseException:
            _put_back(aside, folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    return Merged(data, run_id, "grown" if ours is not None and ours.looks else "taken")


class _AtWork(Exception):
    """Somebody began to write a run while it was copied."""


def _copy_run(other: Cache, data: str, run_id: str, filled: Path) -> None:
    """A whole copy; whoever writes a run has its lock or has replaced its HEAD."""
    source = other.run_folder(data, run_id)
    head = read_file(source / "HEAD.json")
    _copy(source, filled, LEFT)
    if is_held(other, run_lock(data, run_id)) or read_file(source / "HEAD.json") != head:
        raise _AtWork


def _put_back(aside: Path, folder: Path) -> None:
    """The run that was to be replaced, where nothing came into its place: also after a kill."""
    if aside.is_dir() and not folder.exists():
        aside.rename(folder)


def _begin_alike(one: Run, other: Run) -> bool:
    """Whether the looks of the shorter recording are the first looks of the longer one, by their checksums."""
    looks = min(one.looks, other.looks)
    return one.head.crc.keys() == other.head.crc.keys() and all(
        crc[:looks] == other.head.crc[name][:looks] for name, crc in one.head.crc.items()
    )


def _same_labels(cache: Cache, other: Cache, data: str, run: Run) -> bool:
    """Whether a run's label version says here what it says there, as far as both have one: two reviews count their own."""
    mine, its = (one.dataset_home(data) / run.config.fingerprint[:8] / "labels" / f"{run.config.labels}.parquet" for one in (cache, other))
    return not (mine.is_file() and its.is_file()) or read_table(mine).equals(read_table(its), check_metadata=True)


def _copy_dataset(cache: Cache, other: Cache, data: str, run: Run) -> None:
    """The data set version and label version of a run, where they are not here."""
    fingerprint8 = run.config.fingerprint[:8]
    home = cache.dataset_home(data)
    if not (home / fingerprint8 / "dataset.json").is_file():
        try:
            source = other.dataset_folder(data, fingerprint8)
        except LearnabilityError:
            return  # scores can be read without pictures
        with new_folder(home / fingerprint8) as filled:
            _copy(source, filled)
        if not (home / "current").is_file():
            write_file(home / "current", f"{fingerprint8}\n".encode())
        return
    labels = f"{run.config.labels}.parquet"
    target = home / fingerprint8 / "labels" / labels
    source = other.dataset_home(data) / fingerprint8 / "labels" / labels
    if source.is_file() and not target.exists():
        with contextlib.suppress(FileExistsError):
            write_new_file(target, read_file(source))


def _take_current(cache: Cache, other: Cache, data: str) -> None:
    """Lets the newest version there be the newest here, if it came along with a run."""
    with contextlib.suppress(LearnabilityError):
        newest = other.current(data)
        if (cache.dataset_home(data) / newest / "dataset.json").is_file():
            write_file(cache.dataset_home(data) / "current", f"{newest}\n".encode())


def _copy(source: Path, target: Path, left: tuple[str, ...] = ()) -> None:
    """Files and folders of `source` into the empty folder `target`; links and leftovers of killed writers stay behind."""
    for entry in source.iterdir():
        if entry.is_symlink() or entry.name.startswith(LEFTOVER) or entry.name in left:
            continue
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        elif entry.is_file():
            shutil.copyfile(entry, target / entry.name)
