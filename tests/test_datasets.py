"""Opening versions, whole and damaged; fingerprints; stratified choice; planted labels."""

import json
import shutil
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.datasets import fingerprint, image_hash, open_version, planted_labels, read_thumbnail, stratified_ids
from learnability.errors import DamagedFile, InputError, NewerFormat, NotFound
from learnability.prepare import prepare
from learnability.store.datasets import open_dataset, write_label_version
from learnability.store.paths import Cache
from tests.sources.odd_files import encoded, picture


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A small version with thumbnails, train and test rows, and a column of its own."""
    top = tmp_path_factory.mktemp("photos")
    lines = ["path,label,split,sku"]
    for i in range(12):
        (top / f"{i}.png").write_bytes(encoded(picture(i, 300, 200), "PNG"))
        lines.append(f"{i}.png,{'cat' if i % 2 else 'dog'},{'test' if i >= 9 else 'train'},s{i}")
    (top / "photos.csv").write_text("\n".join(lines))
    return prepare(Cache.at(top / "cache"), f"csv:{top / 'photos.csv'}")


@pytest.fixture
def version(photos, tmp_path):
    """A copy to damage."""
    shutil.copytree(photos.folder, tmp_path / photos.folder.name)
    return tmp_path / photos.folder.name


def test_what_a_version_holds(photos):
    dataset = open_version(photos.folder)
    assert (dataset.N, dataset.K, dataset.H, dataset.W, dataset.C) == (9, 2, 64, 64, 3)
    assert dataset.images.shape == (9, 64, 64, 3) and dataset.test_images.shape == (3, 64, 64, 3)
    assert isinstance(dataset.images, np.memmap) and not dataset.images.flags.writeable
    assert (
        dataset.class_names == ("cat", "dog")
        and dataset.labels_N.tolist() == [1, 0] * 4 + [1]
        and dataset.test_labels_T.tolist() == [0, 1, 0]
    )
    assert dataset.keys == [f"{i}.png" for i in range(9)]
    assert dataset.hashes == [image_hash(image) for image in dataset.images]
    assert dataset.samples().num_rows == 9 and dataset.all_samples()["sku"].to_pylist() == [f"s{i}" for i in range(12)]
    assert dataset.all_samples()["split"].to_pylist() == ["train"] * 9 + ["test"] * 3
    assert dataset.all_samples().column_names == ["sample_id", "key", "hash", "split", "width", "height", "sku"]
    shape = (64, 64, 3)
    assert dataset.fingerprint == fingerprint(
        dataset.all_samples()["hash"].to_pylist(), [f"{i}.png" for i in range(12)], dataset.class_names, shape
    )
    assert photos.folder.name == dataset.fingerprint[:8]


def test_thumbnails_are_the_uncropped_originals(photos):
    import io

    from PIL import Image

    dataset = open_version(photos.folder)
    for i in (0, 8, 11):
        with Image.open(io.BytesIO(dataset.thumbnail(i))) as small:
            assert small.format == "WEBP" and small.size == (192, 128)
            original = np.asarray(picture(i, 300, 200).resize((192, 128)), int)
            assert np.abs(np.asarray(small.convert("RGB")) - original).mean() < 4
    with pytest.raises(NotFound, match="thumbnails 0 to 11"):
        dataset.thumbnail(12)


def test_label_versions(photos, version):
    labels = open_version(version).labels_N.copy()
    table = pa.table({"sample_id": np.arange(12), "label": np.array([-1, 2, *labels[2:], 0, 1, 0])})
    pq.write_table(
        table.replace_schema_metadata({"class_names": json.dumps(["cat", "dog", "ant"])}), version / "labels" / "reviewed-1.parquet"
    )
    reviewed = open_version(version, "reviewed-1")
    assert reviewed.class_names == ("cat", "dog", "ant") and reviewed.labels_N[:2].tolist() == [-1, 2] and reviewed.labels == "reviewed-1"
    assert open_version(version).class_names == ("cat", "dog")


def test_label_versions_through_the_store(digits):
    dataset = open_dataset(digits, "digits")
    write_label_version(digits, "digits", None, "reviewed-1", np.concatenate([dataset.labels_N, dataset.test_labels_T]))
    assert (open_dataset(digits, "digits", labels="reviewed-1").labels_N == dataset.labels_N).all()


def damage(version, file: str, how: str) -> None:
    path = version / file
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "cut":
        content = content[: len(content) * 2 // 3]
    elif how == "zeros":
        content = bytes(len(content))
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["gone", "cut", "zeros"])
@pytest.mark.parametrize("file", ["images.npy", "samples.parquet", "labels/original.parquet", "thumbnails.bin", "dataset.json"])
def test_damage_is_found_and_the_file_named(version, file, how):
    damage(version, file, how)
    with pytest.raises((DamagedFile, NotFound), match=file.split("/")[-1].replace(".", r"\.")):
        dataset = open_version(version)
        dataset.all_samples()
        _ = dataset.keys, dataset.hashes
        for i in range(12):
            dataset.thumbnail(i)


@pytest.mark.parametrize("file", ["labels/original.parquet", "samples.parquet"])
def test_a_flipped_bit_is_found_or_changes_nothing(version, file):
    """Pages have checksums; of the rest only the names of the source's own columns could change unseen."""
    good, content = open_version(version), (version / file).read_bytes()
    samples = good.all_samples().drop_columns("sku")
    end = content.rindex(b"sku") - 200 if file == "samples.parquet" else len(content)
    for at in range(0, end, 1 if len(content) < 2000 else 11):
        (version / file).write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            read = open_version(version)
            assert (read.labels_N == good.labels_N).all() and read.all_samples().select(samples.column_names).equals(samples)
        except (DamagedFile, NotFound):
            continue


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 100])
def test_thumbnails_cut_at_any_length(version, length):
    content = (version / "thumbnails.bin").read_bytes()
    (version / "thumbnails.bin").write_bytes(content[:length])
    with pytest.raises(DamagedFile, match="thumbnails.bin"):
        read_thumbnail(version / "thumbnails.bin", 0)


