"""What leaves the cache: exact in Parquet, safe in CSV, and folders that prepare again without a sample skipped."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from learnability import export, review
from learnability.__main__ import main
from learnability.config import RunConfig
from learnability.errors import InputError
from learnability.prepare import prepare
from learnability.sources.keys import key_of
from learnability.store.datasets import open_dataset
from learnability.store.files import read_table
from learnability.store.identity import identities
from learnability.store.paths import Cache
from learnability.store.writer import RunWriter

HOSTILE_FILES = [
    b"<img src=x onerror=alert(1)>.png", b"javascript:alert(1).png", b"**md** $x$.png", "\u202egnp.exe".encode(), b"line\nbreak.png",
    b"...png", b"x" * 251 + b".png", b"not-\xff-utf8.png", b"con", b"-rf.png", b"%{x}.png", b"=cmd().png", b"@at", b"+1",
    "é'\"`.png".encode(),
]  # fmt: skip
HOSTILE_CLASSES = [
    "..", "/", "a/../../b", "\0", "-rf", "con", "é" * 200, ".hidden", "Test", "<img src=x onerror=alert(1)>", "=cmd()", "line\nbreak",
    "\u202egnp", "__MACOSX", "back\\slash",
]  # fmt: skip


def picture(seed: int, side: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def folder(root: Path, names: list[bytes], side: int = 32) -> Path:
    """A folder of images, one a name, in the classes 0cat and =dog by turns."""
    for i, name in enumerate(names):
        place = os.path.join(os.fsencode(root), (b"0cat", b"=dog")[i % 2])
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, name), "wb") as file:
            file.write(picture(i, side))
    return root


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Cache:
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    return Cache(tmp_path / "cache")


@pytest.fixture
def photos(cache, tmp_path) -> Path:
    """A folder of eight images, prepared as `photos`."""
    source = folder(tmp_path / "source", [b"%d.png" % i for i in range(8)])
    prepare(cache, f"folder:{source}", name="photos", workers=1)
    return source


def shell(capsys, *arguments) -> dict:
    capsys.readouterr()
    assert main(["export", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# names


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("cat", "cat"), ("golden retriever, 2", "golden retriever, 2"), ("日本", "日本"), ("a.b", "a.b"), ("..", "%2E%2E"), (".", "%2E"),
        (".x", "%2Ex"), ("x.", "x%2E"), (" x ", "%20x%20"), ("a/b", "a%2Fb"), ("\0", "%00"), ("-rf", "%2Drf"), ("~", "%7E"),
        ("50%", "50%25"),
        ("con", "%63on"), ("NUL.txt", "%4EUL.txt"), ("cons", "cons"), ("Test", "%54est"), ("__MACOSX", "%5F_MACOSX"), ("a\nb", "a%0Ab"),
        ("\u202ex", "%E2%80%AEx"), ("", "%"), ("a\\b", "a%5Cb"), ("<b>", "%3Cb%3E"), ("train.", "%74rain%2E"),
    ],
)  # fmt: skip
def test_folder_names_by_eye(name, folder):
    assert export.folder_name(name) == folder
    assert export.name_of(folder) == name


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_folder_names_are_safe_and_come_back(name):
    made = export.folder_name(name)
    assert export.name_of(made) == (name if "%~" not in made else None)
    assert 0 < len(made.encode()) <= 180 and not set(made) & set('/\\<>:"|?*') and made.isprintable() and made[0] not in ".-~ "
    assert export.folder_name(made) != made or made == name  # what needs no escape is kept, all else is never mistaken for it


def test_long_names_are_cut_and_stay_different():
    made = {export.folder_name("é" * 199 + ending) for ending in "ab"}
    assert len(made) == 2 and all(len(name.encode()) <= 180 and export.name_of(name) is None for name in made)


# labels


def test_corrected_labels_by_key(cache, photos, tmp_path, capsys):
    original = open_dataset(cache, "photos")
    samples = identities(original).samples(range(8))
    review.decide(cache, "photos", samples[:1], "relabel", class_name="=cmd()", by="ann", why="+because\nof it")
    review.decide(cache, "photos", samples[1:2], "drop", by="ann")
    review.decide(cache, "photos", samples[2:3], "keep", by="bob")
    review.tag(cache, "photos", samples[2:4], add=["=dark", 'a "b"'], by="bob")
    told = shell(capsys, "labels", "--data", "photos", "--out", tmp_path / "all.parquet")
    assert told["rows"] == 8
    table = pq.read_table(tmp_path / "all.parquet")
    assert table.column_names == ["key", "hash", "split", "old_label", "new_label", "verdict", "by", "why", "when", "tags"]
    rows = table.to_pylist()
    assert [(row["key"], row["hash"]) for row in rows] == samples
    assert [row["old_label"] for row in rows] == ["0cat"] * 4 + ["=dog"] * 4
    assert [row["new_label"] for row in rows] == ["=cmd()", None, "0cat", "0cat"] + ["=dog"] * 4
    assert [row["verdict"] for row in rows] == ["relabel", "drop", "keep"] + [None] * 5
    assert (rows[0]["by"], rows[0]["why"], rows[3]["by"], rows[3]["tags"]) == ("ann", "+because\nof it", None, ["=dark", 'a "b"'])
    assert shell(capsys, "labels", "--data", "photos", "--changed", "--out", tmp_path / "changed.csv")["rows"] == 4
    with open(tmp_path / "changed.csv", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["new_label"] for row in cells] == ["'=cmd()", "", "0cat", "0cat"] and cells[0]["why"] == "'+because\nof it"
    assert [json.loads(row["tags"]) if row["tags"] else [] for row in cells] == [[], [], ["=dark", 'a "b"'], ["=dark", 'a "b"']]
    version = review.label_version_from_reviews(cache, "photos")
    review.decide(cache, "photos", samples[4:5], "drop", by="ann")
    shell(capsys, "labels", "--data", "photos", "--labels", version, "--out", tmp_path / "version.parquet")
    assert pq.read_table(tmp_path / "version.parquet")["new_label"].to_pylist() == [row["new_label"] for row in rows]
    for wrong in ("out.txt", "nowhere/out.csv"):
        assert main(["export", "labels", "--data", "photos", "--out", str(tmp_path / wrong)]) == 2


def test_cells_that_a_spreadsheet_would_run_get_an_apostrophe_and_parquet_is_exact():
    texts = ["=1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "x=1", "", None, "line\n=1", '"=1"']
    table = pa.table({"=name": texts, "number": range(-1, 11), "lists": [["=x", "y"]] * 11 + [[]]})
    assert pq.read_table(io.BytesIO(export.table_file(table, "parquet"))).to_pydict() == table.to_pydict()
    rows = list(csv.reader(io.StringIO(export.table_file(table, "csv").decode(), newline="")))
    assert rows[0] == ["'=name", "number", "lists"] and [row[1] for row in rows[1:3]] == ["-1", "0"]
    assert [row[0] for row in rows[1:]] == ["'=1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "'=1", "x=1", "", "", "line\n=1", '"=1"']
    assert rows[1][2] == '["=x", "y"]' and rows[12][2] == ""
    with pytest.raises(InputError, match="expected parquet or csv"):
        export.table_file(table, "xlsx")


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_every_kind_of_text_gets_its_apostrophe(kind):
    table = pa.table({"name": pa.array(["=1", None, "x"]).cast(kind)})
    assert export.table_file(table, "csv") == export.table_file(pa.table({"name": ["=1", None, "x"]}), "csv")


# scores


def test_scores_come_with_the_sources_own_columns(cache, tmp_path, capsys):
    source = tmp_path / "own.parquet"
    columns = {
        "image": [picture(i) for i in range(12)],
        "label": ["a", "b"] * 6,
        "SKU": [f"=sku-{i}" for i in range(12)],
        "weight": range(12),
        "shop": pa.array(["=shop"] * 12, pa.large_string()),  # as some writers keep text
        "age": pa.array(range(12), pa.duration("s")),
    }
    pq.write_table(pa.table(columns), source)
    prepare(cache, str(source), name="own", workers=1)
    dataset = open_dataset(cache, "own")
    config = RunConfig(data="own", fingerprint=dataset.fingerprint, arch="resnet20", epochs=2)
    ids_N = np.arange(12)[3:]
    signals = {name: np.zeros((9, 2)) for name in ("prediction", "loss", "margin", "el2n", "entropy")}
    with RunWriter.open(cache, config, ids_N, dataset.labels_N[ids_N], ids_N >= 0, 2, {"made": "for a test"}) as writer:
        writer.commit(signals, [{"epoch": e + 1, "step": e} for e in range(2)])
        writer.write_scores()
    told = shell(capsys, "scores", "--data", "own", "--metric", "learnability", "aum", "--out", tmp_path / "scores.parquet")
    named = ["sample_id", "key", "hash", "label", "learnability resnet20-s0", "aum resnet20-s0"]
    assert told["rows"] == 9 and told["columns"][:6] == named and {"SKU", "weight"} <= set(told["columns"])
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert [row["SKU"] for row in rows] == columns["SKU"][3:] and [row["label"] for row in rows] == columns["label"][3:]
    assert [row["learnability resnet20-s0"] for row in rows] == [float(row["label"] == "a") for row in rows]
    assert "resnet20-s0" in shell(capsys, "scores", "--data", "own", "--metric", "aum", "--out", tmp_path / "s.csv")["columns"]
    written = (tmp_path / "s.csv").read_text()
    assert '"\'=sku-3"' in written and written.count('"\'=shop"') == 9


# folders


def test_a_corrected_folder_of_hostile_names_prepares_again_without_one_skipped(cache, tmp_path, capsys):
    source = folder(tmp_path / "source", HOSTILE_FILES)
    first = prepare(cache, f"folder:{source}", name="hostile", workers=1)
    original = open_dataset(cache, "hostile")
    assert first.info["rejects"] == 0 and len(HOSTILE_FILES) == original.N
    assert {key_of(os.fsdecode(name)) for name in HOSTILE_FILES} == {key.split("/", 1)[1] for key in original.keys}
    samples = identities(original).samples(range(original.N))
    for sample, name in zip(samples, HOSTILE_CLASSES, strict=True):
        review.decide(cache, "hostile", [sample], "relabel", class_name=name, by="me")
    review.decide(cache, "hostile", samples[:1], "drop", by="me")
    before = tree(tmp_path)
    out = tmp_path / "out" / "corrected"
    told = shell(capsys, "folder", "--data", "hostile", "--out", out)
    assert (told["files"], told["dropped"], told["missing"], told["changed"]) == (original.N - 1, 1, 0, 0)
    assert told["made"] == {"link": original.N - 1, "copy": 0, "thumbnail": 0, "pixels": 0}
    manifest = read_table(out / "manifest.parquet").to_pylist()
    assert [(row["key"], row["hash"], row["label"]) for row in manifest] == [
        (*sample, name) for sample, name in zip(samples, HOSTILE_CLASSES, strict=True)
    ][1:]
    made = tree(out)
    assert made == sorted([*(row["file"] for row in manifest), "manifest.csv", "manifest.parquet"])
    new_files = set(tree(tmp_path)) - set(before)
    assert all(name.startswith(("out/corrected/", "cache/")) for name in new_files) and not any(".tmp-" in name for name in new_files)
    again = prepare(cache, f"folder:{out / 'images'}", name="again", workers=1)
    new = open_dataset(cache, "again")
    assert again.info["rejects"] == 0 and new.N == original.N - 1 and len(HOSTILE_CLASSES) - 1 == new.K
    assert sorted(new.hashes) == sorted(hashed for _, hashed in samples[1:])
    by_hash = dict(zip(new.hashes, (new.class_names[k] for k in new.labels_N), strict=True))
    for row in manifest:
        folder_of = by_hash[row["hash"]]
        assert export.name_of(folder_of) == (row["label"] if len(row["label"]) < 200 else None)


def test_the_originals_are_linked_or_copied_and_what_has_changed_is_not_taken(cache, photos, tmp_path, capsys, monkeypatch):
    original = open_dataset(cache, "photos")
    (photos / "0cat/0.png").unlink()
    (photos / "0cat/2.png").write_bytes(picture(99))
    (photos / "0cat/4.png").unlink()
    (photos / "0cat/4.png").symlink_to(photos / "0cat/6.png")
    told = shell(capsys, "folder", "--data", "photos", "--out", tmp_path / "one")
    assert told["made"] == {"link": 5, "copy": 0, "thumbnail": 0, "pixels": 3} and (told["missing"], told["changed"]) == (2, 1)
    rows = {row["key"]: row for row in read_table(tmp_path / "one/manifest.parquet").to_pylist()}
    linked = tmp_path / "one" / rows["=dog/1.png"]["file"]
    assert linked.samefile(photos / "=dog/1.png") and rows["0cat/2.png"]["made"] == "pixels"
    for key in ("0cat/0.png", "0cat/2.png", "0cat/4.png"):
        with Image.open(tmp_path / "one" / rows[key]["file"]) as image:
            assert np.array_equal(np.asarray(image), original.images[original.keys.index(key)])
    told = shell(capsys, "folder", "--data", "photos", "--out", tmp_path / "two", "--copy")
    assert told["made"]["copy"] == 5
    copied = tmp_path / "two" / rows["=dog/1.png"]["file"]
    assert not copied.samefile(photos / "=dog/1.png") and copied.read_bytes() == (photos / "=dog/1.png").read_bytes()
    monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(18, "other file system")))
    assert shell(capsys, "folder", "--data", "photos", "--out", tmp_path / "three")["made"]["copy"] == 5
    prepare(cache, f"folder:{tmp_path / 'one/images'}", name="again", workers=1)
    assert sorted(open_dataset(cache, "again").hashes) == sorted(original.hashes)
    photos.rename(tmp_path / "moved")
    assert shell(capsys, "folder", "--data", "photos", "--out", tmp_path / "four")["made"]["pixels"] == 8
    moved = shell(capsys, "folder", "--data", "photos", "--out", tmp_path / "five", "--images", tmp_path / "moved")
    assert moved["made"]["copy"] == 5


@pytest.mark.skipif(sys.platform != "linux" or not os.access("/dev/shm", os.W_OK), reason="no second file system at /dev/shm")
def test_on_another_file_system_they_are_copied(cache, photos, capsys, tmp_path_factory):
    import tempfile

    if os.stat("/dev/shm").st_dev == os.stat(photos).st_dev:
        pytest.skip("/dev/shm is the same file system")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert shell(capsys, "folder", "--data", "photos", "--out", Path(elsewhere) / "out")["made"]["copy"] == 8


def test_no_key_leads_out_of_the_source(cache, photos, tmp_path):
    (tmp_path / "secret.png").write_bytes(picture(1))
    (photos / "linked").symlink_to(tmp_path)
    os.mkfifo(photos / "pipe.png")
    own = export.Originals(open_dataset(cache, "photos"))
    assert own.known and own.path("=dog/1.png", False) == str(photos / "=dog/1.png")
    for key in (
        "../secret.png",
        str(tmp_path / "secret.png"),
        "0cat/../../secret.png",
        "linked/secret.png",
        "pipe.png",
        "0cat",
        "",
        "\0",
        ".",
    ):
        assert own.path(key, False) is None, key


def test_pictures_that_are_no_files_are_written_from_the_cache(cache, capsys, tmp_path):
    prepare(cache, "digits", limit=60)
    original = open_dataset(cache, "digits")
    own = identities(original)
    review.decide(cache, "digits", own.samples([0, original.N]), "drop", by="me")
    review.decide(cache, "digits", own.samples([1, original.N + 1]), "relabel", class_name="new", by="me")
    told = shell(capsys, "folder", "--data", "digits", "--out", tmp_path / "out")
    total = original.N + len(original.test_labels_T)
    assert told["made"]["pixels"] == told["files"] == total - 2 and told["warnings"] == []
    again = prepare(cache, f"folder:{tmp_path / 'out/images'}", name="again", size=original.H, workers=1)
    new = open_dataset(cache, "again")
    assert again.info["rejects"] == 0 and (new.N, len(new.test_labels_T)) == (original.N - 1, len(original.test_labels_T) - 1)
    kept = np.delete(np.arange(total), [0, original.N])
    assert sorted(identities(new).hashes.to_pylist()) == sorted(hashed for _, hashed in own.samples(kept))
    assert new.class_names == (*original.class_names, "new")
    by_hash = dict(zip(new.hashes, new.labels_N, strict=True))
    assert by_hash[original.hashes[1]] == 10 and by_hash[original.hashes[2]] == original.labels_N[2]


def test_large_originals_without_files_come_as_thumbnails(cache, tmp_path, capsys):
    source = tmp_path / "large.parquet"
    pq.write_table(pa.table({"image": [picture(i, 150) for i in range(4)], "label": ["a", "b"] * 2}), source)
    prepare(cache, str(source), name="large", workers=1)
    assert shell(capsys, "folder", "--data", "large", "--out", tmp_path / "out")["made"]["thumbnail"] == 4
    with Image.open(tmp_path / "out" / read_table(tmp_path / "out/manifest.parquet")["file"][0].as_py()) as image:
        assert image.format == "WEBP" and image.size == (150, 150)
    assert prepare(cache, f"folder:{tmp_path / 'out/images'}", name="again", workers=1).info["rejects"] == 0


def test_joined_and_listed_sources_are_found_again(cache, photos, tmp_path):
    tests = folder(tmp_path / "tests", [b"%d.png" % i for i in range(20, 24)])
    prepare(cache, f"folder:{photos}", name="joined", test=f"folder:{tests}", workers=1)
    joined = open_dataset(cache, "joined")
    keys, own = identities(joined).keys.to_pylist(), export.Originals(joined)
    assert [own.path(key, i >= joined.N) for i, key in enumerate(keys)] == [
        str((photos if i < joined.N else tests) / key.removeprefix("test/")) for i, key in enumerate(keys)
    ]
    listed = tmp_path / "list.csv"
    listed.write_text("path,label\nsource/0cat/0.png,a\nsource/0cat/0.png,b\nsource/=dog/1.png,b\n")
    prepare(cache, f"csv:{listed}", name="listed", workers=1)
    own = export.Originals(open_dataset(cache, "listed"))
    assert open_dataset(cache, "listed").keys[1].endswith("#2")
    assert [own.path(key, False) for key in open_dataset(cache, "listed").keys] == [
        str(photos / name) for name in ("0cat/0.png",) * 2 + ("=dog/1.png",)
    ]


def test_a_folder_that_is_there_or_cannot_be_is_refused_before_work(cache, photos, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    assert shell(capsys, "folder", "--data", "photos", "--out", tmp_path / "there")["files"] == 8
    (tmp_path / "file").write_text("x")
    for out in ("there", "file"):
        assert main(["export", "folder", "--data", "photos", "--out", str(tmp_path / out)]) == 2
        assert "is there already: expected a new folder" in capsys.readouterr().err
    assert main(["export", "folder", "--data", "photos", "--out", str(tmp_path / "x"), "--images", str(tmp_path / "file")]) == 2
    assert main(["export", "folder", "--data", "photos", "--out", str(photos / "corrected")]) == 2
    assert f"lies inside {photos}" in capsys.readouterr().err and not (photos / "corrected").exists()
    original = open_dataset(cache, "photos")
    with pytest.raises(InputError, match="every sample is dropped"):
        export.corrected_folder(original, np.full(8, -1), original.class_names, tmp_path / "none")
    with pytest.raises(InputError, match="names are borne by two classes each"):
        export.corrected_folder(original, original.labels_N, ("crane", "crane"), tmp_path / "none")
    assert not (tmp_path / "none").exists() and not list(tmp_path.glob(".tmp-*"))


def test_an_export_that_fails_leaves_nothing(cache, photos, tmp_path, monkeypatch):
    original = open_dataset(cache, "photos")

    def broken(_):
        yield original.hashes[0]
        raise RuntimeError("as if the decoder broke")

    with pytest.raises(RuntimeError):
        export.corrected_folder(
            original, original.labels_N, original.class_names, tmp_path / "out", originals=export.Originals(original), hashes_of=broken
        )
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".tmp-*"))
