"""What other tools wrote becomes a run with the same signals that our own recorder would have noted."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learnability import METRICS, load_scores
from learnability.__main__ import main
from learnability.errors import InputError
from learnability.imports import keep, read_aum, read_cartography, read_plain
from learnability.imports.dynamics import of_logits
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import load_recording, load_runs

M, E, K = 12, 4, 3
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(M, E, K))
LABELS = np.arange(M) % K
KEYS = [f"{i:03d}" for i in range(M)]


def recorded(root, data):
    (run,) = load_runs(Cache(root), data)
    assert (run.state, run.config.origin, run.config.record) == ("done", "imported", "unknown")
    return load_recording(Cache(root), data, run.id, verify=True)


def expected(name: str) -> np.ndarray:
    return np.stack([of_logits(LOGITS[:, e], LABELS)[name] for e in range(E)], 1)


def cartography(folder, gone: tuple = ()) -> None:
    """As allenai/cartography's log_training_dynamics writes it."""
    (folder / "training_dynamics").mkdir(parents=True)
    for e in range(E):
        lines = [
            json.dumps({"guid": int(KEYS[i]), f"logits_epoch_{e}": LOGITS[i, e].tolist(), "gold": int(LABELS[i])})
            for i in range(M)
            if (i, e) not in gone
        ]
        (folder / "training_dynamics" / f"dynamics_epoch_{e}.jsonl").write_text("\n".join(lines))


def full_aum_records(path) -> None:
    """As asappresearch/aum writes it: the class numbers stand in target_val and other_val."""
    rows = []
    for i in range(M):
        margins = []
        for e in range(E):
            z, y = LOGITS[i, e], LABELS[i]
            other = max((k for k in range(K) if k != y), key=lambda k: z[k])
            margins.append(z[y] - z[other])
            rows.append([KEYS[i], e + 1, z[y], y, z[other], other, margins[-1], np.mean(margins)])
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "num_measurements", "target_logit", "target_val", "other_logit", "other_val", "margin", "aum"])
        writer.writerows(rows)


def test_cartography_gives_all_five_signals_and_marks_what_is_missing(tmp_path):
    cartography(tmp_path / "out", gone=((5, 2),))
    keep(Cache(tmp_path), "snli", "roberta", read_cartography(tmp_path / "out"), class_names=["a", "b", "c"])
    found = recorded(tmp_path, "snli")
    seen = np.ones((M, E), bool)
    seen[5, 2] = False
    assert np.array_equal(found.seen_NE, seen)
    assert np.array_equal(found.prediction_NE[seen], expected("prediction")[seen])
    for name in ("loss", "margin", "el2n", "entropy"):
        assert np.allclose(found.signals[name][seen], expected(name)[seen], atol=2e-3), name
    assert open_dataset(Cache(tmp_path), "snli").class_names == ("a", "b", "c")
    assert open_dataset(Cache(tmp_path), "snli").keys[5] == "5"


def test_aum_records_give_predictions_and_margins_and_their_own_mean(tmp_path):
    full_aum_records(tmp_path / "full_aum_records.csv")
    keep(Cache(tmp_path), "photos", "their-aum", read_aum(tmp_path))
    found = recorded(tmp_path, "photos")
    assert set(found.signals) == {"prediction", "margin"} and found.seen_NE.all()
    assert np.array_equal(found.prediction_NE, expected("prediction"))
    assert np.allclose(METRICS["aum"].score(found), expected("margin").mean(1), atol=2e-3)
    table = load_scores("photos", "learnability", cache=tmp_path)
    assert table.keys_N.tolist() == KEYS, "leading zeros are kept"


def test_a_file_with_one_number_a_sample_is_no_recording_but_a_score(tmp_path):
    (tmp_path / "aum_values.csv").write_text("sample_id,aum\n000,1.5\n")
    with pytest.raises(InputError, match="scores import .*aum_values.csv --key sample_id"):
        read_aum(tmp_path / "aum_values.csv")


