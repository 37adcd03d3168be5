"""train(): from a config to a committed recording, and every way it can end."""

import dataclasses
import json
import os
import signal
import threading

import numpy as np
import pytest
import torch

from learnability.config import planted_name
from learnability.errors import ConfigError, Locked, NonFinite, OutOfMemory, StoreError
from learnability.recording import SIGNALS
from learnability.store.locks import hold, run_lock
from learnability.store.runs import create_run, load_array, load_features, load_looks, load_recording, load_run, read_progress
from learnability.store.scores import load_run_scores
from learnability.training import CommitPolicy, Stop, devices, images, probe, session, train, train_together, ways
from tests.training.toy import OWN, make_toy

OFTEN = CommitPolicy(signals_s=0, scores_s=0, checkpoint_s=0, share=1e9, poll_s=0, tell_s=0)
SELDOM = CommitPolicy(signals_s=1e9, scores_s=1e9, checkpoint_s=1e9, patience_s=1e9)


def trained(toy, policy=OFTEN, **fields):
    given = {name: fields.pop(name) for name in ("stop", "progress", "restart", "threads") if name in fields}
    config = toy.config(**fields)
    return config, train(config, toy.cache, "cpu", **{"threads": 1, **given}, policy=policy, own_architectures=OWN)


def recorded(toy, config):
    return load_recording(toy.cache, toy.name, config.run_id, verify=True)


def folder(toy, config):
    return toy.cache.run_folder(toy.name, config.run_id)


