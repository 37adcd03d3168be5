"""An experiment through the queue with the real engine, from the shell."""

import json

import pytest

from learnability.__main__ import main
from learnability.store.architectures import Registered, register
from learnability.store.runs import load_looks, load_recording
from tests.ui import made_cache

COMMAND = ["curriculum", "run", "--data", "digits", "--arch", "steady", "--subset", "64", "--batch-size", "16", "--epochs", "2"]
COMMAND += ["--seeds", "1", "--arms", "easy_first", "random", "--score-seeds", "1", "--precision", "fp32"]
COMMAND += ["--device", "cpu", "--threads", "1", "--wait"]


@pytest.mark.parametrize("scores", ["there", pytest.param("trained first", marks=pytest.mark.soak)])
def test_arms_with_equal_updates_and_the_same_command_again(scores, real_place, capsys):
    at = ["--cache", str(real_place.cache.root)]
    register(real_place.cache, Registered("steady", "misdeeds:steady"))
    if scores == "there":
        made_cache.add_run(real_place.cache, "steady", 0, subset=64)
    assert main([*COMMAND, *at]) == 0
    told = capsys.readouterr().out
    assert ("First 1 run for the scores" in told) == (scores == "trained first")
    assert "easy_first, random: steady, seed 1, 8 updates each on 64 samples" in told
    assert "one seed. Whether that is chance cannot be said" in told
    runs = real_place.cache.run_ids("digits")
    assert len(runs) == 3
    assert main([*COMMAND, "--json", *at]) == 0
    result = json.loads(capsys.readouterr().out)
    assert real_place.cache.run_ids("digits") == runs, "nothing is trained twice"
    assert result["done"] and result["updates"] == [4, 8] and result["scores"]["score_seeds"] == "0"
    for arm in ("easy_first", "random"):
        (run_id,) = result["arms"][arm]["runs"]
        looks = load_looks(real_place.cache, "digits", run_id)
        assert [look["step"] for look in looks] == result["updates"]
        assert [look["test_accuracy"] for look in looks] == pytest.approx(result["arms"][arm]["test_accuracy"][0])
        recording = load_recording(real_place.cache, "digits", run_id)
        assert recording.record == "eval" and recording.seen_NE.all() and len(recording.sample_ids_N) == 64
