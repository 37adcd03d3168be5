"""Recorder: five signals by their formulas, each sample at most once a look, nothing that is not finite."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from learnability.errors import InputError, NonFinite
from learnability.recording import SIGNALS
from learnability.training.recorder import Recorder, signals

LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(2, 9)), elements=st.floats(-30, 30, width=32))


def oracle(z_BK: np.ndarray, y_B: np.ndarray) -> dict[str, np.ndarray]:
    """The formulas in float64, sample by sample."""
    out = {name: [] for name in SIGNALS}
    for z, y in zip(z_BK.astype(np.float64), y_B, strict=True):
        p = np.exp(z - z.max())
        p /= p.sum()
        out["prediction"].append(int(np.argmax(z)))
        out["loss"].append(np.log(np.exp(z - z.max()).sum()) + z.max() - z[y])
        out["margin"].append(z[y] - max(z[k] for k in range(len(z)) if k != y))
        out["el2n"].append(np.linalg.norm(p - np.eye(len(z))[y]))
        out["entropy"].append(-sum(q * np.log(q) for q in p if q > 0))
    return {name: np.array(values) for name, values in out.items()}


def noted(logits, labels, **kwargs):
    recorder = Recorder(len(labels), len(logits[0]), **kwargs)
    recorder.update(torch.arange(len(labels)), torch.as_tensor(logits), torch.as_tensor(labels))
    return recorder.end_look()


@settings(max_examples=50, deadline=None)
@given(LOGITS, st.randoms(use_true_random=False))
def test_signals_are_their_formulas(logits_BK, random):
    labels_B = np.array([random.randrange(logits_BK.shape[1]) for _ in logits_BK])
    predictions, kept = signals(torch.from_numpy(logits_BK), torch.from_numpy(labels_B))
    expected = oracle(logits_BK, labels_B)
    assert predictions.tolist() == expected["prediction"].tolist()
    for name, values in zip(("loss", "margin", "el2n", "entropy"), kept.double().numpy(), strict=True):
        assert np.allclose(values, expected[name], rtol=2e-5, atol=3e-6), name
    look = noted(logits_BK, labels_B)
    for name in SIGNALS:
        assert np.allclose(look.signals[name][:, 0], expected[name], rtol=1e-3, atol=1e-4), name
    assert look.accuracy == pytest.approx((expected["prediction"] == labels_B).mean())
    assert look.loss == pytest.approx(expected["loss"].mean(), rel=1e-4, abs=1e-5)


def test_ties_go_to_the_lowest_class_and_no_loss_is_minus_zero():
    logits = [[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [3.0, 3.0, 3.0], [90.0, 0.0, 0.0]]
    look = noted(logits, [1, 2, 0, 0])
    assert look.signals["prediction"][:, 0].tolist() == [0, 1, 0, 0]
    assert look.signals["margin"][:, 0].tolist() == [0, 0, 0, 90]
    assert look.signals["loss"][3, 0] == 0 and not np.signbit(look.signals["loss"]).any()
    assert not np.signbit(look.signals["entropy"]).any()


def test_logits_of_ten_thousand_are_finite_and_larger_ones_are_clamped_and_counted():
    look = noted([[10_000.0, -10_000.0], [10_000.0, -10_000.0], [90_000.0, 0.0], [0.0, 90_000.0]], [0, 1, 0, 0])
    assert look.signals["loss"][:, 0].tolist() == [0, 20_000, 0, 65_504]
    assert look.signals["margin"][:, 0].tolist() == [20_000, -20_000, 65_504, -65_504]
    assert look.clamped == 3
    assert np.allclose(look.signals["el2n"][:, 0], [0, 2**0.5, 0, 2**0.5], atol=1e-3)
    assert all(np.isfinite(values).all() for values in look.signals.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_finite_ends_the_run_with_epoch_and_samples(bad, place):
    logits = torch.zeros(4, 3)
    logits[2, place] = bad
    recorder = Recorder(4, 3, sample_ids=np.array([10, 20, 30, 40]))
    recorder.update(torch.tensor([10, 20, 30, 40]), logits, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(NonFinite, match="1 samples in epoch 5, first of them 30"):
        recorder.end_look(epoch=5)


def test_unseen_samples_are_marked_and_only_their_loss_is_nan():
    recorder = Recorder(5, 3)
    for rows in ([4, 0], [2]):
        recorder.update(torch.tensor(rows), torch.ones(len(rows), 3), torch.zeros(len(rows), dtype=torch.int64))
    look = recorder.end_look()
    unseen = np.array([False, True, False, True, False])
    assert look.seen == 3
    assert np.array_equal(np.isnan(look.signals["loss"][:, 0]), unseen)
    assert (look.signals["prediction"][unseen] == 255).all() and (look.signals["prediction"][~unseen] == 0).all()
    assert all(np.isfinite(look.signals[name]).all() for name in ("margin", "el2n", "entropy"))
    empty = recorder.end_look()
    assert empty.seen == 0 and np.isnan(empty.loss)


def test_a_sample_twice_in_a_look_or_one_that_is_not_held_is_refused():
    for times in ([[1, 1]], [[0, 1], [1, 2]]):
        recorder = Recorder(3, 2)
        for rows in times:
            recorder.update(torch.tensor(rows), torch.zeros(len(rows), 2), torch.zeros(len(rows), dtype=torch.int64))
        with pytest.raises(InputError, match=r"1 samples were recorded more than once in look 0 \(1\)"):
            recorder.end_look()
        recorder.update(torch.arange(3), torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))
        assert recorder.end_look().seen == 3
    some = Recorder(2, 2, sample_ids=np.array([3, 8]))
    for other in (5, 9, 99, -1, -2):
        some.update(torch.tensor([3, other]), torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64))
        with pytest.raises(InputError, match="not hold"):
            some.end_look()


@pytest.mark.parametrize(("class_count", "dtype"), [(255, "u1"), (256, "u2")])
def test_types_are_those_of_storage_whatever_the_logits_are(class_count, dtype):
    look = noted(torch.eye(class_count)[-2:].bfloat16(), [class_count - 2, 0])
    assert look.signals["prediction"].dtype == np.dtype(dtype) and look.signals["prediction"][0, 0] == class_count - 2
    assert {look.signals[name].dtype.str for name in SIGNALS[1:]} == {"<f2"}
    assert {values.shape for values in look.signals.values()} == {(2, 1)}


def test_shapes_and_class_counts_are_checked():
    with pytest.raises(InputError, match="at least two"):
        Recorder(3, 1)
    with pytest.raises(InputError, match="expected"):
        Recorder(3, 2, sample_ids=np.array([3, 1, 2]))
    with pytest.raises(InputError, match=r"\(2, 4\).*\(2, 3\)"):
        Recorder(3, 3).update(torch.arange(2), torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))


def test_means_can_leave_samples_out():
    recorder = Recorder(4, 2)
    recorder.update(torch.arange(4), torch.tensor([[1.0, 0]] * 4), torch.tensor([0, 0, 0, 1]))
    assert recorder.end_look(counted_N=np.array([True, True, False, True])).accuracy == pytest.approx(2 / 3)
