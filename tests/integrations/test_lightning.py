"""A small Lightning training, recorded by the callback: a real Trainer, a real module, resumed from Lightning's own checkpoint."""

import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

import learnability
from learnability.errors import InputError
from learnability.recording import SIGNALS
from learnability.store.datasets import open_dataset
from learnability.store.runs import load_looks, load_recording, load_runs


@pytest.fixture(scope="module", autouse=True)
def _lightning():
    """Imported for these tests alone: it takes seconds."""
    global RecordSamples, lightning, modules
    lightning = pytest.importorskip("lightning.pytorch", reason="needs the package lightning (extra dev)")
    from learnability.integrations.lightning import RecordSamples
    from tests.integrations import lightning_modules as modules


def batches(cache, count: int = 200) -> DataLoader:
    dataset = open_dataset(cache, "digits")
    images = torch.from_numpy(np.array(dataset.images)).permute(0, 3, 1, 2).float() / 255
    pairs = TensorDataset(images, torch.from_numpy(dataset.labels_N))
    return DataLoader(Subset(learnability.with_ids(pairs), range(count)), batch_size=50, shuffle=True)


def train(cache, callback, tmp_path, module=None, epochs: int = 2, resume=None, callbacks=(), **trainer):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}
    own = lightning.Trainer(max_epochs=epochs, default_root_dir=tmp_path, callbacks=[callback, *callbacks], **quiet | trainer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning on workers and on loggers
        own.fit(module or modules.Classifier(), batches(cache), ckpt_path=resume)
    return own


def test_a_module_is_recorded_epoch_by_epoch_with_the_pictures_of_its_data_set(digits, tmp_path, capsys):
    train(digits, RecordSamples("digits", "tiny", cache=digits), tmp_path)
    (run,) = load_runs(digits, "digits")
    found = load_recording(digits, "digits", run.id, verify=True)
    assert (run.state, run.looks, found.record) == ("done", 2, "train")
    assert found.seen_NE[:200].all() and not found.seen_NE[200:].any()
    assert found.loss_NE[:200, 1].mean() < found.loss_NE[:200, 0].mean(), "it has learned something, so these are its own logits"
    first = found.loss_NE[:200, 0].astype(float)
    assert abs(np.median(first) - np.log(10)) < 0.5
    assert "Recording took" in capsys.readouterr().err


def test_it_goes_on_from_lightnings_own_checkpoint(digits, tmp_path):
    lightning.seed_everything(1, verbose=False)
    train(digits, RecordSamples("digits", "tiny", looks=3, cache=digits), tmp_path, epochs=2)
    (checkpoint,) = (tmp_path / "checkpoints").glob("*.ckpt")
    (before,) = load_runs(digits, "digits")
    kept = load_recording(digits, "digits", before.id)
    assert (before.state, before.looks) == ("stopped", 2)
    train(digits, RecordSamples("digits", "tiny", looks=3, cache=digits), tmp_path, epochs=3, resume=checkpoint)
    (after,) = load_runs(digits, "digits")
    found = load_recording(digits, "digits", after.id, verify=True)
    assert (after.state, after.looks) == ("done", 3)
    for name in SIGNALS:
        assert np.array_equal(found.signals[name][:, :2], kept.signals[name], equal_nan=True)


def test_a_checkpoint_of_an_epochs_last_step_keeps_its_look_apart_from_the_next(digits, tmp_path):
    every = lightning.callbacks.ModelCheckpoint(dirpath=tmp_path / "steps", every_n_train_steps=4, save_top_k=-1)
    train(digits, RecordSamples("digits", "tiny", looks=2, cache=digits), tmp_path, epochs=1, callbacks=[every])
    (checkpoint,) = (tmp_path / "steps").glob("*.ckpt")
    (before,) = load_runs(digits, "digits")
    kept = load_recording(digits, "digits", before.id)
    assert (before.state, before.looks) == ("stopped", 1)
    train(digits, RecordSamples("digits", "tiny", looks=2, cache=digits), tmp_path, epochs=2, resume=checkpoint)
    (after,) = load_runs(digits, "digits")
    found = load_recording(digits, "digits", after.id, verify=True)
    assert (after.state, after.looks) == ("done", 2)
    assert [look["duplicates"] for look in load_looks(digits, "digits", after.id)] == [0, 0]
    for name in SIGNALS:
        assert np.array_equal(found.signals[name][:, :1], kept.signals[name], equal_nan=True)


def test_logits_may_be_a_submodules_or_what_the_step_returns_and_else_it_says_so(digits, tmp_path):
    with pytest.raises(InputError, match="forward ran 0 times in the training step"):
        train(digits, RecordSamples("digits", "a", cache=digits), tmp_path, modules.AroundForward(), 1)
    train(digits, RecordSamples("digits", "b", layer="network", cache=digits), tmp_path, modules.AroundForward(), 1)
    train(digits, RecordSamples("digits", "c", cache=digits), tmp_path, modules.Telling(), 1)
    runs = {run.config.arch: run for run in load_runs(digits, "digits")}
    assert runs["a"].looks == 0 if "a" in runs else True
    assert (runs["b"].state, runs["c"].state) == ("done", "done")
    assert load_recording(digits, "digits", runs["b"].id).seen_NE.sum() == 200


def test_batches_without_ids_are_refused(digits, tmp_path):
    with pytest.raises(InputError, match="learnability.with_ids"):
        RecordSamples("digits", "x").unpack([torch.zeros(2), torch.zeros(2)])
