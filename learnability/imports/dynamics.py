"""What somebody noted of M samples at E looks, and the run it becomes."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from learnability.config import RunConfig, checked_name
from learnability.errors import InputError
from learnability.prepare.keyed import keyed
from learnability.recording import SIGNALS, storage_dtype
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_run
from learnability.store.writer import RunWriter

_LARGEST = 65504.0  # of float16


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Dynamics:
    """labels_M are classes 0..K-1; signals are (M, E) each, named as in a recording; seen_ME says which of it is there."""

    keys: list[str]
    labels_M: np.ndarray
    class_count: int
    class_names: tuple[str, ...] | None  # None: the classes are numbers
    signals: dict[str, np.ndarray]
    seen_ME: np.ndarray
    epochs: tuple[int, ...]  # the owner's number of each look
    captions: list[str] | None = None

    def __post_init__(self):
        M, E = self.seen_ME.shape
        assert len(self.keys) == len(self.labels_M) == M and len(self.epochs) == E
        assert set(self.signals) <= set(SIGNALS) and all(signal.shape == (M, E) for signal in self.signals.values())
        for name, signal in self.signals.items():
            if not np.isfinite(signal[self.seen_ME]).all():
                raise InputError(f"{name}: NaN or infinity among the values of {self.keys[0]!r} and others. Expected finite numbers.")


def of_logits(logits_nK: np.ndarray, labels_n: np.ndarray) -> dict[str, np.ndarray]:
    """prediction, loss, margin, el2n and entropy, (n,) each. Log-probabilities are logits too."""
    z = logits_nK.astype(np.float64)
    rows = np.arange(len(z))
    log_p = z - z.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    p = np.exp(log_p)
    rest = z.copy()
    rest[rows, labels_n] = -np.inf
    error = p.copy()
    error[rows, labels_n] -= 1
    return {
        "prediction": z.argmax(1),
        "loss": 0 - log_p[rows, labels_n],
        "margin": z[rows, labels_n] - rest.max(1),
        "el2n": np.linalg.norm(error, axis=1),
        "entropy": 0 - (p * log_p).sum(1),
    }


def spread(place_n: np.ndarray, look_n: np.ndarray, shape: tuple[int, int], found: dict[str, np.ndarray], what: str) -> dict:
    """The signals as (M, E) and `seen_ME`; InputError where a sample stands twice at one look."""
    seen_ME = np.zeros(shape, bool)
    seen_ME[place_n, look_n] = True
    if seen_ME.sum() < len(place_n):
        raise InputError(f"{what}: {len(place_n) - seen_ME.sum():,} rows repeat a sample and epoch. Expected each once.")
    signals = {}
    for name, value_n in found.items():
        signals[name] = np.zeros(shape, np.int64 if name == "prediction" else np.float64)
        signals[name][place_n, look_n] = value_n
    return {"signals": signals, "seen_ME": seen_ME}


def one_label(place_n: np.ndarray, label_n: np.ndarray, keys: Sequence[str], what: str) -> np.ndarray:
    """(M,) the label of each sample; InputError where its rows do not agree."""
    label_M = np.zeros(len(keys), label_n.dtype)
    label_M[place_n] = label_n
    if (odd := np.flatnonzero(label_M[place_n] != label_n)).size:
        raise InputError(f"{what}: the rows of {keys[place_n[odd[0]]]!r} do not agree on its label. Expected one label a sample.")
    return label_M


def keep(cache: Cache, data: str, name: str, found: Dynamics, *, seed: int = 0, class_names: Sequence[str] | None = None) -> Run:
    """Writes it as a run called `name` of the data set `data`, which is found by its keys or made without pictures.

    class_names   of the numbers in the files, where these do not say them
    """
    checked_name(name, "name")
    E, names = len(found.epochs), found.class_names if found.class_names is not None else class_names
    if E == 0 or not found.keys:
        raise InputError("nothing to import: expected at least one sample at one epoch.")
    if names is not None and len(names) < found.class_count:
        raise InputError(f"{len(names)} class names: expected {found.class_count}, one for each class in the files.")
    count = max(found.class_count, 2)
    placed = keyed(cache, data, found.keys, found.labels_M, names, found.captions, count, source=f"import {name}")
    if found.class_count > len(placed.class_of_K):
        raise InputError(
            f"{found.class_count} classes, numbered from 0: data set {data!r} has {len(placed.class_of_K)}. "
            "Expected no class that it has not; give class_names where yours are numbered otherwise."
        )
    config = RunConfig(
        data=data, fingerprint=placed.dataset.fingerprint, arch=name, seed=seed, labels=placed.labels, epochs=E, record="unknown",
        origin="imported",
    )  # fmt: skip
    if config.run_id in cache.run_ids(data) and load_run(cache, data, config.run_id).state == "done":
        raise InputError(f"run {config.run_id} of data set {data!r} is there. Give another --seed or --name, or delete it first.")
    order_N = np.argsort(placed.row_of_M, kind="stable")[np.count_nonzero(placed.row_of_M < 0) :]
    signals = _stored(found, order_N, placed.class_of_K, placed.dataset.K)
    looks = [_line(found, signals, placed.labels_N, order_N, look) for look in range(E)]
    rows = (placed.sample_ids_N, placed.labels_N, np.ones(len(order_N), bool), placed.dataset.K)
    with RunWriter.open(cache, config, *rows, {"deterministic": False}, signals=tuple(signals)) as writer:
        writer.commit(signals, looks)
        writer.write_scores()
        writer.finish("done")
    return load_run(cache, data, config.run_id)


def _stored(found: Dynamics, order_N: np.ndarray, class_of_K: np.ndarray, class_count: int) -> dict[str, np.ndarray]:
    seen_NE, signals = found.seen_ME[order_N], {}
    for name in SIGNALS:
        if name not in found.signals:
            continue
        kind, value_NE = storage_dtype(name, class_count), found.signals[name][order_N]
        if name == "prediction":
            unseen, value_NE = np.iinfo(kind).max, class_of_K[np.where(seen_NE, value_NE, 0)]
        else:
            unseen, value_NE = (np.nan if name == "loss" else 0), np.clip(value_NE, -_LARGEST, _LARGEST)
        signals[name] = np.where(seen_NE, value_NE, unseen).astype(kind)
    return signals


def _line(found: Dynamics, signals: dict, labels_N: np.ndarray, order_N: np.ndarray, look: int) -> dict:
    seen_N = found.seen_ME[order_N, look]
    line = {"epoch": found.epochs[look], "step": None, "loss": None, "accuracy": None, "test_accuracy": None}
    if "loss" in signals and seen_N.any():
        line["loss"] = float(signals["loss"][seen_N, look].mean(dtype=np.float64))
    if "prediction" in signals and seen_N.any():
        line["accuracy"] = float((signals["prediction"][:, look] == labels_N)[seen_N].mean())
    return line
