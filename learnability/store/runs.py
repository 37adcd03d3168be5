"""Reading runs, also while they are being written. HEAD.json is the only truth; nothing beyond it is read."""

import dataclasses
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from learnability.config import FORMAT, RunConfig
from learnability.errors import ConfigError, DamagedFile, LearnabilityError, NewerFormat, NotFound
from learnability.recording import SIGNALS, Recording, storage_dtype
from learnability.store.files import new_folder, read_file, read_json, read_table, write_file
from learnability.store.paths import Cache

STATES = ("queued", "running", "stopped", "done", "failed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """What HEAD.json says of a run."""

    state: str  # one of STATES
    reason: str | None = None  # why it ended, in words
    looks: int = 0  # committed looks E
    epochs: int  # looks the recipe asks for
    rows: int  # N
    class_count: int  # K
    checkpoint: dict | None = None  # {"epoch", "file", "crc32"}; training goes on after `epoch` epochs
    crc: dict  # signal -> crc32 of each look, also of looks that a resume dropped
    generation: int = 0  # counts resumes: a reader that sees it change reads again
    exact: bool = True  # False once resumed on another device, version or thread count
    note: str | None = None  # what differed

    @property
    def begun(self) -> bool:
        """Whether a look was ever committed."""
        return self.checkpoint is not None or any(self.crc.values())


@dataclasses.dataclass(frozen=True)
class Run:
    """One run as it lies in the cache. A damaged one is data too: `problem` says what is wrong with it."""

    data: str
    id: str
    config: RunConfig | None
    head: Head | None = None  # None: never started
    problem: str | None = None

    @property
    def looks(self) -> int:
        return self.head.looks if self.head else 0

    @property
    def state(self) -> str:
        return "damaged" if self.problem else self.head.state if self.head else "queued"

    @property
    def label(self) -> str:
        """`<arch>-s<seed>`: the run's name among those of its recipe."""
        return self.id.rsplit("-", 1)[0]

    @property
    def recipe(self) -> str:
        return self.id.rsplit("-", 1)[1]

    @property
    def group(self) -> str:
        return self.config.group_id if self.config else self.id

    @property
    def partial(self) -> bool:
        """Whether looks are still missing: its scores stand for fewer looks than the recipe asks for."""
        return self.head is None or self.head.looks < self.head.epochs


def create_run(cache: Cache, config: RunConfig) -> bool:
    """Makes the run's folder with its config, or returns False where it is: of many equal launches one wins."""
    folder = cache.run_folder(config.data, config.run_id)
    if (folder / "config.json").exists():
        return False
    content = {"format": FORMAT, **config.to_json()}
    try:
        with new_folder(folder) as temporary:
            (temporary / "config.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    except FileExistsError:
        return False
    return True


def load_config(cache: Cache, data: str, run_id: str) -> RunConfig:
    folder = cache.run_folder(data, run_id)
    try:
        content = read_json(folder / "config.json")
    except NotFound:
        known = ", ".join(cache.run_ids(data)) or "none"
        raise NotFound(f"run {run_id!r} not found for data set {data!r}; there is: {known}.") from None
    check_format(folder / "config.json", content)
    content.pop("format")
    try:
        config = RunConfig.from_json(content)
    except (ConfigError, TypeError) as error:
        raise DamagedFile(f"{folder / 'config.json'}: {error}") from error
    if config.run_id != run_id:
        raise DamagedFile(f"{folder / 'config.json'} describes run {config.run_id}, not {run_id}.")
    return config


def check_format(path: Path, content) -> None:
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise DamagedFile(f"{path} is damaged: expected an object with a format number.")
    if content["format"] > FORMAT:
        raise NewerFormat(f"{path} has format {content['format']}; this version reads up to {FORMAT}. Update learnability.")


def head_bytes(head: Head) -> bytes:
    """HEAD.json: the fields and a crc32 of them, so that a flipped bit shows."""
    body = json.dumps({"format": FORMAT, **dataclasses.asdict(head)}, sort_keys=True)
    return f'{{"crc32": {zlib.crc32(body.encode())}, "head": {body}}}\n'.encode()


def write_head(folder: Path, head: Head, needed: int = 0) -> None:
    write_file(folder / "HEAD.json", head_bytes(head), needed)


def read_head(folder: Path) -> Head:
    """The head of the run in `folder`; NotFound before its first start."""
    path = folder / "HEAD.json"
    raw = read_file(path)
    try:
        content = json.loads(raw)
        check_format(path, content["head"])
        body = json.dumps(content["head"], sort_keys=True)
        if zlib.crc32(body.encode()) != content["crc32"]:
            raise DamagedFile(f"{path} is damaged: its checksum does not match.")
        content["head"].pop("format")
        return Head(**content["head"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{path} is damaged: {error}.") from error


def load_run(cache: Cache, data: str, run_id: str) -> Run:
    """One run. Damage is told in `problem`; NotFound if there is no such run."""
    folder = cache.run_folder(data, run_id)
    config = head = None
    try:
        config = load_config(cache, data, run_id)
        head = read_head(folder)
        _check_lengths(folder, head)
    except NotFound:
        if config is None:
            raise
    except LearnabilityError as error:
        try:
            if config is None or head is None or read_head(folder).generation == head.generation:
                return Run(data, run_id, config, head, str(error))
            return load_run(cache, data, run_id)
        except LearnabilityError:
            return Run(data, run_id, config, head, str(error))
    return Run(data, run_id, config, head)


def load_runs(cache: Cache, data: str | None = None) -> list[Run]:
    """Every run of a data set, or of all of them, by data set, recipe, architecture and seed."""
    names = [data] if data else cache.run_data_names()
    runs = []
    for name in names:
        for run_id in cache.run_ids(name):
            try:
                runs.append(load_run(cache, name, run_id))
            except NotFound:
                continue  # deleted while we looked
    return sorted(
        runs, key=lambda run: (run.data, run.recipe, run.config.arch if run.config else "", run.config.seed if run.config else 0, run.id)
    )


def signal_file(folder: Path, signal: str, class_count: int) -> Path:
    kind = storage_dtype(signal, class_count)
    return folder / "signals" / f"{signal}.{kind.kind}{kind.itemsize}"


def _check_lengths(folder: Path, head: Head) -> None:
    for signal in head.crc:
        path = signal_file(folder, signal, head.class_count)
        expected = head.looks * head.rows * storage_dtype(signal, head.class_count).itemsize
        got = path.stat().st_size if path.exists() else 0
        if got < expected:
            raise DamagedFile(
                f"{path} is damaged: expected at least {expected} bytes for {head.looks} looks of {head.rows} samples, got {got}."
            )


def load_recording(
    cache: Cache, data: str, run_id: str, signals: list[str] | None = None, verify: bool = False, looks: int | None = None, first: int = 0
) -> Recording:
    """The committed looks of a run, or of the first `looks` of them those from `first` on; `verify` checks each look's crc32.

    `signals` names those to read (all by default). Shapes (N, E), float16 as stored, look after look in memory.
    DamagedFile names the file; NotFound where none of these looks is committed yet.
    """
    folder = cache.run_folder(data, run_id)
    config = load_config(cache, data, run_id)
    if not (folder / "HEAD.json").exists():
        raise NotFound(f"run {run_id} has no committed look yet; it has not begun.")

    def read(head: Head) -> Recording:
        if head.looks <= first:
            raise NotFound(f"run {run_id} has no committed look{f' {first}' if first else ''} yet; it is {head.state}.")
        E = head.looks if looks is None else min(looks, head.looks)
        arrays = {
            f"{signal}_NE": _read_looks(folder, signal, head, first, E, verify)
            for signal in SIGNALS
            if signal in head.crc and (signals is None or signal in signals)
        }
        rows = read_table(folder / "rows.parquet")
        return Recording(
            labels_N=rows["label"].to_numpy().astype(np.int64),
            sample_ids_N=rows["sample_id"].to_numpy(),
            trained_N=rows["trained"].to_numpy(zero_copy_only=False),
            class_count=head.class_count,
            record=config.record,
            epochs=head.epochs,
            looks=tuple(_looks(folder, head)[first:E]),
            **arrays,
        )

    return _stable(folder, read)


def load_trajectory(cache: Cache, data: str, run_id: str, sample_id: int) -> dict:
    """One sample through all looks: signal -> (E,) array, "label" -> int. NotFound if the run does not hold it."""
    folder = cache.run_folder(data, run_id)

    def read(head: Head) -> dict:
        rows = read_table(folder / "rows.parquet")
        sample_ids_N = rows["sample_id"].to_numpy()
        row = int(np.searchsorted(sample_ids_N, sample_id))
        if row == len(sample_ids_N) or sample_ids_N[row] != sample_id:
            raise NotFound(f"run {run_id} does not hold sample {sample_id}.")
        found = {"label": rows["label"][row].as_py()}
        for signal in head.crc:
            kind = storage_dtype(signal, head.class_count)
            with open(signal_file(folder, signal, head.class_count), "rb", buffering=0) as file:
                parts = [os.pread(file.fileno(), kind.itemsize, (look * head.rows + row) * kind.itemsize) for look in range(head.looks)]
            found[signal] = np.frombuffer(_whole(b"".join(parts), head.looks * kind.itemsize, folder, signal), kind)
        return found

    return _stable(folder, read)


def load_looks(cache: Cache, data: str, run_id: str) -> list[dict]:
    """One dict a committed look: epoch, step, loss, accuracy, test_accuracy, seconds, images_per_second, clamped, and
    side_by_side, how many runs had the device, where it was more than one."""
    folder = cache.run_folder(data, run_id)
    return _stable(folder, lambda head: _looks(folder, head))


def device_seconds(looks: Iterable[Mapping]) -> float:
    """How long a device was at work for these looks: where runs were side by side, a run's part of the time that passed."""
    return sum((look.get("seconds") or 0.0) / look.get("side_by_side", 1) for look in looks)


def read_progress(cache: Cache, data: str, run_id: str) -> dict | None:
    """What the trainer last told of itself, or None. Best effort, never the truth."""
    try:
        return read_json(cache.run_folder(data, run_id) / "progress.json")
    except (NotFound, DamagedFile):
        return None


def load_array(cache: Cache, data: str, run_id: str, name: str) -> np.ndarray | None:
    """`features.npy` or `heldout.npy` of a run, or None where there is none yet."""
    path = cache.run_folder(data, run_id) / name
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, OSError, EOFError) as error:
        raise DamagedFile(f"{path} is damaged: {error}.") from error


def load_features(cache: Cache, data: str, run_id: str) -> np.ndarray | None:
    """(N, d) float16: the layer before the logits at the end of the run, or None before that."""
    return load_array(cache, data, run_id, "features.npy")


def _read_looks(folder: Path, signal: str, head: Head, first: int, stop: int, verify: bool) -> np.ndarray:
    """(N, stop - first) view of look-major memory."""
    kind = storage_dtype(signal, head.class_count)
    size = head.rows * kind.itemsize
    path = signal_file(folder, signal, head.class_count)
    buffer = bytearray((stop - first) * size)
    view, offset = memoryview(buffer), first * size
    with open(path, "rb", buffering=0) as file:
        while view:
            got = os.preadv(file.fileno(), [view], offset)
            if got == 0:
                _whole(b"", len(view), folder, signal)
            view, offset = view[got:], offset + got
    if verify:
        for look in range(first, stop):
            part = memoryview(buffer)[(look - first) * size : (look - first + 1) * size]
            if zlib.crc32(part) != head.crc[signal][look]:
                raise DamagedFile(f"{path} is damaged: look {look} does not match its checksum.")
    return np.frombuffer(buffer, kind).reshape(stop - first, head.rows).T


def _whole(data: bytes, expected: int, folder: Path, signal: str) -> bytes:
    if len(data) < expected:
        raise DamagedFile(f"{folder / 'signals' / signal} is damaged: {expected - len(data)} bytes of committed looks are missing.")
    return data


def _looks(folder: Path, head: Head) -> list[dict]:
    lines = read_file(folder / "looks.jsonl").split(b"\n")[: head.looks] if head.looks else []
    try:
        looks = [json.loads(line) for line in lines]
    except ValueError as error:
        raise DamagedFile(f"{folder / 'looks.jsonl'} is damaged: {error}.") from error
    if len(looks) < head.looks:
        raise DamagedFile(f"{folder / 'looks.jsonl'} is damaged: expected {head.looks} lines, got {len(looks)}.")
    return looks


def _stable(folder: Path, read):
    """`read(head)`, once more if a resume replaced files meanwhile."""
    while True:
        head = read_head(folder)
        try:
            result = read(head)
        except (LearnabilityError, FileNotFoundError):
            if read_head(folder).generation == head.generation:
                raise
            continue
        if read_head(folder).generation == head.generation:
            return result
