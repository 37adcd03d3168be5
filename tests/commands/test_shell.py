"""The shell, from an empty cache to scores."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability.__main__ import main, parser
from learnability.store.paths import Cache
from learnability.store.runs import load_runs
from learnability.store.scores import load_scores
from tests.ui import made_cache
from tests.ui.conftest import many_root, own_many  # noqa: F401

SEEDS = {"resnet20": 2, "vgg16": 2, "mobilenet": 1}  # of own_many, those that are done
SMALL = ["--subset", "100", "--epochs", "2", "--precision", "fp32", "--threads", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A cache with digits and two tiny runs, made by the shell's own commands."""
    root = tmp_path_factory.mktemp("shell") / "cache"
    at = ["--cache", str(root)]
    assert main(["prepare", "digits", *at]) == 0
    assert main(["train", "--data", "digits", "--arch", "resnet20", "mobilenet", *SMALL, *at]) == 0
    return at


def test_scores_are_one_row_a_sample_and_one_column_a_run(trained, capsys, tmp_path):
    assert main(["scores", "--data", "digits", *trained]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["sample_id", "key", "label", "mobilenet-s0", "resnet20-s0"]
    assert len(rows) == 100
    assert {float(row["resnet20-s0"]) for row in rows} <= {0.0, 0.5, 1.0}
    out = tmp_path / "scores.parquet"
    assert main(["scores", "--data", "digits", "--out", str(out), *trained]) == 0
    table = pq.read_table(out)
    assert [float(row["resnet20-s0"]) for row in rows] == table["resnet20-s0"].to_pylist()
    assert main(["scores", "--data", "digits", "--metric", "aum", "--json", *trained]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["runs"]["resnet20-s0"]["looks"] == 2


def test_hard_for_leaves_out_what_is_unfinished_and_says_what_to_do(own_many, capsys):  # noqa: F811
    """mobilenet-s1 is at its seventh of twelve epochs: the column is that of the five others, the scores stay all there."""
    at = ["scores", "--data", "digits", "--hard-for", "--cache", str(own_many.root)]
    assert main(at) == 0
    told = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(told.out)))
    assert "left out: mobilenet-s1 (7 of 12 looks)." in told.err and "mobilenet-s1" in rows[0]
    columns = load_scores(own_many, "digits").columns
    for name in ("every network", "no network"):
        hard = [np.mean([columns[f"{arch}-s{seed}"] for seed in range(S)], 0) < 0.5 - 1e-6 for arch, S in SEEDS.items()]
        expected = np.all(hard, 0) if name == "every network" else ~np.any(hard, 0)
        assert [row["hard_for"] == name for row in rows] == expected.tolist()
    assert main([*at, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["runs"]["mobilenet-s1"]["looks"] == 7 and made["hard_for"]["notes"] == ["left out: mobilenet-s1 (7 of 12 looks)."]
    assert {place: count for place, count in made["hard_for"]["counts"].items() if count} == Counter(row["hard_for"] for row in rows)
    assert made["hard_for"]["unseen"] == 0 and made["hard_for"]["cannot_be_told_alone"] == sorted(SEEDS), "of mobilenet one run is left"
    assert main([*at[:2], "digits", "--json", *at[-2:]]) == 0 and "hard_for" not in json.loads(capsys.readouterr().out)
    assert main([*at, "--metric", "aum"]) == 2 and "got aum. Leave out --metric." in capsys.readouterr().err
    for run in load_runs(own_many, "digits"):
        if run.config.arch == "vgg16" or run.id.startswith("mobilenet-s0"):
            shutil.rmtree(own_many.run_folder("digits", run.id))
    assert main(at) == 2
    told = capsys.readouterr().err
    assert "got resnet20 alone. Left out: mobilenet-s1 (7 of 12 looks). Let them go on, or train a second network" in told


def test_hard_for_one_network_names_the_command_that_trains_another(digits, capsys):
    made_cache.add_run(digits, "resnet20", 0, epochs=2, looks=2)
    assert main(["scores", "--hard-for", "--data", "digits", "--cache", str(digits.root)]) == 2
    told = capsys.readouterr().err
    assert "Train a second network: python -m learnability train --data digits --arch vgg16 --epochs 2" in told and "--recipe" not in told


def test_runs_lists_them_and_a_finished_run_is_not_repeated(trained, capsys):
    assert main(["train", "--data", "digits", "--arch", "resnet20", "--json", *SMALL, *trained]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"run": json_run(trained, capsys, "resnet20")["run"], "state": "done", "looks": 2, "epochs": 2, "trained_now": False}
    ]
    assert main(["runs", *trained]) == 0
    assert "2/2" in capsys.readouterr().out


def json_run(trained, capsys, arch: str) -> dict:
    capsys.readouterr()
    assert main(["runs", "--data", "digits", "--json", *trained]) == 0
    (run,) = [row for row in json.loads(capsys.readouterr().out) if row["config"]["arch"] == arch]
    return run


def test_doctor_finds_nothing_and_then_what_was_damaged(trained, capsys, tmp_path):
    cache = tmp_path / "cache"
    shutil.copytree(trained[1], cache)
    assert main(["doctor", "--cache", str(cache)]) == 0
    assert "every checksum matches" in capsys.readouterr().out
    (scores,) = cache.glob("runs/digits/resnet20*/scores.parquet")
    data = bytearray(scores.read_bytes())
    data[200] ^= 4
    scores.write_bytes(data)
    (images,) = cache.glob("datasets/digits/*/images.npy")
    with images.open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    assert main(["doctor", "--cache", str(cache)]) == 1
    told = capsys.readouterr().out
    assert "scores.parquet is damaged" in told
    assert "images.npy is damaged" in told
    assert main(["doctor", "--cache", str(tmp_path / "mistyped")]) == 0
    told = capsys.readouterr().out
    assert "this cache holds no data set and no run yet" in told and "checksum" not in told
    assert main(["doctor", "--repair", "--cache", str(cache)]) == 1
    assert "Repaired" in capsys.readouterr().out
    assert main(["doctor", "--cache", str(cache)]) == 1
    assert "scores.parquet" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--data", "nothing", "--arch", "resnet20"], "no data set 'nothing'.*prepare"),
        (["train", "--data", "digits", "--arch", "resnet99"], "resnet99.*resnet20"),
        (["train", "--data", "digits", "--arch", "resnet20", "--labels", "mine"], "no label version 'mine'.*original"),
        (["train", "--data", "digits", "--arch", "resnet20", "--label-noise", "1.5"], "1.5.*between 0 and 1"),
        (["train", "--data", "digits", "--arch", "resnet20", "--epochs", "0"], "epochs 0"),
        (["train", "--data", "digits", "--arch", "resnet20", "--subset", "20", "--folds", "21"], "folds 21: expected at most 20"),
        (
            ["export", "scores", "--data", "digits", "--labels", "original", "--out", "o.csv"],
            "--labels with export scores: .*folder",
        ),
        (["export", "labels", "--data", "digits", "--metric", "aum", "--out", "o.csv"], "--metric with export labels"),
        (["architectures", "add"], "add: expected SPEC after it"),
        (["architectures", "add", "mine"], r"'mine': expected one of resnet20, vgg16, mobilenet, torchvision"),
        (["curriculum", "show", "--data", "nothing"], "no data set 'nothing'"),
        (["export", "cleanlab", "--data", "digits", "--arch", "mine", "--out", "o"], "--arch mine: expected an architecture with finished"),
        (["scores", "--data", "digits", "--metric", "luck"], "luck.*learnability"),
        (["scores", "--data", "digits", "--out", "scores.xlsx"], r"\.parquet or \.csv"),
        (["scores", "--data", "digits", "--recipe", "00000000"], "no recipe '00000000'"),
        (["prepare", "folder:/nowhere/at/all"], "nowhere"),
        (["prepare", "digits", "--name", "../up"], "letters, digits"),
    ],
)
def test_what_cannot_be_is_refused_in_words(trained, capsys, arguments, expected):
    import re

    assert main([*arguments, *trained]) == 2
    assert re.search(expected, capsys.readouterr().err, re.DOTALL)


