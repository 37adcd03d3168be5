"""The one writer of a run: commits looks, checkpoints and the state, so that a kill at any byte loses no committed look."""

import contextlib
import dataclasses
import io
import json
import os
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import safetensors.numpy

from learnability.config import FORMAT, RunConfig
from learnability.errors import DamagedFile, NotFound, NotReproduced, StoreError
from learnability.recording import SIGNALS, storage_dtype
from learnability.store.files import (
    disk_errors,
    read_file,
    read_json,
    read_table,
    sweep,
    sync_folder,
    write_all,
    write_file,
    write_json,
    write_table,
)
from learnability.store.locks import hold, run_lock
from learnability.store.paths import Cache
from learnability.store.runs import Head, check_format, create_run, load_config, read_head, signal_file, write_head
from learnability.store.scores import scored_looks, write_scores

# A resume on another of these is allowed, but not bit-exact; on other architecture code it is refused.
EXACT = ("torch", "device", "device_name", "cpu", "threads", "layout", "precision", "architecture_package")
RESTART = "To begin again from epoch 0, pass restart (train --restart): the looks recorded so far must then be reproduced."


class RunWriter:
    """Holds a run's lock while it is open. `open` starts a new run or resumes one; `commit` appends looks."""

    def __init__(self, cache: Cache, config: RunConfig, folder: Path, head: Head, environment: dict):
        self.cache, self.config, self.folder = cache, config, folder
        self.head = head
        self.environment = environment  # of the first trainer: a resume takes layout, precision and threads from here

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        cache: Cache,
        config: RunConfig,
        sample_ids_N: np.ndarray,
        labels_N: np.ndarray,
        trained_N: np.ndarray,
        class_count: int,
        environment: dict,
        restart: bool = False,
        signals: tuple[str, ...] = SIGNALS,
        cut_at: int | None = None,
    ) -> Iterator["RunWriter"]:
        """The writer of the run that `config` describes, created if need be; Locked if another process has it.

        A resume first writes HEAD back to the checkpoint, then replaces each file by a copy cut there. Other rows or
        labels than before are refused. `restart` resumes from epoch 0 when the checkpoint is damaged. `cut_at` looks are
        kept instead where the checkpoint is not ours but that of the run's owner.
        """
        create_run(cache, config)
        if load_config(cache, config.data, config.run_id) != config:
            raise StoreError(f"run {config.run_id} in {cache.root} has another config than the one given. Compare its config.json.")
        folder = cache.run_folder(config.data, config.run_id)
        with hold(cache, run_lock(config.data, config.run_id)):
            with disk_errors(folder):
                sweep(folder)
                sweep(folder / "signals")
                (folder / "stop").unlink(missing_ok=True)
            environment = {"format": FORMAT, **environment}
            try:
                head = read_head(folder)
            except NotFound:
                _refuse_beyond(folder, cut_at, 0)
                stored, head = environment, _begin(folder, config, sample_ids_N, labels_N, trained_N, class_count, environment, signals)
            else:
                stored = read_json(folder / "environment.json")
                check_format(folder / "environment.json", stored)
                if not head.begun:
                    stored = environment
                    write_json(folder / "environment.json", environment)
                _same_rows(folder, sample_ids_N, labels_N, trained_N)
                _refuse_beyond(folder, cut_at, head.looks)
                head = _rewound(folder, head, stored, environment, restart, cut_at)
                _sweep_checkpoints(folder, head)
                if not _repeats(head, stored) and scored_looks(cache, config.data, config.run_id) > head.looks:
                    (folder / "scores.parquet").unlink(missing_ok=True)  # of looks that are recorded anew, perhaps differently
                if config.epochs is None:
                    head = dataclasses.replace(head, epochs=head.looks)
            yield cls(cache, config, folder, head, stored)

    @property
    def done_epochs(self) -> int:
        """Epochs behind the checkpoint: where training goes on."""
        return self.head.checkpoint["epoch"] if self.head.checkpoint else 0

    @property
    def stop_asked(self) -> bool:
        return (self.folder / "stop").exists()

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict] | None:
        """(tensors by name, what else was saved) of the checkpoint, or None at the start of a run."""
        if self.head.checkpoint is None:
            return None
        tensors, meta = _read_checkpoint(self.folder, self.head.checkpoint)
        return tensors, meta

    def commit(
        self, signals: dict[str, np.ndarray], looks: list[dict], checkpoint: tuple[dict[str, np.ndarray], dict] | None = None
    ) -> None:
        """Appends n looks: `signals` (N, n) each and n dicts; with `checkpoint`, the state after the last of them.

        Nothing of it is seen before HEAD.json names it. n = 0 with a checkpoint moves the checkpoint alone.
        """
        head, first, n = self.head, self.head.looks, len(looks)
        assert set(signals) == set(head.crc), (set(signals), set(head.crc))
        crc = {}
        with disk_errors(self.folder, self._needed()):
            for name, values_Nn in signals.items():
                assert values_Nn.shape == (head.rows, n), (name, values_Nn.shape, head.rows, n)
                data_nN = np.ascontiguousarray(values_Nn.T, storage_dtype(name, head.class_count))
                crc[name] = self._checked(name, first, [zlib.crc32(data_nN[look]) for look in range(n)])
                _append(signal_file(self.folder, name, head.class_count), data_nN.tobytes(), first * head.rows * data_nN.itemsize)
            if n:
                _append_lines(self.folder / "looks.jsonl", first, looks)
                sync_folder(self.folder / "signals")
            saved, old = head.checkpoint, head.checkpoint
            if checkpoint is not None:
                saved = self._write_checkpoint(first + n, *checkpoint)
            self._replace(looks=first + n, epochs=max(head.epochs, first + n), crc=crc, checkpoint=saved)
            if old and old != saved and old["file"] != saved["file"]:
                (self.folder / old["file"]).unlink(missing_ok=True)

    def write_scores(self) -> float:
        """Makes scores.parquet of what is committed; returns the seconds it took, for the caller to space them."""
        start = time.monotonic()
        write_scores(self.cache, self.config.data, self.config.run_id)
        return time.monotonic() - start

    def write_features(self, features_Nd: np.ndarray) -> None:
        """Keeps the layer before the logits, (N, d) float16."""
        assert features_Nd.shape[0] == self.head.rows
        _write_array(self.folder / "features.npy", features_Nd.astype("<f2"))

    def write_heldout(self, probabilities_NK: np.ndarray) -> None:
        """Keeps final class probabilities, (N, K) float16; NaN rows are those the run was trained on."""
        assert probabilities_NK.shape == (self.head.rows, self.head.class_count)
        _write_array(self.folder / "heldout.npy", probabilities_NK.astype("<f2"))

    def progress(self, **fields) -> None:
        """Tells where the run is; best effort, so a full disk does not end a run here."""
        with contextlib.suppress(OSError):
            temporary = self.folder / ".tmp-progress"
            temporary.write_text(json.dumps({"time": time.time(), "pid": os.getpid(), "host": socket.gethostname(), **fields}))
            os.replace(temporary, self.folder / "progress.json")

    def finish(self, state: str, reason: str | None = None) -> Head:
        """Writes the end of the run: `stopped`, `done` or `failed`, and why in words."""
        assert state in ("stopped", "done", "failed"), state
        self._replace(state=state, reason=reason)
        return self.head

    def _replace(self, **changes) -> None:
        head = dataclasses.replace(self.head, **changes)
        write_head(self.folder, head, self._needed())
        self.head = head

    def _needed(self) -> int:
        """Bytes that the looks still to come and two checkpoints will take."""
        per_look = sum(self.head.rows * storage_dtype(name, self.head.class_count).itemsize for name in self.head.crc)
        checkpoint = (self.folder / self.head.checkpoint["file"]).stat().st_size if self.head.checkpoint else 0
        return (self.head.epochs - self.head.looks) * per_look + 2 * checkpoint

    def _checked(self, signal: str, first: int, crc_n: list[int]) -> list[int]:
        """The signal's checksums with n new ones; looks that a resume dropped must come out the same."""
        known = self.head.crc[signal]
        for look, crc in enumerate(crc_n, first):
            if look < len(known) and known[look] != crc and _repeats(self.head, self.environment):
                raise NotReproduced(
                    f"look {look} of {self.config.run_id}: {signal} differs from what was recorded before the resume, on the same "
                    "machine, versions and threads. Something changed that should not have; compare environment.json."
                )
        return known[:first] + crc_n + known[first + len(crc_n) :]

    def _write_checkpoint(self, epoch: int, tensors: dict[str, np.ndarray], meta: dict) -> dict:
        data = safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, {"meta": json.dumps(meta)})
        name = f"checkpoint-{epoch}.safetensors"
        write_file(self.folder / name, data)
        return {"epoch": epoch, "file": name, "crc32": zlib.crc32(data)}


