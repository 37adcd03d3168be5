"""The tables of a version, and the moment in which it appears: whole, beside the versions before it."""

import dataclasses
import filecmp
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.config import FORMAT
from learnability.datasets import fingerprint
from learnability.errors import DamagedFile, InputError, NewerFormat, NotFound, StoreError
from learnability.store.files import new_folder, read_json, read_table, sync_folder, write_file, write_json, write_table

OURS = ("sample_id", "key", "hash", "split", "width", "height", "label")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """A version without its pixels: one entry a row, train rows first. `info` is dataset.json without fingerprint and format."""

    keys: list[str]
    hashes: list[str]
    labels: np.ndarray
    train: int
    width: np.ndarray
    height: np.ndarray
    columns: pa.Table | None
    rejects: list[tuple[str, str]]
    info: dict

    def __post_init__(self):
        shape = (self.info["H"], self.info["W"], self.info["C"])
        self.info["fingerprint"] = fingerprint(self.hashes, self.keys, self.info["class_names"], shape)
        self.info["format"] = FORMAT

    def samples(self) -> pa.Table:
        """samples.parquet: our columns, then the source's own, renamed where a name is taken."""
        rows = len(self.keys)
        table = {
            "sample_id": pa.array(np.arange(rows), pa.int64()),
            "key": pa.array(self.keys, pa.string()),
            "hash": pa.array(self.hashes, pa.string()),
            "split": pa.array(["train"] * self.train + ["test"] * (rows - self.train), pa.string()),
            "width": pa.array(self.width, pa.int32()),
            "height": pa.array(self.height, pa.int32()),
        }
        for name in self.columns.column_names if self.columns is not None else ():
            free = name or "column"
            while free in table or free in OURS:
                free += "_source"
            table[free] = self.columns[name]
        return pa.table(table)

    def original_labels(self) -> pa.Table:
        return pa.table({"sample_id": np.arange(len(self.keys)), "label": self.labels})

    def reject_table(self) -> pa.Table:
        return pa.table(
            {
                "key": pa.array([key for key, _ in self.rejects], pa.string()),
                "reason": pa.array([reason for _, reason in self.rejects], pa.string()),
            }
        )


def settle(home: Path, staged: Path, content: Content) -> tuple[Path, bool, list[str]]:
    """Makes the staged pixels and `content` the current version in `home`: (folder, whether it is new, files rewritten and why)."""
    fingerprint8 = content.info["fingerprint"][:8]
    final, rewritten = home / fingerprint8, []
    new = not final.exists()
    if new:
        with new_folder(final) as folder:
            _fill(folder, staged, content)
    else:
        rewritten = _made_equal(final, staged, content)
    write_file(home / "current", fingerprint8.encode() + b"\n")
    return final, new, rewritten


def _fill(folder: Path, staged: Path, content: Content) -> None:
    for file in sorted(staged.iterdir()):
        os.rename(file, folder / file.name)
    (folder / "labels").mkdir()
    write_table(folder / "labels" / "original.parquet", content.original_labels())
    write_table(folder / "samples.parquet", content.samples())
    write_table(folder / "rejects.parquet", content.reject_table())
    write_json(folder / "dataset.json", content.info)


def _made_equal(final: Path, staged: Path, content: Content) -> list[str]:
    """The version is there: its damaged files are replaced by what was just made, its rejects by those of this time.

    InputError if it holds the same images under other labels: those never change.
    """
    info = _undamaged(read_json, final / "dataset.json")
    if isinstance(info, dict) and info.get("fingerprint") not in (None, content.info["fingerprint"]):
        raise StoreError(
            f"{final} is another version with the same first 8 digits ({info['fingerprint']}). Prepare under another name with --name."
        )
    if isinstance(info, dict) and isinstance(info.get("format"), int) and info["format"] > FORMAT:
        raise NewerFormat(f"{final} has format {info['format']}; this version writes {FORMAT}. Update learnability.")
    _refuse_other_labels(final, info, content)
    rewritten = []
    for file in sorted(staged.iterdir()):
        if not (final / file.name).is_file() or not filecmp.cmp(file, final / file.name, shallow=False):
            os.replace(file, final / file.name)
            rewritten.append(f"{file.name} (was damaged)")
    (final / "labels").mkdir(exist_ok=True)
    for name, made in (("labels/original.parquet", content.original_labels), ("samples.parquet", content.samples)):
        if _undamaged(read_table, final / name) is None:
            write_table(final / name, made())
            rewritten.append(f"{name} (was damaged)")
    if _undamaged(read_table, final / "rejects.parquet") != content.reject_table():
        write_table(final / "rejects.parquet", content.reject_table())
        rewritten.append("rejects.parquet (other files are rejected now)")
    if rewritten or not isinstance(info, dict):
        write_json(final / "dataset.json", {**content.info, "created": (info or content.info).get("created")})
    sync_folder(final)
    return rewritten


def _refuse_other_labels(final: Path, info: dict | None, content: Content) -> None:
    there = _undamaged(read_table, final / "labels" / "original.parquet")
    if there is None or there.num_rows != len(content.labels):
        return
    differ = np.flatnonzero(there["label"].to_numpy() != content.labels)
    if len(differ):
        first = ", ".join(repr(content.keys[i]) for i in differ[:5])
        raise InputError(
            f"the images and keys are those of version {final.name}, but {len(differ):,} labels differ, the first: {first}. "
            f"The labels of a version never change: prepare under another name with --name."
        )
    if info is not None and info.get("train") != content.train:
        raise InputError(
            f"the images and keys are those of version {final.name}, split in another way. Prepare under another name with --name."
        )


def _undamaged(read, path: Path):
    """What `read` finds at `path`; None where the file is missing or damaged."""
    try:
        return read(path)
    except (DamagedFile, NotFound):
        return None
