"""Epochs and seeds that are enough."""

import json
import math

import numpy as np
import pytest

from learnability.agreement import ONE_SEED, agree, enough_looks_and_seeds, last_worthwhile_seed, prefixes, spearman_brown, to_json
from learnability.agreement.groups import Group
from learnability.errors import InputError


def hits(rng, S, N=1500, E=30, persistent=0.0):
    truth_N = rng.normal(0, 1.5, N)
    own_SN = truth_N + persistent * rng.normal(size=(S, N))
    return rng.random((S, N, E)) < 1 / (1 + np.exp(-own_SN))[:, :, None]


def test_prefixes():
    assert prefixes(30) == (1, 2, 3, 5, 8, 13, 21, 30)
    assert prefixes(13) == (1, 2, 3, 5, 8, 13)
    assert prefixes(1) == (1,)
    assert prefixes(2) == (1, 2)
    with pytest.raises(InputError, match="at least one look"):
        prefixes(0)


def test_curves_rise_with_independent_epochs_and_stay_flat_with_persistent_noise():
    rng = np.random.default_rng(0)
    for persistent, rises in ((0.0, True), (3.0, False)):
        hits_SNE = hits(rng, 4, persistent=persistent)
        got = enough_looks_and_seeds(lambda e, hits=hits_SNE: hits[:, :, :e].mean(axis=2), 30, rng)
        assert got.looks == prefixes(30)
        gain = got.reliability[-1] - got.reliability[4]
        assert (gain > 0.05) == rises
        assert all(b > a for a, b in zip(got.reliability, got.others, strict=True))


def test_numbers():
    rng = np.random.default_rng(1)
    hits_SNE = hits(rng, 4)
    prefix = {e: hits_SNE[:, :, :e].mean(axis=2) for e in prefixes(30)}
    got = enough_looks_and_seeds(prefix.__getitem__, 30, rng)
    group = Group(name="A", rows=(0, 1, 2, 3), seeds=(0, 1, 2, 3))
    assert got.reliability == pytest.approx([agree(prefix[e], [group]).reliability("A").value for e in got.looks])
    others = [np.corrcoef(prefix[3][s], np.delete(prefix[30], s, axis=0).mean(axis=0))[0, 1] for s in range(4)]
    assert got.others[2] == pytest.approx(np.mean(others))
    steps = {step.k: step for step in got.seeds}
    assert list(steps) == [1, 2, 3, 5, 10]
    assert steps[3].predicted == pytest.approx(spearman_brown(got.reliability[-1], 3))
    assert steps[1].measured == pytest.approx(got.reliability[-1])
    splits = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    halves = [np.corrcoef(*(prefix[30][list(half)].mean(axis=0) for half in pair))[0, 1] for pair in splits]
    assert steps[2].measured == pytest.approx(np.mean(halves))
    assert steps[2].measured == pytest.approx(steps[2].predicted, abs=0.01)
    assert steps[3].measured is None
    at = got.looks.index(got.enough)
    assert abs(got.reliability[at] - got.reliability[-1]) <= 0.01
    assert all(abs(r - got.reliability[-1]) > 0.01 for r in got.reliability[:at])
    again = enough_looks_and_seeds(np.stack([prefix[e] for e in got.looks], axis=1), 30, rng)
    assert again.reliability == got.reliability


def agreeing(rng, r_e):
    """Prefix scores of two seeds that correlate by exactly these, (2, e, N)."""
    a_N, noise_N = np.linalg.qr(np.column_stack([np.ones(200), rng.normal(size=(200, 2))]))[0].T[1:]
    return np.stack([np.tile(a_N, (len(r_e), 1)), [r * a_N + np.sqrt(1 - r**2) * noise_N for r in r_e]])


@pytest.mark.parametrize(
    ("r_e", "enough", "best"),
    [
        ((0.01, 0.04, 0.065, 0.035, 0.006, 0.068, 0.068), 13, None),  # after 3 as after all, but not from then on
        ((0.2, 0.4, 0.597, 0.795, 0.869, 0.806, 0.619), 20, 8),
        ((0.2, 0.9, 0.8, 0.8, 0.8, 0.805, 0.8), 3, 2),
        ((0.2, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8), 20, None),
    ],
)
def test_enough_holds_from_then_on_and_a_falling_agreement_is_known(r_e, enough, best):
    got = enough_looks_and_seeds(agreeing(np.random.default_rng(0), r_e), 20, np.random.default_rng(0))
    assert got.looks == (1, 2, 3, 5, 8, 13, 20) and got.reliability == pytest.approx(r_e)
    assert (got.enough, got.best) == (enough, best)


def test_many_seeds_are_split_by_draws():
    got = enough_looks_and_seeds(lambda e: hits(np.random.default_rng(2), 10, N=400)[:, :, :e].mean(axis=2), 5, np.random.default_rng(0))
    steps = {step.k: step for step in got.seeds}
    for k in (1, 2, 3, 5):
        assert steps[k].measured == pytest.approx(steps[k].predicted, abs=0.05)
    assert steps[10].measured is None


def test_one_seed():
    got = enough_looks_and_seeds(lambda e: np.random.default_rng(e).random((1, 50)), 5, np.random.default_rng(0))
    assert got.reason == ONE_SEED
    assert got.enough is None and got.best is None
    assert all(math.isnan(r) for r in (*got.reliability, *got.others))
    assert json.loads(json.dumps(to_json(got), allow_nan=False))["S"] == 1


def test_refused():
    with pytest.raises(InputError, match="prefix scores"):
        enough_looks_and_seeds(np.ones((2, 3, 4)), 30, np.random.default_rng(0))


def test_one_seed_tells_when_its_score_stops_moving_and_no_more():
    rng = np.random.default_rng(5)
    hits_SNE = hits(rng, 1)
    got = enough_looks_and_seeds(lambda e: hits_SNE[:, :, :e].mean(axis=2), 30, rng)
    assert got.reason == ONE_SEED and got.enough is None and np.isnan(got.reliability).all()
    assert got.final[-1] == 1 and all(b > a for a, b in zip(got.final, got.final[1:], strict=False))
    whole_N = hits_SNE[0].mean(axis=1)
    assert got.final[2] == pytest.approx(np.corrcoef(hits_SNE[0, :, :3].mean(axis=1), whole_N)[0, 1])
    at = got.looks.index(got.settled)
    assert min(got.final[at:]) >= 0.99 > got.final[at - 1]
    constant = enough_looks_and_seeds(lambda e: np.ones((1, 50)), 3, rng)
    assert constant.settled is None


@pytest.mark.parametrize(("r", "seeds"), [(0.83, 4), (0.5, 9), (0.99, 1), (1.0, 1), (0.0, None), (-0.2, None), (math.nan, None)])
def test_the_seed_after_which_one_more_hardly_matters(r, seeds):
    assert last_worthwhile_seed(r) == seeds
    if seeds is not None:
        assert spearman_brown(r, seeds + 1) - spearman_brown(r, seeds) < 0.01
        assert seeds == 1 or spearman_brown(r, seeds) - spearman_brown(r, seeds - 1) >= 0.01