def test_thumbnails_with_impossible_numbers(version):
    for rows, offset in ((2**60, 0), (1, 2**63)):
        (version / "thumbnails.bin").write_bytes(b"x" * 10 + struct.pack("<QII", offset, 5, 0) + struct.pack("<Q8s", rows, b"LXTHUMB1"))
        with pytest.raises(DamagedFile):
            read_thumbnail(version / "thumbnails.bin", 0)


def change(version, **fields) -> None:
    info = json.loads((version / "dataset.json").read_text())
    (version / "dataset.json").write_text(json.dumps({key: value for key, value in {**info, **fields}.items() if value is not ...}))


def test_newer_formats_are_refused_with_both_versions(version):
    change(version, format=7)
    with pytest.raises(NewerFormat, match="format 7; this version reads up to 1"):
        open_version(version)


@pytest.mark.parametrize("fields", [{"train": 8}, {"H": 32}, {"class_names": ["cat"]}, {"fingerprint": ...}, {"format": "1"}])
def test_tables_that_contradict_dataset_json(version, fields):
    change(version, **fields)
    with pytest.raises(DamagedFile):
        open_version(version).all_samples()
        if "train" in fields:
            raise DamagedFile("train rows are not counted twice")


def test_a_data_set_without_pictures(version):
    (version / "images.npy").unlink()
    change(version, H=None, W=None, C=None, thumbnails=False)
    dataset = open_version(version)
    assert dataset.images is None and dataset.test_images is None and dataset.N == 9 and dataset.thumbnail(0) is None and dataset.H is None


def test_fingerprint_sees_everything_and_is_golden():
    hashes, keys = ["00" * 16, "11" * 16], ["a", "b\n"]
    golden = "4bc2cfbdc6617888"
    one = fingerprint(hashes, keys, ("x", "y"), (32, 32, 1))
    assert len(one) == 64 and one.startswith(golden)
    others = [
        fingerprint(hashes[::-1], keys, ("x", "y"), (32, 32, 1)),
        fingerprint(hashes, keys[::-1], ("x", "y"), (32, 32, 1)),
        fingerprint(hashes, keys, ("x", "z"), (32, 32, 1)),
        fingerprint(hashes, keys, ("x", "y"), (32, 32, 3)),
        fingerprint(hashes[:1], keys[:1], ("x", "y"), (32, 32, 1)),
        fingerprint(hashes, ["a", "b"], ("x", "y"), (32, 32, 1)),
        fingerprint(hashes, keys, ("x", "y"), (None, None, None)),
    ]
    assert len({one, *others}) == 8


