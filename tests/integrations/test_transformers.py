"""A small text classification with Transformers' Trainer, recorded by the callback: a tiny BERT of random weights, no download."""

import numpy as np
import pytest
import torch

import learnability
from learnability.errors import InputError
from learnability.recording import SIGNALS
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import load_looks, load_recording, load_runs
from tests.integrations.sentences import CLASSES, Sentences, sentences, tiny_bert


@pytest.fixture(scope="module", autouse=True)
def _transformers():
    """Imported for these tests alone: it takes seconds."""
    global RecordSamples, transformers
    transformers = pytest.importorskip("transformers", reason="needs the package transformers (extra dev)")
    from learnability.integrations.transformers import RecordSamples


def trainer(tmp_path, callback, *, epochs: int = 3, wrapped: bool = True, **arguments):
    texts, labels = sentences()
    dataset = Sentences(texts, labels)
    given = {"remove_unused_columns": False, "save_strategy": "epoch", "report_to": "none", "disable_tqdm": True, "use_cpu": True}
    own = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), num_train_epochs=epochs, per_device_train_batch_size=16, learning_rate=3e-3, seed=0,
        logging_strategy="no", **given | arguments,
    )  # fmt: skip
    train = learnability.with_ids(dataset) if wrapped else dataset
    return transformers.Trainer(model=tiny_bert(), args=own, train_dataset=train, callbacks=[callback])


def recorder(cache: Cache):
    texts, labels = sentences()
    keys = [f"review-{i:03d}" for i in range(len(texts))]
    return RecordSamples("reviews", "tiny-bert", keys=keys, labels=labels, class_names=CLASSES, captions=texts, cache=cache)


def test_sentences_are_recorded_with_their_captions_and_a_resume_repeats_them(tmp_path):
    cache = Cache(tmp_path / "cache")
    trainer(tmp_path, recorder(cache)).train()
    (run,) = load_runs(cache, "reviews")
    whole = load_recording(cache, "reviews", run.id, verify=True)
    texts, labels = sentences()
    assert (run.state, run.looks) == ("done", 3) and whole.seen_NE.all()
    opened = open_dataset(cache, "reviews")
    assert opened.images is None and opened.samples()["caption"].to_pylist() == texts
    assert whole.hits_NE[:, -1].mean() > 0.8, "it has learned the words"
    hardest = np.argsort(learnability.METRICS["aum"].score(whole))[:4]
    assert {int(i) for i in hardest} & {0, 1, 2, 3}, "the sentences whose label is wrong are among the hardest"

    again = Cache(tmp_path / "again")
    first = trainer(tmp_path / "b", recorder(again))
    first.add_callback(stopping_after(1))
    first.train()
    (cut,) = load_runs(again, "reviews")
    assert (cut.state, cut.looks) == ("stopped", 1)
    trainer(tmp_path / "b", recorder(again)).train(resume_from_checkpoint=True)
    (resumed,) = load_runs(again, "reviews")
    found = load_recording(again, "reviews", resumed.id, verify=True)
    assert (resumed.state, resumed.looks) == ("done", 3) and found.seen_NE.all()
    for name in SIGNALS:
        assert np.array_equal(found.signals[name], whole.signals[name]), name


def stopping_after(epochs: int):
    class StopAfter(transformers.TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            control.should_training_stop = round(state.epoch) >= epochs
            return control

    return StopAfter()


def test_a_checkpoint_of_an_epochs_last_step_keeps_its_look_apart_from_the_next(tmp_path):
    steps, saved = 6, {"epochs": 2, "save_strategy": "steps", "save_steps": 6}
    whole, cut = Cache(tmp_path / "whole"), Cache(tmp_path / "cut")
    trainer(tmp_path / "a", recorder(whole), **saved).train()
    first = trainer(tmp_path / "b", recorder(cut), **saved)
    first.add_callback(killed_at(steps + 1))
    with pytest.raises(KilledError):
        first.train()
    trainer(tmp_path / "b", recorder(cut), **saved).train(resume_from_checkpoint=True)
    (run,), (other,) = load_runs(cut, "reviews"), load_runs(whole, "reviews")
    assert (run.state, run.looks) == ("done", 2)
    found, expected = (load_recording(cache, "reviews", one.id) for cache, one in ((cut, run), (whole, other)))
    assert all(np.array_equal(found.signals[name], expected.signals[name]) for name in SIGNALS)


def test_the_same_trainer_may_go_on_after_an_interrupt(tmp_path):
    cache = Cache(tmp_path / "cache")
    own = trainer(tmp_path, recorder(cache), epochs=2)
    interrupt = killed_at(7)
    own.add_callback(interrupt)
    with pytest.raises(KilledError):
        own.train()
    own.remove_callback(interrupt)
    own.train(resume_from_checkpoint=True)
    (run,) = load_runs(cache, "reviews")
    assert (run.state, run.looks) == ("done", 2)
    assert [look["duplicates"] for look in load_looks(cache, "reviews", run.id)] == [0, 0]
    assert not own.model._forward_hooks and not own.model._forward_pre_hooks


class KilledError(Exception):
    """In place of a kill."""


def killed_at(step: int):
    class KilledAt(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == step:
                raise KilledError

    return KilledAt()


def test_what_cannot_be_recorded_is_refused_at_the_start(tmp_path):
    with pytest.raises(InputError, match="remove_unused_columns=False"):
        trainer(tmp_path, recorder(Cache(tmp_path / "cache")), remove_unused_columns=True).train()
    with pytest.raises(InputError, match="a training batch without sample_id"):
        trainer(tmp_path, recorder(Cache(tmp_path / "cache")), wrapped=False).train()


def test_the_model_is_left_as_it_was(tmp_path):
    own = trainer(tmp_path, recorder(Cache(tmp_path / "cache")), epochs=1)
    own.train()
    assert not own.model._forward_hooks and not own.model._forward_pre_hooks
    batch = {name: torch.tensor([value]) for name, value in Sentences(*sentences())[0].items()}
    assert own.model(**batch).logits.shape == (1, 2)
