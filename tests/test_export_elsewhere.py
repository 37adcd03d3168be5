"""What other tools read: a Hugging Face folder, FiftyOne's classification folder, a table for cleanlab."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from learnability import Recorder, export
from learnability.__main__ import main
from learnability.errors import InputError
from learnability.store.datasets import open_dataset
from learnability.store.runs import load_runs
from learnability.store.scores import ScoreTable, load_scores
from tests.ui import made_cache


@pytest.fixture
def scored(digits):
    """digits with one run."""
    made_cache.add_run(digits, "resnet20", 0)
    return digits


def command(cache, *arguments) -> None:
    assert main(["export", *map(str, arguments), "--data", "digits", "--cache", str(cache.root)]) == 0


def test_a_hugging_face_folder_holds_pictures_classes_and_scores(scored, tmp_path):
    command(scored, "huggingface", "--out", tmp_path / "out", "--metric", "learnability", "aum")
    dataset = open_dataset(scored, "digits")
    train = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet", partitioning=None)
    test = pq.read_table(tmp_path / "out" / "data" / "test-00000-of-00001.parquet", partitioning=None)
    assert (train.num_rows, test.num_rows) == (dataset.N, len(dataset.test_labels_T))
    features = json.loads(train.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"} and features["label"] == {"names": list(dataset.class_names), "_type": "ClassLabel"}
    assert list(features) == train.column_names == ["image", "label", "key", "hash", "learnability_resnet20_s0", "aum_resnet20_s0"]
    row = train.slice(17, 1).to_pylist()[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))), dataset.images[17][:, :, 0])
    assert row["label"] == dataset.labels_N[17] and row["hash"] == dataset.hashes[17]
    table = load_scores(scored, "digits", "aum")
    assert np.array_equal(train["aum_resnet20_s0"].to_numpy(), table.columns["resnet20-s0"])
    assert test["aum_resnet20_s0"].null_count == test.num_rows
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n") and "path: data/test-*" in card
    with pytest.raises(InputError, match="is there already"):
        export.hugging_face(dataset, {}, tmp_path / "out")


def test_a_data_set_without_pictures_brings_its_captions(tmp_path):
    texts = ["one", "two", "three", "four"]
    recorder = Recorder("texts", "net", 4, [0, 1, 0, 1], ["a", "b"], captions=texts, cache=tmp_path / "cache")
    recorder.update(range(4), np.eye(2, dtype="f4")[[0, 1, 1, 1]], [0, 1, 0, 1])
    recorder.end_look()
    recorder.close()
    own = ["--data", "texts", "--cache", str(tmp_path / "cache"), "--out"]
    assert main(["export", "huggingface", *own, str(tmp_path / "out")]) == 0
    table = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet", partitioning=None)
    assert table["caption"].to_pylist() == texts and table["learnability_net_s0"].to_pylist() == [1, 1, 0, 1]
    assert main(["export", "fiftyone", *own, str(tmp_path / "none")]) == 2 and not (tmp_path / "none").exists()


def test_a_fiftyone_folder_has_a_picture_and_attributes_for_every_label(scored, tmp_path):
    command(scored, "fiftyone", "--out", tmp_path / "out")
    dataset, told = open_dataset(scored, "digits"), json.loads((tmp_path / "out" / "labels.json").read_text())
    assert told["classes"] == list(dataset.class_names) and len(told["labels"]) == dataset.N
    files = {path.stem for path in (tmp_path / "out" / "data").iterdir()}
    assert files == set(told["labels"])
    own = told["labels"]["00000017"]
    assert own["label"] == dataset.labels_N[17] and own["attributes"]["key"] == dataset.keys[17]
    assert own["attributes"]["learnability_resnet20_s0"] == pytest.approx(
        load_scores(scored, "digits").columns["resnet20-s0"][17], abs=1e-6
    )


def test_a_cleanlab_folder_is_the_mean_of_held_out_probabilities(digits, tmp_path):
    dataset, rng = open_dataset(digits, "digits"), np.random.default_rng(0)
    p = rng.dirichlet(np.ones(dataset.K), (2, dataset.N))
    for seed in (0, 1):
        for fold in (0, 1):
            made_cache.add_run(digits, "resnet20", seed, folds=2, fold=fold)
    for run in load_runs(digits, "digits"):
        held = np.arange(dataset.N) % 2 == run.config.fold
        probabilities = np.where(held[:, None], p[run.config.seed], np.nan).astype("<f2")
        np.save(digits.run_folder("digits", run.id) / "heldout.npy", probabilities, allow_pickle=False)
    command(digits, "cleanlab", "--out", tmp_path / "out")
    pred_probs, labels = (np.load(tmp_path / "out" / name, allow_pickle=False) for name in ("pred_probs.npy", "labels.npy"))
    assert np.allclose(pred_probs, p.mean(0), atol=1e-3) and np.allclose(pred_probs.sum(1), 1, atol=1e-6)
    assert np.array_equal(labels, dataset.labels_N)
    samples = pq.read_table(tmp_path / "out" / "samples.parquet", partitioning=None)
    assert samples["key"].to_pylist() == dataset.keys and samples["class"][3].as_py() == dataset.class_names[labels[3]]


def test_without_held_out_probabilities_cleanlab_gets_the_command_that_makes_them(scored, tmp_path, capsys):
    arguments = ["export", "cleanlab", "--data", "digits", "--out", str(tmp_path / "out"), "--cache", str(scored.root)]
    assert main(arguments) == 2
    assert "--folds 5" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_runs_whose_names_differ_in_a_hyphen_alone_keep_a_column_each():
    columns = {"my-net-s0": np.array([0.0, 1.0]), "my_net-s0": np.array([2.0, 3.0])}
    ids_N = np.array([0, 2])
    table = ScoreTable(
        metric="aum", recipe="all", sample_ids_N=ids_N, keys_N=np.array(["a", "c"], object), labels_N=ids_N, columns=columns, runs={}
    )
    found = export.score_columns({"aum": table}, 3)
    assert list(found) == ["aum_my_net_s0", "aum_my_net_s0_"]
    assert [score[2] for score in found.values()] == [1, 3]