@pytest.mark.parametrize(
    ("arch", "said"), [("torchvision:nothing", "a classification model of torchvision"), ("torchvision:inception_v3", "logits of shape")]
)
def test_a_network_that_cannot_be_built_leaves_no_run_behind(trained, capsys, arch, said):
    before = load_runs(Cache(Path(trained[1])), "digits")
    assert main(["train", "--data", "digits", "--arch", arch, *SMALL, *trained]) == 2
    assert said in capsys.readouterr().err
    assert load_runs(Cache(Path(trained[1])), "digits") == before


@pytest.mark.parametrize("arguments", [["prepare", "digits"], ["doctor"]])
def test_a_cache_that_is_a_file_is_named(tmp_path, capsys, arguments):
    (tmp_path / "file").write_text("x")
    assert main([*arguments, "--cache", str(tmp_path / "file")]) == 1
    told = capsys.readouterr()
    assert f"{tmp_path / 'file'} cannot be a folder: a file of that name" in told.out + told.err


def test_an_option_of_several_values_may_be_given_again(trained, capsys, tmp_path):
    done = ["train", "--data", "digits", "--arch", "resnet20", "--arch", "mobilenet", *SMALL, *trained]
    assert main(done) == 0 and "2 run(s) done" in capsys.readouterr().out
    out = tmp_path / "scores.csv"
    assert main(["export", "scores", "--data", "digits", "--out", str(out), "--metric", "aum", "--metric", "el2n", *trained]) == 0
    assert {name.split()[0] for name in capsys.readouterr().out.partition("; ")[2].split(", ")} >= {"aum", "el2n"}
    given = parser().parse_args(["curriculum", "run", "--data", "digits", "--arms", "easy_first", "--arms", "standard"])
    assert given.arms == ["easy_first", "standard"]


