"""Samples that somebody else trained on, known by their keys: found in a prepared data set, or kept as one without pictures."""

import dataclasses
import datetime
import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from learnability.config import checked_name
from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.prepare.report import repeated
from learnability.prepare.tables import Content, settle
from learnability.store.datasets import label_versions, open_dataset, write_label_version
from learnability.store.locks import hold
from learnability.store.paths import Cache

CAPTION = "caption"  # column of samples.parquet


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Keyed:
    """M samples as their owner counts them, and the N rows of a data set version that they are.

    labels          name of the label version that says what they were trained as
    sample_ids_N    rows of the data set version, rising
    labels_N        labels as used, in the data set's numbering
    row_of_M        which of the N rows the owner's i-th sample is; -1 where its label version drops it
    class_of_K      the data set's class of the owner's class k
    """

    dataset: Dataset
    labels: str
    sample_ids_N: np.ndarray
    labels_N: np.ndarray
    row_of_M: np.ndarray
    class_of_K: np.ndarray


def keyed(
    cache: Cache,
    data: str,
    keys: Sequence[str] | int | None,
    labels: np.ndarray | str | None,
    class_names: Sequence[str] | None,
    captions: Sequence[str] | None = None,
    class_count: int | None = None,
    source: str = "a recorder",
) -> Keyed | None:
    """Finds the samples in the data set `data`, or makes a data set without pictures of them; None while labels are missing for that.

    keys          M names, none twice; a count M for the row numbers 0..M-1; None for all train samples of the prepared data set
    labels        (M,) classes, or the name of a label version of the prepared data set; None: its original labels
    class_names   in the owner's numbering; where the data set counts its classes otherwise, predictions and labels are translated
    captions      one text a sample, shown where there is no picture
    """
    checked_name(data, "data set")
    there = data in cache.dataset_names()
    if isinstance(keys, int):
        keys = [str(i).zfill(len(str(max(keys - 1, 0)))) for i in range(keys)] if not there else _row_keys(cache, data, keys)
    if keys is None:
        if not there:
            raise InputError(f"no data set {data!r} is prepared: expected keys, one name a sample (or a count). Give keys=...")
        keys = open_dataset(cache, data).keys
    keys = _checked_keys(keys)
    _checked_length("captions", captions, len(keys))
    if not isinstance(labels, str):
        _checked_length("labels", labels, len(keys))
    if there and (found := _found(cache, data, keys, captions)) is not None:
        return _placed(cache, data, found, labels, class_names)
    if isinstance(labels, str):
        raise InputError(f"labels {labels!r}: data set {data!r} is not prepared, so it has no label versions. Give one class a sample.")
    if labels is None or (class_names is None and class_count is None):
        return None
    names = [str(k) for k in range(class_count)] if class_names is None else [str(name) for name in class_names]
    labels_M = _checked_labels(labels, len(names))
    fingerprint8 = _without_pictures(cache, data, keys, labels_M, names, captions, source)
    rows = _rows_of(open_dataset(cache, data, fingerprint8), keys)
    return _placed(cache, data, (fingerprint8, rows), labels_M, names)


def _row_keys(cache: Cache, data: str, count: int) -> list[str]:
    opened = open_dataset(cache, data)
    if count != opened.N:
        raise InputError(f"keys={count}: data set {data!r} has {opened.N} train samples. Give the keys of yours, or choose another name.")
    return opened.keys


def _checked_keys(keys: Sequence[str]) -> list[str]:
    keys = list(keys)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        odd = next((key for key in keys if not (isinstance(key, str) and key)), None)
        raise InputError(f"keys: expected one text a sample, got {'none' if not keys else repr(odd)}. Use str(...) of what names a sample.")
    if len(set(keys)) < len(keys):
        seen: set[str] = set()
        twice = next(key for key in keys if key in seen or seen.add(key))
        raise InputError(f"keys: {len(keys) - len(set(keys))} stand twice, the first is {twice!r}. Expected another key for every sample.")
    return keys


def _checked_length(what: str, given: Sequence | None, expected: int) -> None:
    if given is not None and len(given) != expected:
        raise InputError(f"{what}: expected {expected}, one a key, got {len(given)}.")


def _checked_labels(labels, class_count: int) -> np.ndarray:
    labels_M = np.asarray(labels)
    if labels_M.ndim != 1 or labels_M.dtype.kind not in "iu":
        raise InputError(f"labels: expected one whole number a sample, got {labels_M.dtype} of shape {labels_M.shape}.")
    if len(labels_M) and (labels_M.min() < 0 or labels_M.max() >= class_count):
        raise InputError(f"labels: expected 0 to {class_count - 1}, got {labels_M.min()} to {labels_M.max()}. Check class_names.")
    return labels_M.astype(np.int64)


def _rows_of(dataset: Dataset, keys: list[str]) -> np.ndarray:
    """(M,) train rows of keys, -1 for those that are not there."""
    return pc.index_in(pa.array(keys, pa.string()), value_set=pa.array(dataset.keys, pa.string())).fill_null(-1).to_numpy().astype(np.int64)


