"""What may be compared, and which rows are the same samples."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.agreement import Origin, check_comparable, common_rows, oriented
from learnability.errors import InputError

FIRST = Origin(name="vgg16-s0", fingerprint="a" * 64, labels="original", looks=30, record="train", metric="learnability", recipe="0a1b2c3d")


def other(**changes):
    return dataclasses.replace(FIRST, name="resnet20-s0", **changes)


def test_same_origin():
    assert check_comparable([FIRST, other()]) == ()
    assert check_comparable([FIRST]) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [("fingerprint", "b" * 64), ("labels", "reviewed-1"), ("looks", 20), ("record", "eval"), ("metric", "aum")],
)
def test_refused_with_both_values_unless_asked_for_by_name(field, value):
    with pytest.raises(InputError) as refused:
        check_comparable([FIRST, other(**{field: value})])
    for text in (repr(getattr(FIRST, field)), repr(value), "vgg16-s0", "resnet20-s0", f"({field})"):
        assert text in str(refused.value)
    notes = check_comparable([FIRST, other(**{field: value})], allow=[field])
    assert len(notes) == 1
    assert repr(value) in notes[0]


def test_real_and_planted_never_mix():
    for allow in ((), ("labels",)):
        with pytest.raises(InputError, match="planted-0.05-0.*never mix"):
            check_comparable([FIRST, other(labels="planted-0.05-0")], allow)
    both = [dataclasses.replace(FIRST, labels="planted-0.05-0"), other(labels="planted-0.1-0")]
    assert check_comparable(both, ["labels"])


def test_recipes_may_differ_and_are_named():
    assert check_comparable([FIRST, other(recipe="ffff0000")]) == ("recipe: vgg16-s0 0a1b2c3d, resnet20-s0 ffff0000.",)


def test_unknown_permission_refused():
    with pytest.raises(InputError, match="allow seeds: expected some of"):
        check_comparable([FIRST], ["seeds"])


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.randoms(use_true_random=False))
def test_common_rows(a, b, c, random):
    sides = [np.array(random.sample(sorted(side), len(side)), int) for side in (a, b, c)]
    rows = common_rows(*sides)
    joined = [side[row] for side, row in zip(sides, rows, strict=True)]
    assert set(joined[0].tolist()) == a & b & c
    assert (joined[0] == joined[1]).all()
    assert (joined[0] == joined[2]).all()


def test_common_rows_of_keys_and_hashes():
    rows = common_rows(np.array(["x|1", "y|2", "z|3"]), np.array(["z|3", "y|9", "x|1"]))
    assert [row.tolist() for row in rows] == [[0, 2], [2, 0]]
    with pytest.raises(InputError, match="some twice"):
        common_rows(np.array([1, 1]), np.array([1, 2]))


def test_oriented():
    assert oriented([1, 2], "low").tolist() == [-1, -2]
    assert oriented([1, 2], "high").tolist() == [1, 2]
    with pytest.raises(InputError, match="Name the direction"):
        oriented([1, 2], "neither")
