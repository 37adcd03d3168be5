"""Every name has one key, every key one name."""

import os

from hypothesis import given
from hypothesis import strategies as st

from learnability.sources.keys import key_of, path_of, row_key
from tests.sources.odd_files import HOSTILE_NAMES

names = st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name)


@given(names)
def test_round_trip_of_any_bytes(name):
    key = key_of(os.fsdecode(name))
    key.encode()  # text that every file format can hold
    assert os.fsencode(path_of(key)) == name


@given(names, names)
def test_two_names_have_two_keys(one, other):
    assert (key_of(os.fsdecode(one)) == key_of(os.fsdecode(other))) == (one == other)


def test_spelling():
    assert key_of("cat/a b.jpg") == "cat/a b.jpg"
    assert key_of(os.fsdecode(b"\xff\\x41.png")) == r"\xff\\x41.png"
    assert [os.fsencode(path_of(key_of(os.fsdecode(name)))) for name in HOSTILE_NAMES] == list(HOSTILE_NAMES)
    assert row_key(7) == "00000007"
