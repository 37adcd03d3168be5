"""What must hold for any recording: the invariances, bounds and never-learned values that the metrics promise."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import learnability.metrics.looks as looks_module
from learnability.metrics import METRICS, score_all
from learnability.recording import Recording
from tests.metrics.signals import DRAWN, logits_and_labels, of_logits, recording_of, recordings, with_signals

EPOCHS = {"first_learned", "consistently_learned", "iteration_learned"}  # they return the index of a look


def assert_same(scores, expected, but=(), exact=False):
    assert list(scores) == list(expected)
    for name in set(scores) - set(but):
        np.testing.assert_allclose(scores[name], expected[name], rtol=0 if exact else 1e-12, atol=0 if exact else 1e-12, err_msg=name)


@DRAWN
@given(drawn=logits_and_labels(), data=st.data())
def test_permuting_samples_permutes_scores(drawn, data):
    logits_NEK, labels_N = drawn
    order_N = np.array(data.draw(st.permutations(range(len(labels_N)))))
    scores = score_all(recording_of(logits_NEK, labels_N))
    assert_same(
        score_all(recording_of(logits_NEK[order_N], labels_N[order_N])), {name: score_N[order_N] for name, score_N in scores.items()}
    )


@DRAWN
@given(drawn=logits_and_labels(), data=st.data())
def test_renaming_classes_changes_only_the_name_of_the_wrong_class(drawn, data):
    logits_NEK, labels_N = drawn
    logits_NEK = logits_NEK + np.arange(logits_NEK.shape[2]) / 16  # no ties: a tie goes to the lowest class, whose name changes
    name_K = np.array(data.draw(st.permutations(range(logits_NEK.shape[2]))))
    scores, renamed = (
        score_all(recording_of(logits_NEK, labels_N)),
        score_all(recording_of(logits_NEK[:, :, np.argsort(name_K)], name_K[labels_N])),
    )
    assert_same(renamed, scores, but={"consensus_prediction"})
    wrong_N = scores["consensus_prediction"].astype(int)
    np.testing.assert_array_equal(renamed["consensus_prediction"], np.where(wrong_N < 0, -1, name_K[wrong_N]))


@DRAWN
@given(drawn=logits_and_labels(), constant=st.integers(-50, 50))
def test_adding_a_constant_to_all_logits_changes_nothing(drawn, constant):
    logits_NEK, labels_N = drawn
    assert_same(score_all(recording_of(logits_NEK + constant, labels_N)), score_all(recording_of(logits_NEK, labels_N)))


@DRAWN
@given(drawn=logits_and_labels(), stored=st.booleans())
def test_bounds_ranges_and_never_learned_values(drawn, stored):
    logits_NEK, labels_N = drawn
    recording = recording_of(logits_NEK, labels_N, stored=stored)
    scores, slack, K = score_all(recording), 1e-3 if stored else 1e-9, recording.K
    for name, metric in METRICS.items():
        low, high = metric.range(recording.E, K)
        assert (scores[name] >= low - slack).all() and (scores[name] <= high + slack).all(), name
    assert (scores["suspicion"] > 0).all() and (scores["suspicion"] < 1).all()
    assert (scores["consensus_share"] <= 1 - scores["learnability"] + slack).all()
    never_N = scores["never_learned"] == 1
    never = {name: score_N[never_N] for name, score_N in scores.items()}
    assert (never["learnability"] == 0).all() and (never["forgetting_events"] == 0).all() and (never["consensus_prediction"] >= 0).all()
    assert (never["first_learned"] == recording.E).all() and (never["consistently_learned"] == recording.E).all()
    assert (never["confidence"] <= 0.5 + slack).all() and (never["variability"] <= 0.25 + slack).all() and (never["aum"] <= slack).all()
    assert (
        (never["el2n"] >= 0.5 - slack).all()
        and (never["el2n_early"] >= 0.5 - slack).all()
        and (never["mean_loss"] >= np.log(2) - slack).all()
    )
    assert (never["consensus_share"] >= 1 / (K - 1) - slack).all()
    if never_N.any() and not never_N.all():
        assert never["suspicion"].min() > scores["suspicion"][~never_N].max()


@DRAWN
@given(recording=recordings())
def test_events_and_learning_events_differ_by_at_most_one(recording):
    scores = score_all(recording, ["forgetting_events", "prediction_flips", "learnability"])
    for i in range(recording.N):
        hits = recording.hits_NE[i, recording.seen_NE[i]]
        if len(hits):
            learned = (hits[1:] & ~hits[:-1]).sum()
            assert abs(scores["forgetting_events"][i] - learned) <= 1
            assert scores["forgetting_events"][i] + learned <= scores["prediction_flips"][i]


@DRAWN
@given(recording=recordings(), data=st.data())
def test_adding_a_hit_never_lowers_learnability(recording, data):
    i, e = data.draw(st.integers(0, recording.N - 1)), data.draw(st.integers(0, recording.E - 1))
    prediction_NE = recording.prediction_NE.copy()
    if recording.seen_NE[i, e]:
        prediction_NE[i, e] = recording.labels_N[i]
    better = dataclasses.replace(recording, prediction_NE=prediction_NE)
    np.testing.assert_array_compare(
        np.greater_equal, METRICS["learnability"].score(better), METRICS["learnability"].score(recording), equal_nan=True
    )


@DRAWN
@given(recording=recordings(), data=st.data())
def test_an_unseen_look_changes_nothing_but_the_index_of_later_looks(recording, data):
    at = data.draw(st.integers(0, recording.E))
    mark = {"loss": np.nan, "prediction": 255, "margin": 3, "el2n": 1, "entropy": 1}
    signals = {f"{name}_NE": np.insert(signal, at, mark[name], axis=1) for name, signal in recording.signals.items()}
    scores, longer = score_all(recording), score_all(dataclasses.replace(recording, **signals))
    assert_same(longer, scores, but=EPOCHS | {"el2n_early"})
    for name in EPOCHS & set(scores):
        np.testing.assert_array_equal(longer[name], np.where(scores[name] >= at, scores[name] + 1, scores[name]), err_msg=name)


@DRAWN
@given(recording=recordings(), cells=st.integers(1, 30))
def test_chunks_of_any_size_give_the_same_numbers(recording, cells):
    expected = score_all(recording)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks_module, "CELLS", cells)
        assert_same(score_all(recording), expected)


@DRAWN
@given(recording=recordings(), data=st.data())
def test_rows_on_their_own_give_the_same_numbers_but_for_suspicion(recording, data):
    rows = np.array(data.draw(st.sets(st.integers(0, recording.N - 1), min_size=1).map(sorted)))
    expected = {name: score_N[rows] for name, score_N in score_all(recording).items()}
    assert_same(score_all(recording.rows(rows)), expected, but={"suspicion"})


@DRAWN
@given(recording=recordings())
def test_a_sample_never_seen_scores_nan_in_every_metric_and_no_other_does(recording):
    seen_N = recording.seen_NE.any(axis=1)
    for name, score_N in score_all(recording).items():
        assert np.isnan(score_N[~seen_N]).all(), name
        assert name == "el2n_early" or np.isfinite(score_N[seen_N]).all(), name


@DRAWN
@given(drawn=logits_and_labels())
def test_one_look(drawn):
    logits_NEK, labels_N = drawn[0][:, :1], drawn[1]
    recording = recording_of(logits_NEK, labels_N)
    scores, hit_N = score_all(recording), recording.hits_NE[:, 0]
    for name in ("forgetting_events", "prediction_flips", "iteration_learned", "variability", "loss_std"):
        assert (scores[name] == 0).all(), name
    np.testing.assert_array_equal(scores["learnability"], hit_N)
    np.testing.assert_array_equal(scores["first_learned"], ~hit_N)
    np.testing.assert_array_equal(scores["consistently_learned"], ~hit_N)
    np.testing.assert_array_equal(scores["consensus_prediction"], np.where(hit_N, -1, recording.prediction_NE[:, 0]))
    np.testing.assert_array_equal(scores["el2n"], scores["el2n_early"])


@DRAWN
@given(drawn=logits_and_labels(classes=st.just(2)))
def test_two_classes(drawn):
    recording = recording_of(*drawn)
    scores = score_all(recording)
    np.testing.assert_allclose(scores["el2n"], np.sqrt(2) * (1 - scores["confidence"]), atol=1e-12)
    np.testing.assert_allclose(scores["consensus_share"], 1 - scores["learnability"], atol=1e-12)
    assert (np.isin(scores["consensus_prediction"], (-1, 0, 1))).all()


def test_always_right_and_all_equal():
    N, E = 5, 4
    logits_NEK = np.tile(np.array([9.0, 0, 0]), (N, E, 1))
    scores = score_all(recording_of(logits_NEK, np.zeros(N, int)))
    assert (scores["learnability"] == 1).all() and (scores["consensus_prediction"] == -1).all() and (scores["consensus_share"] == 0).all()
    np.testing.assert_array_equal(scores["suspicion"], np.full(N, 0.5))  # all tied: everyone in the middle


def test_many_classes_and_predictions_of_two_bytes():
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 40_000, 300)
    prediction_NE = np.where(rng.random((300, 50)) < 0.5, labels_N[:, None], rng.choice([7, 39_999, 20_000], (300, 50))).astype("<u2")
    recording = Recording(labels_N=labels_N, class_count=40_000, prediction_NE=prediction_NE)
    scores = score_all(recording)
    wide = dataclasses.replace(recording, **with_signals(recording, lambda signal: signal.astype(np.int64)))
    assert_same(score_all(wide), scores, exact=True)
    for i in range(0, 300, 30):
        wrong = prediction_NE[i][prediction_NE[i] != labels_N[i]]
        assert scores["consensus_share"][i] == np.unique(wrong, return_counts=True)[1].max() / 50


@DRAWN
@given(drawn=logits_and_labels())
def test_invariants_of_the_signals(drawn):
    logits_NEK, labels_N = drawn
    signals, K = of_logits(logits_NEK, labels_N), logits_NEK.shape[2]
    hit_NE, p_NE = signals["prediction"] == labels_N[:, None], np.exp(-signals["loss"])
    assert hit_NE[signals["margin"] > 0].all() and not hit_NE[signals["margin"] < 0].any()
    assert (signals["el2n"] >= (1 - p_NE) * np.sqrt(K / (K - 1)) - 1e-12).all() and (
        signals["el2n"] <= (1 - p_NE) * np.sqrt(2) + 1e-12
    ).all()
    assert (p_NE[~hit_NE] <= 0.5 + 1e-12).all()
    assert (signals["entropy"] >= -1e-12).all() and (signals["entropy"] <= np.log(K) + 1e-12).all()
    probability_NEK = np.exp(logits_NEK - logits_NEK.max(axis=2, keepdims=True))
    probability_NEK /= probability_NEK.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(p_NE * np.maximum(1, np.exp(-signals["margin"])), probability_NEK.max(axis=2), atol=1e-9)
