"""curriculum from the shell: files for other loops, results, and what is refused. Training has its own test in tests/experiments."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability import curriculum
from learnability.__main__ import main, parser
from learnability.commands.curriculum import design_of
from learnability.curriculum import Pacing
from learnability.experiments import Design, background
from learnability.experiments.scores import candidates
from learnability.jobs import devices, queue
from learnability.jobs.processes import Process
from learnability.store.datasets import ensure_labels, open_dataset
from tests.experiments.looks_written import written
from tests.ui.conftest import many_root, own_many  # noqa: F401
from tests.ui.made_cache import add_run


@pytest.fixture
def shell(own_many, monkeypatch, tmp_path):  # noqa: F811
    """The cache of six runs, in a folder of somebody's own; what is launched stays in the queue."""
    queue.write(own_many, lambda connection: queue.set_worker(connection, devices.lane("auto"), Process.of(os.getpid())))
    monkeypatch.chdir(tmp_path)
    return own_many


def test_an_order_as_a_file(shell, capsys):
    assert main(["curriculum", "order", "--data", "digits", "--out", "order.parquet"]) == 0
    assert "1,438 samples, easy_first by learnability of seeds 0, 1 of" in capsys.readouterr().out
    table, opened = pq.read_table("order.parquet"), open_dataset(shell, "digits")
    assert table.column_names == ["place", "key", "hash", "sample_id", "class", "score"]
    ids = table["sample_id"].to_numpy()
    score_N = np.empty(1438)
    score_N[ids] = table["score"].to_numpy()
    assert ids.tolist() == curriculum.order(score_N, "high", labels_N=opened.labels_N).ids_N.tolist()
    assert main(["curriculum", "order", "--data", "digits", "--arm", "hard_first", "--no-balance", "--out", "hard.csv"]) == 0
    assert main(["curriculum", "order", "--data", "digits", "--metric", "variability", "--easy-is", "low", "--out", "v.parquet"]) == 0


def test_unasked_scores_are_of_the_original_labels_and_of_the_whole_data_set(shell, capsys):
    ensure_labels(shell, "digits", None, "planted-0.2-0")
    for seed in range(3):
        add_run(shell, "mobilenet", seed, labels="planted-0.2-0", epochs=3, looks=3)
        add_run(shell, "mobilenet", seed, subset=300, epochs=3, looks=3)
    opened = open_dataset(shell, "digits")  # an import of five samples has no subset, and yet not the whole data set
    few = [f"{opened.keys[i]},{epoch},{opened.labels_N[i]},{epoch % 10}" for i in range(5) for epoch in range(20)]
    Path("few.csv").write_text("\n".join(["key,epoch,label,prediction", *few]))
    for seed in "012":
        assert main(["import", "table", "few.csv", "--data", "digits", "--name", "theirs", "--seed", seed]) == 0
    assert main(["curriculum", "order", "--data", "digits", "--out", "order.parquet"]) == 0
    assert "1,438 samples, easy_first by learnability of seeds 0, 1 of vgg16" in capsys.readouterr().out
    table = pq.read_table("order.parquet")
    named = [opened.class_names[label] for label in opened.labels_N[table["sample_id"].to_numpy()]]
    assert table["class"].to_pylist() == named
    (part,) = {group for group, runs in candidates(shell, "digits", opened.fingerprint).items() if runs[0].config.subset}
    assert main(["curriculum", "weights", "--data", "digits", "--scores", part, "--out", "weights.parquet"]) == 0
    assert f"samples by learnability of seeds 0, 1, 2 of {part}" in capsys.readouterr().out
    planted = {group for group, runs in candidates(shell, "digits", opened.fingerprint).items() if runs[0].config.labels != "original"}
    assert main(["curriculum", "order", "--data", "digits", "--scores", planted.pop(), "--out", "order.parquet"]) == 0
    assert "labels planted-0.2-0" in capsys.readouterr().out


def test_weights_as_a_file_with_their_effective_size(shell, capsys):
    assert main(["curriculum", "weights", "--data", "digits", "--alpha", "1", "--cap", "3", "--out", "weights.parquet"]) == 0
    said = capsys.readouterr().out
    table = pq.read_table("weights.parquet")
    p_N, w_N = table["p"].to_numpy(), table["w"].to_numpy()
    assert p_N.sum() == pytest.approx(1) and (p_N * w_N).sum() == pytest.approx(1) and p_N.max() / p_N.min() <= 3.0001
    assert f"{1 / (p_N * w_N**2).sum():.0%} of a draw is effective" in said
    assert main(["curriculum", "weights", "--data", "digits", "--alpha", "3", "--cap", "1000", "--out", "steep.parquet"]) == 0
    assert "warning: Only" in capsys.readouterr().out