@pytest.mark.parametrize("kind", ["p_", "logit_", "probabilities", "logits"])
def test_plain_tables_of_probabilities_and_logits_are_the_same_recording(tmp_path, kind):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(2, keepdims=True)
    values = LOGITS if "logit" in kind else p
    names = ["ant", "bee", "cat"]
    rows = [(i, e) for e in range(E) for i in range(M)]
    columns = {"key": [KEYS[i] for i, _ in rows], "epoch": [e for _, e in rows], "label": [names[LABELS[i]] for i, _ in rows]}
    if kind in ("probabilities", "logits"):
        columns |= {kind: [values[i, e].tolist() for i, e in rows], "label": [int(LABELS[i]) for i, _ in rows]}
    else:
        columns |= {f"{kind}{name}": [values[i, e, k] for i, e in rows] for k, name in enumerate(names)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    keep(Cache(tmp_path), "zoo", "keras", read_plain(tmp_path / "t.parquet"))
    found = recorded(tmp_path, "zoo")
    assert np.array_equal(found.prediction_NE, expected("prediction"))
    for name in ("loss", "margin", "el2n", "entropy"):
        assert np.allclose(found.signals[name], expected(name), atol=2e-3), name


def test_predictions_alone_make_the_scores_that_need_no_more(tmp_path):
    lines = ["key,epoch,label,prediction,caption"]
    lines += [f"{KEYS[i]},{e},{'xy'[i % 2]},{'xy'[(i + e) % 2]},text {i}" for i in range(4) for e in (1, 2, 3) if (i, e) != (2, 2)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert main(["import", "table", str(tmp_path / "t.csv"), "--data", "zoo", "--name", "theirs", "--cache", str(tmp_path)]) == 0
    found = recorded(tmp_path, "zoo")
    assert list(found.signals) == ["prediction"] and not found.seen_NE[2, 1] and found.seen_NE.sum() == 11
    assert METRICS["learnability"].score(found).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    assert open_dataset(Cache(tmp_path), "zoo").samples()["caption"].to_pylist() == [f"text {i}" for i in range(4)]
    with pytest.raises(InputError, match="is there. Give another --seed"):
        keep(Cache(tmp_path), "zoo", "theirs", read_plain(tmp_path / "t.csv"))


def test_keys_of_a_prepared_data_set_bring_its_pictures(digits, tmp_path):
    dataset = open_dataset(digits, "digits")
    rows = [(i, e) for i in range(0, dataset.N, 9) for e in (0, 1)]
    columns = {
        "key": [dataset.keys[i] for i, _ in rows], "epoch": [e for _, e in rows],
        "label": [int(dataset.labels_N[i]) for i, _ in rows], "prediction": [int(dataset.labels_N[i]) for i, _ in rows],
    }  # fmt: skip
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    run = keep(digits, "digits", "theirs", read_plain(tmp_path / "t.parquet"))
    assert run.config.fingerprint == dataset.fingerprint and run.head.rows == len(range(0, dataset.N, 9))
    assert load_recording(digits, "digits", run.id).hits_NE.all()


def test_a_class_that_the_prepared_data_set_has_not_is_refused(digits, tmp_path, capsys):
    dataset = open_dataset(digits, "digits")
    lines = ["key,epoch,label,prediction", *(f"{dataset.keys[i]},0,{dataset.labels_N[i]},{11 * (i == 3)}" for i in range(9))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    at = ["--data", "digits", "--name", "theirs", "--cache", str(digits.root)]
    assert main(["import", "table", str(tmp_path / "t.csv"), *at]) == 2
    assert "12 classes, numbered from 0: data set 'digits' has 10." in capsys.readouterr().err
    assert not load_runs(digits, "digits")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key,epoch,label\na,0,1\n", "expected prediction or probabilities or logits"),
        ("key,label,prediction\na,0,1\n", "expected epoch"),
        ("key,epoch,label,prediction\na,0,0,1\na,0,0,1\n", "1 rows repeat a sample and epoch"),
        ("key,epoch,label,prediction\na,0,0,1\na,1,1,1\n", "the rows of 'a' do not agree on its label"),
        ("key,epoch,label,p_x,p_y\na,0,x,0.5,0.9\n", "must add up to 1"),
        ("key,epoch,label,p_x,p_y\na,0,z,0.5,0.5\n", "label 'z' has no column of its own"),
        ("key,epoch,label,prediction\na,zero,0,1\n", "epoch: expected numbers"),
    ],
)
def test_a_table_that_cannot_be_read_says_which_column_and_why(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_plain(tmp_path / "t.csv")


def test_files_that_are_not_there_or_broken_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_plain(tmp_path / "gone.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="bad.parquet cannot be read"):
        read_plain(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="expected a folder with dynamics_epoch_0.jsonl"):
        read_cartography(tmp_path)
    (tmp_path / "dynamics_epoch_0.jsonl").write_text('{"guid": 1, "gold": 0}')
    with pytest.raises(InputError, match="dynamics_epoch_0.jsonl, line 1: expected guid, gold and logits_epoch_0"):
        read_cartography(tmp_path)
