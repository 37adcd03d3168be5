"""Hits at one look: of a run, and of a seed with folds."""

import numpy as np
import pytest

from learnability.errors import NotFound
from learnability.store.heldout import units
from learnability.store.hits import hits_at
from learnability.store.runs import load_recording, load_runs
from learnability.training import train
from tests.training.toy import OWN, make_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    toy = make_toy(tmp_path_factory.mktemp("hits") / "cache")
    for config in (toy.config(epochs=2), *(toy.config(epochs=2, folds=2, fold=fold) for fold in (0, 1))):
        train(config, toy.cache, "cpu", threads=1, own_architectures=OWN)
    return toy


def of(toy, folded: bool):
    (unit,) = units([run for run in load_runs(toy.cache, toy.name) if (run.config.folds is not None) == folded])
    return unit, [load_recording(toy.cache, toy.name, run.id) for run in unit]


def test_a_run_hits_where_its_prediction_is_the_label(toy):
    unit, (recording,) = of(toy, folded=False)
    for look in (0, 1):
        ids_N, hits_N, seen_N = hits_at(toy.cache, unit, look)
        assert np.array_equal(ids_N, recording.sample_ids_N) and seen_N.all()
        assert np.array_equal(hits_N, recording.prediction_NE[:, look] == recording.labels_N) and hits_N.sum() > 0


def test_of_folds_each_sample_is_answered_by_the_run_that_held_it_out(toy):
    unit, recordings = of(toy, folded=True)
    ids_N, hits_N, seen_N = hits_at(toy.cache, unit, 1)
    assert len(ids_N) == len(recordings[0].sample_ids_N) and seen_N.all()
    for one in recordings:
        held = ~one.trained_N
        at = np.searchsorted(ids_N, one.sample_ids_N[held])
        assert np.array_equal(hits_N[at], (one.prediction_NE[:, 1] == one.labels_N)[held])
    assert not hits_at(toy.cache, unit[:1], 1)[2].all(), "what no run here held out was not seen"


def test_one_look_alone_is_that_of_the_whole_recording(toy):
    (run,), (whole,) = of(toy, folded=False)
    alone = load_recording(toy.cache, toy.name, run.id, looks=2, first=1, verify=True)
    assert alone.E == 1 and alone.looks == whole.looks[1:]
    for name, signal_NE in whole.signals.items():
        assert np.array_equal(alone.signals[name], signal_NE[:, 1:], equal_nan=name != "prediction")


def test_a_look_that_is_not_there_is_not_found(toy):
    unit, _ = of(toy, folded=False)
    with pytest.raises(NotFound, match="no committed look 2 yet"):
        hits_at(toy.cache, unit, 2)