def test_a_subset_comes_with_its_random_control_and_a_warning_below_a_third(shell, capsys):
    command = ["curriculum", "subset", "--data", "digits", "--out", "subset.parquet"]
    assert main([*command, "--keep", "0.5"]) == 0
    assert "the line to beat" in capsys.readouterr().out
    kept, control = (set(pq.read_table(f"subset{end}.parquet")["sample_id"].to_pylist()) for end in ("", "-random"))
    assert len(kept) == len(control) == 719 and kept != control
    assert main([*command, "--keep", "0.2", "--method", "hard"]) == 0
    assert "has done worse than a random subset" in capsys.readouterr().out
    assert main([*command, "--keep", "0.2", "--method", "random"]) == 0
    assert "warning" not in capsys.readouterr().out


def test_a_launch_returns_and_show_tells_what_there_is(shell, capsys):
    launch = ["curriculum", "run", "--data", "digits", "--seeds", "1", "--epochs", "2", "--pacing", "root,a=0.5"]
    assert main(launch) == 0
    said = capsys.readouterr().out
    assert "easy_first, hard_first, random, standard: resnet20, seed 2, 24 updates each on 1,438 samples" in said
    assert "runs: 4 queued" in said and "MB on disk" in said and "min of training" not in said
    assert main([*launch, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["new"] == [] and len(told["there"]) == 4
    assert main(["curriculum", "show", "--data", "digits", "--all"]) == 0
    assert told["experiment"] in capsys.readouterr().out
    assert main(["curriculum", "show", "--data", "digits"]) == 0
    assert "not known yet" in capsys.readouterr().out
    from learnability.experiments import experiment

    for run in experiment(shell, "digits").all_runs:
        written(shell, run.config, [0.4, 0.9])
    assert main(["curriculum", "show", "--data", "digits", "--target", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "updates to 50.0%" in said and "90.00" in said and "seeds 0, 1" in said
    assert main(["curriculum", "show", "--data", "digits", "--experiment", told["experiment"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"]


def test_a_design_in_the_background_is_the_very_design():
    recipe = (("batch_size", 32), ("deterministic", True), ("epochs", 2), ("lr", 0.05))
    plain = Design(data="digits")
    whole = Design(
        data="digits", arch="timm:convnext_atto", metric="variability", easy_is="low", scores="resnet20-0123abcd", score_seeds=3,
        balance=False, arms=("hard_first", "random"), seeds=5, first_seed=0, pacing=Pacing(name="competence", c0=0.1), subset=400,
        labels="planted-0.2-0", recipe=recipe,
    )  # fmt: skip
    for design in (plain, whole):
        args = parser().parse_args(background.arguments(design))
        assert design_of(args) == design and args.wait and args.device == "auto"


def test_noise_and_a_subset_are_one_option_each(shell, capsys):
    assert main(["curriculum", "run", "--data", "digits", "--label-noise", "0.2", "--subset", "400", "--epochs", "2"]) == 0
    said = capsys.readouterr().out
    assert "First 2 runs for the scores" in said and "the same command launches the arms" in said
    assert len([run_id for run_id in shell.run_ids("digits") if run_id.startswith("resnet20")]) == 4


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--data", "nothing"], "no data set 'nothing'"),
        (["run", "--data", "digits", "--first-seed", "0"], r"seeds \[0, 1\].*--first-seed 2"),
        (["run", "--data", "digits", "--pacing", "warp"], "warp"),
        (["run", "--data", "digits", "--arch", "resnet21"], "'resnet21': expected one of resnet20"),
        (["run", "--data", "digits", "--arms", "easy_first", "standard"], "random always"),
        (["show", "--data", "digits"], "no experiment.*none yet.*curriculum run"),
        (["order", "--data", "digits", "--out", "order.xlsx"], r"\.parquet or \.csv"),
        (["order", "--data", "digits", "--out", "no/where.csv"], "does not exist"),
        (["order", "--data", "digits", "--metric", "luck", "--out", "o.csv"], "luck.*learnability"),
        (["order", "--data", "digits", "--metric", "variability", "--out", "o.csv"], "--easy-is high or --easy-is low"),
        (["order", "--data", "digits", "--scores", "mine", "--out", "o.csv"], "'mine': expected a group or run"),
        (["weights", "--data", "digits", "--alpha", "nan", "--out", "w.csv"], "alpha nan.*all of them finite"),
        (["weights", "--data", "digits", "--cap", "inf", "--out", "w.csv"], "cap inf.*all of them finite"),
        (["show", "--data", "digits", "--target", "90"], "--target 90: expected a test accuracy above 0 and at most 1"),
        (["show", "--data", "digits", "--target", "nan"], "--target nan: expected"),
        (["subset", "--data", "digits", "--keep", "20", "--out", "s.csv"], "--keep 20.0: expected a share"),
    ],
)
def test_what_cannot_be_is_refused_in_words(shell, capsys, arguments, expected):
    assert main(["curriculum", *arguments]) == 2
    assert re.search(expected, capsys.readouterr().err, re.DOTALL)


@pytest.mark.parametrize("action", ["run", "show", "order", "weights", "subset"])
def test_help_teaches_with_examples(action, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["curriculum", action, "--help"])
    assert ended.value.code == 0
    assert f"python -m learnability curriculum {action}" in capsys.readouterr().out.split("examples:")[1]
