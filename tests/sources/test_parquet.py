"""Parquet: columns by type, shards and splits, bytes only, memory by batch."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learnability.errors import SourceError
from learnability.sources.parquet import open_parquet
from learnability.sources.source import Options, Reject
from tests.sources.odd_files import encoded, picture

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMES = ["cat", "dog"]


def hub(features: dict) -> dict[bytes, bytes]:
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


HUB = hub({"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}})


def write(path, rows: int = 4, metadata=HUB, image=None, label=None, **columns):
    image = pa.array([{"bytes": b"image %d" % i, "path": f"/etc/{i}"} for i in range(rows)], IMAGE) if image is None else image
    label = pa.array(np.arange(rows) % 2) if label is None else label
    table = pa.table({"image": image, "label": label, **columns}).replace_schema_metadata(metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)
    return path


def opened(place, **options):
    return open_parquet(str(place), Options(**options))


def test_one_file(tmp_path):
    source = opened(write(tmp_path / "pets.parquet", sku=pa.array(["a", None, "c", "d"]), n=pa.array([1, 2, 3, 4], pa.int8())))
    assert source.keys == ["00000000", "00000001", "00000002", "00000003"] and source.name == "pets"
    assert source.class_names == ("cat", "dog") and source.labels_M.tolist() == [0, 1, 0, 1] and source.test_M is None
    assert list(source.read(np.array([0, 3]))) == [b"image 0", b"image 3"]
    assert source.columns.to_pydict() == {"sku": ["a", None, "c", "d"], "n": [1, 2, 3, 4]} and source.columns["n"].type == pa.int8()


def test_shards_and_splits(tmp_path):
    for name, rows in (
        ("data/train-00000-of-00002.parquet", 5),
        ("data/train-00001-of-00002.parquet", 4),
        ("data/test-00000-of-00001.parquet", 3),
    ):
        write(tmp_path / name, rows)
    source = opened(tmp_path)
    assert source.M == 12 and source.test_M.sum() == 3 and source.test_M[9:].all()
    assert source.keys[8:10] == ["00000008", "test/00000000"]
    assert list(source.read(np.array([4, 5, 8, 9, 11]))) == [b"image 4", b"image 0", b"image 3", b"image 0", b"image 2"]
    assert opened(tmp_path / "data" / "train-*.parquet").M == 9
    assert opened(tmp_path / "data" / "train-00000-of-00002.parquet").keys == source.keys[:5]


@pytest.mark.parametrize("name", ["validation-00000.parquet", "val.parquet", "valid/0000.parquet"])
def test_validation_shards_stand_in_for_test(tmp_path, name):
    write(tmp_path / ("train/0.parquet" if "/" in name else "train.parquet"))
    write(tmp_path / name)
    assert opened(tmp_path).test_M.sum() == 4


def test_a_shard_of_no_split_among_splits_is_refused(tmp_path):
    for name in ("train", "test", "extra"):
        write(tmp_path / f"{name}.parquet")
    with pytest.raises(SourceError, match="extra.parquet is neither"):
        opened(tmp_path)


def test_shards_without_split_names_are_all_train(tmp_path):
    for name in ("0000", "0001"):
        write(tmp_path / f"{name}.parquet")
    assert opened(tmp_path).M == 8 and opened(tmp_path).test_M is None


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_bytes_and_names_found_by_type(tmp_path, kind):
    write(tmp_path / "x.parquet", metadata=None, image=pa.array([b"a", b"b", b"c", b"d"], kind), label=pa.array(list("yxyx")))
    source = opened(tmp_path / "x.parquet")
    assert source.class_names == ("x", "y") and list(source.read(np.arange(4))) == [b"a", b"b", b"c", b"d"]


def test_columns_of_the_hub_by_any_name(tmp_path):
    features = {"img": {"_type": "Image"}, "fine_label": {"_type": "ClassLabel", "names": ["a", "b"]}}
    features["coarse_label"] = {"_type": "ClassLabel", "names": ["all"]}
    table = pa.table({"img": pa.array([{"bytes": b"1", "path": None}] * 2, IMAGE), "fine_label": [1, 0], "coarse_label": [0, 0]})
    pq.write_table(table.replace_schema_metadata(hub(features)), tmp_path / "cifar100.parquet")
    source = opened(tmp_path / "cifar100.parquet")
    assert source.class_names == ("a", "b") and source.labels_M.tolist() == [1, 0]
    assert source.columns.to_pydict() == {"coarse_label": ["all", "all"]}
    assert opened(tmp_path / "cifar100.parquet", label_column="coarse_label").class_names == ("all",)


def test_bytes_only_nothing_a_row_names_is_opened(tmp_path):
    """A row without bytes is a reject, whatever its path says; the file it names is there and is not read."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded(picture(1), "PNG"))
    os.mkfifo(tmp_path / "fifo")  # opening it would hang
    paths = [
        str(secret),
        str(tmp_path / "fifo"),
        "/etc/passwd",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "../secret.png",
        None,
    ]
    rows = [{"bytes": None, "path": path} for path in paths] + [None, {"bytes": b"good", "path": "/etc/passwd"}]
    write(tmp_path / "x.parquet", len(rows), image=pa.array(rows, IMAGE), label=pa.array(np.arange(len(rows)) % 2))
    *none, last = opened(tmp_path / "x.parquet").read(np.arange(len(rows)))
    assert last == b"good" and len(none) == len(paths) + 1
    assert all(payload == Reject("no bytes: the row only names a place, which is never opened") for payload in none)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickled_extension_type_is_never_loaded(tmp_path):
    import pickle

    canary = tmp_path / "canary"
    metadata = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Canary(canary))}
    fields = [
        pa.field("image", pa.binary(), metadata=metadata),
        pa.field("label", pa.int64()),
        pa.field("own", pa.int64(), metadata=metadata),
    ]
    table = pa.table([pa.array([b"1", b"2"]), pa.array([0, 1]), pa.array([5, 6])], schema=pa.schema(fields))
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="0 columns could hold the images"):
        opened(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="image column 'image'"):
        opened(tmp_path / "x.parquet", image_column="image")
    fields[0] = pa.field("image", pa.binary())
    pq.write_table(table.cast(pa.schema(fields)), tmp_path / "y.parquet")
    source = opened(tmp_path / "y.parquet")
    assert source.columns is None and "own" in source.warnings[0] and not canary.exists()


