"""Batches as a function of (parameters, seed, step)."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.curriculum import Pacing, Schedule, expected_presentations, pool_size, presentations, shuffled
from learnability.errors import InputError

LINEAR_PASSES = [
    (0, 200), (2, 200), (4, 200), (6, 200), (8, 200), (10, 300), (13, 300), (16, 300), (19, 300), (22, 400), (26, 400),
    (30, 500), (35, 500), (40, 600), (46, 600), (52, 700), (59, 700), (66, 800), (74, 900), (83, 1000), (93, 1000),
]  # fmt: skip


def example(name="linear", **changes):
    fields = {"order_N": np.arange(1000), "pacing": Pacing(name=name, a=0.8, b=0.2), "batch_size": 100, "steps": 100}
    return Schedule(**fields | changes)


@st.composite
def schedules(draw):
    N = draw(st.integers(1, 120))
    ids = np.random.default_rng(draw(st.integers(0, 99))).permutation(3 * N)[:N]
    return Schedule(
        order_N=ids,
        pacing=Pacing(name=draw(st.sampled_from(["log", "linear", "exp", "step", "full", "competence"])), a=draw(st.floats(0, 1.5))),
        batch_size=draw(st.integers(1, N)),
        steps=draw(st.integers(1, 60)),
        seed=draw(st.integers(0, 1000)),
        draw=draw(st.sampled_from(["passes", "independent"])),
    )


def test_golden_passes():
    assert [tuple(row) for row in example().passes] == LINEAR_PASSES
    assert len(example("step").passes) == 42
    assert len(example("log").passes) == 13


def test_golden_presentations():
    expected = expected_presentations(example())
    assert expected[:100].mean() == pytest.approx(20.7)
    assert expected[-50:].mean() == pytest.approx(1.7)
    assert expected.mean() == pytest.approx(10)
    seeds = np.mean([presentations(example(seed=seed)) for seed in range(20)], axis=0)
    assert seeds[:100].mean() == pytest.approx(20.7, abs=0.05)
    assert seeds[-50:].mean() == pytest.approx(1.7, abs=0.05)
    assert seeds.mean() == 10


def test_no_sample_is_shown_less_than_never():
    short = Schedule(order_N=np.arange(1438), pacing=Pacing(), batch_size=32, steps=90, seed=0)
    assert expected_presentations(short).min() >= 0


def test_standard_is_ordinary_training_batch_for_batch():
    schedule = example("full", order_N=np.arange(250)[::-1], steps=9, seed=7)
    assert schedule.epoch_length == 3
    ordinary = [shuffled(7, 0, epoch, 250)[start : start + 100] for epoch in range(3) for start in (0, 100, 200)]
    for t, ids in enumerate(ordinary):
        assert (schedule.batch(t) == ids).all()


def test_every_sample_of_a_pool_comes_once_in_a_pass():
    schedule = example()
    for j, (start, pool) in enumerate(schedule.passes[:-1]):
        shown = np.concatenate([schedule.batch(t) for t in range(start, schedule.passes[j + 1, 0])])
        assert sorted(shown) == list(range(pool))


def test_two_seeds_share_no_order():
    batches = {tuple(example(seed=seed).batch(t)) for seed in range(5) for t in (0, 1, 40, 99)}
    assert len(batches) == 20


@given(schedules(), st.integers(1, 4))
def test_batches(schedule, world_size):
    counts = dict.fromkeys(schedule.order_N.tolist(), 0)
    place = {sample: i for i, sample in enumerate(schedule.order_N.tolist())}
    for t in range(schedule.steps):
        ids = schedule.batch(t)
        assert 1 <= len(ids) <= schedule.batch_size
        assert len(ids) == schedule.batch_size or schedule.pool(t) == schedule.N
        assert len(set(ids.tolist())) == len(ids)
        assert max(place[i] for i in ids.tolist()) < schedule.pool(t) <= schedule.N
        assert schedule.pool(t) <= max(int(pool_size(schedule.pacing, t, schedule.N, schedule.steps)), schedule.batch_size)
        ranks = [schedule.batch(t, rank, world_size) for rank in range(world_size)]
        assert sorted(np.concatenate(ranks).tolist()) == sorted(ids.tolist())
        for i in ids.tolist():
            counts[i] += 1
    assert presentations(schedule).tolist() == [counts[i] for i in schedule.order_N.tolist()]
    assert expected_presentations(schedule).sum() == pytest.approx(sum(counts.values()))


@given(schedules(), st.lists(st.integers(0, 59), min_size=1, max_size=5))
def test_a_batch_depends_on_nothing_asked_before(schedule, steps):
    fresh = Schedule(
        order_N=schedule.order_N,
        pacing=schedule.pacing,
        batch_size=schedule.batch_size,
        steps=schedule.steps,
        seed=schedule.seed,
        draw=schedule.draw,
    )
    for t in (t % schedule.steps for t in steps):
        schedule.batch(schedule.steps - 1)
        assert (schedule.batch(t) == fresh.batch(t)).all()


@given(schedules(), st.integers(1, 8))
def test_ranks_are_refused_exactly_when_one_would_stay_empty(schedule, world_size):
    smallest = min(len(schedule.batch(t)) for t in range(schedule.steps))
    if smallest >= world_size:
        schedule.check_ranks(world_size)
    else:
        with pytest.raises(InputError, match="world size"):
            schedule.check_ranks(world_size)


def test_independent_draws_are_uniform_over_the_pool():
    schedule = example("step", draw="independent", order_N=np.arange(100, 200), batch_size=10, steps=4000)
    counts = presentations(schedule)
    assert np.abs(counts[:20] - expected_presentations(schedule)[:20]).max() < 5 * np.sqrt(3200 * 0.25)
    assert np.abs(counts[20:] - expected_presentations(schedule)[20:]).max() < 5 * np.sqrt(800 * 0.09)


def test_state_survives_json_and_refuses_another_curriculum():
    state = json.loads(json.dumps(example().state(37)))
    assert example().resumed_step(state) == 37
    others = {
        "seed": example(seed=1),
        "number of samples": example(order_N=np.arange(900)),
        "global batch size": example(batch_size=50),
        "order and pacing": example(order_N=np.arange(1000)[::-1]),
    }
    for what, other in others.items():
        with pytest.raises(InputError, match=f"{what}: expected .* got"):
            other.resumed_step(state)
    with pytest.raises(InputError, match="order and pacing"):
        example("log").resumed_step(state)
    with pytest.raises(InputError, match="order and pacing"):
        example(steps=200).resumed_step(state)
    with pytest.raises(InputError, match="expected 0 to 100"):
        example().resumed_step(state | {"step": 101})
    assert example("full", steps=200).resumed_step(example("full").state(5)) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order_N": [0, 1, 1]}, r"expected every sample id once, got \[1\]"),
        ({"order_N": np.arange(99)}, "batch size 100: expected 1 to 99"),
        ({"steps": 0}, "at least one update"),
        ({"draw": "sometimes"}, "expected 'passes' or 'independent'"),
        ({"order_N": [0.5]}, "expected sample ids"),
    ],
)
def test_refused(changes, message):
    with pytest.raises(InputError, match=message):
        example(**changes)


def test_step_and_rank_refused():
    with pytest.raises(InputError, match="step 100: expected 0 to 99"):
        example().batch(100)
    with pytest.raises(InputError, match="rank 2: expected 0 to 1"):
        example().batch(0, 2, 2)
