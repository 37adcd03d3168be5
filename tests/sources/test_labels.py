"""What cannot be a label is refused with the first five rows that have it."""

import numpy as np
import pyarrow as pa
import pytest

from learnability.errors import SourceError
from learnability.sources.keys import row_key
from learnability.sources.labels import labels_from_column, labels_from_texts

NAMES = ("cat", "dog", "fish")


def of(values, kind=None, names=None):
    column = pa.chunked_array([pa.array(values, kind)])
    return labels_from_column(column, [row_key(i) for i in range(len(values))], names)


def refused(values, kind=None, names=None) -> str:
    with pytest.raises(SourceError) as caught:
        of(values, kind, names)
    return str(caught.value)


def test_numbers_with_names():
    labels, names = of([2, 0, 1, 2], names=NAMES)
    assert labels.tolist() == [2, 0, 1, 2] and names == NAMES and labels.dtype == np.int64


def test_numbers_without_names_are_named_by_themselves():
    labels, names = of([10, 3, 9, 3])
    assert labels.tolist() == [2, 0, 1, 0] and names == ("3", "9", "10")


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.float64()])
def test_every_number_type(kind):
    assert of([1, 0, 1], kind)[0].tolist() == [1, 0, 1]


def test_text_sorted():
    labels, names = of(["dog", "cat", "dog", "Ä"])
    assert names == ("cat", "dog", "Ä") and labels.tolist() == [1, 0, 1, 2]
    dictionary = pa.chunked_array([pa.array(["x", "w"]).dictionary_encode(), pa.array(["v", "x"]).dictionary_encode()])
    labels, names = labels_from_column(dictionary, list("abcd"), None)
    assert [names[i] for i in labels] == ["x", "w", "v", "x"]


def test_truth_values():
    assert of([True, False, True])[1] == ("false", "true")


@pytest.mark.parametrize(
    ("values", "kind", "names", "why", "first"),
    [
        ([0, None, 1, None], pa.int64(), None, "missing", "'00000001': None, '00000003': None"),
        ([0.0, float("nan"), 1.0], pa.float64(), None, "missing", "'00000001': nan"),
        (["a", None, "b"], pa.string(), None, "missing", "'00000001': None"),
        (["a", "", "b"], pa.string(), None, "empty", "'00000001': ''"),
        ([0, -1, 1, -1], pa.int64(), NAMES, "below 0", "'00000001': -1, '00000003': -1"),
        ([0.5, 1.0, 2.0], pa.float64(), None, "no whole numbers", "'00000000': 0.5"),
        ([float("inf"), 1.0], pa.float64(), None, "no whole numbers", "'00000000': inf"),
        ([0, 3, 1], pa.int64(), NAMES, "out of range", "'00000001': 3"),
        ([2**63, 1], pa.uint64(), None, "out of range", "'00000000': 9223372036854775808"),
    ],
)
def test_refused_with_rows(values, kind, names, why, first):
    told = refused(values, kind, names)
    assert why in told and first in told and "Expected" in told


def test_only_the_first_five_rows_are_shown():
    told = refused([-1] * 50, pa.int64())
    assert told.startswith("50 of 50 labels") and "00000004" in told and "00000005" not in told


@pytest.mark.parametrize("values", [list(range(70_000)), [f"name{i}" for i in range(70_000)]])
def test_more_classes_than_there_may_be(values):
    told = refused(values)
    assert "70,000 classes" in told and "65,536" in told


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.binary(), pa.date32()])
def test_types_that_are_no_labels(kind):
    assert "expected whole numbers or text" in refused([None], kind)


def test_cells_of_a_csv():
    keys = list("abcd")
    assert labels_from_texts(["10", "9", "10", "0"], keys)[1] == ("0", "9", "10")
    assert labels_from_texts(["1.0", "2.0", "1.0", "2.0"], keys)[1] == ("1", "2")
    assert labels_from_texts(["x", "y", "x", "None of them"], keys)[1] == ("None of them", "x", "y")
    for cells, why, row in [
        (["1", "", "2", "1"], "missing", "'b': ''"),
        (["1", "NaN", "2", "1"], "missing", "'b': 'NaN'"),
        (["1", "-1", "2", "1"], "below 0", "'b': -1"),
        (["1", "1.5", "2", "1"], "no whole numbers", "'b': '1.5'"),
        (["1", "cat", "2", "1"], "mixed types", "'b': 'cat'"),
        (["fish", "cat", "2", "dog"], "mixed types", "'c': '2'"),
    ]:
        with pytest.raises(SourceError) as caught:
            labels_from_texts(cells, keys)
        assert why in str(caught.value) and row in str(caught.value)
