"""Data set versions in the cache, and their label versions."""

import json

import numpy as np
import pyarrow as pa

from learnability.config import planted
from learnability.datasets import Dataset, open_version, planted_labels
from learnability.errors import InputError, NotFound
from learnability.store.files import table_bytes, write_new_file
from learnability.store.paths import Cache


def open_dataset(cache: Cache, name: str, fingerprint8: str | None = None, labels: str = "original") -> Dataset:
    """One data set version with one label version; NotFound says what there is instead."""
    folder = cache.dataset_folder(name, fingerprint8)
    if not (folder / "labels" / f"{labels}.parquet").is_file():
        there = ", ".join(label_versions(cache, name, fingerprint8))
        raise NotFound(f"data set {name!r} has no label version {labels!r}; it has {there}.")
    return open_version(folder, labels)


def label_versions(cache: Cache, name: str, fingerprint8: str | None = None) -> list[str]:
    """Names of the label versions of a data set version, `original` first."""
    found = [file.stem for file in (cache.dataset_folder(name, fingerprint8) / "labels").glob("*.parquet") if not file.name.startswith(".")]
    return sorted(found, key=lambda version: (version != "original", version))


def write_label_version(cache: Cache, name: str, fingerprint8: str | None, version: str, labels: np.ndarray, class_names=None) -> None:
    """Keeps one more set of labels, train rows first, then test rows; -1 marks a dropped sample. InputError if it is there.

    `class_names` is given where this version has other classes than the data set.
    """
    folder = cache.dataset_folder(name, fingerprint8)
    labels = np.asarray(labels, np.int64)
    expected = open_version(folder).info
    if labels.shape != (expected["train"] + expected["test"],):
        raise InputError(f"label version {version!r}: expected {expected['train'] + expected['test']} labels, got {labels.shape}.")
    metadata = {"class_names": json.dumps(list(class_names))} if class_names is not None else None
    table = pa.table({"sample_id": np.arange(len(labels)), "label": labels})
    try:
        write_new_file(folder / "labels" / f"{version}.parquet", table_bytes(table, metadata))
    except FileExistsError:
        raise InputError(f"label version {version!r} of data set {name!r} exists and never changes. Choose another name.") from None


def ensure_labels(cache: Cache, name: str, fingerprint8: str | None, version: str) -> None:
    """Makes the label version `planted-<fraction>-<seed>` if it is not there; any other must exist.

    Exactly floor(f N) train samples get a wrong label, uniform over the other classes; test rows keep theirs.
    """
    if version in label_versions(cache, name, fingerprint8):
        return
    wanted = planted(version)
    if wanted is None:
        open_dataset(cache, name, fingerprint8, version)
    original = open_version(cache.dataset_folder(name, fingerprint8))
    labels_N = planted_labels(original.labels_N, original.K, *wanted)
    test_labels_T = original.test_labels_T if original.test_labels_T is not None else np.zeros(0, np.int64)
    try:
        write_label_version(cache, name, fingerprint8, version, np.concatenate([labels_N, test_labels_T]))
    except InputError:
        if version not in label_versions(cache, name, fingerprint8):
            raise