def _begin(folder: Path, config: RunConfig, sample_ids_N, labels_N, trained_N, class_count: int, environment: dict, signals) -> Head:
    """The files of a run before its first look; the probe write that finds a read-only or full disk early."""
    assert len(sample_ids_N) == len(labels_N) == len(trained_N)
    with disk_errors(folder):
        (folder / "signals").mkdir(exist_ok=True)
        for leftover in [*(folder / "signals").iterdir(), folder / "looks.jsonl"]:
            leftover.unlink(missing_ok=True)
        rows = pa.table(
            {"sample_id": pa.array(sample_ids_N, pa.int64()), "label": pa.array(labels_N, pa.int64()), "trained": pa.array(trained_N)}
        )
        write_table(folder / "rows.parquet", rows)
        write_json(folder / "environment.json", environment)
        head = Head(
            state="running", epochs=config.epochs or 0, rows=len(sample_ids_N), class_count=class_count, crc={name: [] for name in signals}
        )
        write_head(folder, head)
    return head


def _same_rows(folder: Path, sample_ids_N, labels_N, trained_N) -> None:
    rows = read_table(folder / "rows.parquet")
    for column, given in (("sample_id", sample_ids_N), ("label", labels_N), ("trained", trained_N)):
        kept = rows[column].to_numpy(zero_copy_only=False)
        if not np.array_equal(kept, given):
            raise StoreError(
                f"{folder.name} recorded {len(kept)} samples whose {column} differ from the {len(given)} given now: "
                "the data set or its label version changed. Launch a new run instead of resuming this one."
            )


