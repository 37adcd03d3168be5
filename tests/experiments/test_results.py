"""What an experiment shows: curves over equal updates, differences within a seed, and words that claim no more."""

import dataclasses
import json
import math

import numpy as np
import pytest

from learnability import experiments
from learnability.curriculum import Pacing, curriculum_text
from learnability.errors import NotFound
from learnability.experiments import Design, experiment, launch, measured, propose, to_json
from tests.experiments.looks_written import written

EPOCHS = 4
BASE = {"random": [0.3, 0.5, 0.6, 0.80], "standard": [0.3, 0.6, 0.7, 0.79], "hard_first": [0.1, 0.2, 0.3, 0.5]}


@pytest.fixture
def trained(scored):
    """Three seeds whose last differences easy_first - random are 0.4, 0.1 and 0.7 points."""
    found = propose(scored, Design(data="digits", recipe=(("epochs", EPOCHS),)))
    launch(scored, found)
    for config in found.configs:
        arm, seed = arm_of(found, config), config.seed - 2
        if arm == "easy_first":
            values = [value + 0.1 + 0.01 * seed for value in BASE["random"][:-1]] + [0.80 + (0.004, 0.001, 0.007)[seed] + 0.01 * seed]
        else:
            values = [value + 0.01 * seed for value in BASE[arm]]
        written(scored, config, values)
    return scored, found


def arm_of(found, config) -> str:
    return next(arm for arm in BASE | {"easy_first": 0} if config.curriculum == curriculum_text(arm, found.key, found.design.pacing))


def test_golden_paired_interval_and_equal_updates(trained):
    cache, found = trained
    results = measured(cache, experiment(cache, "digits"))
    assert results.step_E.tolist() == [12, 24, 36, 48] and results.done and results.experiment.id == found.id
    order, pacing = results.contrasts
    assert (order.a, order.b, order.last.seeds) == ("easy_first", "random", 3)
    assert 100 * order.last.mean == pytest.approx(0.4) and 100 * order.last.half == pytest.approx(0.745, abs=5e-4)
    assert 100 * order.half_E[-1] == pytest.approx(0.745, abs=5e-4) and np.allclose(order.mean_E[:3], 0.1)
    assert "interval holds 0: no difference is shown" in order.sentence and "+0.40 points" in order.sentence
    assert (pacing.a, pacing.b) == ("random", "standard") and 100 * pacing.last.mean == pytest.approx(1.0)
    assert "random did better" in pacing.sentence and "here, with this network" in pacing.sentence
    assert results.arms["standard"].last.mean == pytest.approx(0.80)
    assert results.scores["score_seeds"] == "0, 1" and results.samples == 1438


def test_time_to_accuracy_counts_only_where_every_seed_got_there(trained):
    cache, _ = trained
    results = measured(cache, experiment(cache, "digits"))
    assert results.target == pytest.approx(0.95 * 0.80)
    assert results.times["standard"].mean.mean == 48 and results.times["easy_first"].mean.mean == 48
    lower = measured(cache, experiment(cache, "digits"), 0.6).times
    assert lower["easy_first"].step_S.tolist() == [24, 24, 24] and lower["random"].step_S.tolist() == [36, 36, 36]
    assert (lower["hard_first"].reached, lower["hard_first"].mean) == (0, None)
    partly = measured(cache, experiment(cache, "digits"), 0.805).times["random"]
    assert (partly.reached, partly.seeds, partly.mean) == (2, 3, None), "leaving out who never got there would flatter"
    assert partly.standing == "reached by 2 of 3"


def test_a_time_is_a_mean_with_an_interval_and_only_of_finished_seeds(scored):
    found = propose(scored, Design(data="digits", recipe=(("epochs", EPOCHS),)))
    launch(scored, found)
    random = [config for config in found.configs if arm_of(found, config) == "random"]
    for config, values in zip(random, ([0.3, 0.5, 0.7, 0.8], [0.3], [0.3, 0.5]), strict=True):
        written(scored, config, values)
    live = measured(scored, experiment(scored, "digits"), 0.7).times["random"]
    assert (live.reached, live.finished, live.seeds, live.mean) == (1, 1, 3, None), "two are still on their way"
    assert live.standing == "reached by 1 of 3 so far"
    for config, values in zip(random, ([0.3, 0.5, 0.7, 0.8], [0.3, 0.7, 0.7, 0.8], [0.3, 0.5, 0.7]), strict=True):
        written(scored, config, values)
    assert measured(scored, experiment(scored, "digits"), 0.7).times["random"].mean is None, "reached by all, but one goes on"
    written(scored, random[2], [0.3, 0.5, 0.7, 0.8])
    time = measured(scored, experiment(scored, "digits"), 0.7).times["random"]
    assert time.mean.mean == pytest.approx(32) and time.mean.half == pytest.approx(4.302653 * np.std([36, 24, 36], ddof=1) / 3**0.5)


