"""Collecting the runs of another cache."""

import dataclasses
import errno
import functools
import os
import shutil

import numpy as np
import pytest

from learnability.errors import DiskFull, InputError, Locked
from learnability.jobs.worker import sweep_launches
from learnability.recording import SIGNALS
from learnability.store.datasets import open_dataset, write_label_version
from learnability.store.locks import hold, run_lock
from learnability.store.merge import merge
from learnability.store.paths import Cache
from learnability.store.runs import load_recording, load_run, read_head, write_head
from learnability.store.scores import write_scores
from learnability.training import CommitPolicy, Stop, train
from tests.store.conftest import Faults, Known, die, in_child
from tests.training.toy import OWN, make_toy

OFTEN = CommitPolicy(signals_s=0, scores_s=0, checkpoint_s=0, share=1e9, poll_s=0, tell_s=0)


def trained(toy, seed=0, looks=None, **fields):
    config, stop = toy.config(epochs=4, seed=seed, **fields), Stop()

    def told(done, total, epoch="", **more):
        if looks is not None and done >= looks * 70:
            stop.ask()

    train(config, toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN, progress=told, stop=stop)
    return config.run_id


def outcomes(cache, other) -> dict[str, str]:
    return {one.run_id: one.outcome for one in merge(cache, other)}


def test_runs_and_what_they_need_are_taken_once_and_go_on_here(tmp_path):
    there, here = make_toy(tmp_path / "there"), Cache.at(tmp_path / "here")
    whole, part = trained(there), trained(there, seed=1, looks=2)
    planted = trained(there, labels="planted-0.1-0")
    assert outcomes(here, there.cache) == {whole: "taken", part: "taken", planted: "taken"}
    assert outcomes(here, there.cache) == dict.fromkeys((whole, part, planted), "there")
    for run_id in (whole, part, planted):
        mine, theirs = load_recording(here, "toy", run_id, verify=True), load_recording(there.cache, "toy", run_id)
        assert all(mine.signals[name].tobytes() == theirs.signals[name].tobytes() for name in SIGNALS)
    shutil.rmtree(there.cache.root)
    there.cache = here
    assert trained(there, seed=1) == part and load_run(here, "toy", part).looks == 4, "from the merged checkpoint to the end"


def test_a_longer_recording_takes_the_place_of_its_beginning_and_a_different_one_does_not(tmp_path):
    here = make_toy(tmp_path / "here")
    run_id = trained(here, looks=2)
    assert load_run(here.cache, "toy", run_id).looks < 4
    shutil.copytree(here.cache.root, tmp_path / "there")
    there = make_toy(tmp_path / "fresh")
    there.cache = Cache.at(tmp_path / "there")
    trained(there)
    assert outcomes(here.cache, there.cache) == {run_id: "grown"} and load_run(here.cache, "toy", run_id).looks == 4
    assert outcomes(there.cache, here.cache) == {run_id: "there"}

    head = load_run(there.cache, "toy", run_id).head
    folder = there.cache.run_folder("toy", run_id)
    write_head(folder, dataclasses.replace(head, crc={**head.crc, "loss": [1, *head.crc["loss"][1:]]}))
    before = (folder / "HEAD.json").read_bytes()
    assert outcomes(there.cache, here.cache) == {run_id: "left"} and (folder / "HEAD.json").read_bytes() == before
    (folder / "HEAD.json").write_text("{")
    assert outcomes(there.cache, here.cache) == {run_id: "left"} and (folder / "HEAD.json").read_text() == "{"


def test_what_is_damaged_at_work_or_not_begun_there_is_left(tmp_path):
    there, here = make_toy(tmp_path / "there"), Cache.at(tmp_path / "here")
    damaged, busy = trained(there), trained(there, seed=1)
    with open(there.cache.run_folder("toy", damaged) / "signals" / "loss.f2", "r+b") as file:
        file.write(b"\x01\x02")
    with hold(there.cache, run_lock("toy", busy)):
        assert outcomes(here, there.cache) == {damaged: "left", busy: "left"}
    assert here.run_ids("toy") == []
    assert outcomes(here, there.cache) == {damaged: "left", busy: "taken"}
    with hold(here, run_lock("toy", busy)), pytest.raises(Locked):
        merge(here, there.cache)


