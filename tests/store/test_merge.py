"""Collecting the runs of another cache."""

import dataclasses
import shutil

import pytest

from learnability.errors import InputError, Locked
from learnability.recording import SIGNALS
from learnability.store.locks import hold, run_lock
from learnability.store.merge import merge
from learnability.store.paths import Cache
from learnability.store.runs import load_recording, load_run, write_head
from learnability.training import CommitPolicy, Stop, train
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


def test_a_folder_that_is_no_cache_and_the_same_cache_are_refused(tmp_path):
    here = make_toy(tmp_path / "here")
    with pytest.raises(InputError, match="holds no runs"):
        merge(here.cache, Cache.at(tmp_path / "nothing"))
    with pytest.raises(InputError, match="this cache"):
        merge(here.cache, here.cache)
