"""The worked example: four samples, five looks, three classes, numbers one can check by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from learnability.metrics import FIRST, METRICS, available, forgetting_events, most_frequent_wrong, score_all, unforgettable
from learnability.metrics.table import early_look
from learnability.recording import Recording
from tests.metrics.signals import GOLDEN_LABELS, GOLDEN_LOGITS, of_logits, recording_of

EXPECTED = {
    "learnability": (1, 0.6, 0, 0.4),
    "never_learned": (0, 0, 1, 0),
    "forgetting_events": (0, 1, 0, 2),
    "first_learned": (0, 1, 5, 1),
    "consistently_learned": (0, 3, 5, 5),
    "iteration_learned": (0, 3, 0, 4),
    "confidence": (0.8864, 0.5880, 0.1086, 0.4129),
    "variability": (0.1580, 0.2972, 0.0838, 0.2060),
    "aleatoric": (0.0757, 0.1539, 0.0898, 0.2000),
    "aum": (3.8, 1.0, -2.4, -0.2),
    "el2n_early": (0.5191, 0.9989, 1.1954, 1.0105),
    "el2n": (0.1391, 0.5284, 1.2278, 0.7760),
    "mean_loss": (0.1401, 0.7066, 2.5779, 1.0076),
    "loss_std": (0.2080, 0.6349, 0.9148, 0.4899),
    "mean_entropy": (0.3267, 0.7011, 0.4895, 0.8324),
    "prediction_flips": (0, 3, 0, 4),
    "consensus_prediction": (-1, 0, 0, 1),
    "consensus_share": (0, 0.4, 1.0, 0.6),
    "suspicion": (0.125, 0.375, 0.875, 0.625),
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("stored", [False, True], ids=["float64", "float16"])
def test_worked_example(name, stored):
    score_N = METRICS[name].score(recording_of(GOLDEN_LOGITS, GOLDEN_LABELS, stored=stored))
    if METRICS[name].whole:
        assert tuple(score_N) == EXPECTED[name]
    else:
        np.testing.assert_allclose(score_N, EXPECTED[name], rtol=0, atol=3e-4 if stored else 5.1e-5)


def test_worked_example_signals():
    signals = of_logits(GOLDEN_LOGITS, GOLDEN_LABELS)
    hits_NE = signals["prediction"] == GOLDEN_LABELS[:, None]
    assert ["".join(map(str, row.astype(int))) for row in hits_NE] == ["11111", "01011", "00000", "01010"]
    assert ["".join(map(str, row)) for row in signals["prediction"]] == ["00000", "01011", "00000", "10101"]
    probability_margin_NE = np.exp(-signals["loss"]) * (1 - np.exp(-signals["margin"]))
    np.testing.assert_allclose(probability_margin_NE.mean(axis=1), (0.8296, 0.2881, -0.7334, -0.0841), atol=5.1e-5)
    np.testing.assert_allclose(signals["el2n"][:, 1], (0.1109, 0.2609, 1.3193, 0.4243), atol=5.1e-5)
    np.testing.assert_allclose(signals["el2n"][:, -1], (0.0060, 0.1109, 1.0233, 1.0105), atol=5.1e-5)
    assert np.std(np.exp(-signals["loss"]), axis=1, ddof=1)[0] == pytest.approx(0.1766, abs=5.1e-5)  # what variability is not


@pytest.mark.parametrize(
    ("never", "expected"), [("separate", (0, 1, 0, 2)), ("E", (0, 1, 5, 2)), ("inf", (0, 1, math.inf, 2)), ("zero", (0, 1, 0, 2))]
)
def test_never_learned_and_forgetting(never, expected):
    scores = score_all(recording_of(GOLDEN_LOGITS, GOLDEN_LABELS))
    assert tuple(forgetting_events(scores, 5, never)) == expected
    assert tuple(unforgettable(scores)) == (True, False, False, False)  # C has no events either, and was never learned
    with pytest.raises(ValueError, match="never '1000': expected one of separate, E, inf, zero"):
        forgetting_events(scores, 5, "1000")


@pytest.mark.parametrize(
    ("hits", "learnability", "events", "first", "consistently", "never"),
    [
        ("1111111", 1, 0, 0, 0, 0),
        ("0000000", 0, 0, 7, 7, 1),
        ("1010101", 4 / 7, 3, 0, 6, 0),
        ("0101010", 3 / 7, 3, 1, 7, 0),
        ("0111111", 6 / 7, 0, 1, 1, 0),
        ("1000000", 1 / 7, 1, 0, 7, 0),
        ("1", 1, 0, 0, 0, 0),
        ("0", 0, 0, 1, 1, 1),
    ],
)
def test_sequences_of_hits(hits, learnability, events, first, consistently, never):
    prediction_NE = np.array([[1 - int(hit) for hit in hits]], np.uint8)
    scores = score_all(Recording(labels_N=np.array([0]), class_count=2, prediction_NE=prediction_NE))
    assert scores["learnability"] == pytest.approx(learnability)
    names = ("forgetting_events", "first_learned", "consistently_learned", "never_learned")
    assert tuple(scores[name].item() for name in names) == (events, first, consistently, never)


def test_unseen_looks_are_no_misses_and_epochs_keep_their_index():
    """hits  . 1 . 0 . 1 . : one event although a look lies between, settled at look 5; the second sample was never seen."""
    prediction_NE = np.array([[9, 0, 9, 1, 9, 0, 9], [9] * 7], np.uint8)
    loss_NE = np.where(prediction_NE == 9, np.nan, np.array([0.5], np.float16))
    recording = Recording(labels_N=np.array([0, 0]), class_count=2, prediction_NE=prediction_NE, loss_NE=loss_NE)
    scores = score_all(recording)
    expected = {
        "learnability": 2 / 3,
        "never_learned": 0,
        "forgetting_events": 1,
        "first_learned": 1,
        "consistently_learned": 5,
        "iteration_learned": 5,
        "mean_loss": 0.5,
        "loss_std": 0,
        "prediction_flips": 2,
        "consensus_prediction": 1,
        "consensus_share": 1 / 3,
    }
    for name, value in expected.items():
        assert scores[name][0] == pytest.approx(value), name
    assert all(np.isnan(score_N[1]) for score_N in scores.values())
    without_loss = Recording(
        labels_N=np.array([0, 0]), class_count=2, prediction_NE=np.where(prediction_NE == 9, np.uint8(255), prediction_NE)
    )
    for name, score_N in score_all(without_loss).items():
        np.testing.assert_array_equal(score_N, scores[name], err_msg=name)


def test_suspicion_counts_misses_as_a_share_of_the_looks_that_saw_the_sample():
    """Two misses of two looks are more suspicious than three of six, and a sample never seen takes no place."""
    prediction_NE = np.array([[1, 1, 255, 255, 255, 255], [1, 1, 1, 0, 0, 0], [255] * 6], np.uint8)
    margin_NE = np.where(prediction_NE == 1, -1.0, 1.0)
    recording = Recording(labels_N=np.zeros(3, int), class_count=2, prediction_NE=prediction_NE, margin_NE=margin_NE)
    np.testing.assert_array_equal(METRICS["suspicion"].score(recording), [0.75, 0.25, np.nan])


def test_early_look_follows_the_recipe_not_the_looks_so_far():
    assert [early_look(epochs) for epochs in (1, 10, 11, 30, 100, 200)] == [0, 0, 1, 2, 9, 19]
    logits = np.tile(GOLDEN_LOGITS, (1, 2, 1))
    whole = METRICS["el2n_early"].score(recording_of(logits, GOLDEN_LABELS, epochs=30))
    growing = recording_of(logits[:, :4], GOLDEN_LABELS, epochs=30)
    np.testing.assert_array_equal(METRICS["el2n_early"].score(growing), whole)
    np.testing.assert_allclose(whole, of_logits(logits, GOLDEN_LABELS)["el2n"][:, 2])
    assert np.isnan(METRICS["el2n_early"].score(recording_of(logits[:, :2], GOLDEN_LABELS, epochs=30))).all()


def test_ties_of_the_most_frequent_wrong_class_go_to_the_one_predicted_last():
    prediction_NE = np.array([[2, 1, 2, 1, 0], [1, 2, 2, 1, 0], [1, 2, 1, 2, 0]], np.uint8)
    recording = Recording(labels_N=np.zeros(3, int), class_count=3, prediction_NE=prediction_NE)
    assert tuple(METRICS["consensus_prediction"].score(recording)) == (1, 1, 2)
    other = Recording(labels_N=np.zeros(3, int), class_count=3, prediction_NE=np.array([[2], [2], [0]], np.uint8))
    class_N, share_N = most_frequent_wrong([recording, other])
    assert tuple(class_N) == (2, 2, 2)  # the last by the later look: counts 2 and 2
    np.testing.assert_allclose(share_N, (3 / 6, 3 / 6, 2 / 6))


def test_most_frequent_wrong_refuses_recordings_of_other_samples():
    recording = recording_of(GOLDEN_LOGITS, GOLDEN_LABELS)
    with pytest.raises(ValueError, match="expected at least one recording, got none"):
        most_frequent_wrong([])
    with pytest.raises(ValueError, match="got other sample_ids_N"):
        most_frequent_wrong([recording, recording.rows(slice(0, 3))])
    with pytest.raises(ValueError, match="with the signal prediction, got one without"):
        most_frequent_wrong([Recording(labels_N=np.array([0]), class_count=2, loss_NE=np.ones((1, 1)))])


def test_metrics_without_their_signals_are_left_out():
    labels_N, signals = GOLDEN_LABELS, of_logits(GOLDEN_LOGITS, GOLDEN_LABELS)
    for given, missing in [
        ("prediction", "suspicion"),
        ("loss", "learnability"),
        ("margin", "suspicion"),
        ("el2n", "aum"),
        ("entropy", "el2n"),
    ]:
        recording = Recording(labels_N=labels_N, class_count=3, **{f"{given}_NE": signals[given]})
        assert available(recording) == [name for name, metric in METRICS.items() if metric.needs == (given,)]
        assert list(score_all(recording)) == available(recording)
        with pytest.raises(ValueError, match=f"metric '{missing}': expected a recording with .*; this has {given}"):
            METRICS[missing].score(recording)
    with pytest.raises(ValueError, match="metric 'memorization': expected one of learnability, never_learned"):
        score_all(recording, ["memorization"])


def test_a_run_without_looks_and_a_recording_without_rows():
    empty = recording_of(GOLDEN_LOGITS[:, :0], GOLDEN_LABELS, epochs=30)
    assert all(np.isnan(score_N).all() and score_N.shape == (4,) for score_N in score_all(empty).values())
    assert np.isnan(most_frequent_wrong([empty])[0]).all()
    assert all(score_N.shape == (0,) for score_N in score_all(recording_of(GOLDEN_LOGITS[:0], GOLDEN_LABELS[:0])).values())


def test_the_table_says_what_a_page_needs():
    assert list(METRICS) == list(EXPECTED)
    assert [METRICS[name].label for name in FIRST] == ["Learnability", "Label suspicion", "Forgetting events"]
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.easy_is in ("high", "low", "neither", "none") and metric.direction
        assert metric.sentence.endswith(".") and len(metric.sentence) < 140, name
        low, high = metric.range(30, 10)
        assert low < high
    assert METRICS["learnability"].direction == "higher = easier"
    assert METRICS["forgetting_events"].range(7, 10) == (0, 3)


def test_the_documentation_has_a_line_for_every_metric():
    text = Path(__file__).parents[2].joinpath("docs", "metrics.md").read_text().split("## The metrics")[1].split("## What to use")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(METRICS)
    for row, metric in zip(rows, METRICS.values(), strict=True):
        assert row[1] == metric.label and row[6] == ", ".join(metric.needs) and len(row) == 9
        assert row[4] == {"neither": "none"}.get(metric.easy_is, metric.direction), metric.name
