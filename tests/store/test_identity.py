"""Samples are found by key and hash in whichever version one looks, never by row."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.errors import NotFound
from learnability.store.datasets import open_dataset
from learnability.store.identity import Identities, identities


def version(*samples) -> Identities:
    return Identities(pa.array([key for key, _ in samples], pa.string()), pa.array([hashed for _, hashed in samples], pa.string()))


def test_match_tells_here_changed_and_gone_apart():
    found = version(("a", "1"), ("b", "2"), ("c", "3")).match(["c", "b", "x", "c", "a"], ["3", "9", "1", "9", "1"])
    assert found.rows_n.tolist() == [2, -1, -1, -1, 0]
    assert found.changed_n.tolist() == [False, True, False, True, False]
    nothing = version(("a", "1")).match([], [])
    assert nothing.rows_n.tolist() == [] and nothing.changed_n.tolist() == []


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.sampled_from("123")), st.lists(st.tuples(st.text(max_size=3), st.sampled_from("123"))))
def test_match_is_what_a_dict_would_say(here, wanted):
    rows = {sample: row for row, sample in enumerate(here.items())}
    found = version(*here.items()).match([key for key, _ in wanted], [hashed for _, hashed in wanted])
    assert found.rows_n.tolist() == [rows.get(sample, -1) for sample in wanted]
    assert found.changed_n.tolist() == [key in here and here[key] != hashed for key, hashed in wanted]


def test_rows_of_a_real_data_set_by_key_and_back(digits_cache):
    dataset = open_dataset(digits_cache, "digits")
    own = identities(dataset)
    assert len(own) == dataset.N + len(dataset.test_labels_T)
    assert own.samples([3, 0]) == [(dataset.keys[3], dataset.hashes[3]), (dataset.keys[0], dataset.hashes[0])]
    assert own.find([dataset.keys[7], dataset.keys[2]]).tolist() == [7, 2]
    assert np.array_equal(own.match(own.keys, own.hashes).rows_n, np.arange(len(own)))
    with pytest.raises(NotFound, match="no sample 'nobody' in this data set version; keys look like"):
        own.find([dataset.keys[0], "nobody"])
    with pytest.raises(NotFound, match="no sample -1 .* expected 0 to"):
        own.samples([0, -1])
