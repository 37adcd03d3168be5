"""prepare() from source to version: splits, sizes, limits, labels, repeated preparation, reports."""

import json
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from learnability.datasets import open_version
from learnability.errors import InputError, SourceError
from learnability.prepare import prepare
from learnability.prepare.choice import Facts, Plan, planned
from tests.prepare.photo_folders import photos
from tests.sources.odd_files import encoded, picture
from tests.sources.test_parquet import write


class TestDigits:
    def test_the_whole_of_it(self, digits_cache):
        dataset = open_version(digits_cache.dataset_folder("digits"))
        assert (dataset.N, len(dataset.test_labels_T), dataset.K, dataset.images.shape[1:]) == (1438, 359, 10, (32, 32, 1))
        assert dataset.info["fit"] == "whole" and not dataset.info["thumbnails"] and dataset.thumbnail(0) is None
        counts, tests = np.bincount(dataset.labels_N), np.bincount(dataset.test_labels_T)
        assert (np.abs(tests - 0.2 * (counts + tests)) <= 1).all(), "not the same share of every class"

    def test_pixels_are_those_of_scikit_learn_enlarged_by_four(self, digits_cache):
        from sklearn.datasets import load_digits

        bunch, dataset = load_digits(), open_version(digits_cache.dataset_folder("digits"))
        rows = dataset.all_samples()["key"].to_pylist()
        images, labels = np.concatenate([dataset.images, dataset.test_images]), np.concatenate([dataset.labels_N, dataset.test_labels_T])
        for row, image, label in zip(rows, images, labels, strict=True):
            expected = np.floor(bunch.images[int(row)] * 255 / 16 + 0.5).astype(np.uint8).repeat(4, 0).repeat(4, 1)
            assert (image[:, :, 0] == expected).all() and label == bunch.target[int(row)]
        train_rows = [int(key) for key in dataset.keys]
        assert train_rows == sorted(train_rows), "source order is kept"

    def test_limit_thins_train_and_test_alike(self, cache):
        prepared = prepare(cache, "digits", limit=200)
        dataset = open_version(prepared.folder)
        assert (dataset.N, prepared.test) == (200, 50) and np.ptp(np.bincount(dataset.labels_N)) <= 1
        larger = open_version(prepare(cache, "digits", limit=300).folder)
        assert set(dataset.keys) < set(larger.keys)
        with pytest.raises(InputError, match="at least 10, one sample for each class"):
            prepare(cache, "digits", limit=9)

    @pytest.mark.parametrize(("test", "rows"), [(0.5, 899), ("0.1", 180), (0, 0)])
    def test_another_share_for_testing(self, cache, test, rows):
        prepared = prepare(cache, "digits", test=test)
        assert (prepared.test, prepared.train) == (rows, 1797 - rows)
        assert (open_version(prepared.folder).test_images is None) == (rows == 0)


class TestSizes:
    """The rules of docs/images.md for the default size."""

    @staticmethod
    def plan(sizes, size=None, fit="crop", grey=True) -> Plan:
        width, height = np.array(sizes, np.int32).T
        return planned(Facts(width, height, np.full(len(sizes), grey), {}), size, fit)

    @pytest.mark.parametrize(
        ("sizes", "size", "fit", "thumbnails"),
        [
            ([(8, 8)], 32, "whole", False),
            ([(28, 28)] * 3, 32, "whole", False),
            ([(32, 32), (20, 30)], 32, "whole", False),
            ([(48, 48)] * 2, 48, "crop", False),
            ([(64, 64)], 64, "crop", False),
            ([(60, 45)] * 2, 45, "crop", True),
            ([(60, 20)] * 2, 32, "crop", True),
            ([(48, 48), (50, 50)], 64, "crop", False),
            ([(500, 375), (375, 500)], 64, "crop", True),
            ([(1, 20_000), (40, 40)], 64, "crop", True),
        ],
    )
    def test_default(self, sizes, size, fit, thumbnails):
        assert self.plan(sizes) == Plan(size, fit, 1, thumbnails)

    def test_as_asked(self):
        assert self.plan([(28, 28)], 64) == Plan(64, "whole", 1, False)
        assert self.plan([(28, 28)], fit="stretch") == Plan(32, "stretch", 1, False)
        assert self.plan([(500, 375)], 128, "pad") == Plan(128, "pad", 1, True)

    def test_grey_only_when_all_are(self):
        facts = Facts(np.full(3, 40), np.full(3, 40), np.array([True, False, True]), {})
        assert planned(facts, None, "crop").channels == 3
        facts.reasons[1] = "damaged"
        assert planned(facts, None, "crop").channels == 1

    @pytest.mark.parametrize(
        ("more", "why"), [({"size": 31}, "32 to 1024"), ({"size": 5000}, "32 to 1024"), ({"fit": "squeeze"}, "crop, pad, stretch")]
    )
    def test_what_cannot_be_asked_for(self, cache, more, why):
        with pytest.raises(InputError, match=why):
            prepare(cache, "digits", **more)


