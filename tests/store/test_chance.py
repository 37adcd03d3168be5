"""Runs that are no better than always naming the largest class."""

import numpy as np
import pytest

from learnability.store.chance import chance, learned_nothing

TEN = np.arange(5000) % 10
UNEVEN = np.r_[np.zeros(90, int), np.ones(10, int), -np.ones(50, int)]


@pytest.mark.parametrize(
    "labels,accuracy,nothing", [(TEN, 0.1058, True), (TEN, 0.12, False), (UNEVEN, 0.93, True), (UNEVEN, 1.0, False), (TEN, None, False)]
)
def test_a_run_at_chance_is_named(labels, accuracy, nothing):
    said = learned_nothing("vgg16-s2", "done", [{"accuracy": 0.9}, {"accuracy": accuracy}], labels)
    assert (said is not None) == nothing
    if said:
        assert "vgg16-s2 learned nothing" in said and f"{accuracy:.1%}" in said


def test_chance_is_the_largest_share_and_what_answers_vary_around_it():
    assert chance(TEN) == pytest.approx(0.1 + 3 * np.sqrt(0.09 / 5000))
    draw = np.random.default_rng(0)
    guessed = [(draw.integers(0, 10, 5000) == TEN).mean() for _ in range(300)]
    assert sum(accuracy > chance(TEN) for accuracy in guessed) <= 3
    assert learned_nothing("a", "done", [], TEN) is None and chance(np.full(4, -1)) >= 0


def test_of_a_run_at_work_nothing_is_said_yet():
    """The first epoch is often at chance."""
    looks = [{"accuracy": 0.1}]
    assert learned_nothing("a", "running", looks, TEN) is None and learned_nothing("a", "stopped", looks, TEN)
