"""Killed anywhere, resumed: the recording and the weights are those of a run that nobody touched, byte for byte."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from learnability.recording import SIGNALS
from learnability.store.runs import load_features, load_recording, load_run
from learnability.training import SPIN, CommitPolicy, train
from tests.training.toy import OWN, make_toy

ROOT = Path(__file__).resolve().parents[2]
SELDOM = CommitPolicy(signals_s=1e9, scores_s=1e9, checkpoint_s=1e9, patience_s=1e9)


def in_child(toy, fields: dict, kill: str | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tests.training.child", str(toy.cache.root), json.dumps({**fields, "fingerprint": toy.fingerprint})]
    outcome = subprocess.run(
        command + ([kill] if kill else []),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "GOMP_SPINCOUNT": SPIN},
    )
    assert outcome.returncode == (-signal.SIGKILL if kill else 0), outcome.stderr
    return outcome


def bytes_of(toy, config) -> dict[str, bytes]:
    """Everything of a run that must be equal: signals, features, weights and momentum."""
    recording = load_recording(toy.cache, toy.name, config.run_id, verify=True)
    head = load_run(toy.cache, toy.name, config.run_id).head
    assert head.state == "done" and head.exact and recording.seen_NE.all()
    state = safetensors.numpy.load_file(toy.cache.run_folder(toy.name, config.run_id) / head.checkpoint["file"])
    found = {name: recording.signals[name].tobytes() for name in SIGNALS} | {name: array.tobytes() for name, array in state.items()}
    return found | {"features": load_features(toy.cache, toy.name, config.run_id).tobytes()}


def check(tmp_path, fields: dict, kills: list[str]) -> None:
    toy, twin = make_toy(tmp_path / "killed", N=40, T=8), make_toy(tmp_path / "untouched", N=40, T=8)
    config = toy.config(**fields)
    looks = 0
    for kill in kills:
        in_child(toy, fields, kill)
        left = load_run(toy.cache, toy.name, config.run_id)
        assert left.problem is None and left.state == "running"
        assert left.looks >= looks
        looks = left.looks
    resumed = train(config, toy.cache, "cpu", threads=1, policy=SELDOM, own_architectures=OWN)
    assert resumed.state == "done" and resumed.generation >= 1
    train(config, twin.cache, "cpu", threads=1, policy=SELDOM, own_architectures=OWN)
    expected, found = bytes_of(twin, config), bytes_of(toy, config)
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "kills"),
    [
        ({"arch": "resnet20", "schedule": "cosine", "epochs": 3}, ["step:5", "step:5"]),
        pytest.param(
            {"arch": "mobilenet", "schedule": "step", "augment": "flip", "epochs": 2, "precision": "bf16"},
            ["between:1"],
            marks=pytest.mark.soak,
        ),
        pytest.param(
            {"arch": "resnet20", "schedule": "constant", "augment": "none", "record": "eval", "subset": 24},
            ["eval:3"],
            marks=pytest.mark.soak,
        ),
        ({"arch": "tiny", "schedule": "cosine", "epochs": 4, "momentum": 0.5}, ["commit:31", "commit:40"]),
    ],
    ids=["in an epoch, twice", "between epochs", "in the eval pass", "in a commit"],
)
def test_a_killed_run_resumes_to_the_bytes_of_an_untouched_one(tmp_path, fields, kills):
    check(tmp_path, fields, kills)


KILLS = {"step": ["step:4", "step:2"], "between": ["between:1"], "eval": ["eval:2", "eval:1"], "commit": ["commit:33"]}


@pytest.mark.soak
@pytest.mark.parametrize(
    ("arch", "schedule", "augment", "where"),
    itertools.product(("resnet20", "vgg16", "mobilenet"), ("cosine", "step", "constant"), ("none", "flip", "crop-flip"), KILLS),
)
def test_every_network_schedule_and_augmentation_resumes_exactly(tmp_path, arch, schedule, augment, where):
    precision = "bf16" if augment == "flip" else "fp32"
    check(
        tmp_path, {"arch": arch, "schedule": schedule, "augment": augment, "precision": precision, "subset": 24, "epochs": 3}, KILLS[where]
    )


def test_epochs_differ_and_a_resume_trains_on_its_own_epoch_not_the_first(tmp_path):
    toy = make_toy(tmp_path / "cache", N=40, T=0)
    config = toy.config(epochs=3)
    train(config, toy.cache, "cpu", threads=1, policy=SELDOM, own_architectures=OWN)
    loss_NE = load_recording(toy.cache, toy.name, config.run_id).loss_NE
    assert not np.array_equal(loss_NE[:, 0], loss_NE[:, 1])


@pytest.mark.soak
def test_two_fresh_processes_record_the_same_bytes(tmp_path):
    hashes = set()
    for number in range(2):
        toy = make_toy(tmp_path / str(number), N=40, T=8)
        hashes.add(in_child(toy, {"arch": "resnet20", "epochs": 1, "subset": 24, "threads": 2}).stdout.strip())
    assert len(hashes) == 1 and len(hashes.pop()) == 64
