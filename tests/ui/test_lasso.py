"""What a selection means."""

import numpy as np
import pytest

from ui import lasso

TRIANGLE = (((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),)


def test_even_odd_rule_against_a_plain_reference():
    rng = np.random.default_rng(0)
    polygon = tuple(map(tuple, rng.random((9, 2))))
    x, y = rng.random(3000), rng.random(3000)

    def crossings(px, py):
        inside = False
        for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if (y0 > py) != (y1 > py) and px < (x1 - x0) * (py - y0) / (y1 - y0) + x0:
                inside = not inside
        return inside

    assert lasso.inside((polygon,), x, y).tolist() == [crossings(px, py) for px, py in zip(x, y, strict=True)]


def test_shapes_add_up_and_nan_is_in_none():
    x, y = np.array([0.1, 5.5, 9.0, np.nan]), np.array([0.1, 5.5, 9.0, 0.1])
    assert lasso.inside(TRIANGLE + lasso.box(5, 6, 5, 6), x, y).tolist() == [True, True, False, False]
    assert not lasso.inside((), x, y).any()


def test_what_plotly_sends():
    event = {
        "lasso": [{"x": [0, 1, 0], "y": [0, 0, 1], "xref": "x", "yref": "y"}, {"x": [0, 1, 0], "y": [0, 0, 1], "xref": "x", "yref": "y2"}],
        "box": [{"x": [2, 3], "y": [4, 5], "xref": "x", "yref": "y"}],
    }
    assert lasso.from_event(event) == (((0, 0), (1, 0), (0, 1)), ((2, 4), (3, 4), (3, 5), (2, 5)))


def test_text_goes_round_and_is_short():
    circle = tuple((0.5 + 0.4 * np.cos(t), 0.5 + 0.4 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 500))
    text = lasso.as_text((circle, *TRIANGLE))
    back = lasso.parse(text)
    assert len(back[0]) == lasso.MAX_CORNERS and back[1] == TRIANGLE[0] and len(text) < 1000
    x = np.random.default_rng(1).random((2, 2000))
    assert (lasso.inside((circle,), *x) == lasso.inside(back[:1], *x)).mean() > 0.99


@pytest.mark.parametrize("text", ["", "1,2", "1,2;3,4", "a,b;1,1;2,2", "1,2,3;1,1;2,2", "inf,0;0,1;1,1", "0,0;1,1;nan,1", "1e10,0;0,0;1,1"])
def test_any_other_text_is_refused(text):
    with pytest.raises(ValueError):
        lasso.parse(text)


def test_shorten_keeps_a_text_on_one_line():
    assert lasso.shorten("a\nb\0c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert len(lasso.shorten("x" * 10_000)) <= 81
