"""Figures of a measured curriculum: every known value is drawn, nothing that is missing is made up."""

import numpy as np
import pytest

from learnability.charts.experiment import accuracy_figure, difference_figure

STEPS = np.array([10, 20, 30])
EASY = np.array([[0.2, 0.5, 0.7], [0.4, 0.7, np.nan]])
RANDOM = np.array([[0.2, 0.4, 0.6], [0.3, 0.5, np.nan]])


def trace(figure, name: str, mode: str):
    return next(one for one in figure.data if one.name == name and one.mode == mode and one.hoverinfo != "skip")


def test_accuracy_by_update_a_mean_a_dot_a_seed_and_what_the_axes_are():
    figure = accuracy_figure(STEPS, [("easy_first", (3, 4), EASY), ("random", (3, 4), RANDOM)], 0.65)
    assert trace(figure, "easy_first", "lines").y == pytest.approx([30, 60, 70])
    assert trace(figure, "easy_first", "lines").customdata.tolist() == [2, 2, 1], "of how many seeds the mean is"
    dots = trace(figure, "easy_first", "markers")
    assert sorted(dots.y) == pytest.approx([20, 40, 50, 70, 70]) and set(dots.customdata) == {3, 4}
    assert figure.layout.xaxis.title.text == "updates done"
    assert figure.layout.yaxis.title.text == "accuracy on test samples, % (higher = better)"
    lines = [trace(figure, name, "lines").line for name in ("easy_first", "random")]
    assert lines[0].color != lines[1].color and lines[0].dash != lines[1].dash, "colour and dash both tell them apart"
    assert figure.layout.annotations[0].text == "65.0 %"


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
    assert len(accuracy_figure(STEPS, [("standard", (1, 2, 3), nothing)], None).data) == 2
    assert len(difference_figure(STEPS, [("x", nothing, np.full(3, np.nan))]).data) == 2