@pytest.mark.parametrize("policy", [OFTEN, SELDOM], ids=["often", "seldom"])
def test_a_run_records_every_sample_at_every_epoch_and_leaves_what_is_promised(toy, policy):
    told = []
    config, head = trained(toy, policy, epochs=3, progress=lambda done, total, **more: told.append((done, total, more)))
    assert (head.state, head.looks, head.checkpoint["epoch"], head.exact) == ("done", 3, 3, True)
    recording = recorded(toy, config)
    assert recording.loss_NE.shape == (70, 3) and recording.seen_NE.all() and recording.record == "train"
    assert set(recording.signals) == set(SIGNALS) and recording.sample_ids_N.tolist() == list(range(70))
    looks = load_looks(toy.cache, toy.name, config.run_id)
    assert [(look["epoch"], look["step"], look["clamped"]) for look in looks] == [(0, 5, 0), (1, 10, 0), (2, 15, 0)]
    for look, hits_N, loss_N in zip(looks, recording.hits_NE.T, recording.loss_NE.T, strict=True):
        assert look["accuracy"] == pytest.approx(hits_N.mean()) and look["loss"] == pytest.approx(loss_N.mean(dtype=float), rel=1e-3)
        assert 0 <= look["test_accuracy"] <= 1 and look["seconds"] > 0 and look["images_per_second"] > 0
    features = load_features(toy.cache, toy.name, config.run_id)
    assert features.shape == (70, 8) and features.dtype == np.float16 and np.isfinite(features).all()
    scores, score_looks = load_run_scores(toy.cache, toy.name, config.run_id)
    assert scores.num_rows == 70 and score_looks == 3
    assert read_progress(toy.cache, toy.name, config.run_id)["phase"] == "done"
    assert told[-1][:2] == (210, 210) and [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    environment = json.loads((folder(toy, config) / "environment.json").read_text())
    chosen = {name: environment[name] for name in ("device", "threads", "precision", "layout", "compiled")}
    assert chosen == {"device": "cpu", "threads": 1, "precision": "fp32", "layout": "channels_last", "compiled": False}
    assert environment["deterministic"] and len(environment["mean"]) == 3 and environment["torch"] == torch.__version__


def test_what_is_recorded_does_not_depend_on_when_it_is_committed(toy, tmp_path):
    config, _ = trained(toy, OFTEN, epochs=3)
    twin = make_toy(tmp_path / "twin")
    trained(twin, SELDOM, epochs=3)
    for name in SIGNALS:
        assert recorded(toy, config).signals[name].tobytes() == recorded(twin, config).signals[name].tobytes()


def test_a_run_that_is_done_is_left_alone(toy):
    config, _ = trained(toy)
    before = {path: path.stat().st_mtime_ns for path in folder(toy, config).rglob("*") if path.is_file()}
    assert trained(toy)[1].state == "done"
    assert before == {path: path.stat().st_mtime_ns for path in folder(toy, config).rglob("*") if path.is_file()}


def test_eval_recording_is_a_pass_with_fixed_weights_over_plain_images(toy):
    config, _ = trained(toy, epochs=2, record="eval", augment="crop-flip")
    recording = recorded(toy, config)
    assert recording.record == "eval" and recording.seen_NE.all()
    assert config.recipe != toy.config(epochs=2, augment="crop-flip").recipe
    hits = (np.asarray(recording.prediction_NE[:, -1]) == recording.labels_N).mean()
    assert load_looks(toy.cache, toy.name, config.run_id)[-1]["accuracy"] == pytest.approx(hits)


@pytest.mark.parametrize(("size", "batch_size", "most"), [(32, 16, 64), (64, 8, 16), (64, 20, 20), (96, 8, 8)])
def test_a_pass_over_large_images_takes_fewer_at_once(tmp_path, monkeypatch, size, batch_size, most):
    """As many pixels as 64 images of 32 x 32, or as an update has."""
    toy, passed, call = make_toy(tmp_path, size=size), [], ways.Forward.__call__
    monkeypatch.setattr(session, "EVAL_BATCH", {"cpu": 64})
    monkeypatch.setattr(ways.Forward, "__call__", lambda self, batch: passed.append(len(batch)) or call(self, batch))
    assert trained(toy, SELDOM, epochs=1, record="eval", batch_size=batch_size)[1].state == "done"
    assert max(passed) == most


def test_training_teaches(toy):
    config, _ = trained(toy, SELDOM, epochs=15, augment="none", lr=0.3)
    looks = load_looks(toy.cache, toy.name, config.run_id)
    assert looks[-1]["loss"] < looks[0]["loss"] * 0.8 and looks[-1]["accuracy"] > 0.5


def test_a_subset_grey_images_and_no_test_split(tmp_path):
    toy = make_toy(tmp_path / "cache", N=60, T=0, C=1, K=3)
    config, head = trained(toy, subset=21, epochs=1)
    recording = recorded(toy, config)
    assert head.state == "done" and recording.N == 21 and np.bincount(recording.labels_N).tolist() == [7, 7, 7]
    assert recording.sample_ids_N.tolist() != list(range(21))
    assert load_looks(toy.cache, toy.name, config.run_id)[0]["test_accuracy"] is None
    environment = json.loads((folder(toy, config) / "environment.json").read_text())
    assert environment["augment"] == "none"


def test_folds_hold_rows_out_and_note_them_with_eyes_that_never_saw_them(toy):
    held = np.zeros(70, int)
    for fold in range(3):
        config, head = trained(toy, epochs=2, folds=3, fold=fold)
        recording = recorded(toy, config)
        assert head.state == "done" and recording.seen_NE.all()
        out = ~recording.trained_N
        held += out
        assert np.bincount(recording.labels_N[out], minlength=4).min() >= 5
        probabilities = load_array(toy.cache, toy.name, config.run_id, "heldout.npy")
        assert probabilities.shape == (70, 4) and np.isnan(probabilities[~out]).all()
        assert np.allclose(probabilities[out].astype(float).sum(1), 1, atol=2e-3)
        assert (probabilities[out].argmax(1) == recording.prediction_NE[out, -1]).mean() > 0.9
        look = load_looks(toy.cache, toy.name, config.run_id)[-1]
        assert look["step"] == 2 * 3 and look["accuracy"] == pytest.approx(recording.hits_NE[~out, -1].mean())
    assert (held == 1).all()


def test_planted_labels_are_the_same_for_every_architecture_and_seed(toy):
    labels = []
    for fields in ({}, {"seed": 3}, {"arch": "resnet20"}):
        config, _ = trained(toy, SELDOM, epochs=1, labels=planted_name(0.1), **fields)
        labels.append(recorded(toy, config).labels_N)
    original = np.arange(70) % 4
    assert (labels[0] != original).sum() == 7
    assert all(np.array_equal(labels[0], other) for other in labels)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"arch": "resnet99"}, "resnet99.*resnet20, vgg16, mobilenet"),
        ({"start": "dinov2"}, "'tiny': expected linear or mlp on the features of dinov2"),
        ({"devices": 2}, "devices 2: expected as many processes, got 1.*train --devices 2.*torchrun"),
        ({"subset": 71}, "subset 71: expected at most 70"),
        ({"fingerprint": "0" * 64}, "00000000"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(toy, fields, told):
    with pytest.raises((ConfigError, LookupError), match=told):
        config = dataclasses.replace(toy.config(), **fields)
        train(config, toy.cache, "cpu", own_architectures=OWN)
    assert not toy.cache.run_ids(toy.name)
    with pytest.raises(ConfigError, match="'tpu'.*auto, cpu, cuda"):
        train(toy.config(), toy.cache, "tpu", own_architectures=OWN)


def test_a_last_batch_of_one_is_refused_where_batch_norm_would_see_one_value(toy, monkeypatch):
    config, head = trained(toy, epochs=1, subset=33)  # 16 + 16 + 1, feature maps of 8 x 8
    assert head.state == "done"
    flat = {"flat": "tests.training.toy:flat"}
    with pytest.raises(ConfigError, match="33 samples in batches of 16 leave a last batch of one.*batch size"):
        train(toy.config(arch="flat", subset=33), toy.cache, "cpu", own_architectures=flat)
    assert train(toy.config(arch="flat", subset=34, epochs=1), toy.cache, "cpu", own_architectures=flat).state == "done"


def test_nan_ends_the_run_with_the_epoch_and_that_look_is_not_committed(toy):
    config = toy.config(arch="failing", epochs=5)
    with pytest.raises(NonFinite, match="epoch 2, first of them"):
        train(config, toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN)
    left = load_run(toy.cache, toy.name, config.run_id)
    assert (left.state, left.looks) == ("failed", 2) and "epoch 2" in left.head.reason
    assert np.isfinite(recorded(toy, config).loss_NE).all()


def test_epochs_that_ended_before_an_error_are_kept_however_seldom_is_committed(toy):
    config = toy.config(arch="failing", epochs=5)
    with pytest.raises(NonFinite, match="epoch 2, first of them"):
        train(config, toy.cache, "cpu", threads=1, policy=SELDOM, own_architectures=OWN)
    head = load_run(toy.cache, toy.name, config.run_id).head
    assert (head.state, head.looks, head.checkpoint["epoch"]) == ("failed", 2, 2) and "epoch 2" in head.reason
    assert load_run_scores(toy.cache, toy.name, config.run_id)[1] == 2 and np.isfinite(recorded(toy, config).loss_NE).all()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=["device", "host"],
)
def test_out_of_memory_names_the_batch_size_and_a_proposal_and_keeps_the_last_commit(toy, monkeypatch, error):
    real, calls = session.train_epoch, []

    def full(*args):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return real(*args)

    monkeypatch.setattr(session, "train_epoch", full)
    config = toy.config(epochs=4)
    with pytest.raises(OutOfMemory, match="out of memory at batch size 16.*--batch-size 8"):
        train(config, toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN)
    left = load_run(toy.cache, toy.name, config.run_id)
    assert (left.state, left.looks) == ("failed", 2) and "batch size 16" in left.head.reason
    monkeypatch.setattr(session, "train_epoch", real)
    assert trained(toy, epochs=4)[1].looks == 4