class TestFolders:
    def test_sizes_of_the_source_and_thumbnails_are_kept(self, cache, tmp_path):
        photos(tmp_path / "pets", (300, 200), "JPEG")
        prepared = prepare(cache, f"folder:{tmp_path / 'pets'}")
        samples = open_version(prepared.folder).samples()
        assert prepared.name == "pets" and prepared.info["size"] == 64 and prepared.info["thumbnails"]
        assert set(samples["width"].to_pylist()) == {300} and set(samples["height"].to_pylist()) == {200}

    def test_grey_pictures_stay_grey_and_one_in_colour_makes_all_rgb(self, cache, tmp_path):
        photos(tmp_path / "pets", grey=True)
        assert prepare(cache, str(tmp_path / "pets")).info["C"] == 1
        (tmp_path / "pets" / "cat" / "colour.png").write_bytes(encoded(picture(9, 60, 45), "PNG"))
        prepared = prepare(cache, str(tmp_path / "pets"))
        images = open_version(prepared.folder).images
        assert prepared.info["C"] == 3 and (images[0] == images[0][..., :1]).all()

    def test_only_usable_images_decide_about_size_and_colour(self, cache, tmp_path):
        """A damaged file in colour and of another size is listed and changes nothing else."""
        photos(tmp_path / "pets", (40, 40), grey=True)
        before = prepare(cache, str(tmp_path / "pets"), name="a")
        whole = encoded(picture(9, 500, 300), "PNG")
        (tmp_path / "pets" / "cat" / "damaged.png").write_bytes(whole[: len(whole) // 2])
        after = prepare(cache, str(tmp_path / "pets"), name="b")
        assert after.rejects == 1 and after.fingerprint == before.fingerprint and after.info["C"] == 1 and after.info["size"] == 40

    def test_splits_come_first_train_then_test(self, cache, tmp_path):
        for first, split in ((0, "test"), (1000, "train")):
            photos(tmp_path / "pets" / split, first=first)
        dataset = open_version(prepare(cache, str(tmp_path / "pets")).folder)
        keys = dataset.all_samples()["key"].to_pylist()
        assert all(key.startswith("train/") for key in keys[:8]) and all(key.startswith("test/") for key in keys[8:])
        assert dataset.info["split"] == "the folder's own train and test"
        with pytest.raises(InputError, match="has its own test rows"):
            prepare(cache, str(tmp_path / "pets"), test=0.2)

    def test_two_folders_as_train_and_test(self, cache, tmp_path):
        photos(tmp_path / "one")
        photos(tmp_path / "two", first=1000, classes=("dog", "cat"))
        dataset = open_version(prepare(cache, str(tmp_path / "one"), test=f"folder:{tmp_path / 'two'}").folder)
        keys = dataset.all_samples()["key"].to_pylist()
        assert keys[8:] == ["test/cat/0.png", "test/cat/1.png", "test/cat/2.png", "test/cat/3.png"] + [
            f"test/dog/{i}.png" for i in range(4)
        ]
        assert [dataset.class_names[i] for i in dataset.test_labels_T] == ["cat"] * 4 + ["dog"] * 4

    def test_classes_without_a_usable_train_sample_are_dropped_and_said(self, cache, tmp_path):
        top = tmp_path / "pets"
        photos(top / "train", classes=("cat", "dog"))
        photos(top / "test", classes=("ant", "cat", "dog"), first=1000)
        (top / "train" / "bee").mkdir()
        (top / "train" / "bee" / "x.png").write_bytes(b"")
        (top / "train" / "empty").mkdir()
        prepared = prepare(cache, str(top))
        reasons = dict(pq.read_table(prepared.folder / "rejects.parquet").to_pydict().items())
        assert prepared.info["class_names"] == ["cat", "dog"] and prepared.test == 8
        assert sorted(zip(reasons["key"], reasons["reason"], strict=True)) == [
            *[(f"test/ant/{i}.png", "class without train samples: 'ant'") for i in range(4)],
            ("train/bee/x.png", "empty file"),
        ]
        assert any("'ant', 'bee'" in sentence for sentence in prepared.warnings) and any(
            "empty" in sentence for sentence in prepared.warnings
        )
        dataset = open_version(prepared.folder)
        assert dataset.labels_N.tolist() == [0] * 4 + [1] * 4

    @pytest.mark.parametrize("case", ["one class", "one usable class", "nothing usable"])
    def test_fewer_than_two_classes_are_refused_and_nothing_is_left(self, cache, tmp_path, case):
        photos(tmp_path / "pets", classes=("cat",), each=2 if case != "nothing usable" else 0)
        if case != "one class":
            for name in ("cat", "dog"):
                (tmp_path / "pets" / name).mkdir(exist_ok=True)
                (tmp_path / "pets" / name / "bad.png").write_bytes(b"")
        with pytest.raises(SourceError, match="one class|only class 'cat'|none of 2 images"):
            prepare(cache, str(tmp_path / "pets"))
        assert not cache.dataset_home("pets").exists() and cache.dataset_names() == []

    def test_one_sample_of_a_class_and_few_of_another_are_said(self, cache, tmp_path):
        photos(tmp_path / "pets", each=12)
        photos(tmp_path / "pets", classes=("eel",), each=1, first=5000)
        said = " ".join(prepare(cache, str(tmp_path / "pets")).warnings)
        assert "1 class ('eel') has one sample" in said and "'cat' has 12 train samples, 'eel' 1" in said

    def test_repeated_images_are_counted_and_have_their_own_keys(self, cache, tmp_path):
        top = photos(tmp_path / "pets" / "train").parent
        photos(top / "test", first=1000)
        same = (top / "train" / "cat" / "0.png").read_bytes()
        for place in ("train/cat/again.png", "train/dog/other.png", "test/dog/leak.png"):
            (top / place).write_bytes(same)
        prepared = prepare(cache, str(top))
        assert {name: prepared.info[name] for name in ("duplicates", "conflicts", "test_in_train")} == {
            "duplicates": 3,
            "conflicts": 1,
            "test_in_train": 1,
        }
        dataset = open_version(prepared.folder)
        assert len(set(dataset.keys)) == dataset.N and len(set(dataset.hashes)) == dataset.N - 2
        assert (
            "3 train samples are exact duplicates" in prepared.summary()
            and "1 image stands under more than one label" in prepared.summary()
        )

    def test_orientation_is_applied_alike_from_folder_and_parquet(self, cache, tmp_path):
        from tests.prepare.test_images import exif

        contents = [encoded(picture(i, 60, 45), "JPEG", exif=exif(i // 2 + 1).tobytes()) for i in range(16)]
        for i, content in enumerate(contents):
            (tmp_path / "f" / str(i % 2)).mkdir(parents=True, exist_ok=True)
            (tmp_path / "f" / str(i % 2) / f"{i // 2}.jpg").write_bytes(content)
        write(tmp_path / "p.parquet", 16, image=pa.array(contents), metadata=None)
        folder, table = (open_version(prepare(cache, str(tmp_path / place), name=f"x{place[0]}").folder) for place in ("f", "p.parquet"))
        from_folder = dict(zip(folder.keys, folder.hashes, strict=True))
        assert [from_folder[f"{i % 2}/{i // 2}.jpg"] for i in range(16)] == table.hashes and len(set(table.hashes)) == 16
        assert table.samples()["width"].to_pylist() == [60] * 8 + [45] * 8
        assert table.samples()["height"].to_pylist() == [45] * 8 + [60] * 8


class TestTables:
    def test_own_columns_are_kept_and_renamed_where_ours_are(self, cache, tmp_path):
        contents = [encoded(picture(i, 40, 40), "PNG") for i in range(6)]
        own = {"key": pa.array(list("abcdef")), "width": pa.array(range(6)), "price": pa.array([1.5, None, 3, 4, 5, 6])}
        write(tmp_path / "p.parquet", 6, image=pa.array(contents), metadata=None, **own)
        dataset = open_version(prepare(cache, f"parquet:{tmp_path / 'p.parquet'}", limit=4).folder)
        samples, rows = dataset.samples(), [int(key) for key in dataset.keys]
        assert samples.column_names[6:] == ["key_source", "width_source", "price"]
        assert samples["key_source"].to_pylist() == [own["key"][i].as_py() for i in rows]
        assert samples["price"].to_pylist() == [own["price"][i].as_py() for i in rows] and samples["width"].to_pylist() == [40] * 4

    def test_rows_without_bytes_are_rejects_under_their_number(self, cache, tmp_path):
        contents = [encoded(picture(i, 40, 40), "PNG") if i != 2 else None for i in range(6)]
        write(tmp_path / "p.parquet", 6, image=pa.array(contents, pa.binary()), metadata=None)
        prepared = prepare(cache, str(tmp_path / "p.parquet"))
        assert pq.read_table(prepared.folder / "rejects.parquet")["key"].to_pylist() == ["00000002"]
        assert open_version(prepared.folder).keys == [f"0000000{i}" for i in (0, 1, 3, 4, 5)]
        assert prepared.info["rejects_by_reason"] == {"no bytes": 1}

    def test_a_file_that_turns_out_damaged_while_it_is_read_is_an_error(self, cache, tmp_path):
        contents = [encoded(picture(i, 40, 40), "PNG") * 20 for i in range(60)]
        write(tmp_path / "p.parquet", 60, image=pa.array(contents), metadata=None)
        content = bytearray((tmp_path / "p.parquet").read_bytes())
        at = content.index(b"IDAT", len(content) // 2)
        content[at - 2000 : at + 2000] = os.urandom(4000)
        (tmp_path / "p.parquet").write_bytes(content)
        try:
            prepared = prepare(cache, str(tmp_path / "p.parquet"))
            assert prepared.rejects > 0  # the bytes of images were hit, not the frame around them
        except SourceError as error:
            assert "damaged" in str(error)

    def test_json_and_summary(self, digits_cache):
        prepared = prepare(digits_cache, "digits")
        told = json.loads(json.dumps(prepared.to_json()))
        assert told["name"] == "digits" and told["new"] is False and told["train"] == 1438 and told["rejects"] == 0
        assert "nothing new" in prepared.summary() and "1,438 train and 359 test samples of 10 classes, 32 x 32 grey" in prepared.summary()
        fields = {
            "format",
            "name",
            "fingerprint",
            "train",
            "test",
            "H",
            "W",
            "C",
            "class_names",
            "fit",
            "size",
            "split",
            "source",
            "rejects",
        }
        assert fields | {"duplicates", "conflicts", "warnings", "thumbnails", "created"} <= set(
            json.loads((prepared.folder / "dataset.json").read_text())
        )


class TestRealData:
    def independent(self, table: pa.Table, row: int) -> np.ndarray:
        import io

        from PIL import Image

        with Image.open(io.BytesIO(table["image"][row]["bytes"].as_py())) as image:
            return np.asarray(image)

    def test_cifar10(self, cache, real_data):
        """A sample's pixels are those of the row its key names, its label that row's label."""
        prepared = prepare(cache, str(real_data / "cifar10"), limit=300)
        dataset = open_version(prepared.folder)
        assert prepared.name == "cifar10" and (dataset.N, prepared.test, dataset.K, dataset.images.shape[1:]) == (300, 60, 10, (32, 32, 3))
        assert dataset.class_names[:3] == ("airplane", "automobile", "bird") and set(np.bincount(dataset.labels_N)) == {30}
        table = pq.read_table(real_data / "cifar10" / "train.parquet")
        for i, key in enumerate(dataset.keys):
            assert (dataset.images[i] == self.independent(table, int(key))).all()
            assert dataset.labels_N[i] == table["label"][int(key)].as_py()

    def test_mnist_with_a_test_source(self, cache, real_data):
        source = f"parquet:{real_data / 'mnist' / 'train.parquet'}"
        prepared = prepare(cache, source, test=f"parquet:{real_data / 'mnist' / 'test.parquet'}", limit=200)
        dataset = open_version(prepared.folder)
        assert (
            prepared.name == "mnist"
            and dataset.images.shape == (200, 32, 32, 1)
            and prepared.test == math.floor(10_000 * 200 / 60_000 + 0.5)
        )
        table = pq.read_table(real_data / "mnist" / "train.parquet")
        for i, key in enumerate(dataset.keys):
            assert (dataset.images[i][:, :, 0] == np.pad(self.independent(table, int(key)), 2)).all()
