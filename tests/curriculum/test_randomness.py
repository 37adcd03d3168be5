"""One function gives all randomness; its words are fixed for good."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.curriculum import PURPOSES, shuffled, words
from learnability.errors import InputError

seeds = st.integers(0, 2**31 - 1)
purposes = st.sampled_from(sorted(PURPOSES.values()))


@pytest.mark.parametrize(
    ("seed", "purpose", "index", "expected"),
    [
        (0, 0, 0, [0, 2, 1, 5, 4, 3, 6, 7]),
        (0, 0, 1, [7, 4, 2, 6, 5, 0, 1, 3]),
        (0, 1, 0, [5, 3, 7, 2, 4, 1, 0, 6]),
        (1, 0, 0, [3, 5, 2, 7, 0, 6, 1, 4]),
    ],
)
def test_golden_orders(seed, purpose, index, expected):
    assert np.argsort(words(seed, purpose, index, 8), kind="stable").tolist() == expected
    assert shuffled(seed, purpose, index, 8).tolist() == expected


def test_purposes_are_the_numbers_the_engine_relies_on():
    names = ("order", "ties", "random_order", "pruning", "draw", "crop", "flip", "labels", "folds", "dropout")
    assert {name: i for i, name in enumerate(names)} == PURPOSES


def test_words_are_64_bit():
    drawn = words(3, 4, 5, 1000)
    assert drawn.dtype == np.uint64
    assert drawn.max() > 2**63
    assert len(words(0, 0, 0, 0)) == 0


@given(seeds, purposes, st.integers(0, 2**40), st.integers(0, 50), st.integers(0, 50))
def test_a_longer_draw_begins_with_the_shorter(seed, purpose, index, n, more):
    assert (words(seed, purpose, index, n + more)[:n] == words(seed, purpose, index, n)).all()


@given(seeds, seeds, purposes, purposes, st.integers(0, 1000), st.integers(0, 1000))
def test_other_arguments_give_other_words(seed, other, purpose, other_purpose, index, other_index):
    same = (seed, purpose, index) == (other, other_purpose, other_index)
    assert (words(seed, purpose, index, 4) == words(other, other_purpose, other_index, 4)).all() == same


@pytest.mark.parametrize("arguments", [(0, 10, 0, 1), (-1, 0, 0, 1), (0, 0, -1, 1), (2**64, 0, 0, 1)])
def test_refused(arguments):
    with pytest.raises(InputError, match="expected"):
        words(*arguments)