def test_accuracies_have_an_interval_at_each_look_from_two_seeds_on(trained):
    cache, found = trained
    arm = measured(cache, experiment(cache, "digits")).arms["random"]
    assert arm.half_E == pytest.approx([4.302653 * 0.01 / 3**0.5] * 4) and arm.half_E[-1] == pytest.approx(arm.last.half)
    written(cache, [config for config in found.configs if arm_of(found, config) == "random"][0], [0.3])
    half_E = measured(cache, experiment(cache, "digits")).arms["random"].half_E
    assert half_E[0] == pytest.approx(arm.half_E[0]) and half_E[1] == pytest.approx(12.7062 * 0.01 / 2, rel=1e-4)
    alone = propose(cache, Design(data="digits", seeds=1, pacing=Pacing(name="root"), recipe=(("epochs", EPOCHS),)))
    launch(cache, alone)
    written(cache, alone.configs[0], [0.3, 0.4, 0.5, 0.6])
    assert np.isnan(measured(cache, experiment(cache, "digits", alone.id)).arms["easy_first"].half_E).all(), "one seed has none"


def test_presentations_of_both_ends(trained):
    cache, _ = trained
    shown = measured(cache, experiment(cache, "digits")).shown
    assert shown["standard"] == (4.0, 4.0)
    first, last = shown["easy_first"]
    assert first > 4 > last and shown["easy_first"] == shown["random"] == shown["hard_first"]


def test_while_it_trains_what_is_missing_is_missing(scored):
    found = propose(scored, Design(data="digits", seeds=2, recipe=(("epochs", EPOCHS),)))
    launch(scored, found)
    empty = measured(scored, experiment(scored, "digits"))
    assert empty.target is None and not empty.times and np.isnan(empty.arms["random"].mean_E).all()
    assert all("not known yet" in own.sentence for own in empty.contrasts)
    for config in found.configs[:4]:
        written(scored, config, [0.3, 0.5] if arm_of(found, config) == "random" else [0.3, 0.4, 0.5, 0.6])
    results = measured(scored, experiment(scored, "digits"))
    order = results.contrasts[0]
    assert np.allclose(order.mean_E[:2], [0, -0.1]) and np.isnan(order.mean_E[2:]).all() and np.isnan(order.half_E).all()
    assert order.last is None and "no seed has finished both" in order.sentence and not results.done
    for config in found.configs[:4]:
        written(scored, config, [0.3, 0.4, 0.5, 0.6])
    one_seed = measured(scored, experiment(scored, "digits")).contrasts[0]
    assert math.isnan(one_seed.last.half) and "a second seed is needed" in one_seed.sentence


def test_as_json_nothing_is_lost_and_nothing_is_nan(trained):
    cache, _ = trained
    told = json.loads(json.dumps(to_json(measured(cache, experiment(cache, "digits"))), allow_nan=False))
    assert told["arms"]["random"]["test_accuracy"][0] == BASE["random"] and told["contrasts"][0]["last"]["seeds"] == 3
    assert told["peak_lr"] == 0.1 and told["updates"] == [12, 24, 36, 48]


def test_experiments_are_told_apart_and_share_their_controls(trained):
    cache, found = trained
    root = propose(cache, Design(data="digits", pacing=Pacing(name="root"), seeds=1, recipe=(("epochs", EPOCHS),)))
    launched = launch(cache, root)
    assert len(launched.new) == 3 and len(launched.there) == 1, "standard is the same whatever the pacing"
    ids = [one.id for one in experiments.experiments(cache, "digits")]
    assert ids == [root.id, found.id], "the newest first"
    one = experiment(cache, "digits", root.id)
    assert one.seeds == [2] and set(one.runs) == {"easy_first", "hard_first", "random", "standard"}
    assert list(one.runs["standard"]) == [2], "only the seeds of its own arms"
    assert one.config == dataclasses.replace(root.configs[0], seed=0, curriculum=None)
    with pytest.raises(NotFound, match="no experiment 'x'.*there is: resnet20-"):
        experiment(cache, "digits", "x")


def test_an_order_that_is_gone_leaves_the_result(trained):
    cache, found = trained
    for arm in ("easy_first", "hard_first"):
        cache.order("digits", f"{arm}-{found.key}").unlink()
    results = measured(cache, experiment(cache, "digits"))
    assert results.scores == {} and results.samples == 1438 and results.contrasts[0].last.seeds == 3
