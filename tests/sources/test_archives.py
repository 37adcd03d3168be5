"""torchvision's data sets from archives made here: checksum first, members checked, no pickle, a clear word without a network."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import os
import pickle
import tarfile
import threading

import numpy as np
import pytest
from scipy.io import savemat

from learnability.errors import SourceError
from learnability.sources import archives
from learnability.sources.archives import KNOWN, Archive, Known, open_archive, open_known, tar_members
from learnability.sources.source import Options
from tests.sources.test_parquet import Canary

RANDOM = np.random.Generator(np.random.PCG64(1))
IMAGES = RANDOM.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 9, 1, 2], np.uint8)


def tar(members: dict[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in odd:
            archive.addfile(info)
    return buffer.getvalue()


def records(rows, label_bytes: np.ndarray) -> bytes:
    planes = IMAGES[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
    return np.hstack([label_bytes[rows], planes]).astype(np.uint8).tobytes()


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(header + array.tobytes())


def mat(images: np.ndarray, labels) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels)[:, None]})
    return buffer.getvalue()


def contents(name: str) -> list[bytes]:
    if name == "CIFAR10":
        batches = [([0], 1), ([1], 2), ([2], 3), ([3], 4), ([4], 5)]
        members = {f"cifar-10-batches-bin/data_batch_{i}.bin": records(rows, LABELS[:, None]) for rows, i in batches}
        return [tar({**members, "cifar-10-batches-bin/test_batch.bin": records([5], LABELS[:, None])})]
    if name == "CIFAR100":
        both = np.stack([LABELS % 2, LABELS], 1)
        names = {"fine_label_names.txt": b"\n".join(b"fine%d" % i for i in range(10)), "coarse_label_names.txt": b"even\nodd\n"}
        return [tar({**names, "train.bin": records([0, 1, 2, 3, 4], both), "test.bin": records([5], both)})]
    if name == "SVHN":
        return [mat(IMAGES[:5], [3, 10, 9, 9, 1]), mat(IMAGES[5:], [2])]
    return [idx(IMAGES[:5, :28, :28, 0]), idx(LABELS[:5]), idx(IMAGES[5:, :28, :28, 0]), idx(LABELS[5:])]


def put(folder, name: str, given: list[bytes]) -> dict[str, Known]:
    """The archives of a data set in a downloads folder, and a table of known data sets that expects exactly them."""
    known, mine = KNOWN[name], []
    (folder / name).mkdir(parents=True, exist_ok=True)
    for archive, content in zip(known.archives, given, strict=True):
        (folder / name / archive.name).write_bytes(content)
        mine.append(Archive(archive.name, hashlib.md5(content).hexdigest(), ()))
    return {name: Known(tuple(mine), known.read)}


@pytest.mark.parametrize("name", KNOWN)
def test_each_data_set_is_read(tmp_path, name):
    source = open_known(name.lower(), put(tmp_path, name, contents(name)), Options(downloads=str(tmp_path)))
    grey = "MNIST" in name
    expected = IMAGES[:, :28, :28, 0] if grey else IMAGES
    np.testing.assert_array_equal(np.stack(list(source.read(np.arange(6)))), expected)
    assert source.labels_M.tolist() == LABELS.tolist()
    assert source.test_M.tolist() == [False] * 5 + [True] and source.name == name.lower() and not source.encoded
    assert source.keys[4:] == ["00000004", "test/00000000"]
    if name == "CIFAR100":
        assert source.columns["superclass"].to_pylist() == ["odd", "even", "odd", "odd", "odd", "even"]


def test_the_checksum_comes_first(tmp_path):
    """An archive that is not the expected one is not even opened as an archive."""
    canary = tmp_path / "canary"
    hostile = tar({"cifar-10-batches-py/data_batch_1": pickle.dumps(Canary(canary))})
    put(tmp_path, "CIFAR10", [hostile])
    with pytest.raises(SourceError, match="expected MD5 c32a1d4ab5d03f1284b67883e8d87530"):
        open_archive("CIFAR10", Options(downloads=str(tmp_path)))
    assert not canary.exists()


def test_a_pickled_batch_is_never_loaded_even_with_the_right_checksum(tmp_path):
    canary = tmp_path / "canary"
    batch = pickle.dumps(Canary(canary))
    for members in (
        {"cifar-10-batches-py/data_batch_1": batch},
        {f"x/data_batch_{i}.bin": batch for i in range(1, 6)} | {"x/test_batch.bin": batch},
    ):
        with pytest.raises(SourceError, match="binary version|expected records"):
            open_known("CIFAR10", put(tmp_path, "CIFAR10", [tar(members)]), Options(downloads=str(tmp_path)))
    assert not canary.exists()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("name", ["../x.bin", "/etc/x.bin", "a/../../x.bin", "..", "a\\..\\x.bin"])
def test_members_that_lead_out_are_refused(name):
    with pytest.raises(SourceError, match="leads out"):
        tar_members(tar({"good.bin": b"1", name: b"2"}), ("good.bin",))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_are_refused(kind):
    with pytest.raises(SourceError, match="link or a device"):
        tar_members(tar({"good.bin": b"1"}, link("odd", "/etc/passwd", kind)), ("good.bin",))


@pytest.mark.parametrize("content", [b"", b"no archive", tar({"a": b"1"})[:40]], ids=["empty", "text", "cut off"])
def test_what_is_no_archive_is_refused(content):
    with pytest.raises(SourceError, match="archive"):
        tar_members(content, ("good.bin",))


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(b"\0\0\x0d\1"), idx(LABELS)[:-9], gzip.compress(b"\0\0\x08\1\0\0\0\x09abc")],
    ids=["empty", "another type", "cut off", "fewer than told"],  # gzip writes the time into its bytes
)
def test_what_is_no_idx_file_is_refused(content):
    with pytest.raises(SourceError, match="IDX"):
        archives.read_digits_idx([content] * 4)


def test_labels_out_of_range_are_refused():
    bad = LABELS.copy()
    bad[2] = 10
    with pytest.raises(SourceError, match="label 10"):
        archives.read_digits_idx([idx(IMAGES[:5, :28, :28, 0]), idx(bad[:5]), idx(IMAGES[5:, :28, :28, 0]), idx(bad[5:])])


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(SourceError, match="CIFAR10, CIFAR100, MNIST, FashionMNIST, SVHN"):
        open_archive("ImageNet", Options())


@pytest.fixture
def server(tmp_path):
    """A web server on this machine that serves tmp_path/www."""
    (tmp_path / "www").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path / "www"))

        def log_message(self, *args):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def over_http(known: dict[str, Known], urls) -> dict[str, Known]:
    name, one = next(iter(known.items()))
    return {
        name: dataclasses.replace(
            one, archives=tuple(dataclasses.replace(a, urls=tuple(url + a.name for url in urls)) for a in one.archives)
        )
    }


def test_download_from_the_first_mirror_that_has_it(tmp_path, server, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(archives, "_CHUNK", 1000)
    known = put(tmp_path / "made", "MNIST", contents("MNIST"))
    for archive in known["MNIST"].archives:
        os.rename(tmp_path / "made" / "MNIST" / archive.name, tmp_path / "www" / archive.name)
    told = []
    source = open_known(
        "MNIST", over_http(known, [server + "gone/", server]), Options(progress=lambda *args, **more: told.append((args, more)))
    )
    assert source.M == 6 and told[0][0] == (0, None) and "MB" in told[0][1]["downloaded"]
    kept = sorted(path.name for path in (tmp_path / "xdg" / "learnability" / "downloads" / "MNIST").iterdir())
    assert kept == sorted(archive.name for archive in known["MNIST"].archives)


def test_without_a_network_the_way_out_is_named(tmp_path, server):
    known = over_http(put(tmp_path, "MNIST", contents("MNIST")), ["http://127.0.0.1:1/"])
    place = tmp_path / "MNIST" / "t10k-labels-idx1-ubyte.gz"
    place.unlink()
    with pytest.raises(SourceError) as caught:
        open_known("MNIST", known, Options(downloads=str(tmp_path)))
    assert (
        "could not download t10k-labels" in str(caught.value)
        and str(place) in str(caught.value)
        and known["MNIST"].archives[3].md5 in str(caught.value)
    )
    assert not place.exists()
