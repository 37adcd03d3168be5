"""Agreement of groups: ceilings, intervals, verdicts, and what one seed cannot say."""

import json
import math

import numpy as np
import pytest

from learnability.agreement import (
    KINDS,
    NO_DIFFERENCE,
    NOT_TOLD,
    ONE_SEED,
    OVER_SAMPLES,
    OVER_SEEDS,
    Group,
    agree,
    ceiling,
    disattenuated,
    seeds_needed,
    spearman_brown,
    to_json,
)
from learnability.errors import InputError

RUNS = np.array(
    [
        [10, 9, 8, 5, 3, 0, 7, 10],
        [10, 8, 9, 4, 4, 1, 5, 9],
        [9, 10, 5, 6, 1, 2, 8, 10],
        [10, 9, 6, 7, 2, 1, 6, 10],
    ]
) / 10  # fmt: skip
PAIR = (Group(name="A", rows=(0, 1), seeds=(0, 1)), Group(name="B", rows=(2, 3), seeds=(0, 1)))


def groups_of(*sizes):
    starts = np.cumsum([0, *sizes])
    return tuple(
        Group(name=name, rows=tuple(range(start, start + S)), seeds=tuple(range(S)))
        for name, start, S in zip("ABCD", starts[:-1], sizes, strict=False)
    )


def simulated(rng, sizes, N=1000, truth=0.9, reliability=0.8):
    """Runs of groups whose true scores correlate by `truth`, each run with independent noise."""
    G = len(sizes)
    true_GN = rng.multivariate_normal(np.zeros(G), truth + (1 - truth) * np.eye(G), size=N).T
    noise = np.sqrt(1 / reliability - 1)
    return np.concatenate([true_GN[g] + noise * rng.normal(size=(S, N)) for g, S in enumerate(sizes)])


@pytest.mark.parametrize(
    ("kind", "r_AA", "r_BB", "pairs", "r_AB", "top", "ratio", "means"),
    [
        ("pearson", 0.9474, 0.9407, [0.8816, 0.9378, 0.7179, 0.8397], 0.8442, 0.9440, 0.8943, 0.8718),
        ("spearman", 0.9394, 0.8788, [0.8494, 0.9212, 0.6364, 0.7805], 0.7969, 0.9086, 0.8770, 0.8424),
        ("kendall", 0.8681, 0.7171, [0.6667, 0.8303, 0.4907, 0.6923], 0.6700, 0.7890, 0.8492, 0.7171),
    ],
)
def test_golden_ceiling(kind, r_AA, r_BB, pairs, r_AB, top, ratio, means):
    found = agree(RUNS, PAIR, kind)
    cross = found.cross("B", "A")
    got = [found.reliability("A").value, found.reliability("B").value, cross.single_run, cross.ceiling, cross.ratio, cross.seed_mean]
    assert got == pytest.approx([r_AA, r_BB, r_AB, top, ratio, means], abs=5e-5)
    assert cross.pairs == pytest.approx(pairs, abs=5e-5)
    assert cross.exact == (kind == "pearson")
    assert cross.verdict is None


def test_golden_seed_means_have_their_own_ceiling():
    found = agree(RUNS, PAIR)
    stepped = [reliability.stepped_up for reliability in found.reliabilities]
    assert stepped == pytest.approx([0.9730, 0.9694], abs=5e-5)
    cross = found.crosses[0]
    assert cross.seed_mean_ceiling == pytest.approx(0.9712, abs=5e-5)
    assert cross.seed_mean_ratio == pytest.approx(0.8718 / 0.9712, abs=1e-4)


@pytest.mark.parametrize(
    ("r", "expected"),
    [(0.83, {2: 0.907, 3: 0.936, 5: 0.961, 10: 0.980}), (0.84, {2: 0.913, 3: 0.940, 5: 0.963, 10: 0.981})],
)
def test_spearman_brown(r, expected):
    for k, value in expected.items():
        assert spearman_brown(r, k) == pytest.approx(value, abs=5e-4)
    assert spearman_brown(r, 1) == r


def test_seeds_needed():
    assert seeds_needed(0.83, 0.95) == 4
    assert seeds_needed(0.95, 0.95) == 1
    assert seeds_needed(1.0) == 1
    assert seeds_needed(0.5, 0.75) == 3
    assert seeds_needed(0.0) is None
    assert seeds_needed(math.nan) is None
    with pytest.raises(InputError, match="target"):
        seeds_needed(0.5, 1.0)


def test_published_example():
    assert ceiling(0.83, 0.84) == pytest.approx(0.835, abs=5e-4)
    assert disattenuated(0.796, 0.83, 0.84) == pytest.approx(0.95, abs=5e-3)
    assert disattenuated(0.9, 0.7, 0.7) > 1
    assert math.isnan(disattenuated(0.5, -0.1, 0.8))
    assert math.isnan(disattenuated(0.5, 0.0, 0.8))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_intervals_and_verdicts(kind):
    rng = np.random.default_rng(0)
    score = simulated(rng, [3, 3, 2, 1])
    found = agree(score, groups_of(3, 3, 2, 1), kind, replicates=400, rng=rng)
    cross = found.cross("A", "B")
    assert cross.ratio_interval.over == OVER_SEEDS
    for interval, value in (
        (cross.single_run_interval, cross.single_run),
        (cross.ceiling_interval, cross.ceiling),
        (cross.ratio_interval, cross.ratio),
        (found.reliability("A").interval, found.reliability("A").value),
    ):
        assert interval.low < value < interval.high
    assert cross.verdict == "A and B order samples differently"
    assert found.cross("A", "C").ratio_interval.over == OVER_SAMPLES
    assert found.cross("A", "C").ratio_interval.high < 1 and found.cross("A", "C").verdict == NOT_TOLD, "these runs, not other seeds"
    assert found.reliability("C").interval.over == OVER_SAMPLES
    alone = found.cross("A", "D")
    assert alone.verdict == alone.reason == ONE_SEED
    assert math.isnan(alone.ratio)
    assert math.isnan(alone.ceiling)
    assert alone.ratio_interval is None
    assert alone.single_run_interval.low < alone.single_run < alone.single_run_interval.high
    assert found.reliability("D").interval is None
    assert found.reliability("A").seeds_for(0.95) == seeds_needed(found.reliability("A").value, 0.95)