def _found(cache: Cache, data: str, keys: list[str], captions: Sequence[str] | None) -> tuple[str, np.ndarray] | None:
    """(fingerprint8, rows) where the newest version holds all of the keys; None where a new one without pictures is to be made."""
    opened = open_dataset(cache, data)
    rows = _rows_of(opened, keys)
    missing = np.flatnonzero(rows < 0)
    if opened.images is not None:
        if len(missing):
            raise InputError(
                f"{len(missing):,} of {len(keys):,} keys are no train samples of data set {data!r}, the first is {keys[missing[0]]!r}; its "
                f"keys look like {opened.keys[0]!r}. Give the keys of the data set, or another name for yours."
            )
        return opened.fingerprint[:8], rows
    if len(missing):
        return None
    if captions is not None and [opened.hashes[row] for row in rows] != [text_hash(key, text) for key, text in _texts(keys, captions)]:
        return None
    return opened.fingerprint[:8], rows


def _placed(cache: Cache, data: str, found: tuple[str, np.ndarray], labels, class_names) -> Keyed:
    fingerprint8, rows_M = found
    original = open_dataset(cache, data, fingerprint8)
    class_of_K = _translation(original, class_names)
    version = labels if isinstance(labels, str) else "original"
    if labels is not None and not isinstance(labels, str):
        own_M = class_of_K[_checked_labels(labels, len(class_of_K))]
        version = _version_of(cache, original, rows_M, own_M, named=class_names is not None)
    used = open_dataset(cache, data, fingerprint8, version)
    order = np.argsort(rows_M, kind="stable")
    order = order[used.labels_N[rows_M[order]] >= 0]
    row_of_M = np.full(len(rows_M), -1, np.int64)
    row_of_M[order] = np.arange(len(order))
    ids_N = rows_M[order]
    return Keyed(dataset=used, labels=version, sample_ids_N=ids_N, labels_N=used.labels_N[ids_N], row_of_M=row_of_M, class_of_K=class_of_K)


def _translation(dataset: Dataset, class_names: Sequence[str] | None) -> np.ndarray:
    if class_names is None:
        return np.arange(dataset.K)
    names, known = [str(name) for name in class_names], list(dataset.class_names)
    if names == known:
        return np.arange(dataset.K)
    if len(names) != len(known) or set(names) != set(known) or len(set(names)) != len(names):
        raise InputError(
            f"class_names: data set {dataset.name!r} has {len(known)} classes ({', '.join(known[:5])} ...), got {len(names)} "
            f"({', '.join(names[:5])} ...). Expected the same names, in your own order."
        )
    return np.array([known.index(name) for name in names])


def _version_of(cache: Cache, original: Dataset, rows_M: np.ndarray, own_M: np.ndarray, named: bool) -> str:
    """The label version that says the same of these rows; a new one, `recorded-<8 hex>`, where none does."""
    for version in label_versions(cache, original.name, original.fingerprint[:8]):
        other = open_dataset(cache, original.name, original.fingerprint[:8], version)
        if other.class_names == original.class_names and np.array_equal(other.labels_N[rows_M], own_M):
            return version
    differ = np.flatnonzero(original.labels_N[rows_M] != own_M)
    if not named:
        at = differ[0]
        raise InputError(
            f"{len(differ):,} of {len(own_M):,} labels differ from those of data set {original.name!r}; {original.keys[rows_M[at]]!r} has "
            f"{original.labels_N[rows_M[at]]} there ({original.class_names[original.labels_N[rows_M[at]]]!r}) and {own_M[at]} here. "
            "Give class_names in your numbering; where labels then still differ, they are kept as a label version of their own."
        )
    labels = np.concatenate([original.labels_N, original.test_labels_T])
    labels[rows_M] = own_M
    version = f"recorded-{hashlib.sha256(labels.tobytes()).hexdigest()[:8]}"
    if version not in label_versions(cache, original.name, original.fingerprint[:8]):
        write_label_version(cache, original.name, original.fingerprint[:8], version, labels)
    return version


def text_hash(key: str, caption: str | None) -> str:
    """What a sample without a picture is: 16 bytes of blake2b over its caption, or over its key where it has none."""
    content = f"key\n{key}" if caption is None else f"caption\n{caption}"
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _texts(keys: list[str], captions: Sequence[str] | None) -> list[tuple[str, str | None]]:
    return [(key, None if captions is None else str(captions[i])) for i, key in enumerate(keys)]


def _without_pictures(cache: Cache, data: str, keys: list[str], labels_M: np.ndarray, class_names: list[str], captions, source: str) -> str:
    """Keeps the samples as a data set version with H, W and C of null: fingerprint8."""
    if len(class_names) < 2:
        raise InputError(f"{len(class_names)} class: expected at least two, there is nothing to learn.")
    hashes = [text_hash(key, text) for key, text in _texts(keys, captions)]
    info = {
        "name": data, "train": len(keys), "test": 0, "H": None, "W": None, "C": None, "class_names": class_names, "fit": None, "size": None,
        "split": "none", "source": source, "rejects": 0, "rejects_by_reason": {}, **repeated(hashes, labels_M, len(keys)), "warnings": [],
        "thumbnails": False, "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    content = Content(
        keys=keys, hashes=hashes, labels=labels_M, train=len(keys), width=pa.nulls(len(keys)), height=pa.nulls(len(keys)),
        columns=None if captions is None else pa.table({CAPTION: pa.array([str(text) for text in captions], pa.string())}),
        rejects=[], info=info,
    )  # fmt: skip
    home = cache.dataset_home(data)
    with hold(cache, f"{data}--prepare", wait=60.0):
        if not (home / content.info["fingerprint"][:8]).exists():
            with tempfile.TemporaryDirectory() as nothing:
                settle(home, Path(nothing), content)
    return content.info["fingerprint"][:8]
