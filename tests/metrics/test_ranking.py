"""Orders: which rows a list shows first."""

import numpy as np
import pytest

from learnability.metrics import ranking, score_all, tie_sizes
from tests.metrics.signals import GOLDEN_LABELS, GOLDEN_LOGITS, recording_of

NAN = np.nan


def test_both_directions_and_never_seen_last():
    score_N = [0.5, NAN, 1.0, 0.0]
    assert list(ranking(score_N, "learnability")) == [2, 0, 3, 1]
    assert list(ranking(score_N, "learnability", hardest_first=True)) == [3, 0, 2, 1]
    assert list(ranking(score_N, "mean_loss")) == [3, 0, 2, 1]
    assert list(ranking(score_N, "suspicion", hardest_first=True)) == [2, 0, 3, 1]


def test_ties_go_by_margin_and_then_by_sample_id():
    score_N, aum_N, ids_N = np.full(5, 0.5), np.array([1.0, 3.0, NAN, 1.0, NAN]), np.array([10, 11, 15, 9, 12])
    assert list(ranking(score_N, "learnability", aum_N=aum_N, sample_ids_N=ids_N)) == [1, 3, 0, 4, 2]
    assert list(ranking(score_N, "learnability", aum_N=aum_N, sample_ids_N=ids_N, hardest_first=True)) == [3, 0, 1, 4, 2]
    assert list(ranking(score_N, "learnability")) == [0, 1, 2, 3, 4]


def test_never_learned_is_hardest_by_forgetting_events():
    scores = score_all(recording_of(GOLDEN_LOGITS, GOLDEN_LABELS))  # events 0 1 0 2, the third never learned
    options = {"aum_N": scores["aum"], "never_learned_N": scores["never_learned"]}
    assert list(ranking(scores["forgetting_events"], "forgetting_events", **options)) == [0, 1, 3, 2]
    assert list(ranking(scores["forgetting_events"], "forgetting_events", hardest_first=True, **options)) == [2, 3, 1, 0]
    unseen = [0, NAN, 0, 2], "forgetting_events"
    assert list(ranking(*unseen, never_learned_N=[0, NAN, 1, 0])) == [0, 3, 2, 1]
    with pytest.raises(ValueError, match="never_learned_N: expected the scores of never_learned, got none"):
        ranking(scores["forgetting_events"], "forgetting_events")


def test_a_metric_without_direction_wants_one_named():
    with pytest.raises(ValueError, match="easy_is 'neither' of 'variability': expected 'high' or 'low'"):
        ranking([0.1, 0.2], "variability")
    assert list(ranking([0.1, 0.2], "variability", easy_is="high")) == [1, 0]
    with pytest.raises(ValueError, match="'consensus_prediction' names a class and gives no order"):
        ranking([0, 1], "consensus_prediction", easy_is="low")
    with pytest.raises(ValueError, match="metric 'mine': expected one of learnability"):
        ranking([0, 1], "mine")
    assert list(ranking([0, 1], "mine", easy_is="high")) == [1, 0]


def test_tie_sizes():
    assert list(tie_sizes(np.array([0.5, 1, 0.5, NAN, 0, NAN, 0.5]))) == [3, 1, 3, 0, 1, 0, 3]
