"""The walk: classes, splits, and what is no regular file."""

import os
from pathlib import Path

import numpy as np
import pytest

from learnability.errors import SourceError
from learnability.sources.folder import open_folder, walk
from learnability.sources.keys import path_of
from learnability.sources.source import Options
from tests.sources.odd_files import irregular_entries


def made(top: Path, *files: str) -> Path:
    for file in files:
        (top / file).parent.mkdir(parents=True, exist_ok=True)
        (top / file).write_bytes(b"x")
    return top


def opened(top: Path):
    return open_folder(str(top), Options())


def test_classes_are_folders_and_files_may_lie_deeper(tmp_path):
    source = opened(made(tmp_path / "pets", "dog/2.jpg", "dog/a/b/1.jpg", "cat/z.png", "cat/10.png"))
    assert source.class_names == ("cat", "dog") and source.name == "pets" and source.test_M is None
    assert source.keys == ["cat/10.png", "cat/z.png", "dog/2.jpg", "dog/a/b/1.jpg"]
    assert source.labels_M.tolist() == [0, 0, 1, 1]
    assert list(source.read(np.array([1, 3]))) == [str(tmp_path / "pets/cat/z.png"), str(tmp_path / "pets/dog/a/b/1.jpg")]


@pytest.mark.parametrize("held_out", ["test", "val", "validation", "Test"])
def test_split_folders_are_found(tmp_path, held_out):
    source = opened(made(tmp_path, "train/a/1.jpg", "train/b/2.jpg", f"{held_out}/a/3.jpg", f"{held_out}/b/4.jpg"))
    assert source.class_names == ("a", "b")
    assert {key: bool(test) for key, test in zip(source.keys, source.test_M, strict=True)} == {
        "train/a/1.jpg": False,
        "train/b/2.jpg": False,
        f"{held_out}/a/3.jpg": True,
        f"{held_out}/b/4.jpg": True,
    }


def test_with_test_and_val_the_test_folder_counts_and_the_rest_is_listed(tmp_path):
    source = opened(made(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", "val/a/1.jpg", "labels.csv", ".DS_Store"))
    assert source.test_M.sum() == 1
    assert dict(source.rejects) == {name: "left out: stands beside train and test" for name in ("val/", "labels.csv", ".DS_Store")}


def test_a_class_called_train_is_a_class_among_others(tmp_path):
    source = opened(made(tmp_path, "train/1.jpg", "bus/1.jpg", "car/1.jpg"))
    assert source.class_names == ("bus", "car", "train") and source.test_M is None


def test_train_alone_is_a_split(tmp_path):
    source = opened(made(tmp_path, "train/a/1.jpg", "train/b/1.jpg"))
    assert source.class_names == ("a", "b") and source.test_M is None


def test_what_is_no_class_folder_is_listed(tmp_path):
    source = opened(made(tmp_path, "a/1.jpg", "b/1.jpg", "stray.jpg", ".git/config", "__MACOSX/a/1.jpg"))
    assert dict(source.rejects) == {
        "stray.jpg": "outside: no class folder above it",
        ".git/": "hidden folder: not a class",
        "__MACOSX/": "hidden folder: not a class",
    }


def test_an_empty_class_folder_is_said(tmp_path):
    made(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "c").mkdir()
    source = opened(tmp_path)
    assert source.class_names == ("a", "b") and source.warnings == ("1 class folders hold no files: c.",)


def test_splits_by_other_names_are_classes_and_that_is_said(tmp_path):
    made(tmp_path, "dev/cat/1.jpg", "dev/dog/1.jpg", "holdout/cat/2.jpg", "holdout/dog/2.jpg", "holdout/eel/a/2.jpg")
    source = opened(tmp_path)
    assert source.class_names == ("dev", "holdout")
    (warning,) = source.warnings
    assert "the classes are the folders dev, holdout, and all of them hold cat, dog." in warning
    assert not opened(made(tmp_path, "dev/own.jpg")).warnings, "a class with files of its own is one"


def test_links_and_devices_are_listed_and_never_followed(tmp_path):
    made(tmp_path / "top", "a/1.jpg", "b/1.jpg")
    expected = irregular_entries(tmp_path / "top" / "a")
    (tmp_path / "top" / "class-link").symlink_to(tmp_path / "top" / "b")
    if os.geteuid() == 0:
        os.mknod(tmp_path / "top" / "a" / "device", 0o20644, os.makedev(1, 3))
        expected["device"] = "device"
    source = opened(tmp_path / "top")
    assert source.keys == ["a/1.jpg", "b/1.jpg"]
    reasons = dict(source.rejects)
    assert reasons.pop("class-link").startswith("symbolic link")
    assert {key.removeprefix("a/"): reason.split(":")[0] for key, reason in reasons.items()} == expected


def test_names_that_are_not_utf8(tmp_path):
    for name in (b"caf\xe9", b"cafe"):
        folder = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(folder)
        with open(folder + b"/\xff.jpg", "wb") as file:
            file.write(b"x")
    source = opened(tmp_path)
    assert source.class_names == ("cafe", r"caf\xe9")
    assert [os.fsencode(path_of(key)) for key in source.keys] == [b"cafe/\xff.jpg", b"caf\xe9/\xff.jpg"]
    assert all(os.path.isfile(path) for path in source.read(np.arange(2)))


def test_a_folder_too_deep_to_be_named_is_listed(tmp_path):
    made(tmp_path, "a/1.jpg")
    folder = os.open(tmp_path / "a", os.O_RDONLY)
    for _ in range(25):
        os.mkdir("n" * 200, dir_fd=folder)
        inner = os.open("n" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    (first, fine), (deepest, reason) = walk(str(tmp_path), "a")
    assert (first, fine) == ("a/1.jpg", None)
    assert len(deepest) > 3800 and reason == "unreadable folder: File name too long"


def test_order_is_that_of_the_names_whatever_the_disk_says(tmp_path):
    source = opened(made(tmp_path, *[f"{name}/{i}.jpg" for name in "ba" for i in (10, 9, 1)]))
    assert source.keys == [f"{name}/{i}.jpg" for name in "ab" for i in (1, 10, 9)]


@pytest.mark.parametrize("what", ["nothing", "file", "empty", "only files"])
def test_what_is_no_image_folder_is_refused(tmp_path, what):
    place = tmp_path / "place"
    if what == "file":
        place.write_bytes(b"x")
    elif what != "nothing":
        made(place, *(["1.jpg"] if what == "only files" else []))
        place.mkdir(exist_ok=True)
    with pytest.raises(SourceError, match="[Ee]xpected"):
        opened(place)