def test_two_sets_of_seeds_of_one_group_reach_the_ceiling():
    rng = np.random.default_rng(2)
    cross = agree(simulated(rng, [3, 3], truth=1.0), groups_of(3, 3), replicates=400, rng=rng).crosses[0]
    assert cross.verdict == NO_DIFFERENCE
    assert cross.ratio_interval.low <= 1 <= cross.ratio_interval.high


def test_tau_has_no_interval():
    found = agree(RUNS, PAIR, "kendall", replicates=100, rng=np.random.default_rng(0))
    assert found.crosses[0].ratio_interval is None


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_samples_and_runs_changes_nothing(kind):
    rng = np.random.default_rng(3)
    score = np.round(simulated(rng, [3, 2], N=200), 1)
    found = agree(score, groups_of(3, 2), kind)
    order, runs = rng.permutation(200), rng.permutation(5)
    place = np.argsort(runs)
    moved = [Group(name=group.name, rows=tuple(int(place[row]) for row in group.rows), seeds=group.seeds) for group in groups_of(3, 2)]
    again = agree(score[runs][:, order], moved, kind)
    for field in ("single_run", "ceiling", "ratio", "seed_mean", "seed_mean_ratio"):
        assert getattr(again.crosses[0], field) == pytest.approx(getattr(found.crosses[0], field), abs=1e-12)


def test_one_score_negated_changes_the_sign():
    found, turned = agree(RUNS, PAIR), agree(RUNS * np.array([[1], [1], [-1], [-1]]), PAIR)
    assert turned.crosses[0].single_run == pytest.approx(-found.crosses[0].single_run)
    assert turned.crosses[0].ceiling == pytest.approx(found.crosses[0].ceiling)


def test_samples_never_seen_are_left_out_and_counted():
    score = np.concatenate([RUNS, np.full((4, 2), 0.5)], axis=1)
    score[0, 8], score[3, 9] = np.nan, np.nan
    found = agree(score, PAIR)
    assert (found.N, found.left_out) == (8, 2)
    assert found.crosses[0].ratio == agree(RUNS, PAIR).crosses[0].ratio


def test_a_constant_run_gives_a_reason_and_no_number():
    score = RUNS.copy()
    score[1] = 0.3
    found = agree(score, PAIR, replicates=50, rng=np.random.default_rng(0))
    assert math.isnan(found.reliability("A").value)
    assert found.reliability("A").reason == "the score of A, seed 1, is constant"
    assert found.crosses[0].reason == "the score of A, seed 1, is constant"
    assert math.isnan(found.crosses[0].single_run)
    assert found.crosses[0].verdict == "ceiling unknown: the score of A, seed 1, is constant"
    assert not math.isnan(found.reliability("B").value)


def test_unreliable_seeds_leave_the_ceiling_unknown():
    rng = np.random.default_rng(5)
    found = agree(rng.normal(size=(6, 40)), groups_of(3, 3), replicates=200, rng=rng)
    cross = found.crosses[0]
    assert cross.verdict.startswith("ceiling unknown: ")
    assert not (cross.ratio_interval and cross.ratio_interval.low > -np.inf)


def test_result_is_json():
    found = agree(simulated(np.random.default_rng(0), [3, 1], N=50), groups_of(3, 1), replicates=20, rng=np.random.default_rng(0))
    plain = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert plain["crosses"][0]["ratio"] is None
    assert plain["groups"][0] == {"name": "A", "rows": [0, 1, 2], "seeds": [0, 1, 2]}
    assert plain["reliabilities"][0]["value"] == found.reliabilities[0].value


def test_refused():
    with pytest.raises(InputError, match="all seeds different"):
        Group(name="A", rows=(0, 1), seeds=(3, 3))
    with pytest.raises(InputError, match="different names"):
        agree(RUNS, [PAIR[0], PAIR[0]])
    with pytest.raises(InputError, match=r"numpy\.random\.Generator"):
        agree(RUNS, PAIR, replicates=10)
    with pytest.raises(InputError, match=r"replicates -3: expected 0 \(none\) or more, for example 2000\."):
        agree(RUNS, PAIR, replicates=-3)


def covered(S, simulations, replicates=1000):
    """How many intervals of the disattenuated correlation hold the true ratio 0.9."""
    hits = 0
    for seed in range(simulations):
        rng = np.random.default_rng([S, seed])
        found = agree(simulated(rng, [S, S]), groups_of(S, S), replicates=replicates, rng=rng).crosses[0].ratio_interval
        hits += found.low <= 0.9 <= found.high
    return hits


@pytest.mark.parametrize("S", [2, 3])
def test_coverage(S):
    assert covered(S, 30, replicates=500) >= 27


@pytest.mark.soak
@pytest.mark.parametrize("S", [2, 3, 5])
def test_coverage_in_full(S):
    assert covered(S, 300, replicates=2000) >= 270