def test_image_hash_is_golden_and_sees_the_shape():
    ramp = np.arange(12, dtype=np.uint8)
    assert image_hash(ramp.reshape(2, 2, 3)) == "4c1158c29457ef72ab4355364e005f91"
    assert len({image_hash(ramp.reshape(shape)) for shape in ((2, 2, 3), (3, 4, 1), (4, 3, 1), (12, 1, 1))}) == 4
    strided = np.zeros((4, 4, 3), np.uint8)[::2, ::2]
    assert image_hash(strided) == image_hash(strided.copy())


class TestStratified:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.data())
    def test_shares_are_kept_within_one_sample(self, labels, data):
        labels = np.array(labels)
        n = data.draw(st.integers(0, len(labels)))
        ids = stratified_ids(labels, n)
        assert len(ids) == n and (np.diff(ids) > 0).all()
        counts, taken = np.bincount(labels, minlength=6), np.bincount(labels[ids], minlength=6)
        assert (np.abs(taken - counts * n / len(labels)) < 6).all()
        if n >= (counts > 0).sum():
            assert (taken[counts > 0] > 0).all(), "a class was lost"
        share = taken[counts > 0] / counts[counts > 0]
        assert (
            n in (0, len(labels))
            or (np.abs(share[:, None] - share) * np.minimum.outer(counts[counts > 0], counts[counts > 0]) <= 1 + 1e-9).all()
        )

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(0, 4), min_size=2, max_size=100), st.data())
    def test_more_only_adds_and_spare_leaves_some_of_each_class(self, labels, data):
        labels = np.array(labels)
        n = data.draw(st.integers(1, len(labels) - 1))
        for spare in (False, True):
            assert set(stratified_ids(labels, n, spare=spare)) <= set(stratified_ids(labels, n + 1, spare=spare))
        left = np.setdiff1d(np.arange(len(labels)), stratified_ids(labels, n, spare=True))
        if len(labels) - n >= len(np.unique(labels)):
            assert set(labels[left]) == set(labels)

    def test_golden(self):
        labels = np.arange(100) % 4
        assert stratified_ids(labels, 8).tolist() == [20, 31, 62, 68, 77, 82, 83, 93]
        assert stratified_ids(labels, 8).tolist() != stratified_ids(labels, 8, index=1).tolist()

    def test_more_than_there_are_is_refused(self):
        with pytest.raises(InputError, match="0 to 3"):
            stratified_ids(np.zeros(3, int), 4)


class TestPlanted:
    @settings(max_examples=40, deadline=None)
    @given(st.integers(2, 12), st.integers(1, 400), st.integers(1, 99), st.integers(0, 5))
    def test_exactly_floor_are_wrong(self, K, N, percent, seed):
        labels = np.arange(N) % K
        planted = planted_labels(labels, K, percent / 100, seed)
        assert (planted != labels).sum() == percent * N // 100
        assert planted.min() >= 0 and planted.max() < K and (labels == np.arange(N) % K).all()

    def test_uniform_over_the_other_classes(self):
        labels = np.zeros(60_000, int)
        counts = np.bincount(planted_labels(labels, 5, 0.5, 0), minlength=5)
        assert counts[0] == 30_000 and np.abs(counts[1:] - 7500).max() < 400

    def test_a_larger_share_keeps_the_wrong_ones_and_seeds_differ(self):
        labels = np.arange(1000) % 10
        few, many = (np.flatnonzero(planted_labels(labels, 10, share, 0) != labels) for share in (0.05, 0.1))
        assert set(few) < set(many)
        assert (planted_labels(labels, 10, 0.05, 0) != planted_labels(labels, 10, 0.05, 1)).any()

    def test_golden(self):
        assert planted_labels(np.arange(20) % 4, 4, 0.25, 0).tolist() == [0, 1, 3, 3, 0, 1, 2, 3, 0, 2, 2, 2, 3, 1, 2, 3, 0, 3, 2, 3]

    @pytest.mark.parametrize(("K", "fraction"), [(1, 0.1), (5, -0.1), (5, 1.1)])
    def test_what_cannot_be(self, K, fraction):
        with pytest.raises(InputError, match="label noise"):
            planted_labels(np.zeros(3, int), K, fraction, 0)
