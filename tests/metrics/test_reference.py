"""Every metric against plain loops in Python's own float64, written from the definitions and sharing no code with them."""

import dataclasses
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from learnability.metrics import METRICS, available, most_frequent_wrong, score_all
from tests.metrics.signals import DRAWN, SOAK, recordings


def mean(values):
    return math.fsum(values) / len(values)


def deviation(values):
    return math.sqrt(mean([(value - mean(values)) ** 2 for value in values]))


def probability(look):
    return math.exp(-look["loss"])


def seen_looks(recording, i):
    """The looks that saw sample i, one dict each."""
    looks = []
    for e in range(recording.E):
        look = {name: signal[i, e].item() for name, signal in recording.signals.items()}
        unseen = math.isnan(look["loss"]) if "loss" in look else look["prediction"] == np.iinfo(recording.prediction_NE.dtype).max
        if not unseen:
            looks.append(look | {"e": e, "hit": look["prediction"] == recording.labels_N[i]})
    return looks


def learnability(looks, E):
    return sum(look["hit"] for look in looks) / len(looks)


def never_learned(looks, E):
    return not any(look["hit"] for look in looks)


def forgetting_events(looks, E):
    return sum(before["hit"] and not look["hit"] for before, look in zip(looks, looks[1:], strict=False))


def first_learned(looks, E):
    return next((look["e"] for look in looks if look["hit"]), E)


def consistently_learned(looks, E):
    return next((look["e"] for j, look in enumerate(looks) if all(later["hit"] for later in looks[j:])), E)


def iteration_learned(looks, E):
    final = looks[-1]["prediction"]
    return next(look["e"] for j, look in enumerate(looks) if all(later["prediction"] == final for later in looks[j:]))


def prediction_flips(looks, E):
    return sum(before["prediction"] != look["prediction"] for before, look in zip(looks, looks[1:], strict=False))


def consensus(looks):
    wrong = [look for look in looks if not look["hit"]]
    counts = Counter(look["prediction"] for look in wrong)
    if not counts:
        return -1, 0
    last = {look["prediction"]: look["e"] for look in wrong}
    most = max(counts, key=lambda name: (counts[name], last[name]))
    return most, counts[most]


REFERENCE = {
    "learnability": learnability,
    "never_learned": never_learned,
    "forgetting_events": forgetting_events,
    "first_learned": first_learned,
    "consistently_learned": consistently_learned,
    "iteration_learned": iteration_learned,
    "confidence": lambda looks, E: mean([probability(look) for look in looks]),
    "variability": lambda looks, E: deviation([probability(look) for look in looks]),
    "aleatoric": lambda looks, E: mean([probability(look) * -math.expm1(-look["loss"]) for look in looks]),
    "aum": lambda looks, E: mean([look["margin"] for look in looks]),
    "el2n": lambda looks, E: mean([look["el2n"] for look in looks]),
    "mean_loss": lambda looks, E: mean([look["loss"] for look in looks]),
    "loss_std": lambda looks, E: deviation([look["loss"] for look in looks]),
    "mean_entropy": lambda looks, E: mean([look["entropy"] for look in looks]),
    "prediction_flips": prediction_flips,
    "consensus_prediction": lambda looks, E: consensus(looks)[0],
    "consensus_share": lambda looks, E: consensus(looks)[1] / len(looks),
}


def el2n_early(recording):
    wanted = math.ceil(Fraction(recording.epochs, 10)) - 1
    found = [[look["el2n"] for look in seen_looks(recording, i) if look["e"] == wanted] for i in range(recording.N)]
    return [values[0] if values else math.nan for values in found]


def suspicion(recording):
    """Pair by pair, in fractions: a mid-rank is 1/2 + how many are less suspicious + half of those equal, itself included."""
    key = {}
    for i in range(recording.N):
        if looks := seen_looks(recording, i):
            misses = Fraction(sum(not look["hit"] for look in looks), len(looks))
            key[i] = misses, -sum(Fraction(look["margin"]) for look in looks) / len(looks)
    place = {
        i: sum(other < mine for other in key.values()) + Fraction(sum(other == mine for other in key.values()), 2)
        for i, mine in key.items()
    }
    return [float(place[i] / len(key)) if i in key else math.nan for i in range(recording.N)]


def reference(name, recording):
    if name in ("el2n_early", "suspicion"):
        return {"el2n_early": el2n_early, "suspicion": suspicion}[name](recording)
    found = (seen_looks(recording, i) for i in range(recording.N))
    return [float(REFERENCE[name](looks, recording.E)) if looks else math.nan for looks in found]


def check(name, recording):
    if name not in available(recording):
        return
    got, expected = METRICS[name].score(recording), np.array(reference(name, recording))
    assert got.shape == (recording.N,) and got.dtype == np.float64
    if METRICS[name].whole:
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", METRICS)
@DRAWN
@given(recording=recordings())
def test_equals_the_reference(name, recording):
    check(name, recording)


@pytest.mark.soak
@pytest.mark.parametrize("name", METRICS)
@SOAK
@given(recording=recordings())
def test_equals_the_reference_long(name, recording):
    check(name, recording)


@DRAWN
@given(recording=recordings())
def test_all_at_once_equals_one_by_one(recording):
    scores = score_all(recording)
    assert list(scores) == available(recording)
    for name, score_N in scores.items():
        np.testing.assert_array_equal(score_N, METRICS[name].score(recording), err_msg=name)


@DRAWN
@given(recording=recordings(), other=recordings())
def test_most_frequent_wrong_adds_the_counts_of_several_runs(recording, other):
    N = min(recording.N, other.N)
    first = dataclasses.replace(recording.rows(slice(0, N)), class_count=5)
    second = dataclasses.replace(other.rows(slice(0, N)), class_count=5, labels_N=first.labels_N)
    class_N, share_N = most_frequent_wrong([first, second])
    for i in range(N):
        looks = sorted(seen_looks(first, i) + seen_looks(second, i), key=lambda look: (look["e"], -look["prediction"]))
        if not looks:
            assert math.isnan(class_N[i]) and math.isnan(share_N[i])
            continue
        counts = Counter(look["prediction"] for look in looks if not look["hit"])
        last = {look["prediction"]: look["e"] for look in looks}
        most = max(counts, key=lambda name: (counts[name], last[name], -name)) if counts else -1
        assert class_N[i] == most
        assert share_N[i] == pytest.approx(counts[most] / len(looks))
