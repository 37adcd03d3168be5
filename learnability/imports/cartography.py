"""allenai/cartography: training_dynamics/dynamics_epoch_<e>.jsonl, one line a sample: guid, logits_epoch_<e>, gold."""

import json
import re
from pathlib import Path

import numpy as np

from learnability.errors import InputError
from learnability.imports.dynamics import Dynamics, of_logits, one_label, spread

_FILE = re.compile(r"dynamics_epoch_(\d+)\.jsonl")


def read_cartography(path: Path) -> Dynamics:
    """All signals of a model's folder, or of its training_dynamics folder."""
    folder = path / "training_dynamics" if (path / "training_dynamics").is_dir() else path
    files = {int(match[1]): file for file in folder.glob("*.jsonl") if (match := _FILE.fullmatch(file.name))} if folder.is_dir() else {}
    if not files:
        raise InputError(f"{path}: expected a folder with dynamics_epoch_0.jsonl and so on, got none there.")
    place_of: dict[str, int] = {}
    places, looks, labels, logits = [], [], [], []
    epochs = sorted(files)
    for look, epoch in enumerate(epochs):
        for guid, gold, values in _lines(files[epoch], f"logits_epoch_{epoch}"):
            places.append(place_of.setdefault(guid, len(place_of)))
            looks.append(look)
            labels.append(gold)
            logits.append(values)
    if len({len(values) for values in logits}) != 1:
        raise InputError(f"{folder}: expected logits of one length in every line, got {sorted({len(values) for values in logits})}.")
    place_n, label_n, keys = np.array(places), np.array(labels), list(place_of)
    logits_nK = np.array(logits, np.float64)
    if label_n.min() < 0 or label_n.max() >= logits_nK.shape[1]:
        raise InputError(f"{folder}: gold labels {label_n.min()} to {label_n.max()}, expected 0 to {logits_nK.shape[1] - 1}.")
    found = spread(place_n, np.array(looks), (len(keys), len(epochs)), of_logits(logits_nK, label_n), str(folder))
    return Dynamics(
        keys=keys, labels_M=one_label(place_n, label_n, keys, str(folder)), class_count=logits_nK.shape[1], class_names=None,
        epochs=tuple(epochs), **found,
    )  # fmt: skip


def _lines(file: Path, field: str):
    """(guid, gold, logits) of each line."""
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                told = json.loads(line)
                values = [float(value) for value in told[field]]
                if not isinstance(told["gold"], int):
                    raise TypeError("gold is no whole number")
                yield str(told["guid"]), told["gold"], values
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{file}, line {number}: expected guid, gold and {field} ({error!r}).") from error