def test_what_comes_along_can_be_opened_though_the_newest_version_stays_behind(tmp_path):
    there, here = make_toy(tmp_path / "there"), Cache.at(tmp_path / "here")
    run_id, version, home = trained(there), there.cache.current("toy"), there.cache.dataset_home("toy")
    shutil.copytree(home / version, home / "00000000")
    (home / "current").write_text("00000000\n")
    assert outcomes(here, there.cache) == {run_id: "taken"}
    assert here.current("toy") == version and open_dataset(here, "toy").fingerprint[:8] == version


def test_a_run_on_other_labels_of_the_same_name_is_left(tmp_path):
    there = make_toy(tmp_path / "there")
    shutil.copytree(there.cache.root, tmp_path / "here")
    here = Cache.at(tmp_path / "here")
    labels = open_dataset(here, "toy").labels_N.copy()
    rest = open_dataset(here, "toy").test_labels_T
    for cache, label in ((here, 1), (there.cache, 2)):  # two reviewers, each their first version
        labels[0] = label
        write_label_version(cache, "toy", None, "reviewed-1", np.concatenate([labels, rest]))
    run_id = trained(there, looks=1, labels="reviewed-1")
    (left,) = merge(here, there.cache)
    assert left.outcome == "left" and "reviewed-1" in left.why and here.run_ids("toy") == []
    shutil.copyfile(*(one.dataset_folder("toy") / "labels" / "reviewed-1.parquet" for one in (there.cache, here)))
    assert outcomes(here, there.cache) == {run_id: "taken"}


@pytest.fixture
def grown(tmp_path) -> tuple[Known, Known]:
    """The same run twice: two looks here, all of them there."""
    here, there = Known(Cache.at(tmp_path / "here")), Known(Cache.at(tmp_path / "there"))
    here.train(until=2)
    there.train()
    write_scores(there.cache, "toy", there.config.run_id)
    return here, there


def test_a_full_disk_costs_no_run_that_was_here(grown, monkeypatch):
    here, there = grown
    os.utime(here.folder, (0, 0))  # last written long ago

    def full(*_, **__):
        sweep_launches(here.cache)  # by a worker that starts meanwhile
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DiskFull):
        merge(here.cache, there.cache)
    assert load_run(here.cache, "toy", here.config.run_id).looks == 2


def test_a_kill_at_any_file_operation_costs_no_run_that_was_here(grown, tmp_path, monkeypatch):
    here, there = grown
    shutil.copytree(here.cache.root, tmp_path / "before")

    def killed_at(number: int):
        Faults(monkeypatch, number, die)
        merge(here.cache, there.cache)

    number = 0
    while os.WIFSIGNALED(in_child(functools.partial(killed_at, number))):
        sweep_launches(here.cache)
        kept = [folder for folder in here.cache.runs_folder("toy").iterdir() if (folder / "HEAD.json").is_file()]
        assert any(read_head(folder).looks >= 2 for folder in kept), number
        assert outcomes(here.cache, there.cache)[here.config.run_id] in ("grown", "there")
        assert load_run(here.cache, "toy", here.config.run_id).looks == here.E
        shutil.rmtree(here.cache.root)
        shutil.copytree(tmp_path / "before", here.cache.root)
        os.utime(here.folder, (0, 0))
        number += 1
    assert number > 10


def test_a_run_that_goes_on_there_while_it_is_copied_is_left(grown, monkeypatch):
    here, there = grown
    copied = shutil.copyfile

    def while_it_goes_on(*args, **kwargs):
        monkeypatch.setattr(shutil, "copyfile", copied)
        there.train(until=0)
        return copied(*args, **kwargs)

    monkeypatch.setattr(shutil, "copyfile", while_it_goes_on)
    assert outcomes(here.cache, there.cache) == {here.config.run_id: "left"}
    assert load_run(here.cache, "toy", here.config.run_id).looks == 2


def test_a_folder_that_is_no_cache_and_the_same_cache_are_refused(tmp_path):
    here = make_toy(tmp_path / "here")
    with pytest.raises(InputError, match="holds no runs"):
        merge(here.cache, Cache.at(tmp_path / "nothing"))
    with pytest.raises(InputError, match="this cache"):
        merge(here.cache, here.cache)
