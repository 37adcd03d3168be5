"""torchvision:NAME: the data sets that torchvision knows, from their own archives. Checksum first, and no pickle is read.

CIFAR comes in its binary version, MNIST and FashionMNIST as IDX files, SVHN as MATLAB files. An archive that is in the
downloads folder already is used; another is fetched there. Archives are read in memory and never unpacked to disk.
"""

import dataclasses
import gzip
import hashlib
import io
import os
import secrets
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from learnability.errors import SourceError
from learnability.sources.keys import row_key
from learnability.sources.source import Options, Source

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without a byte
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class Archive:
    name: str  # of the file
    md5: str
    urls: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Known:
    """A data set by its archives and the function that reads them: list of contents -> Parts."""

    archives: tuple[Archive, ...]
    read: Callable[[list[bytes]], "Parts"]


@dataclasses.dataclass(frozen=True)
class Parts:
    """Train rows, then test rows."""

    images: np.ndarray  # (M, h, w) or (M, h, w, 3) uint8
    labels_M: np.ndarray
    class_names: tuple[str, ...]
    train: int  # number of train rows
    columns: pa.Table | None = None


def open_archive(name: str, options: Options) -> Source:
    """torchvision's own train and test split; the key is the row number in it, with `test/` before test rows."""
    return open_known(name, KNOWN, options)


def open_known(name: str, known: dict[str, Known], options: Options) -> Source:
    one = known.get(name) or known.get({other.lower(): other for other in known}.get(name.lower()))
    if one is None:
        raise SourceError(
            f"torchvision:{name}: expected one of {', '.join(known)}. Other data sets: save them as a folder, Parquet or CSV."
        )
    name = next(other for other in known if known[other] is one)
    folder = Path(options.downloads).expanduser() if options.downloads else _downloads()
    parts = one.read([_content(archive, folder / name, options.progress) for archive in one.archives])
    M = len(parts.labels_M)
    return Source(
        hint=f"torchvision {name}",
        name=name.lower(),
        keys=[row_key(i) for i in range(parts.train)] + [f"test/{row_key(i)}" for i in range(M - parts.train)],
        labels_M=parts.labels_M.astype(np.int64),
        class_names=parts.class_names,
        read=lambda rows: (parts.images[i] for i in rows),
        test_M=np.arange(M) >= parts.train,
        split=f"{name}'s own test split",
        encoded=False,
        columns=parts.columns,
    )


def _downloads() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "learnability" / "downloads"


def _content(archive: Archive, folder: Path, progress: Callable | None) -> bytes:
    """The archive's bytes, from `folder` or from the network, once their checksum matches."""
    path = folder / archive.name
    if not path.exists():
        _download(archive, path, progress)
    content = path.read_bytes()
    got = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if got != archive.md5:
        raise SourceError(
            f"{path} is not the archive it should be: expected MD5 {archive.md5}, got {got}. None of it was read: delete it and try again."
        )
    return content