def _refuse_beyond(folder: Path, cut_at: int | None, looks: int) -> None:
    if cut_at is not None and cut_at > looks:
        raise StoreError(
            f"{folder.name} holds {looks} looks, and the checkpoint given was made after {cut_at}: expected the cache it was recorded "
            "in. Give that cache, or begin again from an earlier checkpoint."
        )


def _rewound(folder: Path, head: Head, stored: dict, now: dict, restart: bool, cut_at: int | None) -> Head:
    """HEAD back at the checkpoint, or at `cut_at` looks, and every file cut there."""
    if stored.get("architecture") != now.get("architecture"):
        raise StoreError(
            f"{folder.name} was begun with other architecture code ({stored.get('architecture')}, now {now.get('architecture')}). "
            "Restore that code, or launch a new run under another name."
        )
    checkpoint = head.checkpoint
    if restart or cut_at is not None:
        checkpoint = None
    elif checkpoint is not None:
        _read_checkpoint(folder, checkpoint)
    elif head.looks and head.state == "done":
        raise StoreError(f"{folder.name} is done and has no checkpoint to go on from.")
    exact, note = head.exact, head.note
    if differences := [
        f"{key} {stored[key]!r} then, {now[key]!r} now" for key in EXACT if key in stored and key in now and stored[key] != now[key]
    ]:
        exact, note = False, "resumed, not bit-exact: " + "; ".join(differences)
    looks = cut_at or 0
    if checkpoint:
        looks = min(checkpoint["epoch"], head.looks)
    generation = head.generation + 1
    head = dataclasses.replace(
        head, state="running", reason=None, looks=looks, checkpoint=checkpoint, generation=generation, exact=exact, note=note
    )
    with disk_errors(folder):
        write_head(folder, head)
        for name in head.crc:
            path = signal_file(folder, name, head.class_count)
            _cut(path, looks * head.rows * storage_dtype(name, head.class_count).itemsize)
        lines = folder / "looks.jsonl"
        if lines.exists():
            _cut(lines, sum(len(line) + 1 for line in lines.read_bytes().split(b"\n")[:looks]))
    return head


def _repeats(head: Head, environment: dict) -> bool:
    """Whether looks that a resume dropped must come out the same."""
    return head.exact and environment.get("deterministic", True)


def _sweep_checkpoints(folder: Path, head: Head) -> None:
    """Removes those that HEAD does not name: killed between the two, a commit leaves its new one or the old one behind."""
    named = head.checkpoint["file"] if head.checkpoint else None
    with disk_errors(folder):
        for file in folder.glob("checkpoint-*.safetensors"):
            if file.name != named:
                file.unlink(missing_ok=True)


def _cut(path: Path, size: int) -> None:
    """Replaces a file by a copy of its first `size` bytes; whoever has the old one open still reads it."""
    if not path.exists() or path.stat().st_size == size:
        return
    data = read_file(path)
    if len(data) < size:
        raise DamagedFile(f"{path} is damaged: expected at least {size} bytes, got {len(data)}.")
    write_file(path, data[:size])


def _read_checkpoint(folder: Path, checkpoint: dict) -> tuple[dict[str, np.ndarray], dict]:
    path = folder / checkpoint["file"]
    try:
        data = read_file(path)
    except NotFound as error:
        raise DamagedFile(f"{path} is gone; the recording stays readable. {RESTART}") from error
    if zlib.crc32(data) != checkpoint["crc32"]:
        raise DamagedFile(f"{path} is damaged: its checksum does not match; the recording stays readable. {RESTART}")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return safetensors.numpy.load(data), json.loads(header["__metadata__"]["meta"])


def _append(path: Path, data: bytes, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, data, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append_lines(path: Path, first: int, looks: list[dict]) -> None:
    """Writes the lines of looks `first`.. behind those committed; a torn rest of a failed commit is cut off first."""
    committed = b"".join(line + b"\n" for line in path.read_bytes().split(b"\n")[:first]) if path.exists() else b""
    _cut(path, len(committed))
    data = b"".join(json.dumps({"look": first + i, **look}, sort_keys=True).encode() + b"\n" for i, look in enumerate(looks))
    _append(path, data, len(committed))


def _write_array(path: Path, array: np.ndarray) -> None:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.ascontiguousarray(array), allow_pickle=False)
    write_file(path, sink.getvalue())
