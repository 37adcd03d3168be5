"""Pacing functions against published tables and their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.curriculum import PACINGS, Pacing, competence, parse_pacing, pool_size
from learnability.curriculum.pacing import WU
from learnability.errors import InputError

STEPS = np.array([0, 1, 8, 20, 40, 60, 79, 80, 100])

PACING = st.builds(
    Pacing,
    name=st.sampled_from(PACINGS),
    a=st.one_of(st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0, 1.6]), st.floats(0, 2)),
    b=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
    f=st.floats(1e-6, 1),
    q=st.floats(1, 100),
    m=st.integers(1, 200),
    c0=st.floats(1e-6, 1),
    p=st.floats(0.1, 20),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log", [200, 649, 815, 889, 944, 976, 998, 1000, 1000]),
        ("root", [200, 289, 452, 600, 765, 892, 994, 1000, 1000]),
        ("linear", [200, 210, 280, 400, 600, 800, 990, 1000, 1000]),
        ("quadratic", [200, 200, 208, 250, 400, 650, 980, 1000, 1000]),
        ("exp", [200, 200, 200, 200, 205, 265, 905, 1000, 1000]),
        ("step", [200, 200, 200, 200, 200, 200, 200, 1000, 1000]),
        ("full", [1000] * 9),
    ],
)
def test_golden_wu(name, expected):
    assert pool_size(Pacing(name=name, a=0.8, b=0.2), STEPS, 1000, 100).tolist() == expected


def test_golden_fixed_exponential():
    sizes = pool_size(Pacing(name="fixed_exponential"), np.arange(0, 601, 100), 50_000, 1000)
    assert sizes.tolist() == [2000, 3800, 7220, 13718, 26065, 49522, 50000]


@pytest.mark.parametrize(
    ("c0", "p", "expected"),
    [
        (0.01, 1, [0.0100, 0.1090, 0.2575, 0.5050, 1]),
        (0.01, 2, [0.0100, 0.3164, 0.5001, 0.7071, 1]),
        (0.1, 5, [0.1000, 0.6310, 0.7579, 0.8706, 1]),
    ],
)
def test_golden_competence(c0, p, expected):
    pacing, t = Pacing(name="competence", c0=c0, p=p), np.array([0, 10, 25, 50, 100])
    assert competence(pacing, t, 100) == pytest.approx(expected, abs=5e-5)
    assert pool_size(pacing, t, 1000, 100).tolist() == np.ceil(1000 * competence(pacing, t, 100) - 1e-9).tolist()


@given(PACING, st.integers(1, 5000), st.integers(1, 500))
def test_properties(pacing, N, T):
    sizes = pool_size(pacing, np.arange(T + 1), N, T)
    assert sizes.dtype == np.int64
    assert sizes.min() >= 1
    assert sizes.max() <= N
    assert (np.diff(sizes) >= 0).all()
    if pacing.name in WU:
        assert (sizes[np.arange(T + 1) >= pacing.a * T] == N).all()
    if pacing.name == "competence":
        assert sizes[-1] == N
    assert int(pool_size(pacing, T // 2, N, T)) == sizes[T // 2]


@pytest.mark.parametrize("name", WU)
@pytest.mark.parametrize(("a", "b"), [(0.0, 0.2), (0.8, 1.0)])
def test_all_samples_at_once(name, a, b):
    assert (pool_size(Pacing(name=name, a=a, b=b), np.arange(50), 77, 50) == 77).all()


@given(PACING)
def test_text_round_trip(pacing):
    again = parse_pacing(str(pacing))
    assert (again.name, again.parameters) == (pacing.name, pacing.parameters)


def test_one_pacing_is_written_in_one_way():
    assert str(Pacing(a=1, b=np.float64(0))) == str(parse_pacing("linear,a=1,b=0")) == "linear,a=1.0,b=0.0"
    with pytest.raises(InputError, match="a 'x': expected a number"):
        Pacing(a="x")


def test_text_with_defaults():
    assert parse_pacing("linear,b=0.5") == Pacing(name="linear", a=0.8, b=0.5)
    assert parse_pacing("full") == Pacing(name="full")


@pytest.mark.parametrize(
    "text", ["cubic", "linear,z=1", "linear,a=x", "linear,c0=0.1", "linear,b=2", "linear,a=.5,a=.6", "full,a=.5", "fixed_exponential,m=0"]
)
def test_text_refused(text):
    with pytest.raises(InputError, match="expected"):
        parse_pacing(text)
