"""Runs under a curriculum: which samples are in which update, and that nothing else changes."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
import torch

from learnability.config import RunConfig
from learnability.curriculum import Pacing, Schedule, presentations
from learnability.errors import ConfigError, InputError
from learnability.recording import SIGNALS
from learnability.store.datasets import open_dataset
from learnability.store.files import write_table
from learnability.store.runs import load_looks, load_recording
from learnability.training import CommitPolicy, Stop, session, train
from learnability.training.curricula import paced_batches, schedule_of
from learnability.training.images import Images
from tests.training.toy import OWN, make_toy

SELDOM = CommitPolicy(signals_s=1e9, scores_s=1e9, checkpoint_s=1e9, patience_s=1e9)


def trained(toy, **fields):
    config = toy.config(record="eval", **fields)
    head = train(config, toy.cache, "cpu", threads=1, policy=SELDOM, own_architectures=OWN)
    return load_recording(toy.cache, toy.name, config.run_id, verify=True), head


def saved(toy, name: str, ids) -> None:
    samples = open_dataset(toy.cache, toy.name).samples().take(pa.array(ids))
    path = toy.cache.order(toy.name, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"place": np.arange(len(ids)), "key": samples["key"], "hash": samples["hash"]}
    write_table(path, pa.table(columns).take(pa.array(np.random.default_rng(0).permutation(len(ids)))))


def test_a_pool_that_is_always_full_is_ordinary_training_byte_for_byte(toy):
    saved(toy, "backwards", np.arange(70)[::-1])
    ordinary, _ = trained(toy, epochs=2)
    for curriculum in ("backwards:full", "random:linear,a=0.0", "backwards:step,b=1.0"):
        paced, head = trained(toy, epochs=2, curriculum=curriculum)
        assert head.state == "done" and paced.trained_N.all()
        for name in SIGNALS:
            assert paced.signals[name].tobytes() == ordinary.signals[name].tobytes()


def test_updates_are_those_of_the_schedule_and_views_change_with_every_pass():
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    ids = np.arange(0, 80, 2)
    schedule = Schedule(order_N=ids[::-1], pacing=Pacing(name="linear", a=0.8, b=0.2), batch_size=8, steps=15, seed=3)
    cut = Images(np.repeat(images, 2, 0), ids, [0.0] * 3, [1 / 255] * 3, torch.device("cpu"), "nchw")
    labels = torch.arange(40)
    given, shown = [], {}
    for epoch in range(3):
        for rows, batch, targets in paced_batches(cut, labels, schedule, 3, "crop-flip", epoch):
            assert torch.equal(rows, targets)
            given.append(ids[rows.numpy()].tolist())
            for row, image in zip(rows.tolist(), batch, strict=True):
                shown.setdefault(row, []).append(image)
    assert given == [schedule.batch(step).tolist() for step in range(15)]
    count = {int(sample): times for sample, times in zip(schedule.order_N, presentations(schedule), strict=True)}
    assert {int(ids[row]): len(pictures) for row, pictures in shown.items()} == {sample: times for sample, times in count.items() if times}
    often = max(shown.values(), key=len)
    assert len(often) >= 4 and any(not torch.equal(often[0], other) for other in often[1:3])


def test_an_order_without_some_samples_trains_on_the_others_and_looks_at_all(toy):
    saved(toy, "some", np.arange(10, 60))
    recording, head = trained(toy, epochs=3, curriculum="some:linear,a=0.8,b=0.4")
    assert head.state == "done" and recording.seen_NE.all()
    assert np.flatnonzero(recording.trained_N).tolist() == list(range(10, 60))
    config = toy.config(record="eval", epochs=3, curriculum="some:linear,a=0.8,b=0.4")
    looks = load_looks(toy.cache, toy.name, config.run_id)
    assert [look["step"] for look in looks] == [4, 8, 12]
    assert looks[-1]["accuracy"] == pytest.approx(recording.hits_NE[recording.trained_N, -1].mean())


@pytest.mark.parametrize(("shuffle", "share"), [("random", 0.5), ("random-unbalanced", 0.1)])
def test_the_control_has_the_class_balance_of_the_orders_beside_it(shuffle, share):
    labels_N = np.repeat([0, 1], [900, 100])
    config = RunConfig(
        data="x", fingerprint="0" * 64, arch="resnet20", record="eval", batch_size=100, curriculum=f"{shuffle}:linear,a=0.8,b=0.2"
    )
    schedule = schedule_of(None, config, None, np.arange(1000), labels_N)
    first = [labels_N[schedule.batch(step)] for step in range(2)]  # one pass over the first 200 in play
    assert np.concatenate(first).mean() == pytest.approx(share, abs=0.04)
    assert sorted(schedule.order_N) == list(range(1000))


def test_a_stopped_curriculum_goes_on_to_the_same_bytes(toy, tmp_path, monkeypatch):
    fields = {"epochs": 4, "curriculum": "random:linear,a=0.8,b=0.3"}
    real, stop, calls = session.train_epoch, Stop(), []

    def asking(*args):
        calls.append(1)
        if len(calls) == 2:
            stop.ask()
        return real(*args)

    monkeypatch.setattr(session, "train_epoch", asking)
    config = toy.config(record="eval", **fields)
    assert (
        train(config, toy.cache, "cpu", threads=1, stop=stop, policy=dataclasses.replace(SELDOM, poll_s=0), own_architectures=OWN).looks
        == 2
    )
    found, _ = trained(toy, **fields)
    expected, _ = trained(make_toy(tmp_path / "twin"), **fields)
    assert all(found.signals[name].tobytes() == expected.signals[name].tobytes() for name in SIGNALS)
    other, _ = trained(toy, **fields, seed=1)
    assert not np.array_equal(other.loss_NE, found.loss_NE)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"curriculum": "random:linear", "record": "train"}, "holes.*record 'eval'"),
        ({"curriculum": "random"}, "expected <order>:<pacing>"),
        ({"curriculum": "nothing:linear"}, "order 'nothing'.*there is: random, random-unbalanced, few"),
        ({"curriculum": "random:sideways"}, "'sideways'.*linear"),
        ({"curriculum": "few:linear"}, "holds 3 of the 70 samples.*batch of 16"),
    ],
)
def test_what_cannot_be_is_refused_in_words(toy, fields, told):
    saved(toy, "few", np.arange(3))
    with pytest.raises((ConfigError, InputError), match=told):
        train(toy.config(**{"record": "eval", **fields}), toy.cache, "cpu", own_architectures=OWN)
    assert not toy.cache.run_ids(toy.name)
    assert json.dumps(toy.config(**fields).to_json())
