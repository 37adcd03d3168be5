"""Sets of features: filled in parts, whole or not there, never wrong."""

import json

import numpy as np
import pytest

from learnability.errors import DamagedFile, Locked, NotFound
from learnability.store.features import Backbone, FeatureWriter, declare, feature_set, feature_sets, features_problems, load_features
from tests.training.toy import make_toy

BACKBONE = Backbone(
    spec="timm:resnet10t", weights="ab" * 32, place="/weights", package="timm 1", dimension=3, channels=3, height=32, width=32,
    resize=32, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
)  # fmt: skip
ROWS = 12


@pytest.fixture
def place(tmp_path):
    toy = make_toy(tmp_path / "cache", N=8, T=4)
    return toy.cache, toy.name, toy.fingerprint[:8]


def numbers() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(ROWS, 3)).astype(np.float16)


def filled(place, one, stops=(), finish=True):
    """Writes the rows in parts; the writer is given up and opened anew at each of `stops`."""
    values, ends = numbers(), [*stops, ROWS]
    for end in ends:
        with FeatureWriter.opened(*place, one, ROWS) as writer:
            if writer.done < end:
                writer.append(values[writer.done : end], {"pictures": {"prepared": end}})
            if end == ROWS and finish:
                writer.finish({"mean": [0.0], "std": [1.0]})


def test_a_set_is_described_filled_in_parts_and_read_back(place):
    one = declare(*place, BACKBONE)
    assert one.name == BACKBONE.name and one.name.startswith("resnet10t-") and one.made is None
    filled(place, one, stops=(5, 9))
    made = feature_set(*place, one.name)
    assert made.made["pictures"] == {"prepared": 12} and made.made["rows"] == ROWS
    assert np.array_equal(load_features(made, ROWS), numbers())
    assert np.array_equal(np.load(one.folder / "features.npy", allow_pickle=False), numbers())
    assert sorted(file.name for file in one.folder.iterdir()) == ["backbone.json", "features.json", "features.npy"]
    assert [one.name for one in feature_sets(*place)] == [one.name]
    assert list(features_problems(*place)) == []


def test_rows_beyond_what_was_vouched_for_are_written_anew_and_damaged_ones_all(place):
    one = declare(*place, BACKBONE)
    filled(place, one, stops=(5,), finish=False)
    part = one.folder / "features.part"
    content = part.read_bytes()
    part.write_bytes(content + b"torn")
    with FeatureWriter.opened(*place, one, ROWS) as writer:
        assert writer.done == ROWS
    part.write_bytes(content[:-1])
    with FeatureWriter.opened(*place, one, ROWS) as writer:
        assert writer.done == 0
    part.write_bytes(content[:-8] + bytes([content[-8] ^ 1]) + content[-7:])
    with FeatureWriter.opened(*place, one, ROWS) as writer:
        assert writer.done == 0
    filled(place, one)
    assert np.array_equal(load_features(feature_set(*place, one.name), ROWS), numbers())


def test_one_writer_at_a_time(place):
    one = declare(*place, BACKBONE)
    with FeatureWriter.opened(*place, one, ROWS), pytest.raises(Locked, match="features-toy"):
        with FeatureWriter.opened(*place, one, ROWS):
            pass


def test_damage_is_found_by_its_checksum_and_named(place):
    one = declare(*place, BACKBONE)
    filled(place, one)
    path = one.folder / "features.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    made = feature_set(*place, one.name)
    with pytest.raises(DamagedFile, match="checksum does not match.*made anew"):
        load_features(made, ROWS)
    assert len(list(features_problems(*place))) == 1
    path.write_bytes(bytes(content[:40]))
    with pytest.raises(DamagedFile, match="features.npy is damaged"):
        load_features(made, ROWS)
    with pytest.raises(DamagedFile, match="expected float16"):
        path.write_bytes(bytes(content))
        load_features(made, ROWS + 1)


def test_the_name_holds_the_weights_and_what_is_shown_but_not_where_they_lie(place):
    import dataclasses

    assert dataclasses.replace(BACKBONE, place="/elsewhere", package="timm 2").name == BACKBONE.name
    for field, value in (("weights", "cd" * 32), ("height", 64), ("mean", (0.0, 0.0, 0.0)), ("spec", "timm:resnet14t")):
        assert dataclasses.replace(BACKBONE, **{field: value}).name != BACKBONE.name
    declare(*place, BACKBONE)
    assert declare(*place, dataclasses.replace(BACKBONE, place="/elsewhere")).backbone.place == "/elsewhere"


def test_an_unknown_set_and_an_edited_description_are_refused(place):
    with pytest.raises(NotFound, match="no features 'nothing'; it has none yet.*--start"):
        feature_set(*place, "nothing")
    one = declare(*place, BACKBONE)
    with pytest.raises(NotFound, match=one.name):
        feature_set(*place, "nothing")
    told = json.loads((one.folder / "backbone.json").read_text())
    (one.folder / "backbone.json").write_text(json.dumps(told | {"height": 64}))
    with pytest.raises(DamagedFile, match="describes resnet10t-.*, not resnet10t-"):
        feature_set(*place, one.name)
    assert feature_sets(*place) == []
