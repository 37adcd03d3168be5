"""Figures made of tables: what they count, what they name, and that texts from the data stay texts."""

import json
import subprocess
import sys

import numpy as np
import pytest

from learnability.charts import distributions, looks, pairs, reliability, style
from learnability.charts.cells import Cells, cells, counts, jitter

EVIL = "<img src=x onerror=alert(1)> **b** %{x} $y$"


def spec(figure) -> dict:
    return json.loads(figure.to_json())


def test_charts_need_no_streamlit():
    code = "import sys, learnability.charts.pairs, learnability.charts.looks; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_one_cell_a_value_while_there_are_few():
    score = np.arange(11) / 10
    made = cells(score, span=(0.0, 1.0), levels=10)
    assert made.exact and made.count == 11
    np.testing.assert_allclose(made.middles[made.index(score)], score)
    assert cells(np.array([3.0, 7.0, np.nan])) == Cells(3.0, 1.0, 5, True)
    many = cells(score, span=(0.0, 1.0), levels=300)
    assert not many.exact and many.span == (0.0, 1.0)
    assert cells(np.array([np.nan])).count == 1 and cells(np.array([2.5, 2.5])).count == 64


def test_counts_against_a_plain_loop():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 300) / 4, rng.integers(0, 3, 300) / 2
    x[:7] = np.nan
    across, up = cells(x, span=(0, 1), levels=4), cells(y, span=(0, 1), levels=2)
    table = counts(x, y, across, up)
    assert table.shape == (3, 5) and table.sum() == 293
    for i, up_value in enumerate(up.middles):
        for j, across_value in enumerate(across.middles):
            assert table[i, j] == sum(a == across_value and b == up_value for a, b in zip(x, y, strict=True))


def test_jitter_belongs_to_the_sample():
    ids = np.array([3, 900, 17])
    np.testing.assert_array_equal(jitter(ids, 1)[1:], jitter(ids[1:], 1))
    assert (np.abs(jitter(np.arange(1000), 2)) <= 0.5).all() and not np.array_equal(jitter(ids, 1), jitter(ids, 2))
    assert len(jitter(np.zeros(0, np.int64), 1)) == 0


