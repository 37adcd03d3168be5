"""Scalars of a real training in TensorBoard's own files, and in MLflow where that is installed."""

import pytest

from learnability.__main__ import main
from learnability.integrations.trackers import SCALARS, Tracker
from learnability.store.runs import load_looks, load_runs


def train(cache, tracker: str) -> int:
    own = ["--data", "digits", "--arch", "mobilenet", "--epochs", "2", "--subset", "64", "--precision", "fp32", "--cache", str(cache.root)]
    return main(["train", *own, "--tracker", tracker])


def test_tensorboard_gets_every_look_and_a_resumed_run_no_look_twice(digits):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard (extra dev)")
    assert train(digits, "tensorboard") == 0
    (run,) = load_runs(digits, "digits")
    looks = load_looks(digits, "digits", run.id)
    again = Tracker("tensorboard", digits)
    again.follow(run.config)  # as a second start would
    again.close()
    found = accumulator.EventAccumulator(str(digits.tensorboard / "digits" / run.id))
    found.Reload()
    assert set(found.Tags()["scalars"]) == {name for name in SCALARS if looks[0].get(name) is not None}
    for name in ("loss", "accuracy", "test_accuracy"):
        told = found.Scalars(name)
        assert [one.step for one in told] == [0, 1], name
        assert [one.value for one in told] == pytest.approx([look[name] for look in looks])


def test_mlflow_gets_every_look(digits, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is large and not in the extra dev: pip install mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert train(digits, "mlflow") == 0
    (run,) = load_runs(digits, "digits")
    client = mlflow.MlflowClient()
    (told,) = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    looks = load_looks(digits, "digits", run.id)
    assert [one.value for one in client.get_metric_history(told.info.run_id, "loss")] == pytest.approx([look["loss"] for look in looks])


def test_a_tracker_that_is_not_known_or_not_for_the_queue_is_refused(digits, capsys):
    assert main(["train", "--data", "digits", "--arch", "resnet20", "--queue", "--tracker", "mlflow", "--cache", str(digits.root)]) == 2
    assert "--tracker with --queue" in capsys.readouterr().err
