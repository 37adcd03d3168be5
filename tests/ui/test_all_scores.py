"""Every score of one sample: the same for a data set that is held in memory and for one that is not."""

import numpy as np
import pytest

from learnability.metrics import METRICS
from learnability.store.runs import load_runs
from ui import all_scores, data, scored, state, words


@pytest.fixture
def group(many):
    """(state, runs, learnability) of a group of two seeds."""
    found = load_runs(many, "digits")
    id = next(id for id, runs in data.choices(found).items() if len(runs) == 2)
    now = state.State("digits", found[0].recipe, id)
    return now, found, scored.series("digits", id, data.choices(found)[id], "learnability")


def told(group, sample_id: int) -> dict[str, tuple[str, str]]:
    now, found, made = group
    return {name: (words.number(value, name), said) for name, value, said in all_scores.of_sample(now, found, made, sample_id, [*METRICS])}


@pytest.mark.parametrize("sample_id", [0, 7, 700, 1437])
def test_a_large_data_set_is_told_the_same(sample_id, group, monkeypatch):
    held = told(group, sample_id)
    monkeypatch.setattr(scored, "LARGE", 100)
    assert told(group, sample_id) == held and {"learnability", "suspicion", "mean_loss"} <= set(held)
    assert held["learnability"][1].endswith("of the samples")


def test_a_sample_that_the_runs_do_not_hold_has_no_score(group, monkeypatch):
    assert told(group, 5000) == {}
    monkeypatch.setattr(scored, "LARGE", 100)
    assert told(group, 5000) == {}


@pytest.mark.parametrize("values", [[0.5], [0, 0, 0, 1], [3, 1, 2, 2, 2, np.nan]])
def test_shares_below_and_above_are_exact_where_values_are_few(values):
    values = np.array(values, float)
    found, known = all_scores.Spread.of(values), values[np.isfinite(values)]
    for value in known:
        assert found.around(value) == pytest.approx(((known < value).mean(), (known > value).mean()))


def test_many_values_are_told_within_a_thousandth():
    score_N = np.random.default_rng(5).normal(size=100_000).astype(np.float32)
    found = all_scores.Spread.of(score_N)
    assert len(found.values) == all_scores.STEPS
    for value in score_N[:200]:
        assert found.around(float(value)) == pytest.approx(((score_N < value).mean(), (score_N > value).mean()), abs=1e-3)
    assert found.around(99.0) == (1.0, 0.0) and found.around(-99.0)[0] == 0.0