def _download(archive: Archive, path: Path, progress: Callable | None) -> None:
    problems = []
    path.parent.mkdir(parents=True, exist_ok=True)
    for url in archive.urls:
        temporary = path.parent / f".tmp-{path.name}-{secrets.token_hex(4)}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, open(temporary, "xb") as file:
                total, done = int(answer.headers.get("Content-Length") or 0), 0
                while block := answer.read(_CHUNK):
                    file.write(block)
                    done += len(block)
                    if progress:
                        progress(0, None, downloaded=f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")
                if done < total:
                    raise urllib.error.URLError(f"ended after {done} of {total} bytes")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            return
        except (urllib.error.URLError, OSError, ValueError) as error:
            problems.append(f"{url}: {error}")
        finally:
            temporary.unlink(missing_ok=True)
    raise SourceError(
        f"could not download {archive.name} ({'; '.join(problems)}). "
        f"Without a network, put the file at {path} yourself (MD5 {archive.md5})."
    )


def tar_members(content: bytes, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The wanted regular files of a tar archive. SourceError if any member is a link or a device, or leaves the archive's folder."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                    raise SourceError(f"archive refused: its member {member.name!r} leads out of its folder.")
                if not (member.isreg() or member.isdir()):
                    raise SourceError(f"archive refused: its member {member.name!r} is a link or a device, expected files only.")
                if path.name in wanted and member.isreg():
                    found[path.name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"archive cannot be read: {error}.") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise SourceError(f"archive has no {', '.join(missing)}: expected the binary version of CIFAR.")
    return found


def read_cifar10(contents: list[bytes]) -> Parts:
    names = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
    members = tar_members(contents[0], names)
    batches = [_cifar_records(members[name], name, 1) for name in names]
    labels, images = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
    return Parts(images, _in_range(labels[:, 0], 10), _CIFAR10, sum(len(batch[0]) for batch in batches[:-1]))


def read_cifar100(contents: list[bytes]) -> Parts:
    members = tar_members(contents[0], ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"))
    fine, coarse = (tuple(members[f"{kind}_label_names.txt"].decode("ascii", "replace").split()) for kind in ("fine", "coarse"))
    batches = [_cifar_records(members[name], name, 2) for name in ("train.bin", "test.bin")]
    labels, images = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
    superclass = pa.array([coarse[i] for i in _in_range(labels[:, 0], len(coarse))])
    return Parts(images, _in_range(labels[:, 1], len(fine)), fine, len(batches[0][0]), pa.table({"superclass": superclass}))


def _cifar_records(content: bytes, name: str, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, label_bytes) and images (n, 32, 32, 3) of a binary batch: label bytes, then 1,024 red, green and blue values."""
    if not content or len(content) % (label_bytes + 3072):
        raise SourceError(f"{name}: expected records of {label_bytes + 3072} bytes, got {len(content)} bytes.")
    records = np.frombuffer(content, np.uint8).reshape(-1, label_bytes + 3072)
    return records[:, :label_bytes], records[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _in_range(labels: np.ndarray, classes: int) -> np.ndarray:
    if labels.max() >= classes:
        raise SourceError(f"archive has label {labels.max()} at row {labels.argmax()}: expected 0 to {classes - 1}.")
    return labels


def read_digits_idx(contents: list[bytes]) -> Parts:
    return _read_idx(contents, _DIGITS)


def read_fashion_idx(contents: list[bytes]) -> Parts:
    return _read_idx(contents, _FASHION)


def _read_idx(contents: list[bytes], class_names: tuple[str, ...]) -> Parts:
    train, train_labels, test, test_labels = (_idx(content) for content in contents)
    labels_M = _in_range(np.concatenate([train_labels, test_labels]), len(class_names))
    images = np.concatenate([train, test])
    if images.ndim != 3 or labels_M.ndim != 1 or len(images) != len(labels_M) or len(train) != len(train_labels):
        raise SourceError(f"IDX files: expected one label an image, got images {images.shape} and labels {labels_M.shape}.")
    return Parts(images, labels_M, class_names, len(train))


def _idx(content: bytes) -> np.ndarray:
    """A gzipped IDX file of bytes: 0 0 8 dimensions, the sizes as big-endian 32-bit numbers, the values."""
    try:
        raw = gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise SourceError(f"IDX file cannot be unpacked: {error}.") from error
    dimensions = raw[3] if raw[:3] == b"\0\0\x08" and len(raw) > 3 else 0
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    if not dimensions or len(raw) != 4 + 4 * dimensions + int(np.prod(shape)):
        raise SourceError(f"IDX file of {len(raw)} bytes: expected unsigned bytes of the shape in its header.")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def read_svhn(contents: list[bytes]) -> Parts:
    from scipy.io import loadmat

    images, labels = [], []
    for content in contents:
        try:
            file = loadmat(io.BytesIO(content), variable_names=("X", "y"))
            images.append(np.ascontiguousarray(file["X"].transpose(3, 0, 1, 2)))
            labels.append(file["y"].reshape(-1).astype(np.int64) % 10)  # 10 stands for the digit 0
        except (ValueError, KeyError, TypeError, NotImplementedError) as error:
            raise SourceError(f"SVHN file cannot be read: {error}.") from error
    both = np.concatenate(images)
    if both.dtype != np.uint8 or both.shape[1:] != (32, 32, 3) or len(both) != sum(map(len, labels)):
        raise SourceError(f"SVHN files: expected uint8 images of 32 x 32 x 3, one label each, got {both.dtype} {both.shape}.")
    return Parts(both, np.concatenate(labels), _DIGITS, len(labels[0]))


def _idx_archives(folders: tuple[str, ...], checksums: tuple[str, str, str, str]) -> tuple[Archive, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [f"{name}-ubyte.gz" for name in names]
    return tuple(Archive(file, md5, tuple(folder + file for folder in folders)) for file, md5 in zip(files, checksums, strict=True))


_KRIZ = "https://www.cs.toronto.edu/~kriz/"
_MNIST = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
_MNIST_MD5 = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
_FASHION_URL = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
_FASHION_MD5 = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
_SVHN = "http://ufldl.stanford.edu/housenumbers/"

KNOWN = {
    "CIFAR10": Known(
        (Archive("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", (_KRIZ + "cifar-10-binary.tar.gz",)),), read_cifar10
    ),
    "CIFAR100": Known(
        (Archive("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", (_KRIZ + "cifar-100-binary.tar.gz",)),), read_cifar100
    ),
    "MNIST": Known(_idx_archives(_MNIST, _MNIST_MD5), read_digits_idx),
    "FashionMNIST": Known(_idx_archives(_FASHION_URL, _FASHION_MD5), read_fashion_idx),
    "SVHN": Known(
        (
            Archive("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", (_SVHN + "train_32x32.mat",)),
            Archive("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", (_SVHN + "test_32x32.mat",)),
        ),
        read_svhn,
    ),
}
