"""The gate for fast code: bfloat16 orders the samples as float32 does, at least as well as another seed would."""

import numpy as np
import pytest

from learnability.agreement import spearman
from learnability.store.runs import load_looks
from learnability.store.scores import load_run_scores
from learnability.training import train
from tests.training.toy import make_toy


@pytest.mark.soak
def test_bf16_differs_from_fp32_by_no_more_than_two_seeds_differ(tmp_path):
    toy = make_toy(tmp_path, N=120, T=80)
    scores, accuracy = {}, {}
    for precision, seed in (("fp32", 0), ("fp32", 1), ("bf16", 0)):
        config = toy.config(arch="resnet20", epochs=8, precision=precision, seed=seed, lr=0.05)
        assert train(config, toy.cache, "cpu", threads=1).state == "done"
        table, _ = load_run_scores(toy.cache, toy.name, config.run_id)
        scores[precision, seed] = np.asarray(table["aum"])
        accuracy[precision, seed] = load_looks(toy.cache, toy.name, config.run_id)[-1]["test_accuracy"]
    reference, other, fast = scores.values()
    assert spearman(fast, reference) >= spearman(other, reference)
    assert np.unique(reference).size > 60
    noise = np.sqrt(0.25 / 80)  # at most, of an accuracy over 80 test samples
    assert abs(accuracy["bf16", 0] - accuracy["fp32", 0]) <= abs(accuracy["fp32", 1] - accuracy["fp32", 0]) + 2 * noise
