"""One run over several devices records what one device records, with one writer; what ends one process ends the run, in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from learnability.__main__ import main
from learnability.config import RunConfig
from learnability.curriculum import Schedule, parse_pacing
from learnability.errors import ConfigError
from learnability.recording import SIGNALS
from learnability.store.files import read_json
from learnability.store.locks import is_held, run_lock
from learnability.store.runs import load_features, load_looks, load_recording, load_run
from learnability.store.scores import load_run_scores
from learnability.training import SPIN, train
from learnability.training.batches import share
from learnability.training.ranks import Ranks, first_device, smallest_share
from tests.training.toy import OWN, make_toy

ROOT = Path(__file__).resolve().parents[2]
PLAIN, NORMED = "tests.training.toy:unnormed", "tests.training.toy:tiny"
UNEVEN = {"batch_size": 15, "lr": 0.05, "epochs": 2}  # of 61 samples: 8 and 7 rows a batch, in the last one row and none


def of_two(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "GOMP_SPINCOUNT": SPIN, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=240, env=environment)


def shell(toy, *more: str) -> list[str]:
    fixed = {"--cache": str(toy.cache.root), "--data": toy.name, "--precision": "fp32", "--threads": "1"}
    fixed |= {"--batch-size": "15", "--lr": "0.05", "--epochs": "2"}
    return ["train", *[word for pair in fixed.items() for word in pair], *more]


def state(toy, config) -> dict[str, np.ndarray]:
    head = load_run(toy.cache, toy.name, config.run_id).head
    return safetensors.numpy.load_file(toy.cache.run_folder(toy.name, config.run_id) / head.checkpoint["file"])


def check_same(toy, config: RunConfig, other: RunConfig, near: float) -> None:
    """Ids, order and signals of two runs, up to the rounding of a stored number; their weights and momentum."""
    one, two = (load_recording(toy.cache, toy.name, run.run_id, verify=True) for run in (config, other))
    assert two.seen_NE.all() and two.sample_ids_N.tolist() == one.sample_ids_N.tolist()
    for name in SIGNALS:
        a, b = one.signals[name], two.signals[name]
        rounding = np.spacing(np.abs(a)).astype(float) if a.dtype.kind == "f" else 0
        assert (np.abs(a.astype(float) - b.astype(float)) <= near + rounding).all(), name
    weights, others = state(toy, config), state(toy, other)
    assert weights.keys() == others.keys()
    assert all(np.allclose(weights[name], others[name], rtol=0, atol=near) for name in weights)
    lines, others = (load_looks(toy.cache, toy.name, run.run_id) for run in (config, other))
    assert [(look["step"], look["test_accuracy"]) for look in lines] == [(look["step"], look["test_accuracy"]) for look in others]
    assert np.allclose(*(load_features(toy.cache, toy.name, run.run_id) for run in (config, other)), atol=1e-3)


def test_two_processes_record_what_one_records(tmp_path):
    toy = make_toy(tmp_path / "cache", N=61, T=21)
    outcome = of_two("learnability", *shell(toy, "--device", "cpu", "--devices", "2", "--arch", PLAIN, NORMED, "--json"))
    assert outcome.returncode == 0, outcome.stderr
    assert [run["state"] for run in json.loads(outcome.stdout)] == ["done", "done"]
    plain, normed = (toy.config(arch=arch, devices=2, **UNEVEN) for arch in (PLAIN, NORMED))
    alone = toy.config(arch=PLAIN, **UNEVEN)
    train(alone, toy.cache, "cpu", threads=1)
    check_same(toy, alone, plain, 1e-5)
    recording = load_recording(toy.cache, toy.name, normed.run_id, verify=True)
    assert recording.seen_NE.all() and recording.loss_NE.shape == (61, 2)
    scores, looks = load_run_scores(toy.cache, toy.name, normed.run_id)
    assert (scores.num_rows, looks) == (61, 2)
    told = [read_json(toy.cache.run_folder(toy.name, run.run_id) / "environment.json") for run in (plain, normed, alone)]
    assert [one["devices"] for one in told] == [2, 2, 1] and "batch_norm" not in told[2]
    assert told[0]["batch_norm"] == "none in this network" and "its own 7.5 of the 15 rows" in told[1]["batch_norm"]
    assert plain.recipe != alone.recipe, "batch norm sees other batches, so it is another recipe"


@pytest.mark.soak
def test_a_stop_is_one_of_all_a_resume_is_exact_and_a_killed_process_ends_the_others(tmp_path):
    toy = make_toy(tmp_path / "cache", N=61, T=21)
    fields = {**UNEVEN, "arch": "tiny", "devices": 2, "epochs": 3, "record": "eval", "curriculum": "random:linear,a=0.8,b=0.4"}
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--log-dir", str(tmp_path), "-m")
    outcome = of_two(*torchrun, "tests.training.rank_child", str(toy.cache.root), json.dumps({**fields, "fingerprint": toy.fingerprint}))
    assert outcome.returncode != 0 and "AssertionError" not in outcome.stderr, outcome.stderr
    config = toy.config(**fields)
    head = load_run(toy.cache, toy.name, config.run_id).head
    assert (head.state, head.looks, head.generation, head.exact) == ("done", 3, 2, True), outcome.stderr
    assert load_recording(toy.cache, toy.name, config.run_id, verify=True).seen_NE.all()
    lost = toy.config(**fields | {"seed": 1, "epochs": 9})
    head = load_run(toy.cache, toy.name, lost.run_id).head
    assert (head.state, head.looks) == ("failed", 2), outcome.stderr
    assert "one of 2 ranks ended without a word" in head.reason and "the same command goes on" in head.reason
    assert not is_held(toy.cache, run_lock(toy.name, lost.run_id))


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices here")
def test_two_gpus_record_what_one_records(tmp_path):
    toy = make_toy(tmp_path / "cache", N=61, T=21)
    outcome = of_two("learnability", *shell(toy, "--device", "cuda", "--devices", "2", "--arch", PLAIN, "--deterministic"))
    assert outcome.returncode == 0, outcome.stderr
    alone = toy.config(arch=PLAIN, deterministic=True, **UNEVEN)
    train(alone, toy.cache, "cuda", threads=1)
    check_same(toy, alone, toy.config(arch=PLAIN, devices=2, deterministic=True, **UNEVEN), 1e-4)


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_shares_make_up_every_batch_in_its_order(ranks):
    order_n, ends = np.random.default_rng(0).permutation(23), [7, 14, 21, 23]
    shares = [share(order_n, ends, rank, ranks) for rank in range(ranks)]
    for batch, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        taken = np.full(end - start, -1)
        for rank, (rows, own) in enumerate(shares):
            taken[rank::ranks] = rows[([0, *own])[batch] : own[batch]]
        assert taken.tolist() == order_n[start:end].tolist()


def test_sizes_of_the_batches_of_a_curriculum():
    for draw in ("passes", "independent"):
        schedule = Schedule(order_N=np.arange(47), pacing=parse_pacing("linear,a=0.5,b=0.3"), batch_size=10, steps=20, draw=draw)
        assert [schedule.size(step) for step in range(20)] == [len(schedule.batch(step)) for step in range(20)]


def test_the_smallest_share_of_a_batch():
    assert [smallest_share([16], ranks) for ranks in (1, 3, 16)] == [16, 5, 1]
    assert smallest_share([16, 1], 3) == 1 and smallest_share([16, 7], 3) == 2


def test_what_several_devices_cannot_do_is_refused(toy, monkeypatch, capsys):
    with pytest.raises(ConfigError, match="'cuda:1' with 2 devices|no CUDA device"):
        first_device("cuda:1", 2)
    with pytest.raises(ConfigError, match="'linear'|devices 2: expected 1: a head on features"):
        toy.config(arch="linear", start="features", devices=2)
    monkeypatch.setenv("WORLD_SIZE", "3")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.setenv(name, "0")
    with pytest.raises(ConfigError, match="devices 2: expected as many processes, got 3"):
        Ranks.joined(2)
    assert Ranks.joined(1).count == 1, "whoever's launcher it is, a run on one device is alone"
    asked = ["train", "--cache", str(toy.cache.root), "--data", toy.name, "--arch", "resnet20"]
    for more, said in (
        (("--devices", "0"), "--devices 0: expected at least 1"),
        (("--devices", "2", "--together", "2"), "--devices 2 with --together 2: expected one of them"),
        (("--devices", "2", "--queue", "--device", "cuda:1"), "--devices 2 with --device cuda:1: expected the GPUs"),
    ):
        assert main([*asked, *more]) == 2 and said in capsys.readouterr().err


def test_more_devices_than_rows_or_a_row_alone_for_batch_norm_is_refused(toy, monkeypatch):
    monkeypatch.setattr(Ranks, "joined", classmethod(lambda cls, *_: cls()))
    with pytest.raises(ConfigError, match="devices 17 for 70 samples in batches of 16: expected at least one row a device"):
        train(toy.config(devices=17), toy.cache, "cpu", own_architectures=OWN)
    flat = {"flat": "tests.training.toy:flat"}
    with pytest.raises(ConfigError, match="over 10 devices leave a device one row of a batch"):
        train(toy.config(arch="flat", devices=10), toy.cache, "cpu", own_architectures=flat)


@pytest.mark.parametrize(("met", "said"), [("", "all that it says\nfrom the exit\n"), ("several._met.add(1); ", "all that it says\n")])
def test_a_process_that_has_met_others_is_not_taken_apart(met, said):
    """Threads of its connections would then abort it: one of some hundred runs over two ranks ended so, with everything done."""
    code = f"import atexit; from learnability.commands import several; {met}atexit.register(print, 'from the exit'); "
    code += "print('all that it says'); several.end(3)"
    outcome = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (3, said, "")
