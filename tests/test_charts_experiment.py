"""Figures of a measured curriculum: every known value is drawn, nothing that is missing is made up."""

import numpy as np
import pytest

from learnability.charts.experiment import accuracy_figure, difference_figure

STEPS = np.array([10, 20, 30])
EASY = np.array([[0.2, 0.5, 0.7], [0.4, 0.7, np.nan]])
HALF = np.array([0.1, 0.2, np.nan])
RANDOM = np.array([[0.2, 0.4, 0.6], [0.3, 0.5, np.nan]])


def trace(figure, name: str, mode: str):
    return next(one for one in figure.data if one.name == name and one.mode == mode and one.hoverinfo != "skip")


def test_accuracy_by_update_a_mean_a_dot_a_seed_and_what_the_axes_are():
    figure = accuracy_figure(STEPS, [("easy_first", (3, 4), EASY, HALF), ("random", (3, 4), RANDOM, HALF)], 0.65)
    assert trace(figure, "easy_first", "lines").y == pytest.approx([30, 60, 70])
    assert trace(figure, "easy_first", "lines").customdata.tolist() == [2, 2, 1], "of how many seeds the mean is"
    dots = trace(figure, "easy_first", "markers")
    assert sorted(dots.y) == pytest.approx([20, 40, 50, 70, 70]) and set(dots.customdata) == {3, 4}
    assert figure.layout.xaxis.title.text == "updates done"
    assert figure.layout.yaxis.title.text == "accuracy on test samples, % (higher = better)"
    lines = [trace(figure, name, "lines").line for name in ("easy_first", "random")]
    assert lines[0].color != lines[1].color and lines[0].dash != lines[1].dash, "colour and dash both tell them apart"
    assert figure.layout.annotations[0].text == "65.0 %"


def test_each_arm_has_a_band_in_its_colour_that_is_not_in_the_legend():
    figure = accuracy_figure(STEPS, [("easy_first", (3, 4), EASY, HALF), ("random", (3, 4), RANDOM, HALF)], None)
    bands = {one.name: one for one in figure.data if one.fill == "toself"}
    assert list(bands["easy_first"].x) == [10, 20, 20, 10] and bands["easy_first"].y == pytest.approx([40, 80, 40, 20])
    for name, band in bands.items():
        line = trace(figure, name, "lines")
        rgb = ",".join(str(int(line.line.color[i : i + 2], 16)) for i in (1, 3, 5))
        assert band.fillcolor.startswith(f"rgba({rgb},") and not band.showlegend and band.legendgroup == line.legendgroup == name
        assert band.hoverinfo == "skip" and list(line.text) == [" ± 10.00", " ± 20.00", ""]
    shown = [one.name for one in figure.data if one.showlegend is not False]
    assert shown == ["easy_first", "random"], "one entry an arm"
    low, high = figure.layout.yaxis.range
    assert 0 < low < 20 and 70 < high < 80, "the accuracies fill the chart, not a band of few seeds"
    alone = accuracy_figure(STEPS, [("easy_first", (3,), EASY[:1], np.full(3, np.nan))], None)
    assert not [one for one in alone.data if one.fill == "toself"]


def test_of_many_seeds_the_band_tells_and_not_a_cloud_of_dots():
    many = np.tile(EASY[:1], (11, 1))
    figure = accuracy_figure(STEPS, [("easy_first", tuple(range(11)), many, HALF)], None)
    assert len(trace(figure, "easy_first", "markers").x) == 0 and [one for one in figure.data if one.fill == "toself"]


def test_differences_have_a_band_only_where_there_are_two_seeds():
    half_E = np.array([0.02, 0.03, np.nan])
    figure = difference_figure(STEPS, [("the order: easy_first - random", EASY - RANDOM, half_E)])
    band = next(one for one in figure.data if one.fill == "toself")
    assert list(band.x) == [10, 20, 20, 10] and band.y == pytest.approx([7, 18, 12, 3])
    assert trace(figure, "the order: easy_first - random", "lines").y == pytest.approx([5, 15, 10])
    assert "above 0: the first did better" in figure.layout.yaxis.title.text
    assert figure.layout.yaxis.range == pytest.approx((-26, 26)), "the dots fill the chart"
    alone = difference_figure(STEPS, [("x", (EASY - RANDOM)[:1], np.full(3, np.nan))])
    assert not [one for one in alone.data if one.fill == "toself"]


def test_before_the_first_look_the_figures_are_empty_and_drawn():
    nothing = np.full((3, 3), np.nan)
    assert len(accuracy_figure(STEPS, [("standard", (1, 2, 3), nothing, np.full(3, np.nan))], None).data) == 2
    assert len(difference_figure(STEPS, [("x", nothing, np.full(3, np.nan))]).data) == 2
