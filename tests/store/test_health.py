"""Locks, paths, label versions, score tables and what `doctor` finds in them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learnability.config import RunConfig
from learnability.errors import DamagedFile, InputError, NotFound
from learnability.recording import SIGNALS
from learnability.store.datasets import ensure_labels, label_versions, open_dataset, write_label_version
from learnability.store.files import table_metadata, write_table
from learnability.store.health import dataset_problems, run_problems
from learnability.store.paths import Cache
from learnability.store.scores import load_run_scores, load_scores, recipes, write_scores
from learnability.store.writer import RunWriter


def record(cache: Cache, looks: int = 3, **fields) -> RunConfig:
    """A finished run of the digits with drawn signals."""
    dataset = open_dataset(cache, "digits", labels=fields.get("labels", "original"))
    config = RunConfig(data="digits", fingerprint=dataset.fingerprint, epochs=looks, **{"arch": "resnet20", **fields})
    rows = np.arange(0, dataset.N, 2)
    draw = np.random.default_rng(config.seed)
    with RunWriter.open(cache, config, rows, dataset.labels_N[rows], rows >= 0, dataset.K, {"device": "cpu"}) as writer:
        for look in range(looks):
            signals = {name: draw.random((len(rows), 1)) for name in SIGNALS}
            signals["prediction"] = draw.integers(0, dataset.K, (len(rows), 1))
            writer.commit(signals, [{"epoch": look}], ({"w": np.zeros(3, np.float32)}, {}))
        writer.write_scores()
        writer.finish("done")
    return config


def test_scores_stand_side_by_side_and_only_runs_of_one_recipe(digits):
    for arch, seed in (("resnet20", 0), ("resnet20", 1), ("vgg16", 0)):
        record(digits, arch=arch, seed=seed)
    other = record(digits, arch="mobilenet", looks=4)
    assert recipes(digits, "digits")[0] == other.recipe
    assert set(load_scores(digits, "digits").columns) == {"mobilenet-s0"}
    first = load_scores(digits, "digits", recipe=record_key(digits, "vgg16"))
    assert set(first.columns) == {"resnet20-s0", "resnet20-s1", "vgg16-s0"}
    assert list(first.keys_N[:2]) == [open_dataset(digits, "digits").keys[i] for i in (0, 2)]
    assert set(load_scores(digits, "digits", recipe="all").columns) == set(digits.run_ids("digits"))


def test_all_recipes_leave_out_planted_runs_and_have_the_original_labels(digits):
    own = [record(digits), record(digits, looks=4)]
    ensure_labels(digits, "digits", None, "planted-0.1-0")
    planted = record(digits, looks=3, labels="planted-0.1-0")
    found = load_scores(digits, "digits", recipe="all")
    assert set(found.columns) == {config.run_id for config in own}
    original = open_dataset(digits, "digits")
    np.testing.assert_array_equal(found.labels_N, original.labels_N[found.sample_ids_N])
    asked = load_scores(digits, "digits", recipe=planted.recipe)
    assert set(asked.columns) == {"resnet20-s0"}, "asked for by its key it is there, on its own labels"
    assert (asked.labels_N != original.labels_N[asked.sample_ids_N]).any()
    write_label_version(digits, "digits", None, "reviewed-1", np.zeros(1797, int))
    reviewed = record(digits, arch="vgg16", labels="reviewed-1")  # the newest: listed first
    found = load_scores(digits, "digits", recipe="all")
    assert reviewed.run_id in found.columns
    np.testing.assert_array_equal(found.labels_N, original.labels_N[found.sample_ids_N])


def record_key(cache: Cache, arch: str) -> str:
    return next(run_id.rsplit("-", 1)[1] for run_id in cache.run_ids("digits") if run_id.startswith(arch))


def test_a_sample_that_a_run_does_not_hold_is_nan_in_its_column(digits):
    record(digits)
    dataset = open_dataset(digits, "digits")
    config = RunConfig(data="digits", fingerprint=dataset.fingerprint, epochs=3, arch="vgg16")
    rows = np.arange(0, dataset.N, 4)
    with RunWriter.open(digits, config, rows, dataset.labels_N[rows], rows >= 0, dataset.K, {}) as writer:
        signals = {name: np.ones((len(rows), 1)) for name in SIGNALS}
        writer.commit(signals, [{"epoch": 0}])
        writer.write_scores()
    found = load_scores(digits, "digits")
    held = np.isin(found.sample_ids_N, rows)
    assert np.isnan(found.columns["vgg16-s0"][~held]).all()
    assert not np.isnan(found.columns["vgg16-s0"][held].astype(float)).any()
    assert np.array_equal(found.columns["vgg16-s0"][held] == 1, dataset.labels_N[rows] == 1)


def test_every_flipped_bit_of_a_score_column_is_found_and_repaired(digits):
    config = record(digits)
    path = digits.run_folder("digits", config.run_id) / "scores.parquet"
    kept = path.read_bytes()
    draw, found = np.random.default_rng(1), 0
    for _ in range(60):
        data = bytearray(kept)
        data[draw.integers(0, len(data))] ^= 1 << draw.integers(0, 8)
        path.write_bytes(data)
        try:
            table, looks = load_run_scores(digits, "digits", config.run_id)
        except DamagedFile as error:
            assert "scores.parquet" in str(error)
            found += 1
        else:  # a bit that no reader looks at, such as a statistic
            expected = pq.read_table(kept_file(path, kept))
            assert looks == 3
            assert table.equals(expected)
    assert found > 30
    path.write_bytes(kept[:100])
    assert any("Repaired" in problem for problem in run_problems(digits, "digits", config.run_id, repair=True))
    assert list(run_problems(digits, "digits", config.run_id)) == []
    assert path.read_bytes() == kept


def kept_file(path, kept):
    aside = path.with_suffix(".kept")
    aside.write_bytes(kept)
    return aside


def test_no_score_is_made_from_a_damaged_signal(digits):
    config = record(digits)
    (loss,) = digits.run_folder("digits", config.run_id).glob("signals/loss*")
    data = bytearray(loss.read_bytes())
    data[1000] ^= 1
    loss.write_bytes(data)
    with pytest.raises(DamagedFile, match=r"loss\.f2.*look 0"):
        write_scores(digits, "digits", config.run_id)
    (problem,) = run_problems(digits, "digits", config.run_id)
    assert "loss.f2" in problem


def test_a_changed_pixel_is_found(digits):
    version = digits.current("digits")
    assert list(dataset_problems(digits, "digits", version)) == []
    path = digits.dataset_folder("digits") / "images.npy"
    with path.open("r+b") as file:
        file.seek(128 + 7 * 32 * 32)
        file.write(b"\x7f")
    (problem,) = dataset_problems(digits, "digits", version)
    assert "first sample 7" in problem


def test_metadata_given_anew_takes_the_place_of_the_old(tmp_path):
    write_table(tmp_path / "first.parquet", pa.table({"x": [1]}), {"looks": "1", "kept": "a"})
    write_table(tmp_path / "second.parquet", pq.read_table(tmp_path / "first.parquet"), {"looks": "2"})
    assert table_metadata(tmp_path / "second.parquet") == {"looks": "2", "kept": "a"}


def test_label_versions_are_written_once(digits):
    dataset = open_dataset(digits, "digits")
    ensure_labels(digits, "digits", None, "planted-0.05-0")
    ensure_labels(digits, "digits", None, "planted-0.05-0")
    planted = open_dataset(digits, "digits", labels="planted-0.05-0")
    assert (planted.labels_N != dataset.labels_N).sum() == int(0.05 * dataset.N)
    assert np.array_equal(planted.test_labels_T, dataset.test_labels_T)
    assert label_versions(digits, "digits") == ["original", "planted-0.05-0"]
    with pytest.raises(InputError, match="never changes"):
        write_label_version(digits, "digits", None, "planted-0.05-0", np.zeros(dataset.N + len(dataset.test_labels_T)))
    with pytest.raises(InputError, match="expected .* labels"):
        write_label_version(digits, "digits", None, "mine", np.zeros(3))
    with pytest.raises(NotFound, match="'mine'; it has original, planted"):
        ensure_labels(digits, "digits", None, "mine")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-a", "a\0", "ä", "a" * 65, "%2e", "~"])
def test_names_that_could_leave_the_cache_are_refused(tmp_path, name):
    cache = Cache.at(tmp_path)
    for path in (
        cache.dataset_home,
        cache.runs_folder,
        cache.reviews,
        lambda name: cache.selection("digits", name),
        lambda name: cache.order("digits", name),
    ):
        with pytest.raises(InputError, match="for example"):
            path(name)
    with pytest.raises(InputError, match="expected <architecture>"):
        cache.run_folder("digits", name)


def test_the_environment_variable_and_the_argument_move_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "there"))
    assert Cache.at().root == tmp_path / "there"
    assert Cache.at(tmp_path / "here").root == tmp_path / "here"
    monkeypatch.delenv("LEARNABILITY_CACHE")
    assert Cache.at().root.name == "cache"


def test_the_current_version_file_must_be_one(digits):
    (digits.dataset_home("digits") / "current").write_text("../../etc")
    with pytest.raises(DamagedFile, match="8 hex digits"):
        digits.current("digits")
    with pytest.raises(NotFound, match="there is: digits"):
        digits.current("cats")