def test_an_error_of_an_architecture_is_a_reason_too(toy, monkeypatch):
    monkeypatch.setattr(session, "train_epoch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trained(toy)
    assert load_run(toy.cache, toy.name, toy.config().run_id).head.reason == "ZeroDivisionError: division by zero"


def stops_after(toy, config, ask) -> dict:
    """Trains `config` until `ask` is called at the first batch of epoch 1; what is left then."""
    real, calls = session.train_epoch, []

    def asking(*args):
        calls.append(1)
        if len(calls) == 2:
            ask()
        return real(*args)

    session.train_epoch = asking
    try:
        stop = Stop()
        head = train(config, toy.cache, "cpu", threads=1, stop=stop, policy=OFTEN, own_architectures=OWN)
    finally:
        session.train_epoch = real
    return {"head": head, "stop": stop}


@pytest.mark.parametrize("way", ["file", "SIGTERM", "SIGINT", "SIGTERM twice"])
def test_a_stop_finishes_the_epoch_and_the_next_start_goes_on_to_the_same_bytes(toy, tmp_path, way):
    config = toy.config(epochs=5)

    def ask():
        if way == "file":
            (folder(toy, config) / "stop").touch()
        else:
            for _ in range(2 if way.endswith("twice") else 1):
                os.kill(os.getpid(), getattr(signal, way.split()[0]))

    left = stops_after(toy, config, ask)
    assert (left["head"].state, left["head"].looks, left["head"].checkpoint["epoch"]) == ("stopped", 2, 2)
    assert left["stop"].signal == (None if way == "file" else getattr(signal, way.split()[0]))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert load_run_scores(toy.cache, toy.name, config.run_id)[1] == 2
    assert trained(toy, epochs=5)[1].state == "done"
    twin = make_toy(tmp_path / "twin")
    trained(twin, SELDOM, epochs=5)
    for name in SIGNALS:
        assert recorded(toy, config).signals[name].tobytes() == recorded(twin, config).signals[name].tobytes()


def test_an_epoch_that_would_take_too_long_is_dropped_and_the_one_before_kept(toy):
    config = toy.config(epochs=5)
    asked = []

    def progress(_done, _total, phase, epoch, **_):
        if phase == "train" and epoch == "2/5":
            asked.append(1)
            if len(asked) == 3:
                stop.ask()

    stop = Stop()
    policy = dataclasses.replace(OFTEN, grace_s=0, signals_s=1e9)
    head = train(config, toy.cache, "cpu", threads=1, stop=stop, progress=progress, policy=policy, own_architectures=OWN)
    assert (head.state, head.looks, head.checkpoint["epoch"]) == ("stopped", 1, 1)


def test_ctrl_c_where_no_handler_can_stand_stops_too(toy, monkeypatch):
    real, calls, heads = session.train_epoch, [], []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(session, "train_epoch", interrupted)
    thread = threading.Thread(target=lambda: heads.append(trained(toy, epochs=3)[1]))
    thread.start()
    thread.join(60)
    assert (heads[0].state, heads[0].looks) == ("stopped", 1)


def test_a_run_that_another_holds_is_refused_by_name(toy):
    config = toy.config()
    with hold(toy.cache, run_lock(toy.name, config.run_id)):
        with pytest.raises(Locked, match="toy--tiny-s0.*in use by process"):
            train(config, toy.cache, "cpu", threads=1, own_architectures=OWN)


def test_a_resume_keeps_threads_and_says_what_is_not_exact(toy):
    config = toy.config(epochs=4)
    stops_after(toy, config, lambda: (folder(toy, config) / "stop").touch())
    _, head = trained(toy, epochs=4, threads=2)
    assert head.state == "done" and not head.exact and "threads 1 then, 2 now" in head.note
    other = toy.config(epochs=4, seed=1)
    stops_after(toy, other, lambda: (folder(toy, other) / "stop").touch())
    assert trained(toy, epochs=4, seed=1, threads=None)[1].exact


def test_other_architecture_code_is_refused_at_a_resume(toy):
    config = toy.config(epochs=4)
    stops_after(toy, config, lambda: (folder(toy, config) / "stop").touch())
    with pytest.raises(StoreError, match="other architecture code"):
        train(config, toy.cache, "cpu", threads=1, own_architectures={"tiny": "tests.training.toy:failing"})


def test_a_lost_checkpoint_is_named_and_a_restart_reproduces_what_was_recorded(toy):
    config = toy.config(epochs=4)
    left = stops_after(toy, config, lambda: (folder(toy, config) / "stop").touch())
    (folder(toy, config) / left["head"].checkpoint["file"]).unlink()
    before = recorded(toy, config)
    with pytest.raises(StoreError, match="is gone; the recording stays readable.*restart"):
        trained(toy, epochs=4)
    assert recorded(toy, config).loss_NE.tobytes() == before.loss_NE.tobytes()
    assert trained(toy, epochs=4, restart=True)[1].state == "done"
    assert recorded(toy, config).loss_NE[:, :2].tobytes() == before.loss_NE.tobytes()


@pytest.mark.parametrize("fields", [{}, {"record": "eval"}, {"folds": 2, "fold": 1}], ids=["train", "eval", "held out"])
def test_images_that_do_not_fit_on_the_device_give_the_same_recording(toy, fields, monkeypatch):
    config, _ = trained(toy, epochs=2, **fields)
    resident = recorded(toy, config)
    monkeypatch.setattr(images, "free_memory", lambda device: 0)
    trained(toy, epochs=2, restart=True, **fields)
    streamed = recorded(toy, config)
    for name in SIGNALS:
        assert streamed.signals[name].tobytes() == resident.signals[name].tobytes()


def test_runs_side_by_side_record_what_each_records_alone(toy):
    configs = [toy.config(seed=seed, epochs=3) for seed in range(3)]
    alone = {}
    for config in configs:
        train(config, toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN)
        alone[config.run_id] = recorded(toy, config)
    heads = train_together(configs, toy.cache, "cpu", threads=1, restart=True, policy=OFTEN, own_architectures=OWN)
    assert [head.state for head in heads] == ["done"] * 3
    for config in configs:
        for name in SIGNALS:
            assert recorded(toy, config).signals[name].tobytes() == alone[config.run_id].signals[name].tobytes()
    assert train_together(configs, toy.cache, "cpu", own_architectures=OWN) == heads, "what is done is left alone"


def test_runs_side_by_side_share_the_cores(toy, monkeypatch):
    """The one that began alone with one thread keeps it, though the other is made ready after it."""
    monkeypatch.setattr(devices, "usable_cores", lambda: 4)
    began, new, stop, used = toy.config(epochs=3), toy.config(seed=1), Stop(), {}
    train(
        began,
        toy.cache,
        "cpu",
        threads=1,
        policy=OFTEN,
        own_architectures=OWN,
        stop=stop,
        progress=lambda done, _all, **_: done and stop.ask(),
    )

    def watched(config):
        return lambda done, _all, **_more: used.setdefault(config.run_id, set()).add(torch.get_num_threads()) if done else None

    heads = train_together([began, new], toy.cache, "cpu", policy=OFTEN, own_architectures=OWN, progress=watched)
    assert [head.state for head in heads] == ["done"] * 2
    told = [json.loads((folder(toy, config) / "environment.json").read_text())["threads"] for config in (began, new)]
    assert [look["side_by_side"] for look in load_looks(toy.cache, toy.name, new.run_id)] == [2] * new.epochs
    assert told == [1, 2] and used == {began.run_id: {1}, new.run_id: {2}}


def test_of_runs_side_by_side_one_fails_one_is_stopped_and_the_others_end(toy):
    fails, stopped, ends = toy.config(arch="failing", epochs=6), toy.config(seed=1, epochs=40), toy.config(seed=2, epochs=3)
    create_run(toy.cache, stopped)

    def stop_it(config):
        return lambda done, total, **more: (folder(toy, stopped) / "stop").touch() if config == stopped and done else None

    outcomes = train_together([fails, stopped, ends], toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN, progress=stop_it)
    assert isinstance(outcomes[0], NonFinite) and (outcomes[1].state, outcomes[2].state) == ("stopped", "done")
    assert load_run(toy.cache, toy.name, fails.run_id).head.state == "failed" and 0 < outcomes[1].looks < 40
    again = train_together([stopped], toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN)
    assert again[0].state == "done" and recorded(toy, stopped).loss_NE.shape[1] == 40


def test_of_runs_side_by_side_those_that_cannot_begin_leave_the_others_at_work(toy, monkeypatch):
    ends, full, broken = (toy.config(seed=seed, epochs=1) for seed in range(3))
    settle, begin = session.Session.settle, session.Session.begin

    def settled(self, *given):
        if self.config == full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return settle(self, *given)

    def begun(self, writer):
        if self.config == broken:
            raise RuntimeError("capture failed")
        begin(self, writer)

    monkeypatch.setattr(session.Session, "settle", settled)
    monkeypatch.setattr(session.Session, "begin", begun)
    outcomes = train_together([ends, full, broken], toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN)
    assert outcomes[0].state == "done" and isinstance(outcomes[1], OutOfMemory) and str(outcomes[2]) == "capture failed"
    assert load_run(toy.cache, toy.name, broken.run_id).head.reason == "RuntimeError: capture failed"
    with pytest.raises(OutOfMemory, match="out of memory at batch size 16.*--batch-size 8"):
        train(full, toy.cache, "cpu", threads=1, own_architectures=OWN)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(toy, threads):
    with pytest.raises(ConfigError, match=f"threads {threads}: expected at least 1"):
        train(toy.config(), toy.cache, "cpu", threads=threads, own_architectures=OWN)
    assert not toy.cache.run_ids(toy.name)


def test_beside_a_deterministic_run_all_are_deterministic(toy, monkeypatch):
    """The process has one setting; by default that of the run made ready last stood."""
    asked, numerics = [], devices.numerics
    monkeypatch.setattr(devices, "numerics", lambda threads, deterministic: asked.append(deterministic) or numerics(threads, False))
    configs = [toy.config(epochs=1, deterministic=True), toy.config(epochs=1)]
    assert [head.state for head in train_together(configs, toy.cache, "cpu", threads=1, own_architectures=OWN)] == ["done"] * 2
    assert asked == [True, True]


class Turns:
    """Stands where the lock of drawing runs does, as a lock does not tell how many have come to it."""

    def __init__(self):
        self.lock, self.came, self.both = threading.Lock(), 0, threading.Event()

    def __enter__(self):
        self.came += 1
        if self.came == 2:
            self.both.set()
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def test_a_run_that_waits_for_its_turn_begins_no_epoch_after_a_stop(toy, monkeypatch):
    turns, stop, real = Turns(), Stop(), session.train_epoch

    def asking(*given):
        assert turns.both.wait(60)
        stop.ask()
        return real(*given)

    monkeypatch.setattr(session, "_DRAWING", turns)
    monkeypatch.setattr(session, "train_epoch", asking)
    configs = [toy.config(seed=seed, epochs=3) for seed in range(2)]
    heads = train_together(configs, toy.cache, "cpu", threads=1, policy=OFTEN, own_architectures=OWN, stop=stop)
    assert sorted((head.state, head.looks) for head in heads) == [("stopped", 0), ("stopped", 1)]


def test_a_run_that_was_stopped_while_it_chose_its_way_chooses_when_it_goes_on(toy, monkeypatch):
    monkeypatch.setattr(probe, "has_compiler", lambda device: False)
    monkeypatch.setattr(probe, "tried", lambda *given: [probe.Trial(way, 1.0 + (way.layout == "nchw")) for way in given[4]])
    config, stop = toy.config(precision="auto", epochs=2), Stop()

    def told(_done, _total, phase, **_more):
        if phase == "probe":
            stop.ask()

    given = {"policy": OFTEN, "own_architectures": OWN}
    head = train(config, toy.cache, "cpu", threads=1, stop=stop, progress=told, **given)
    assert (head.state, head.looks) == ("stopped", 0)
    head = train(config, toy.cache, "cpu", threads=2, **given)
    environment = json.loads((folder(toy, config) / "environment.json").read_text())
    assert (head.state, head.exact, environment["layout"], environment["threads"]) == ("done", True, "channels_last", 2)
