"""The figures of `agreement` and the reports: groups across recipes, ends, ceilings on the same samples, and scipy as a witness."""

import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from learnability import jobs
from learnability.__main__ import main, parser
from learnability.agreement import agree
from learnability.jobs.processes import Process
from learnability.metrics import MIXED
from learnability.report import tables
from learnability.report.agreement import measured
from learnability.store.runs import load_recording
from learnability.store.scores import load_scores, recipes
from tests.ui import made_cache
from tests.ui.conftest import many_root, own_many  # noqa: F401


def of(cache, metric="learnability", recipe=None, **given) -> dict:
    return measured(load_scores(cache, "digits", metric, recipe), 0, **given)


def said(capsys, cache, *asked) -> str:
    assert main(["agreement", "--data", "digits", "--replicates", "0", "--cache", str(cache.root), *asked]) == 0
    return capsys.readouterr().out


def test_correlations_are_those_that_scipy_finds_in_the_exported_scores(own_many, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "scores.parquet"
    assert main(["scores", "--data", "digits", "--out", str(out), "--cache", str(own_many.root)]) == 0
    capsys.readouterr()
    exported = pq.read_table(out).to_pandas()
    told = of(own_many)
    witnesses = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    for kind, witness in witnesses.items():
        for cross in told["agreement"][kind]["crosses"]:
            sides = ([name for name in exported if name.startswith(f"{cross[side]}-s")] for side in "ab")
            seeds_a, seeds_b = ([name for name in side if name != "mobilenet-s1"] for side in sides)
            expected = np.mean([witness(exported[a], exported[b]).statistic for a in seeds_a for b in seeds_b])
            assert cross["single_run"] == pytest.approx(expected, abs=1e-6)


def test_whether_they_err_on_the_same_samples_stands_beside_what_seeds_do(own_many, capsys):  # noqa: F811
    told = measured(load_scores(own_many, "digits", "learnability"), 0, cache=own_many)
    hits = {}
    for name, run in load_scores(own_many, "digits", "learnability").runs.items():
        recording = load_recording(own_many, "digits", run.id)
        hits[name] = recording.prediction_NE[:, -1] == recording.labels_N
    (pair,) = [pair for pair in told["pairs"] if {pair["a"], pair["b"]} == {"resnet20", "vgg16"}]
    errors = pair["errors"]
    expected = np.mean([cohen_kappa_score(hits[f"resnet20-s{i}"], hits[f"vgg16-s{j}"]) for i in (0, 1) for j in (0, 1)])
    assert errors["look"] == 11 and errors["between"]["kappa"] == pytest.approx(expected)
    seeds = errors[f"of_{'a' if pair['a'] == 'vgg16' else 'b'}"]
    assert seeds["kappa"] == pytest.approx(cohen_kappa_score(hits["vgg16-s0"], hits["vgg16-s1"]))
    start = f"errors of {pair['a']} and {pair['b']} after epoch 12: kappa {expected:.3f}"
    assert f"{start}, at most" in said(capsys, own_many), "no interval where none is asked for"
    text = said(capsys, own_many, "--replicates", "100")
    assert f"{start} [" in text
    assert f"of vgg16 {seeds['kappa']:.3f}" in text


def test_runs_that_came_less_far_are_left_out_and_named(own_many, capsys):  # noqa: F811
    told = of(own_many)
    assert told["notes"] == ["left out: mobilenet-s1 (7 of 12 looks)."]
    assert [own["seeds"] for own in told["agreement"]["pearson"]["reliabilities"]] == [1, 2, 2]
    text = said(capsys, own_many)
    assert "note: left out: mobilenet-s1 (7 of 12 looks)." in text
    allowed = of(own_many, allow=["looks"])
    assert any("number of looks: " in note for note in allowed["notes"])
    assert [own["seeds"] for own in allowed["agreement"]["pearson"]["reliabilities"]] == [2, 2, 2]


def test_counts_of_forgetting_say_what_they_mix(own_many, capsys):  # noqa: F811
    assert MIXED in of(own_many, "forgetting_events")["notes"] and MIXED not in of(own_many)["notes"]
    assert f"note: {MIXED}" in said(capsys, own_many, "--metric", "forgetting_events")


def test_recipes_of_one_architecture_are_groups_of_their_own(own_many, capsys):  # noqa: F811
    (real,) = recipes(own_many, "digits")
    config = made_cache.add_run(own_many, "resnet20", 0, lr=0.01)
    told = of(own_many, recipe="all")
    names = [own["group"] for own in told["agreement"]["pearson"]["reliabilities"]]
    assert sorted(names) == sorted(["mobilenet", f"resnet20-{real}", f"resnet20-{config.recipe}", "vgg16"])
    assert any(note.startswith("recipe: ") for note in told["notes"])
    assert f"resnet20-{config.recipe}" in said(capsys, own_many, "--recipe", "all")


def test_real_and_planted_labels_never_mix(own_many):  # noqa: F811
    from learnability.store.datasets import ensure_labels

    before = of(own_many, recipe="all", allow=["labels"])
    ensure_labels(own_many, "digits", None, "planted-0.02-0")
    made_cache.add_run(own_many, "resnet20", 0, labels="planted-0.02-0")
    assert of(own_many, recipe="all", allow=["labels"]) == before


def test_the_ceiling_of_a_subset_is_made_of_the_same_samples(own_many):  # noqa: F811
    found = load_scores(own_many, "digits", "learnability")
    told = measured(found, 0)
    (pair,) = [pair for pair in told["pairs"] if {pair["a"], pair["b"]} == {"resnet20", "vgg16"}]
    rows = [name for name in found.columns if name.split("-")[0] in ("resnet20", "vgg16")]
    score_RN = np.stack([found.columns[name].astype(float) for name in rows])
    means = [score_RN[[i for i, name in enumerate(rows) if name.startswith(arch)]].mean(0) for arch in ("resnet20", "vgg16")]
    kept_N = ~((np.round(means[0] + means[1], 5) == 0) | (np.round(means[0] + means[1], 5) == 2))
    assert pair["nontrivial"]["N"] == kept_N.sum() < len(kept_N)
    own = [np.corrcoef(score_RN[[i for i, name in enumerate(rows) if name.startswith(arch)]][:, kept_N])[0, 1]
           for arch in ("resnet20", "vgg16")]  # fmt: skip
    stepped = [2 * r / (1 + r) for r in own]
    assert pair["nontrivial_cross"]["ceiling"] == pytest.approx(np.sqrt(own[0] * own[1]), abs=1e-6)
    assert pair["nontrivial_cross"]["seed_mean_ceiling"] == pytest.approx(np.sqrt(stepped[0] * stepped[1]), abs=1e-6)
    assert pair["nontrivial_cross"]["seed_mean"] == pytest.approx(pair["nontrivial"]["value"])
    centred_RN = score_RN.copy()
    for label in np.unique(found.labels_N):
        centred_RN[:, found.labels_N == label] -= score_RN[:, found.labels_N == label].mean(1, keepdims=True)
    own = [np.corrcoef(centred_RN[[i for i, name in enumerate(rows) if name.startswith(arch)]])[0, 1] for arch in ("resnet20", "vgg16")]
    assert pair["within_class_cross"]["ceiling"] == pytest.approx(np.sqrt(own[0] * own[1]), abs=1e-6)


def test_ends_are_those_of_the_metric_or_none(own_many, capsys):  # noqa: F811
    forgetting = of(own_many, "forgetting_events")
    assert forgetting["ends"] == [-6, 0]
    events = load_scores(own_many, "digits", "forgetting_events").columns["resnet20-s0"]
    assert forgetting["shapes"]["resnet20-s0"]["share_high"] == pytest.approx((events == 0).mean())
    assert of(own_many, "aum")["ends"] == [None, None]
    text = said(capsys, own_many, "--metric", "aum")
    assert "no end" in text.split("shape of the scores")[1]
    assert of(own_many)["ends"] == [0, 1]


def test_checks_stand_under_the_table_and_say_when_a_score_is_not_itself(own_many, capsys):  # noqa: F811
    told = of(own_many)
    for pair in told["pairs"]:
        made = pair["controls"]
        assert all(value == pytest.approx(1, abs=1e-12) for value in made["itself"].values())
        assert abs(made["permuted"]) < 4 * made["limit"] / 1.96 and abs(made["class_within"]) < 4 * made["limit"] / 1.96
    text = said(capsys, own_many)
    assert text.count("a score with itself exactly 1; permuted over samples") == len(told["pairs"]) == 3
    assert "(chance " in text


def test_the_interval_that_the_verdict_rests_on_stands_beside_the_ratio(own_many, capsys):  # noqa: F811
    told = json.loads(said(capsys, own_many, "--replicates", "50", "--json"))
    crosses = told["agreement"]["pearson"]["crosses"]
    (known,) = [cross["ratio_interval"] for cross in crosses if cross["ratio_interval"]]
    text = said(capsys, own_many, "--replicates", "50")
    assert "interval (of ceiling)" in text
    (ratio,) = [cross["ratio"] for cross in crosses if cross["ratio"] is not None]
    (line,) = [line for line in text.splitlines() if f"[{known['low']:.3f}, {known['high']:.3f}]" in line]
    assert line.index(f"{ratio:.3f}") < line.index(f"[{known['low']:.3f}, {known['high']:.3f}] {known['over']}")


def test_the_hardest_are_told_with_both_sizes_where_ties_made_them_differ(own_many, capsys):  # noqa: F811
    told, text = of(own_many), said(capsys, own_many)
    differ = 0
    for top, page in ((pair["hardest"][1], tables.views(told)) for pair in told["pairs"]):
        sizes = f"{top['k_a']} and {top['k_b']}" if top["k_a"] != top["k_b"] else f"{top['k_a']}"
        assert f"{top['shared']} of {sizes} (chance" in text and f"{top['shared']} of {sizes} (" in page
        differ += top["k_a"] != top["k_b"]
    assert differ


def test_one_seed_gets_the_command_that_trains_another(own_many, capsys):  # noqa: F811
    made_cache.add_run(own_many, "resnet20", 3, epochs=4, looks=4, weight_decay=1e-3)
    text = said(capsys, own_many, "--recipe", recipes(own_many, "digits")[0])
    (line,) = [line.strip() for line in text.splitlines() if line.strip().startswith("python -m")]
    args = parser().parse_args(line.split()[3:])
    assert (args.arch, args.first_seed, args.epochs, args.weight_decay) == (["resnet20"], 4, 4, 1e-3)
    told = json.loads(said(capsys, own_many, "--recipe", recipes(own_many, "digits")[0], "--json"))
    assert told["pairs"] == [] and told["to_train"] == [line]


def test_a_seed_that_ended_early_is_finished_before_another_is_trained(own_many, capsys):  # noqa: F811
    """mobilenet has a whole seed 0 and a seed 1 that stopped; the other two have both."""
    (stopped,) = [run_id for run_id in own_many.run_ids("digits") if run_id.startswith("mobilenet-s1-")]
    text = said(capsys, own_many)
    assert "ceiling unknown: one seed per architecture. To learn it" in text
    assert [line.strip() for line in text.splitlines() if "python -m" in line] == [f"python -m learnability resume {stopped}"]
    assert json.loads(said(capsys, own_many, "--json"))["to_train"] == [f"python -m learnability resume {stopped}"]
    both = said(capsys, own_many, "--allow", "looks")
    assert "To learn it" not in both and json.loads(said(capsys, own_many, "--allow", "looks", "--json"))["to_train"] == []


def test_no_more_seeds_of_planted_runs_are_asked_for(own_many, capsys):  # noqa: F811
    from learnability.store.datasets import ensure_labels

    ensure_labels(own_many, "digits", None, "planted-0.02-0")
    made_cache.add_run(own_many, "resnet20", 0, labels="planted-0.02-0")
    (command,) = json.loads(said(capsys, own_many, "--recipe", "all", "--json"))["to_train"]
    assert command.startswith("python -m learnability resume mobilenet-s1-")


def test_a_seed_that_waits_is_not_asked_for_again(own_many, capsys):  # noqa: F811
    made_cache.add_run(own_many, "vgg16", 0, epochs=4, looks=4)
    config = made_cache.add_run(own_many, "vgg16", 1, epochs=4, looks=0, state="stopped")
    asked = ("--recipe", config.recipe, "--json")
    assert json.loads(said(capsys, own_many, *asked))["to_train"] == [f"python -m learnability resume {config.run_id}"]
    jobs.queue.write(own_many, lambda connection: jobs.queue.set_worker(connection, "cpu", Process.of(os.getpid())))  # none is started
    jobs.resume(own_many, "digits", config.run_id, device="cpu")
    assert json.loads(said(capsys, own_many, *asked))["to_train"] == []


def test_two_runs_in_opposite_order_have_no_reliability_of_their_mean():
    from learnability.agreement import Group

    made = agree(np.array([[0, 0.5, 1], [1, 0.5, 0]]), [Group(name="a", rows=(0, 1), seeds=(0, 1))])
    assert made.reliabilities[0].value == -1 and np.isnan(made.reliabilities[0].stepped_up)
