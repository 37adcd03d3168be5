"""Errors found against samples reviewed, on arrays one can check by eye; and a random audit whose truth is known."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from scipy.stats import binomtest

from learnability import review
from learnability.__main__ import main
from learnability.config import RunConfig
from learnability.curriculum.randomness import words
from learnability.errors import ConfigError, InputError, NotFound
from learnability.metrics import METRICS
from learnability.review import planted_audit as planted
from learnability.review import random_audit as audits
from learnability.store.datasets import ensure_labels, open_dataset
from learnability.store.identity import identities
from learnability.store.writer import RunWriter

# planted


def test_errors_found_in_order():
    hard_n = np.array([0.9, 0.1, 0.8, 0.7, 0.2])
    wrong_n = np.array([True, False, True, False, True])
    assert planted.found_by(hard_n, wrong_n).tolist() == [0, 1, 2, 2, 3, 3]
    assert planted.auroc(hard_n, wrong_n) == pytest.approx(5 / 6)
    assert planted.auroc(-hard_n, wrong_n) == pytest.approx(1 / 6)


def test_within_a_tie_the_curve_is_straight_and_unseen_samples_come_last():
    """One error among four equal samples is found after 2.5 on average: a quarter of it with each."""
    tied = planted.found_by(np.array([5.0, 5.0, 5.0, 5.0, 1.0]), np.array([False, True, False, False, True]))
    assert tied.tolist() == [0, 0.25, 0.5, 0.75, 1, 2]
    assert planted.auroc(np.ones(6), np.arange(6) < 2) == 0.5
    hard_n = planted.hardness("mean_loss", np.array([0.2, np.nan, 3.0]))
    assert hard_n.tolist() == [0.2, -np.inf, 3.0]
    assert planted.found_by(hard_n, np.array([False, True, False])).tolist() == [0, 0, 0, 1]
    assert planted.hardness("learnability", np.array([1.0, 0.0])).tolist() == [-1, 0]
    assert planted.hardness("forgetting_events", np.array([3.0, 0.0]), np.array([0, 1])).tolist() == [3, np.inf]


def test_the_curve_is_the_average_over_orders_of_ties():
    rng = np.random.default_rng(0)
    hard_n, wrong_n = rng.integers(0, 4, 40).astype(float), rng.random(40) < 0.3
    drawn = []
    for _ in range(3000):
        order = np.lexsort((rng.random(40), -hard_n))
        drawn.append(np.concatenate([[0], np.cumsum(wrong_n[order])]))
    np.testing.assert_allclose(planted.found_by(hard_n, wrong_n), np.mean(drawn, axis=0), atol=0.12)


def test_how_far_to_review():
    """3 errors in the first 4, one more at 8: the last 4 hold fewer than 2 from 6 reviewed on."""
    found = np.array([0, 1, 2, 3, 3, 3, 3, 3, 4, 4, 4])
    assert planted.how_far(found, window=4, least=2) == planted.Stop(reviewed=6, found=3.0, window=4, least=2, reached=True)
    assert planted.how_far(found, window=4, least=4).reviewed == 4, "the first window is always looked at"
    endless = planted.how_far(np.arange(11.0), window=4, least=2)
    assert (endless.reviewed, endless.reached) == (10, False)
    assert planted.how_far(found, window=100, least=5).reviewed == 10, "a window larger than all is all"


def test_metrics_without_a_hard_end_have_no_curve():
    scores = {name: np.arange(6.0) for name in METRICS}
    made = planted.curves(scores, np.arange(6) < 2)
    assert set(made) == {name for name, metric in METRICS.items() if metric.easy_is in ("high", "low")}
    assert made["learnability"].auroc == 1 and made["mean_loss"].auroc == 0 and made["aum"].share(2) == 1


def recorded(cache, hits_NE, **fields) -> RunConfig:
    """A run on planted labels that hit at these looks; labels as the version has them. Margins follow the hits."""
    opened = open_dataset(cache, "digits")
    config = RunConfig(data="digits", fingerprint=opened.fingerprint, arch="resnet20", epochs=hits_NE.shape[1], **fields)
    ensure_labels(cache, "digits", opened.fingerprint[:8], config.labels)
    labels_N = open_dataset(cache, "digits", None, config.labels).labels_N
    trained_N = fields_trained(opened.N, config)
    other = (labels_N[:, None] + 1) % 10
    signals = {
        "prediction": np.where(hits_NE, labels_N[:, None], other),
        "loss": np.where(hits_NE, 0.1, 2.0),
        "margin": np.where(hits_NE, 1.0, -1.0),
        "el2n": np.where(hits_NE, 0.1, 1.2),
        "entropy": np.full(hits_NE.shape, 0.5),
    }
    told = [{"epoch": e, "step": e, "loss": 1.0, "accuracy": 0.5, "clamped": 0} for e in range(hits_NE.shape[1])]
    with RunWriter.open(cache, config, np.arange(opened.N), labels_N, trained_N, 10, {"made": "for a test"}) as writer:
        writer.commit({name: signal.astype(np.float32) for name, signal in signals.items()}, told)
        writer.write_scores()
        writer.finish("done")
    return config


def fields_trained(N: int, config: RunConfig) -> np.ndarray:
    return np.ones(N, bool) if config.fold is None else np.arange(N) % config.folds != config.fold


def test_an_audit_reads_planted_runs_and_no_others(digits):
    """A network that misses exactly the planted labels finds each of them first; real runs are none of its business."""
    opened = open_dataset(digits, "digits")
    ensure_labels(digits, "digits", None, "planted-0.02-0")
    wrong_N = open_dataset(digits, "digits", None, "planted-0.02-0").labels_N != opened.labels_N
    assert wrong_N.sum() == 28
    recorded(digits, np.ones((opened.N, 3), bool))
    with pytest.raises(NotFound, match="learnability audit --data digits"):
        planted.planted_audit(digits, "digits", "resnet20-00000000")
    config = recorded(digits, np.repeat(~wrong_N[:, None], 3, 1), labels="planted-0.02-0")
    assert list(planted.planted_groups(digits, "digits")) == [config.group_id]
    made = planted.planted_audit(digits, "digits", config.group_id)
    assert (made.planted, made.n, made.seeds, made.looks, made.held_out) == (28, opened.N, 1, 3, False)
    for metric in ("suspicion", "learnability", "aum", "mean_loss"):
        assert made.curves[metric].found[28] == pytest.approx(28) and made.curves[metric].auroc == 1
    assert made.curves["mean_entropy"].auroc == 0.5
    assert planted.how_far(made.curves["suspicion"].found) == planted.Stop(reviewed=124, found=28.0, window=100, least=5, reached=True)
    assert made.by_auroc[0].auroc == 1 and made.by_auroc[-1].auroc <= 0.5


def test_means_over_seeds_that_are_equal_in_whole_looks_are_ties(digits):
    """Planted labels were hit by one seed alone, the others once and twice of three: 3 of 6 for all, so their order is chance."""
    opened = open_dataset(digits, "digits")
    ensure_labels(digits, "digits", None, "planted-0.02-0")
    wrong_N = open_dataset(digits, "digits", None, "planted-0.02-0").labels_N != opened.labels_N
    for seed, hits_of_wrong, hits_of_others in ((0, 3, 1), (1, 0, 2)):
        hits_NE = np.arange(3) < np.where(wrong_N, hits_of_wrong, hits_of_others)[:, None]
        config = recorded(digits, hits_NE, labels="planted-0.02-0", seed=seed)
    made = planted.planted_audit(digits, "digits", config.group_id)
    assert made.seeds == 2 and made.curves["learnability"].auroc == 0.5


def test_held_out_scores_come_from_the_run_that_did_not_train_on_the_sample(digits):
    """Trained rows were memorised (all hits); held out the planted ones are missed. In-sample alone would find nothing."""
    opened = open_dataset(digits, "digits")
    ensure_labels(digits, "digits", None, "planted-0.02-0")
    wrong_N = open_dataset(digits, "digits", None, "planted-0.02-0").labels_N != opened.labels_N
    for fold in range(2):
        out_N = np.arange(opened.N) % 2 == fold
        hits_N = ~(out_N & wrong_N)
        config = recorded(digits, np.repeat(hits_N[:, None], 2, 1), labels="planted-0.02-0", folds=2, fold=fold)
        assert (config.group_id in planted.planted_groups(digits, "digits")) == (fold == 1), "a seed counts once all its folds are done"
    made = planted.planted_audit(digits, "digits", config.group_id)
    assert made.held_out and made.n == opened.N and made.seeds == 1
    assert made.curves["learnability"].auroc == made.curves["suspicion"].auroc == 1
    assert made.curves["suspicion"].found[28] == pytest.approx(28)


def test_a_curriculum_on_planted_labels_is_no_audit(digits):
    """An experiment on noisy labels trains arms on planted ones; they order samples and were never meant to be looked through."""
    opened = open_dataset(digits, "digits")
    hits_NE = np.ones((opened.N, 2), bool)
    arm = recorded(digits, hits_NE, labels="planted-0.02-0", curriculum="hard_first-0123abcd:linear,a=0.8,b=0.2")
    assert planted.planted_groups(digits, "digits") == {}
    with pytest.raises(NotFound, match="there is: none"):
        planted.planted_audit(digits, "digits", arm.group_id)
    audit = recorded(digits, hits_NE, labels="planted-0.02-0")
    assert list(planted.planted_groups(digits, "digits")) == [audit.group_id]


def test_configs_of_an_audit_differ_in_labels_and_folds_alone():
    base = RunConfig(data="x", fingerprint="0" * 64, arch="vgg16", seed=7, epochs=9, record="eval")
    (one,) = planted.planted_configs(base)
    assert one.labels == "planted-0.02-0" and (one.seed, one.epochs, one.record, one.arch) == (0, 9, "eval", "vgg16")
    held = planted.planted_configs(base, 0.1, seeds=2, folds=3)
    assert [(c.seed, c.fold, c.labels) for c in held] == [(s, f, "planted-0.1-0") for s in (0, 1) for f in (0, 1, 2)]
    for seeds, folds, said in ((0, None, "seeds 0"), (-1, 5, "seeds -1"), (1, 0, "folds 0"), (1, -2, "folds -2")):
        with pytest.raises(ConfigError, match=f"{said}: expected .*at least"):
            planted.planted_configs(base, seeds=seeds, folds=folds)
    assert len({c.recipe for c in held}) == 1 and held[0].recipe != one.recipe != base.recipe


def test_an_audit_plants_at_least_one_label_among_the_samples_used(digits):
    opened = open_dataset(digits, "digits")
    base = RunConfig(data="digits", fingerprint=opened.fingerprint, arch="resnet20")
    for subset, fraction, used in ((None, 0.0001, "1,438"), (100, 0.001, "100")):
        own = dataclasses.replace(base, subset=subset)
        with pytest.raises(InputError, match=f"{fraction} plants no wrong label among the {used} samples used") as refused:
            planted.check_planted(opened, *planted.planted_configs(own, fraction))
        enough = float(re.search(r"planted from (\S+) on", str(refused.value))[1])
        planted.check_planted(opened, *planted.planted_configs(own, enough))
        with pytest.raises(InputError):
            planted.check_planted(opened, *planted.planted_configs(own, enough - 1e-6))
        assert subset or enough == 0.000696, "floor(0.000696 x 1438) = 1"


def test_too_few_planted_errors_say_nothing_of_how_far(digits, capsys):
    """Four planted are always fewer than 5 in 100, so the first 100 would be advised under any score."""
    opened = open_dataset(digits, "digits")
    for version, count in (("planted-0.003-0", 4), ("planted-0.0001-0", 0)):
        config = recorded(digits, np.ones((opened.N, 2), bool), labels=version)
        made = planted.planted_audit(digits, "digits", config.group_id)
        assert made.planted == count and made.too_few() and made.too_few(4) == (count < 4)
        told = planted.how_far_told(made, "suspicion", planted.how_far(made.curves["suspicion"].found))
        assert told == f"{count} planted: too few to say how far to review; it takes at least 5."
    recorded(digits, np.ones((opened.N, 2), bool))
    asked = ["audit", "--data", "digits", "--arch", "resnet20", "--cache", str(digits.root)]
    runs = digits.run_ids("digits")
    assert main([*asked, "--fraction", "0.0001"]) == 2 and "One is planted from 0.000696 on" in capsys.readouterr().err
    assert main([*asked, "--fraction", "0.003"]) == 0
    told = capsys.readouterr().out
    assert "4 planted: too few" in told and "Reviewing the first" not in told and "unknown" in told and digits.run_ids("digits") == runs
    assert main([*asked, "--fraction", "0.003", "--json"]) == 0
    (made,) = json.loads(capsys.readouterr().out)
    assert made["planted"] == 4 and {one["stop"] for one in made["metrics"].values()} == {None}


def test_runs_that_somebody_else_trained_are_no_recipe_for_an_audit(digits, tmp_path, capsys):
    opened = open_dataset(digits, "digits")
    recorded(digits, np.ones((opened.N, 2), bool), record="unknown", origin="imported")
    asked = ["audit", "--data", "digits", "--queue", "--cache", str(digits.root)]
    assert main(asked) == 2 and "trained here: none. Train first" in capsys.readouterr().err
    assert main([*asked, "--recipe", "00000000"]) == 2 and "of recipe 00000000" in capsys.readouterr().err
    assert len(digits.run_ids("digits")) == 1, "nothing is queued"
    assert main(["agreement", "--data", "digits", "--cache", str(digits.root)]) == 0
    assert "another seed of resnet20: import it with --seed 1" in capsys.readouterr().out


# random


def test_a_draw_in_the_shell_names_keys_to_paste_and_needs_no_user_name(digits, capsys, monkeypatch):
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setattr("learnability.commands.audit.identities", lambda _: _Named())
    assert main(["audit", "--data", "digits", "--draw", "3", "--cache", str(digits.root)]) == 0
    assert len(re.findall("'a key'", capsys.readouterr().out)) == 3
    assert review.read_log(digits, "digits").actions[0].by == "unknown"


class _Named:
    """Identities in which every sample is called `a key`."""

    def samples(self, ids):
        return [("a key", "0" * 32)] * len(ids)


@pytest.mark.parametrize(("errors", "n"), [(0, 100), (1, 100), (7, 100), (100, 100), (3, 10)])
def test_the_interval_is_scipys_exact_one(errors, n):
    own, known = audits.clopper_pearson(errors, n), binomtest(errors, n).proportion_ci(0.95, "exact")
    assert (own.low, own.high) == (pytest.approx(known.low, abs=1e-9), pytest.approx(known.high, abs=1e-9))
    assert own.value == errors / n


def test_the_interval_refuses_nonsense():
    for errors, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(InputError):
            audits.clopper_pearson(errors, n)


def judged(cache, rows, verdict, class_name=None):
    review.decide(cache, "digits", identities(open_dataset(cache, "digits")).samples(rows), verdict, class_name=class_name, by="ann")


def estimate(cache):
    return audits.random_audit(review.read_log(cache, "digits"), open_dataset(cache, "digits"))


def test_a_draw_is_random_lasts_and_is_judged_from_its_beginning(digits):
    opened = open_dataset(digits, "digits")
    assert estimate(digits) is None
    action = audits.draw_random_audit(digits, "digits", by="ann", count=20)
    made = estimate(digits)
    expected = np.argsort(words(1, 4, 2**33, opened.N), kind="stable")[:20]
    assert made.sample_ids.tolist() == expected.tolist() and made.population == opened.N
    assert (made.judged, made.wrong, made.left, made.whole) == (0, None, None, False)

    judged(digits, expected[1:4], "keep")
    assert estimate(digits).judged == 0, "what comes before was not judged yet: those judged are no random sample"
    judged(digits, expected[:1], "drop")
    made = estimate(digits)
    assert (made.judged, made.errors) == (4, 1)
    other = opened.class_names[(opened.labels_N[expected[4]] + 1) % 10]
    judged(digits, expected[4:5], "relabel", other)
    judged(digits, expected[5:6], "unsure")
    judged(digits, expected[6:], "keep")
    made = estimate(digits)
    assert made.whole and (made.judged, made.errors, made.unsure) == (20, 2, 1)
    low, high = binomtest(2, 20).proportion_ci(0.95, "exact").low, binomtest(3, 20).proportion_ci(0.95, "exact").high
    assert (made.wrong.value, made.wrong.low, made.wrong.high) == (0.1, pytest.approx(low), pytest.approx(high))
    assert made.left.value == pytest.approx(0.1 * opened.N - 2) and made.left.low == pytest.approx(max(low * opened.N - 2, 0))
    review.undo(digits, "digits", action.id, by="ann")
    assert estimate(digits) is None


def test_a_second_draw_speaks_for_what_was_undecided_then(digits):
    """400 decided before, 40 of them wrong; the draw is among the others; both counts enter what is left and what was wrong."""
    opened = open_dataset(digits, "digits")
    audits.draw_random_audit(digits, "digits", by="ann", count=5)
    judged(digits, np.arange(360), "keep")
    judged(digits, np.arange(360, 400), "drop")
    audits.draw_random_audit(digits, "digits", by="ann", count=50)
    made = estimate(digits)
    assert made.number == 2 and made.population == opened.N - 400 and made.sample_ids.min() >= 400
    assert (made.fixed_before, made.fixed_since) == (40, 0)
    judged(digits, made.sample_ids[:5], "drop")
    judged(digits, made.sample_ids[5:], "keep")
    made = estimate(digits)
    assert (made.judged, made.errors, made.fixed_before, made.fixed_since) == (50, 5, 40, 5)
    assert made.left.value == pytest.approx(0.1 * 1038 - 5) and made.at_source.value == pytest.approx((0.1 * 1038 + 40) / 1438)
    assert made.left.low < made.left.value < made.left.high


def test_an_estimate_never_contradicts_what_is_known(digits):
    """Two of a hundred are wrong; then 80 others are found, and at last all but 8 are decided."""
    opened = open_dataset(digits, "digits")
    audits.draw_random_audit(digits, "digits", by="ann")
    rows = estimate(digits).sample_ids
    others = np.setdiff1d(np.arange(opened.N), rows)
    judged(digits, rows[:2], "drop")
    judged(digits, rows[2:], "keep")
    judged(digits, others[:80], "drop")
    made, high = estimate(digits), binomtest(2, 100).proportion_ci(0.95, "exact").high
    assert made.at_source.value == made.at_source.low == pytest.approx(82 / opened.N) and made.at_source.high == pytest.approx(high)
    assert (made.left.value, made.left.low, made.left.high) == (0, 0, pytest.approx(high * opened.N - 82))
    judged(digits, others[80:-10], "keep")
    judged(digits, others[-10:-8], "unsure")
    made = estimate(digits)
    assert made.left.high == 10 and made.at_source.high == pytest.approx(92 / opened.N)
    assert "about 0 labels (0 to 10)" in audits.told(made)[-1]


def test_samples_unsure_before_a_draw_count_in_the_upper_ends(digits):
    opened = open_dataset(digits, "digits")
    judged(digits, np.arange(300), "unsure")
    judged(digits, np.arange(300, 310), "keep")
    kept = review.read_log(digits, "digits").actions[-1]
    audits.draw_random_audit(digits, "digits", by="ann", count=50)
    judged(digits, estimate(digits).sample_ids, "keep")
    made, high = estimate(digits), binomtest(0, 50).proportion_ci(0.95, "exact").high * (opened.N - 310)
    assert made.open_before == 300 and made.left.value == made.left.low == made.at_source.low == 0
    assert made.left.high == pytest.approx(high + 300) and made.at_source.high == pytest.approx((high + 300) / opened.N)
    assert "Of those decided before, 300 are unsure or undecided" in audits.told(made)[1]
    review.undo(digits, "digits", kept.id, by="ann")
    assert estimate(digits).open_before == 310, "what is undecided again may be wrong too"
    judged(digits, np.arange(300), "drop")
    made = estimate(digits)
    assert (made.open_before, made.fixed_before) == (10, 300) and made.at_source.low == pytest.approx(300 / opened.N)


def test_a_draw_of_everything_leaves_nothing_to_chance(digits):
    opened = open_dataset(digits, "digits")
    judged(digits, np.arange(opened.N - 10), "keep")
    audits.draw_random_audit(digits, "digits", by="ann")
    rows = estimate(digits).sample_ids
    assert len(rows) == 10
    judged(digits, rows[:3], "drop")
    judged(digits, rows[3:], "keep")
    made = estimate(digits)
    assert made.wrong == audits.Interval(value=0.3, low=0.3, high=0.3) and made.left.high == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="nothing is left to draw"):
        audits.draw_random_audit(digits, "digits", by="ann")
    with pytest.raises(InputError, match="at least 1"):
        audits.draw_random_audit(digits, "digits", by="ann", count=0)


def test_intervals_of_random_audits_cover_the_truth():
    """Of 400 audits of 100 from labels of which 4 % are wrong, at least 95 % of the intervals hold 4 %, within chance."""
    rng = np.random.default_rng(0)
    held = sum(one.low <= 0.04 <= one.high for one in (audits.clopper_pearson(int(rng.binomial(100, 0.04)), 100) for _ in range(400)))
    assert held >= 400 * 0.95 - 2 * math.sqrt(400 * 0.95 * 0.05)
