"""The Recorder of anybody's loop: what it keeps, what it counts, what it refuses, and that no crash or rank loses anything."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

import learnability
from learnability import jobs
from learnability.errors import InputError, Locked, NonFinite
from learnability.integrations.notes import KEPT
from learnability.recording import SIGNALS
from learnability.store.datasets import label_versions, open_dataset
from learnability.store.locks import hold, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import load_recording, load_run, load_runs
from learnability.training.recorder import Recorder as Inner
from tests.integrations import own_loop

ROOT = Path(__file__).resolve().parents[2]
KEYS = ["ant", "bee", "cat", "dog", "eel"]
LABELS = np.array([0, 1, 2, 0, 1])


def recorder(tmp_path, **given) -> learnability.Recorder:
    given = {"keys": KEYS, "labels": LABELS, "class_names": ["x", "y", "z"], "cache": tmp_path / "cache"} | given
    return learnability.Recorder("zoo", "net", **given)


def logits(seed: int, n: int = 5, K: int = 3) -> torch.Tensor:
    return torch.randn(n, K, generator=torch.Generator().manual_seed(seed))


def only_run(tmp_path):
    (run,) = load_runs(Cache(tmp_path / "cache"), "zoo")
    return run


def recorded(tmp_path):
    run = only_run(tmp_path)
    return load_recording(Cache(tmp_path / "cache"), "zoo", run.id, verify=True)


def test_what_it_keeps_is_what_our_own_loop_would_keep(tmp_path):
    mine, ours = recorder(tmp_path, looks=2), Inner(5, 3)
    expected = []
    for look in range(2):
        z = logits(look)
        for ids in (torch.tensor([4, 0, 2]), torch.tensor([1, 3])):
            mine.update(ids, z[ids], torch.from_numpy(LABELS)[ids])
            ours.update(ids, z[ids], torch.from_numpy(LABELS)[ids])
        mine.end_look(test_accuracy=0.25)
        expected.append(ours.end_look().signals)
    found = recorded(tmp_path)
    for name in SIGNALS:
        assert np.array_equal(found.signals[name], np.hstack([one[name] for one in expected])), name
    assert found.looks[1]["test_accuracy"] == 0.25 and found.looks[1]["epoch"] == 1
    run = only_run(tmp_path)
    assert (run.state, run.looks, run.config.origin, run.config.arch) == ("done", 2, "recorder", "net")
    table = learnability.load_scores("zoo", "learnability", cache=tmp_path / "cache")
    assert table.keys_N.tolist() == KEYS and list(table.columns) == ["net-s0"]


def test_keys_arrays_and_half_precision_say_the_same_as_tensors(tmp_path):
    one, two = recorder(tmp_path, seed=0), recorder(tmp_path, seed=1)
    z = logits(0).bfloat16()
    one.update(torch.arange(5), z, torch.from_numpy(LABELS))
    two.update(["eel", "cat"], z[[4, 2]].float().numpy(), LABELS[[4, 2]].tolist())
    two.update(np.array([0, 1, 3]), z[[0, 1, 3]].float().numpy(), LABELS[[0, 1, 3]])
    for each in (one, two):
        each.end_look()
        each.close()
    runs = load_runs(Cache(tmp_path / "cache"), "zoo")
    a, b = (load_recording(Cache(tmp_path / "cache"), "zoo", run.id) for run in runs)
    assert all(np.array_equal(a.signals[name], b.signals[name]) for name in SIGNALS)
    assert runs[0].group == runs[1].group


def test_duplicates_and_gaps_are_counted_and_told(tmp_path, capsys):
    mine = recorder(tmp_path)
    first, last = logits(0), logits(1)
    mine.update([0, 1, 0, 3], first[[0, 1, 0, 3]], LABELS[[0, 1, 0, 3]])
    mine.update([0], last[:1], LABELS[:1])
    mine.end_look()
    mine.close()
    found = recorded(tmp_path)
    assert found.seen_NE[:, 0].tolist() == [True, True, False, True, False]
    assert found.margin_NE[0, 0] == np.float16(last[0, 0] - last[0, 1:].max()), "the last time counts"
    assert (found.looks[0]["duplicates"], found.looks[0]["gaps"]) == (2, 2)
    told = capsys.readouterr().err
    assert "2 times a sample was seen again" in told and "2 of 5 samples were not seen" in told
    assert "seen again 2 times, not seen 2 times" in told and "% of the time" in told


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        (([0], [[1.0, 2.0, 3.0]], [[0.1, 0.9, 0.0]]), "use eval"),
        (([0], [[1.0, 2.0, 3.0]], [0.5]), "use eval"),
        (([0], [[1.0]], [0]), r"torch.stack\(\(0 \* z, z\), 1\)"),
        (([0], [[1.0, 2.0]], [0]), "logits of 2 classes: expected 3"),
        (([0, 1], [[1.0, 2.0, 3.0]], [0]), "2 ids for 1 rows"),
        (([0.5], [[1.0, 2.0, 3.0]], [0]), "ids of torch.float64: expected whole numbers"),
        (([0], [[1.0, 2.0, 3.0]], [0, 1]), r"labels \(2,\): expected \(1,\)"),
        ((["fox"], [[1.0, 2.0, 3.0]], [0]), "key 'fox': expected one of the 5 keys"),
    ],
)
def test_a_batch_that_cannot_be_noted_is_refused(tmp_path, batch, said):
    with pytest.raises(InputError, match=said):
        recorder(tmp_path).update(*batch)


@pytest.mark.parametrize(
    ("batch", "kind", "said"),
    [
        (([7], [[1.0, 2.0, 3.0]], [0]), InputError, "1 ids are none of this recorder, the first is 7"),
        (([0], [[1.0, 2.0, 3.0]], [-100]), InputError, "the first is -100: expected 0 to 2"),
        (([0], [[1.0, 2.0, 3.0]], [2]), InputError, "'ant' is 2, expected 0"),
        (([2], [[1.0, float("nan"), 3.0]], [2]), NonFinite, "first of them rows 2"),
    ],
)
def test_what_shows_at_the_end_of_a_look_fails_the_run_and_keeps_what_was_committed(tmp_path, batch, kind, said):
    mine = recorder(tmp_path)
    mine.update(range(5), logits(0), LABELS)
    mine.end_look()
    mine.update(*batch)
    with pytest.raises(kind, match=said):
        mine.end_look()
    run = only_run(tmp_path)
    assert run.state == "failed" and run.looks == 1 and run.head.reason


def test_a_prepared_data_set_gives_pictures_and_classes_are_translated(digits):
    dataset = open_dataset(digits, "digits")
    names = [dataset.class_names[k] for k in (3, 1, 2, 0, 4, 5, 6, 7, 8, 9)]
    own = np.arange(10)
    own[[0, 3]] = 3, 0
    some = np.arange(0, dataset.N, 7)[::-1]
    z = torch.randn(len(some), 10, generator=torch.Generator().manual_seed(0))
    mine = learnability.Recorder("digits", "mlp", [dataset.keys[i] for i in some], class_names=names, cache=digits)
    mine.update(torch.arange(len(some)), z, own[dataset.labels_N[some]])
    mine.end_look()
    mine.close()
    (run,) = load_runs(digits, "digits")
    found = load_recording(digits, "digits", run.id)
    assert run.config.labels == "original" and run.config.fingerprint == dataset.fingerprint
    assert np.array_equal(found.sample_ids_N, some[::-1]) and np.array_equal(found.labels_N, dataset.labels_N[some[::-1]])
    assert np.array_equal(found.prediction_NE[:, 0], own[z.argmax(1).numpy()[::-1]])


def test_labels_of_ones_own_are_a_label_version_and_never_pass_unseen(digits):
    dataset = open_dataset(digits, "digits")
    other = dataset.labels_N.copy()
    other[5] = (other[5] + 1) % 10
    with pytest.raises(InputError, match="1 of .* labels differ .* Give class_names"):
        learnability.Recorder("digits", "mlp", labels=other, cache=digits)
    mine = learnability.Recorder("digits", "mlp", labels=other, class_names=dataset.class_names, cache=digits)
    mine.update(torch.arange(dataset.N), torch.zeros(dataset.N, 10), other)
    mine.end_look()
    mine.close()
    (run,) = load_runs(digits, "digits")
    assert run.config.labels.startswith("recorded-") and run.config.labels in label_versions(digits, "digits")
    assert np.array_equal(open_dataset(digits, "digits", None, run.config.labels).labels_N, other)
    again = learnability.Recorder("digits", "mlp", labels=other, class_names=dataset.class_names, seed=1, cache=digits)
    assert again.run_id.rsplit("-", 1)[1] == run.recipe


def test_keys_that_are_not_the_data_sets_are_refused(digits, tmp_path):
    with pytest.raises(InputError, match="2 of 2 keys are no train samples of data set 'digits', the first is 'a'"):
        learnability.Recorder("digits", "mlp", ["a", "b"], cache=digits)
    with pytest.raises(InputError, match="no data set 'nothing' is prepared: expected keys"):
        learnability.Recorder("nothing", "mlp", cache=tmp_path)
    with pytest.raises(InputError, match="1 stand twice, the first is 'a'"):
        learnability.Recorder("nothing", "mlp", ["a", "b", "a"], cache=tmp_path)
    with pytest.raises(InputError, match="labels: expected 5, one a key, got 4"):
        recorder(tmp_path, labels=LABELS[:4])


def test_captions_make_the_identity_and_another_text_another_version(tmp_path):
    cache = Cache(tmp_path / "cache")
    for seed, texts in enumerate((["a text"] * 5, ["a text"] * 4 + ["another"])):
        mine = recorder(tmp_path, captions=texts, seed=seed)
        mine.update(range(5), logits(0), LABELS)
        mine.end_look()
        mine.close()
    opened = open_dataset(cache, "zoo")
    assert opened.images is None and opened.samples()["caption"].to_pylist() == ["a text"] * 4 + ["another"]
    assert opened.info["duplicates"] == 4 and opened.info["conflicts"] == 1
    assert len(cache.versions("zoo")) == 2 and len({run.config.fingerprint for run in load_runs(cache, "zoo")}) == 2


def test_labels_may_come_with_the_first_look_and_keys_be_a_count(tmp_path):
    mine = learnability.Recorder("zoo", "net", 12, cache=tmp_path / "cache")
    mine.update(range(12), torch.randn(12, 4), np.arange(12) % 4)
    assert mine.run_id is None
    mine.end_look()
    mine.close()
    opened = open_dataset(Cache(tmp_path / "cache"), "zoo")
    assert opened.keys[3] == "03" and opened.class_names == ("0", "1", "2", "3") and opened.labels_N.tolist() == [0, 1, 2, 3] * 3
    with pytest.raises(InputError, match="11 of 12 samples were not seen at the first look"):
        lazy = learnability.Recorder("other", "net", 12, cache=tmp_path / "cache")
        lazy.update([0], torch.randn(1, 4), [0])
        lazy.end_look()


def test_a_done_run_is_not_recorded_over_and_one_begun_again_here_is(tmp_path):
    older = recorder(tmp_path)
    older.update(range(5), logits(0), LABELS)
    older.end_look()
    newer = recorder(tmp_path)  # as when a notebook's cell is run again
    newer.update(range(5), logits(1), LABELS)
    assert older._run.ended and only_run(tmp_path).looks == 0
    newer.end_look()
    newer.close()
    assert only_run(tmp_path).state == "done"
    with pytest.raises(InputError, match="is done: 1 looks. Give another seed or name"):
        recorder(tmp_path).update(range(5), logits(1), LABELS)


@pytest.mark.parametrize(
    ("looks", "trouble", "state", "reason"),
    [
        (None, None, "done", None),
        (3, None, "stopped", "its process ended after 1 of 3 looks"),
        (None, RuntimeError("out of memory"), "failed", "RuntimeError: out of memory"),
        (None, KeyboardInterrupt(), "stopped", "KeyboardInterrupt"),
    ],
)
def test_a_recorder_that_nobody_closes_says_how_its_process_ended(tmp_path, monkeypatch, looks, trouble, state, reason):
    monkeypatch.setattr(sys, "last_value", ValueError("of an earlier cell"), raising=False)
    mine = recorder(tmp_path, looks=looks)
    mine.update(range(5), logits(0), LABELS)
    mine.end_look()
    if trouble is not None:
        monkeypatch.setattr(sys, "last_value", trouble)
    del mine
    run = only_run(tmp_path)
    assert (run.state, run.looks) == (state, 1) and (reason is None or reason in run.head.reason)


def test_a_checkpoint_in_the_middle_of_a_look_loses_nothing(tmp_path):
    whole, cut = recorder(tmp_path, seed=0), recorder(tmp_path, seed=1)
    for each in (whole, cut):
        each.update(range(5), logits(0), LABELS)
        each.end_look()
        each.update([0, 1, 2], logits(1)[:3], LABELS[:3])
    state = cut.state_dict()
    cut.update([3, 4], logits(9)[3:], LABELS[3:])
    cut.end_look()
    cut.close("its owner pulled the plug")
    resumed = recorder(tmp_path, seed=1)
    resumed.load_state_dict(state)
    for each in (whole, resumed):
        each.update([3, 4], logits(1)[3:], LABELS[3:])
        each.end_look()
        each.close()
    runs = load_runs(Cache(tmp_path / "cache"), "zoo")
    a, b = (load_recording(Cache(tmp_path / "cache"), "zoo", run.id, verify=True) for run in runs)
    assert a.E == b.E == 2 and all(np.array_equal(a.signals[name], b.signals[name], equal_nan=True) for name in SIGNALS)
    with pytest.raises(InputError, match="belongs to run"):
        recorder(tmp_path, seed=2).load_state_dict(state)


def started(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integrations.own_loop", *map(str, arguments)], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_killed_in_an_epoch_it_goes_on_from_its_owners_checkpoint_and_two_ranks_record_the_same_samples(tmp_path):
    """One test, for its processes run side by side: a loop that is killed, and two ranks; a whole loop meanwhile here."""
    places = {name: (tmp_path / name / "cache", tmp_path / name / "own") for name in ("whole", "cut", "ranks")}
    for _, own in places.values():
        own.mkdir(parents=True)
    cut = started(*places["cut"], "--die-after", 2)
    ranks = [started(*places["ranks"], "--rank", rank) for rank in (0, 1)]
    own_loop.loop(*places["whole"])
    told = [process.communicate(timeout=200)[1] for process in (cut, *ranks)]
    assert cut.returncode == -signal.SIGKILL and not any(process.returncode for process in ranks), told
    before = load_runs(Cache(places["cut"][0]), "own")[0]
    assert (before.state, before.looks) == ("running", 2)
    (state,) = jobs.states(Cache(places["cut"][0]), "own")
    assert state.state == "crashed" and state.actions == ("delete",) and "its own checkpoint" in state.reason
    with pytest.raises(InputError, match="owner's loop"):
        jobs.resume(Cache(places["cut"][0]), "own", before.id)
    own_loop.loop(*places["cut"])
    found = {name: load_recording(Cache(cache), "own", before.id, verify=True) for name, (cache, _) in places.items()}
    assert all(np.array_equal(found["cut"].signals[name], found["whole"].signals[name]) for name in SIGNALS)
    assert all(load_run(Cache(cache), "own", before.id).state == "done" for cache, _ in places.values())
    assert found["ranks"].seen_NE.all() and found["ranks"].E == 5
    assert np.array_equal(found["ranks"].labels_N, found["whole"].labels_N)
    first = found["ranks"].loss_NE[:, 0]
    assert np.isfinite(first).all() and len(np.unique(first)) > 50
    assert [look["duplicates"] for look in found["ranks"].looks] == [0] * 5


def test_a_run_that_somebody_else_holds_is_neither_written_nor_stopped_from_here(tmp_path):
    mine = recorder(tmp_path)
    mine.update(range(5), logits(0), LABELS)
    mine.end_look()
    assert mine.state_dict()["looks"] == 1  # what a checkpoint names is on disk
    run = only_run(tmp_path)
    with pytest.raises(InputError, match="at work in its owner's own loop"):
        jobs.stop(Cache(tmp_path / "cache"), "zoo", run.id)
    mine.close("for the other one")
    with hold(Cache(tmp_path / "cache"), run_lock("zoo", run.id)):
        with pytest.raises(Locked, match="in use by process"):
            recorder(tmp_path).update(range(5), logits(1), LABELS)
    assert only_run(tmp_path).looks == 1


def test_with_ids_yields_rows_of_the_whole_also_from_a_part_and_from_dicts():
    pairs = TensorDataset(torch.arange(10) * 10, torch.arange(10))
    part = learnability.with_ids(Subset(Subset(pairs, [9, 7, 5, 3]), [3, 0]))
    assert [item[0] for item in part] == [3, 9] and part[0][1] == 30
    for ids, values, labels in DataLoader(learnability.with_ids(pairs), batch_size=4, shuffle=True):
        assert torch.equal(ids * 10, values) and torch.equal(ids, labels)

    class Words(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return {"input": i * 2}

    assert learnability.with_ids(Words())[2] == {"input": 4, "sample_id": 2}

    class Stream(IterableDataset):
        def __iter__(self):
            return iter([1])

    with pytest.raises(InputError, match="a stream has none"):
        learnability.with_ids(Stream())


def test_a_look_that_nobody_ends_is_noticed(tmp_path):
    mine = recorder(tmp_path)
    batch = np.repeat(np.arange(5), 1000)
    with pytest.raises(InputError, match="call recorder.end_look"):
        for _ in range(10):
            mine.update(batch, torch.zeros(len(batch), 3), LABELS[batch])


def test_nothing_leaves_the_device_before_the_end_of_a_look(tmp_path):
    """Meta tensors hold no numbers: reading one, or copying it to the host, would fail."""
    from learnability.integrations.notes import Notes

    notes = Notes()
    notes.add(torch.arange(3), torch.zeros(3, 4, device="meta"), torch.zeros(3, dtype=torch.int64, device="meta"))
    assert notes.packed[0].shape == (2 + len(KEPT), 3) and notes.packed[0].is_meta
    with pytest.raises((NotImplementedError, RuntimeError)):
        notes.taken()
