"""Recordings: shapes are checked once, unseen is a mark and never a miss."""

import numpy as np
import pytest

from learnability.errors import InputError
from learnability.recording import Recording, storage_dtype

LABELS = np.array([0, 1])
PREDICTION = np.array([[0, 1, 0], [1, 1, 255]], np.uint8)
LOSS = np.array([[0.1, np.nan, 0.3], [0.5, 0.1, 0.2]], np.float16)


def recording(**fields):
    return Recording(**{"labels_N": LABELS, "class_count": 2, "prediction_NE": PREDICTION, **fields})


def test_defaults():
    it = recording()
    assert (it.N, it.E, it.K, it.epochs, it.record) == (2, 3, 2, 3, "unknown")
    assert list(it.sample_ids_N) == [0, 1] and it.trained_N.all() and list(it.signals) == ["prediction"]
    assert recording(epochs=30).epochs == 30
    assert list(recording(sample_ids_N=[3, 7], trained_N=[True, False]).sample_ids_N) == [3, 7]


def test_unseen_is_nan_in_the_loss_and_only_there():
    it = recording(loss_NE=LOSS)
    np.testing.assert_array_equal(it.seen_NE, [[True, False, True], [True, True, True]])
    np.testing.assert_array_equal(it.hits_NE, [[True, False, True], [True, True, False]])


def test_without_a_loss_unseen_is_the_largest_value_of_the_predictions_type():
    np.testing.assert_array_equal(recording().seen_NE, [[True, True, True], [True, True, False]])
    np.testing.assert_array_equal(recording().hits_NE, [[True, False, True], [True, True, False]])
    wide = recording(prediction_NE=PREDICTION.astype(np.uint16))  # 255 is a class like any other in two bytes
    assert wide.seen_NE.all()


def test_with_other_signals_alone_unseen_is_nan():
    it = Recording(labels_N=LABELS, class_count=2, margin_NE=np.array([[1.0, np.nan], [0, 2]]))
    np.testing.assert_array_equal(it.seen_NE, [[True, False], [True, True]])
    with pytest.raises(InputError, match="prediction_NE: expected the classes predicted, .* got None"):
        it.hits_NE  # noqa: B018


def test_rows_are_a_recording_of_their_own():
    it = recording(loss_NE=LOSS, sample_ids_N=np.array([4, 9]), trained_N=np.array([True, False]), epochs=30, record="eval")
    for rows in (slice(1, 2), np.array([1]), np.array([False, True])):
        part = it.rows(rows)
        assert (part.N, part.E, part.epochs, part.record) == (1, 3, 30, "eval")
        assert list(part.sample_ids_N) == [9] and list(part.labels_N) == [1] and not part.trained_N[0]
        np.testing.assert_array_equal(part.seen_NE, it.seen_NE[1:])
    assert np.shares_memory(it.rows(slice(1, 2)).loss_NE, it.loss_NE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels_N": np.array([0.0, 1.0])}, "labels_N: expected a whole-number array"),
        ({"labels_N": np.array([0, 2])}, r"labels_N: expected labels 0..1"),
        ({"labels_N": np.array([-1, 0])}, r"labels_N: expected labels 0..1"),
        ({"labels_N": np.array([0, 1, 1])}, r"signals: expected one shape \(3, E\)"),
        ({"loss_NE": LOSS[:, :2]}, r"signals: expected one shape \(2, E\)"),
        ({"prediction_NE": PREDICTION[0]}, "signals: expected one shape"),
        ({"prediction_NE": None}, "without any signal: expected at least one of prediction, loss"),
        ({"prediction_NE": PREDICTION.astype(float)}, "prediction_NE: expected whole numbers, the classes predicted, got float64"),
        ({"sample_ids_N": np.array([3, 3])}, "sample_ids_N: expected rising sample ids, none twice"),
        ({"sample_ids_N": np.array([7, 3], np.uint64)}, "sample_ids_N: expected rising sample ids"),
        ({"sample_ids_N": np.array([1])}, r"sample_ids_N: expected shape \(2,\), got int64 \(1,\)"),
        ({"trained_N": np.array([1, 0])}, r"trained_N: expected bool \(2,\)"),
        ({"looks": ({"epoch": 0},)}, "looks: expected 3, one a look, got 1"),
        ({"record": "test"}, "record: expected one of train, eval, unknown, got 'test'"),
    ],
)
def test_what_cannot_be_a_recording_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        recording(**fields)


def test_storage_leaves_one_value_that_no_class_has():
    assert storage_dtype("prediction", 255) == np.uint8 and storage_dtype("prediction", 256) == np.uint16
    assert all(storage_dtype(name, 1000) == np.float16 for name in ("loss", "margin", "el2n", "entropy"))
