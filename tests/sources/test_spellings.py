"""How sources are spelled, and what two of them make together."""

import numpy as np
import pyarrow as pa
import pytest

from learnability.errors import InputError, SourceError
from learnability.sources.source import Options, Source, joined
from learnability.sources.spellings import open_source, takes_columns
from tests.sources.test_folder import made
from tests.sources.test_parquet import write


def test_digits():
    source = open_source("digits")
    images = np.stack(list(source.read(np.arange(source.M))))
    assert source.M == 1797 and source.class_names == tuple("0123456789") and source.test_fraction == 0.2
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8 and images.min() == 0 and images.max() == 255
    assert set(np.unique(images)) == {round(value * 255 / 16) for value in range(17)}


def test_plain_paths(tmp_path):
    made(tmp_path / "photos", "a/1.jpg", "b/2.jpg")
    write(tmp_path / "shards" / "train.parquet")
    (tmp_path / "list.csv").write_text("path,label\nphotos/a/1.jpg,a\nphotos/b/2.jpg,b\n")
    assert open_source(str(tmp_path / "photos")).hint.startswith("folder ")
    assert open_source(str(tmp_path / "shards")).name == "shards"
    assert open_source(str(tmp_path / "shards" / "train.parquet")).name == "shards"
    assert open_source(str(tmp_path / "list.csv")).M == 2
    assert open_source(f"folder:{tmp_path / 'photos'}").M == 2


@pytest.mark.parametrize(
    "spelling", ["", "cifar10", "digits:8", "folder:", "http://example.com/x.zip", "s3://bucket/x", "/nothing/there", "notes.txt"]
)
def test_what_is_no_source(spelling):
    with pytest.raises(SourceError, match="expected digits, torchvision:NAME"):
        open_source(spelling)


def test_a_known_name_without_its_prefix_is_recognised():
    with pytest.raises(SourceError, match="Did you mean torchvision:CIFAR10"):
        open_source("cifar10")


def test_columns_only_where_there_are_columns(tmp_path):
    with pytest.raises(InputError, match="only Parquet and CSV"):
        open_source("digits", Options(image_column="image"))
    assert takes_columns("parquet:x") and not takes_columns("digits")


def source(names, labels, **more) -> Source:
    M = len(labels)
    keys = [f"k{i}" for i in range(M)]
    values = [bytes([i]) for i in range(M)]
    return Source(
        hint="made", name="x", keys=keys, labels_M=np.array(labels), class_names=names, read=lambda rows: (values[i] for i in rows), **more
    )


def test_two_sources_as_train_and_test():
    train = source(("cat", "dog"), [0, 1, 1], columns=pa.table({"sku": ["a", "b", "c"], "n": [1, 2, 3]}))
    test = source(
        ("ant", "dog", "cat"), [1, 2, 0, 2], columns=pa.table({"n": ["x", "y", "z", "w"], "extra": [1, 2, 3, 4]}), rejects=(("bad", "why"),)
    )
    both = joined(train, test)
    assert both.keys == ["k0", "k1", "k2", "test/k0", "test/k1", "test/k2", "test/k3"]
    assert [both.class_names[i] for i in both.labels_M] == ["cat", "dog", "dog", "dog", "cat", "ant", "cat"]
    assert both.test_M.tolist() == [False] * 3 + [True] * 4 and both.rejects == (("test/bad", "why"),)
    assert list(both.read(np.array([0, 2, 3, 6]))) == [b"\0", b"\2", b"\0", b"\3"]
    assert both.columns.to_pydict() == {
        "sku": ["a", "b", "c", None, None, None, None],
        "n": ["1", "2", "3", "x", "y", "z", "w"],
        "extra": [None, None, None, 1, 2, 3, 4],
    }


def test_of_a_test_source_with_a_split_only_the_test_rows_are_taken():
    both = joined(source(("a", "b"), [0, 1]), source(("a", "b"), [0, 1, 1], test_M=np.array([False, True, False])))
    assert both.keys[2:] == ["test/k1"] and list(both.read(np.array([2]))) == [b"\1"]


def test_sources_without_a_class_in_common_are_refused():
    with pytest.raises(SourceError, match="shares no class"):
        joined(source(("a", "b"), [0, 1]), source(("x", "y"), [0, 1]))


def test_a_source_without_samples_is_refused():
    with pytest.raises(SourceError, match="holds no samples: 1 entries, all rejected, the first 'k': why"):
        source((), [], rejects=(("k", "why"),))