def test_columns_of_no_plain_type_are_left_out_and_said(tmp_path):
    odd = {"list": pa.array([[1]] * 4), "thumb": pa.array([b"x"] * 4), "kept": pa.array([1.5] * 4)}
    source = opened(write(tmp_path / "x.parquet", **odd))
    assert source.columns.column_names == ["kept"] and "list, thumb" in source.warnings[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": pa.array([[0], [1], [0], [1]])}, "type list"),
        ({"image": pa.array(["a", "b", "c", "d"])}, "0 columns could hold the images"),
        ({"label": pa.array([0, 1, None, 2])}, "missing"),
        ({"label": pa.array([0, 1, 2, 1])}, "out of range: the source names 2 classes"),
        ({"label": pa.array([0, -1, 1, 1])}, "below 0"),
        ({"metadata": None, "image": pa.array([b"a"] * 4), "other": pa.array([b"a"] * 4), "rows": 4}, None),
    ],
)
def test_columns_that_do_not_fit(tmp_path, change, why):
    file = write(tmp_path / "x.parquet", **change)
    if why is None:
        assert opened(file).M == 4  # `image` wins by its name
    else:
        with pytest.raises(SourceError, match=why):
            opened(file)


def test_no_rows_no_columns_no_parquet(tmp_path):
    write(tmp_path / "empty.parquet", 0)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("nothing of the kind")
    whole = write(tmp_path / "whole.parquet").read_bytes()
    for cut in (3, len(whole) // 2, len(whole) - 3):
        (tmp_path / "cut.parquet").write_bytes(whole[:cut])
        with pytest.raises(SourceError, match="cannot be read as Parquet"):
            opened(tmp_path / "cut.parquet")
    for name, why in (("empty", "no train rows"), ("other", "columns are a"), ("text", "cannot be read"), ("gone", "no such file")):
        with pytest.raises(SourceError, match=why):
            opened(tmp_path / f"{name}.parquet")


def test_shards_must_agree(tmp_path):
    write(tmp_path / "0.parquet")
    write(tmp_path / "1.parquet", label=pa.array(["a", "b", "a", "b"]))
    with pytest.raises(SourceError, match="1.parquet: expected column 'label' of type int64"):
        opened(tmp_path)
    write(tmp_path / "1.parquet", metadata=hub({"label": {"_type": "ClassLabel", "names": ["dog", "cat"]}}))
    with pytest.raises(SourceError, match="other class names"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "metadata", [{b"huggingface": b"{"}, {b"huggingface": b"[]"}, hub({"label": 3}), hub({"label": {"_type": "ClassLabel"}})]
)
def test_metadata_that_makes_no_sense_is_no_metadata(tmp_path, metadata):
    assert opened(write(tmp_path / "x.parquet", metadata=metadata)).class_names == ("0", "1")


def test_memory_does_not_grow_with_the_file(tmp_path):
    """60 MB in one row group are read with a small part of them in memory: the unit is a page, not the group."""
    rows, size = 600, 100_000
    offsets = np.arange(rows + 1, dtype=np.int32) * size
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(bytes(range(250)) * (rows * size // 250))]
    table = pa.table({"image": pa.BinaryArray.from_buffers(pa.binary(), rows, buffers), "label": np.arange(rows) % 2})
    pq.write_table(table, tmp_path / "big.parquet", compression="none", use_dictionary=False, write_batch_size=16, row_group_size=rows)
    del table, buffers
    source = opened(tmp_path / "big.parquet")
    before, most, total = pa.total_allocated_bytes(), 0, 0
    for content in source.read(np.arange(rows)):
        total += len(content)
        most = max(most, pa.total_allocated_bytes() - before)
    assert total == rows * size and most < 20_000_000