def test_counts_figure_shows_counts_marginals_and_outline():
    x, y = np.array([0, 0, 0.5, 1]), np.array([0, 0, 1, 1])
    grid = cells(x, span=(0, 1), levels=2)
    outline = (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)
    made = pairs.counts_figure(x, y, grid, grid, x_title="A", y_title="B", outline=outline)
    heat, above, beside = made.data
    assert np.asarray(heat.customdata).tolist() == [[2, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert np.isnan(np.asarray(heat.z)[1]).all() and np.asarray(heat.text)[0].tolist() == ["2", "", ""]
    assert np.asarray(above.y).tolist() == [2, 1, 1] and np.asarray(beside.x).tolist() == [2, 0, 2]
    assert [shape.type for shape in made.layout.shapes] == ["line", "path"] and made.layout.dragmode == "lasso"
    assert made.data[0].colorbar.ticktext == ("1", "2")


def test_a_figure_is_the_same_when_made_again():
    x = np.random.default_rng(1).random(500)
    grid = cells(x)
    first, again = (pairs.counts_figure(x, x, grid, grid, x_title="A", y_title="B").to_json() for _ in range(2))
    assert first == again


@pytest.mark.parametrize("n", [10, pairs.SVG_POINTS + 1])
def test_points_need_webgl_only_when_many(n):
    x = np.linspace(0, 1, n)
    made = pairs.points_figure(x, x, cells(x), cells(x), [("cat", np.arange(n))], x_title="A", y_title="B")
    assert made.data[0].type == ("scatter" if n <= pairs.SVG_POINTS else "scattergl")
    shaded = pairs.points_figure(x, x, cells(x), cells(x), shade=x, shade_title="S", x_title="A", y_title="B")
    assert shaded.data[0].marker.colorbar.title.text == "S"


def test_texts_of_the_data_are_escaped():
    score = np.array([0.1, 0.9])
    figures = [
        distributions.class_size_figure([EVIL, "b"], np.array([3, 4]), score, title="mean"),
        distributions.class_means_figure([EVIL, "b"], score, title="mean"),
        distributions.class_balance_figure([EVIL, "b"], np.array([3, 4]), np.array([1, 0])),
        looks.curves_figure([(EVIL, np.arange(2), score)], title="accuracy"),
        looks.trajectory_figure(np.arange(2), [(EVIL, score, (0, 0))], (score, score, score), title="loss"),
        looks.predictions_figure(np.arange(2), [EVIL], np.array([[0, -1]]), 1, [EVIL, "b"]),
        pairs.points_figure(score, score, cells(score), cells(score), [(EVIL, np.arange(2))], x_title="A", y_title="B"),
    ]
    for made in figures:
        text = json.dumps(spec(made))
        assert "<img" not in text and "$y$" not in text
    assert len(style.plain("x" * 300)) <= style.MAX_TEXT and style.middle_cut("a\nb") == "a\N{REPLACEMENT CHARACTER}b"


def test_hits_and_misses_differ_by_mark_too():
    made = looks.predictions_figure(np.arange(3), ["r"], np.array([[1, 0, -1]]), 1, ["cat", "dog"])
    assert np.asarray(made.data[0].text).tolist() == [["●", "×", ""]]
    assert np.asarray(made.data[0].customdata).tolist() == [["dog", "cat", "not seen"]]


def test_names_of_neighbouring_dots_do_not_stand_on_each_other():
    sides = distributions._apart(np.array([5.0, 5, 5, 9]), np.array([0.5, 0.55, 0.6, 1.0]))
    assert sides[2] == "top center" and sides[0] == "bottom center" and sides[1].startswith("middle")


def test_histogram_leaves_unseen_samples_out():
    score = np.array([0, 0, 1, np.nan])
    made = distributions.histogram_figure(score, cells(score, span=(0, 1), levels=1), title="t")
    assert np.asarray(made.data[0].y).tolist() == [2, 1]
    assert made.layout.xaxis.title.text == "t" and made.layout.yaxis.title.text == "samples"


def test_class_means_stand_in_order():
    made = distributions.class_means_figure(["a", "b", "c"], np.array([0.2, 0.9, 0.5]), title="t")
    assert np.asarray(made.data[0].x).tolist() == [0.9, 0.5, 0.2] and list(made.layout.yaxis.ticktext) == ["b", "c", "a"]


def test_every_axis_is_named():
    score = np.linspace(0, 1, 9)
    grid = cells(score)
    for made in (
        pairs.counts_figure(score, score, grid, grid, x_title="A", y_title="B"),
        distributions.histogram_figure(score, grid, title="t"),
        distributions.class_size_figure(["a"], np.array([3]), np.array([0.5]), title="t"),
        looks.curves_figure([("r", np.arange(9), score)], title="t"),
    ):
        assert made.layout.xaxis.title.text and made.layout.yaxis.title.text


def test_reliability_against_epochs_and_seeds():
    looks = (1, 2, 3, 5)
    curves = [("resnet20: two seeds", looks, (0.2, 0.5, 0.7, 0.8), 5, True), ("vgg16 <b>", looks, (0.4, 0.8, 0.99, 1.0), 3, False)]
    made = reliability.epochs_figure(curves, title="correlation")
    assert [trace.line.dash for trace in made.data if trace.mode == "lines+markers"] == ["solid", "dot"]
    assert [(trace.x[0], trace.y[0]) for trace in made.data if trace.mode == "markers"] == [(5, 0.8), (3, 0.99)]
    assert made.layout.xaxis.dtick == 1, "between whole epochs no tick, which would repeat a number"
    assert reliability.epochs_figure([("vgg16", (1, 20, 200), (0.4, 0.8, 1.0), 20, True)], title="t").layout.xaxis.dtick is None
    assert made.data[2].name == "vgg16 &lt;b&gt;" and made.layout.xaxis.title.text == "epochs trained"
    made = reliability.seeds_figure([("resnet20", (1, 2, 3), (0.8, 0.89, 0.92), [(1, 0.8), (2, 0.9)], 2)])
    assert len(made.data) == 3 and list(made.data[1].y) == [0.8, 0.9] and made.data[2].x[0] == 2
    assert "reliability" in made.layout.yaxis.title.text and made.layout.yaxis.range == (0.0, 1.06)


@pytest.mark.parametrize("dark", [False, True])
def test_text_on_every_shade_can_be_read(dark):
    for value in np.linspace(-0.2, 1.2, 60):
        fill = style.shade(value, dark)
        levels = [style._luminance(colour) + 0.05 for colour in (fill, style.ink_on(fill))]
        assert max(levels) / min(levels) >= 4.5
    assert style.shade(0, dark) == style.shade(-3, dark) != style.shade(1, dark) == style.shade(7, dark)
    assert style.shade(0, False) == style.ON_LIGHT[0] and style.shade(1, True) == style.ON_DARK[-1]
