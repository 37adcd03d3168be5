"""Held-out scores of real trainings in folds: put together for each seed, one group as any other."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from learnability.__main__ import main
from learnability.agreement import prefixes
from learnability.metrics import METRICS, score_all
from learnability.report.agreement import measured
from learnability.store.heldout import held_out_rows, units
from learnability.store.prefixes import prefix_scores
from learnability.store.runs import create_run, load_recording, load_runs
from learnability.store.scores import load_scores
from learnability.training import train
from tests.training.toy import OWN, make_toy

FOLDS, EPOCHS = 2, 3


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """Two seeds in two folds each, and one seed of a second network of which one fold is missing."""
    toy = make_toy(tmp_path_factory.mktemp("folds") / "cache")
    wanted = [("tiny", 0, 0), ("tiny", 0, 1), ("tiny", 1, 0), ("tiny", 1, 1), ("other", 0, 0)]
    for arch, seed, fold in wanted:
        config = toy.config(arch=arch, seed=seed, folds=FOLDS, fold=fold, epochs=EPOCHS)
        create_run(toy.cache, config)
        train(config, toy.cache, "cpu", threads=1, own_architectures=OWN | {"other": OWN["tiny"]})
    return toy


def of_arch(toy, arch):
    return [run for run in load_runs(toy.cache, toy.name) if run.config.arch == arch]


def test_every_sample_has_the_score_of_the_run_that_never_saw_its_label(folded):
    found = load_scores(folded.cache, folded.name)
    assert set(found.columns) == {"tiny-s0", "tiny-s1", "other-s0"}
    for seed, unit in enumerate(units(of_arch(folded, "tiny"))):
        assert [run.config.fold for run in unit] == [0, 1]
        for run in unit:
            recording = load_recording(folded.cache, folded.name, run.id)
            held_N = held_out_rows(folded.cache, run)[1]
            assert np.array_equal(held_N, ~recording.trained_N) and 0 < held_N.sum() < 70
            np.testing.assert_allclose(found.columns[f"tiny-s{seed}"][held_N], recording.hits_NE[held_N].mean(1), atol=1e-6)


def test_a_fold_that_is_missing_leaves_its_samples_without_a_score(folded):
    (run,) = of_arch(folded, "other")
    score_N = load_scores(folded.cache, folded.name).columns["other-s0"]
    assert np.array_equal(np.isnan(score_N), load_recording(folded.cache, folded.name, run.id).trained_N)


def test_a_rank_is_taken_over_the_samples_put_together(folded):
    suspicion_N = load_scores(folded.cache, folded.name, "suspicion").columns["tiny-s0"]
    parts = [load_scores(folded.cache, folded.name, metric).columns["tiny-s0"] for metric in ("learnability", "aum")]
    np.testing.assert_allclose(suspicion_N, METRICS["suspicion"].formula(*parts), atol=1e-6)
    assert suspicion_N.mean() == pytest.approx(0.5)


@pytest.mark.parametrize("metric", ["learnability", "suspicion", "mean_loss"])
def test_scores_over_the_first_epochs_end_at_the_score(folded, metric):
    looks = prefixes(EPOCHS)
    unit = units(of_arch(folded, "tiny"))[0]
    ids_N, score_eN = prefix_scores(folded.cache, unit, metric, looks)
    assert score_eN.shape == (len(looks), 70) and np.array_equal(ids_N, np.arange(70))
    np.testing.assert_allclose(score_eN[-1], load_scores(folded.cache, folded.name, metric).columns["tiny-s0"], atol=1e-5)
    (run,) = of_arch(folded, "other")
    alone = prefix_scores(folded.cache, [run], "mean_loss", (1,))[1][0]
    first = score_all(load_recording(folded.cache, folded.name, run.id, looks=1), ["mean_loss"])["mean_loss"]
    held_N = held_out_rows(folded.cache, run)[1]
    np.testing.assert_allclose(alone[held_N], first[held_N])
    assert np.isnan(alone[~held_N]).all()


def test_the_commands_take_them_as_any_group(folded, capsys):
    at = ["--data", folded.name, "--cache", str(folded.cache.root)]
    assert main(["scores", *at]) == 0
    assert capsys.readouterr().out.splitlines()[0] == '"sample_id","key","label","other-s0","tiny-s0","tiny-s1"'
    assert main(["agreement", *at]) == 0
    said = capsys.readouterr().out
    assert "tiny" in said and "seeds" in said


def test_errors_are_those_of_the_runs_that_held_the_samples_out(folded):
    found = measured(load_scores(folded.cache, folded.name), 0, cache=folded.cache)
    (pair,) = found["pairs"]
    hits = {}
    for run in load_runs(folded.cache, folded.name):
        recording = load_recording(folded.cache, folded.name, run.id)
        own = hits.setdefault((run.config.arch, run.config.seed), np.full(70, np.nan))
        own[~recording.trained_N] = recording.hits_NE[~recording.trained_N, -1]
    both_N = ~np.isnan(hits["other", 0])
    kappas = [cohen_kappa_score(hits["other", 0][both_N], hits["tiny", seed][both_N]) for seed in (0, 1)]
    assert pair["errors"]["look"] == EPOCHS - 1 and 0 < both_N.sum() < 70
    assert pair["errors"]["between"]["kappa"] == pytest.approx(np.mean(kappas))
