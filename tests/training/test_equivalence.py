"""The gate for fast code: it orders the samples as plain float32 does, at least as well as another seed would."""

import numpy as np
import pytest

from learnability.agreement import spearman
from learnability.store.runs import load_looks
from learnability.store.scores import load_run_scores
from learnability.training import session, train
from learnability.training.ways import Way
from tests.training.toy import make_toy


@pytest.mark.parametrize("fast", ["gemm", pytest.param("bf16", marks=pytest.mark.soak)])
def test_fast_code_differs_from_plain_float32_by_no_more_than_two_seeds_differ(tmp_path, monkeypatch, fast):
    toy = make_toy(tmp_path, N=120, T=80)
    monkeypatch.setattr(session, "fastest_way", lambda *_given, **_more: Way("fp32", "channels_last", gemm=True))
    scores, accuracy = {}, {}
    for kind, seed in (("fp32", 0), ("fp32", 1), (fast, 0)):
        config = toy.config(arch="resnet20", epochs=8, precision="auto" if kind == "gemm" else kind, seed=seed, lr=0.05)
        assert train(config, toy.cache, "cpu", threads=1).state == "done"
        table, _ = load_run_scores(toy.cache, toy.name, config.run_id)
        scores[kind, seed] = np.asarray(table["aum"])
        accuracy[kind, seed] = load_looks(toy.cache, toy.name, config.run_id)[-1]["test_accuracy"]
    reference, other, found = scores.values()
    assert not np.array_equal(found, reference), "it is other code"
    assert spearman(found, reference) >= spearman(other, reference)
    assert np.unique(reference).size > 60
    noise = np.sqrt(0.25 / 80)  # at most, of an accuracy over 80 test samples
    assert abs(accuracy[fast, 0] - accuracy["fp32", 0]) <= abs(accuracy["fp32", 1] - accuracy["fp32", 0]) + 2 * noise
