"""A folder of good, odd, damaged and hostile files: none crashes, none is missing from the lists, none is shown as another."""

import gzip
import io
import os
import pickle
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from learnability.datasets import open_version
from learnability.prepare import prepare
from learnability.sources.keys import key_of, path_of
from learnability.store.paths import Cache
from tests.sources.odd_files import HOSTILE_NAMES, encoded, good_contents, huge_png, irregular_entries, picture, rejected_contents
from tests.sources.test_parquet import Canary

SIZE = 64


def independent(path: bytes) -> np.ndarray:
    """What Pillow alone makes of the file: upright, over white, middle square, Lanczos (bicubic where nothing shrinks)."""
    with Image.open(path) as image:
        image.seek(0)
        image = ImageOps.exif_transpose(image)
        if image.has_transparency_data:
            over = Image.new("RGBA", image.size, "white")
            over.alpha_composite(image.convert("RGBA"))
            image = over
        image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    how = Image.Resampling.LANCZOS if side > SIZE else Image.Resampling.BICUBIC
    return np.asarray(image.resize((SIZE, SIZE), how))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The folder, what is expected of each file in it, and the version prepared from it."""
    top = tmp_path_factory.mktemp("hostile") / "source"
    expected = {}
    for name in ("damaged", "good"):
        (top / name / "deeper").mkdir(parents=True)
    for name, (content, reason) in rejected_contents().items():
        (top / "damaged" / name).write_bytes(content)
        expected[f"damaged/{name}"] = reason
    for name, content in good_contents().items():
        (top / "good" / "deeper" / name).write_bytes(content)
    for i, name in enumerate(HOSTILE_NAMES):
        Path(os.fsdecode(os.fsencode(top) + b"/damaged/deeper/" + name)).write_bytes(encoded(picture(200 + i, 70, 80), "PNG"))
    for name, reason in irregular_entries(top / "good").items():
        expected[f"good/{name}"] = reason
    (top / "good" / "unreadable-name" / "x" / "y").mkdir(parents=True)
    (top / "README.txt").write_text("outside")
    expected["README.txt"] = "outside"
    (top / ".git").mkdir()
    expected[".git/"] = "hidden folder"
    cache = Cache.at(top.parent / "cache")
    prepared = prepare(cache, f"folder:{top}", name="hostile", size=SIZE)
    return top, expected, prepared


def files_of(top: Path) -> set[str]:
    found = set()
    for folder, folders, names in os.walk(os.fsencode(top)):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found |= {os.path.relpath(os.path.join(folder, name), os.fsencode(top)) for name in names + links}
    return {key_of(os.fsdecode(path)) for path in found}


def test_at_least_thirty_kinds_are_damaged():
    assert len(rejected_contents()) >= 30


def test_every_file_is_a_sample_or_a_reject(hostile):
    top, expected, prepared = hostile
    keys = open_version(prepared.folder).all_samples()["key"].to_pylist()
    rejects = pq.read_table(prepared.folder / "rejects.parquet")["key"].to_pylist()
    assert len(set(keys)) == len(keys) and len(set(rejects)) == len(rejects)
    assert set(keys) | set(rejects) - {".git/"} == files_of(top)
    assert not set(keys) & set(rejects)
    assert len(keys) == len(good_contents()) + len(HOSTILE_NAMES)


def test_every_reject_has_its_reason(hostile):
    _, expected, prepared = hostile
    table = pq.read_table(prepared.folder / "rejects.parquet")
    reasons = dict(zip(table["key"].to_pylist(), table["reason"].to_pylist(), strict=True))
    assert set(reasons) == set(expected)
    wrong = {key: (reasons[key], start) for key, start in expected.items() if not reasons[key].startswith(start)}
    assert not wrong
    assert prepared.rejects == len(expected) == sum(prepared.info["rejects_by_reason"].values())
    assert not any("crashed" in reason or "object at 0x" in reason for reason in reasons.values())


def test_no_image_stands_for_another(hostile):
    """The pixels of each sample are those of the very file its key names."""
    top, _, prepared = hostile
    dataset = open_version(prepared.folder)
    assert dataset.C == 3
    for i, key in enumerate(dataset.keys):
        path = os.path.join(os.fsencode(top), os.fsencode(path_of(key)))
        assert dataset.class_names[dataset.labels_N[i]] == key.split("/")[0]
        difference = np.abs(dataset.images[i].astype(int) - independent(path))
        assert difference.max() <= 2, key


def test_hostile_names_come_back_exactly(hostile):
    top, _, prepared = hostile
    keys = open_version(prepared.folder).keys
    there = {os.fsencode(os.path.basename(path_of(key))) for key in keys if key.startswith("damaged/deeper/")}
    assert there == set(HOSTILE_NAMES)


def test_the_corrected_folder_prepares_without_one_skipped(hostile, tmp_path):
    """Hard links of the good files, one folder a class: everything becomes a sample."""
    top, _, prepared = hostile
    dataset = open_version(prepared.folder)
    for i, key in enumerate(dataset.keys):
        folder = tmp_path / "corrected" / dataset.class_names[dataset.labels_N[i]]
        folder.mkdir(parents=True, exist_ok=True)
        os.link(os.path.join(os.fsencode(top), os.fsencode(path_of(key))), folder / f"{i}.png")
    again = prepare(Cache.at(tmp_path / "cache"), str(tmp_path / "corrected"), size=SIZE)
    assert again.rejects == 0 and again.train == dataset.N
    assert sorted(open_version(again.folder).hashes) == sorted(dataset.hashes)


def test_no_pickle_among_the_files_is_loaded(tmp_path):
    """Models and arrays saved with pickle, each with a canary: all rejected by their content, none loaded."""
    pickles = [pickle.dumps(Canary(tmp_path / "canary"), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    zipped, array = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickles[2])
    np.save(array, np.array([Canary(tmp_path / "canary")], object), allow_pickle=True)
    contents = [*pickles, zipped.getvalue(), gzip.compress(pickles[4]), zlib.compress(pickles[4]), array.getvalue()]
    names = ("model.pt", "model.pth", "model.bin", "batch.joblib", "data_batch_1", "array.npy", "picture.jpg")
    for i, content in enumerate(contents):
        for name in names:
            (tmp_path / "top" / f"class{i % 2}" / str(i)).mkdir(parents=True, exist_ok=True)
            (tmp_path / "top" / f"class{i % 2}" / str(i) / name).write_bytes(content)
    for i in range(2):
        (tmp_path / "top" / f"class{i}" / "good.png").write_bytes(encoded(picture(i), "PNG"))
    prepared = prepare(Cache.at(tmp_path / "cache"), str(tmp_path / "top"))
    assert prepared.info["rejects_by_reason"] == {"no image": len(contents) * len(names)} and not (tmp_path / "canary").exists()


MEASURE = """
import resource, sys
from learnability.prepare import prepare
from learnability.store.paths import Cache
prepare(Cache.at(sys.argv[1]), sys.argv[2], name="x", workers=1)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_and_time_of_monsters(tmp_path):
    """At most 1 GB above a harmless folder, in the decoder and in the parent; at most 10 s a file."""

    def cost(name: str, extra: dict[str, bytes]) -> tuple[int, int, float]:
        for i in range(4):
            folder = tmp_path / name / f"class{i % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{i}.jpg").write_bytes(encoded(picture(i), "JPEG"))
        for file, content in extra.items():
            (tmp_path / name / "class0" / file).write_bytes(content)
        started = time.monotonic()
        output = subprocess.check_output([sys.executable, "-c", MEASURE, str(tmp_path / "cache"), str(tmp_path / name)], text=True)
        return *(int(part) * 1024 for part in output.split()), time.monotonic() - started

    rejected = {name: content for name, (content, _) in rejected_contents().items() if name.startswith(("huge", "text"))}
    monsters = {**rejected, "frames.gif": good_contents()["frames-10000.gif"], "largest.png": huge_png(7000, 7000)}
    child, parent, seconds = cost("harmless", {})
    child_after, parent_after, seconds_after = cost("monsters", monsters)
    assert child_after - child <= 10**9 and parent_after - parent <= 10**9
    assert seconds_after - seconds <= 10