@pytest.mark.parametrize("given", ["0", "-3", "x"])
def test_a_count_of_threads_is_a_count(trained, capsys, given):
    with pytest.raises(SystemExit):
        main(["train", "--data", "digits", "--arch", "resnet20", "--threads", given, *trained])
    assert f"--threads: '{given}': expected a whole number of at least 1." in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prepare", "train", "runs", "scores", "doctor"])
def test_help_teaches_with_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "python -m learnability" in capsys.readouterr().out.split("examples:")[1]


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(digits):
    command = [sys.executable, "-m", "learnability", "train", "--data", "digits", "--arch", "resnet20", "--cache", str(digits.root)]
    command += ["--subset", "100", "--epochs", "8", "--precision", "fp32", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "100"})
    deadline = time.monotonic() + 120
    while not any(run.looks for run in load_runs(digits, "digits")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "goes on from there" in told
    (stopped,) = load_runs(digits, "digits")
    assert stopped.state == "stopped"
    assert 0 < stopped.looks < 8
    assert subprocess.run(command, capture_output=True, timeout=240).returncode == 0
    (done,) = load_runs(digits, "digits")
    assert (done.state, done.looks) == ("done", 8)


def test_runs_side_by_side_from_the_shell(digits, capsys):
    command = ["train", "--data", "digits", "--arch", "resnet20", "--seeds", "3", "--epochs", "1", "--subset", "40", "--precision", "fp32"]
    command += ["--cache", str(digits.root), "--together", "2"]
    assert main(command) == 0
    assert "side by side: resnet20-s0-" in capsys.readouterr().err
    assert [(run.state, run.looks) for run in load_runs(digits, "digits")] == [("done", 1)] * 3
    assert main(command) == 0 and capsys.readouterr().err.count("is done: 1 looks") == 3
    assert main([*command[:-1], "0"]) == 2
