"""A plain table, one row a sample and epoch: key, epoch, label, and prediction, probabilities or logits.

Probabilities and logits stand in a list column `probabilities` or `logits` (Parquet, JSON lines) or in one column a class:
`p_<class>` or `logit_<class>`. Labels and predictions may be names or numbers. A column `caption` is kept.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.errors import InputError
from learnability.imports.dynamics import Dynamics, of_logits, one_label, spread
from learnability.imports.tables import column, numbers, places, table_of, texts, whole_numbers

_SUM = 1e-2  # probabilities of a row add up to one within this


def read_plain(path: Path) -> Dynamics:
    """The signals that the table's columns allow: all five of probabilities or logits, predictions alone otherwise."""
    table = table_of(path, text=("key",))
    keys, place_n = places(texts(column(table, path, "key"), "key"))
    epochs, look_n = np.unique(whole_numbers(column(table, path, "epoch"), "epoch"), return_inverse=True)
    wide = _wide(table, path)
    names, label_n, prediction_n = _classes(table, path, None if wide is None else wide[0], wide is not None and wide[1].shape[1])
    if wide is not None:
        found = of_logits(wide[1], label_n)
        count = wide[1].shape[1]
    else:
        found, count = {"prediction": prediction_n}, int(max(label_n.max(), prediction_n.max())) + 1
    captions = None
    if "caption" in table.column_names:
        captions = [""] * len(keys)
        for place, caption in zip(place_n.tolist(), texts(table["caption"], "caption"), strict=True):
            captions[place] = caption
    return Dynamics(
        keys=keys, labels_M=one_label(place_n, label_n, keys, str(path)), class_count=count, class_names=names, captions=captions,
        epochs=tuple(map(int, epochs)), **spread(place_n, look_n, (len(keys), len(epochs)), found, str(path)),
    )  # fmt: skip


def _wide(table: pa.Table, path: Path) -> tuple[list[str] | None, np.ndarray] | None:
    """(names of the classes or None, log-probabilities or logits (n, K)); None where there are neither."""
    for kind, prefix in (("probabilities", "p_"), ("logits", "logit_")):
        own = [name for name in table.column_names if name.startswith(prefix)]
        names = None
        if kind in table.column_names:
            lists = table[kind].to_pylist()
            if not lists or any(cell is None or len(cell) != len(lists[0]) for cell in lists):
                raise InputError(f"{path}: expected lists of one length in column {kind}.")
            values_nK = np.array(lists, np.float64)
        elif own:
            names, values_nK = [name.removeprefix(prefix) for name in own], np.stack([numbers(table[name], name) for name in own], 1)
        else:
            continue
        if values_nK.shape[1] < 2 or not np.isfinite(values_nK).all():
            raise InputError(f"{path}: expected finite {kind} of at least two classes in every row.")
        if kind == "logits":
            return names, values_nK
        if (values_nK < 0).any() or (np.abs(values_nK.sum(1) - 1) > _SUM).any():
            raise InputError(
                f"{path}: probabilities of a row must add up to 1, got {values_nK.sum(1).min():.3f} to {values_nK.sum(1).max():.3f}."
            )
        return names, np.log(np.maximum(values_nK, 1e-12))
    return None


def _classes(table: pa.Table, path: Path, names: list[str] | None, count: int | bool) -> tuple:
    """(class names or None, labels, predictions or None) as numbers."""
    label, prediction = column(table, path, "label"), None
    if not count:
        prediction = column(table, path, "prediction", "probabilities", "logits")
    both = [one for one in (label, prediction) if one is not None]
    if all(pa.types.is_integer(one.type) for one in both) and (names is None or [*map(str, range(len(names)))] == names):
        found = [whole_numbers(one, "label or prediction") for one in both]
        names = None
    else:
        said = [texts(one, "label or prediction") for one in both]
        names = names if names is not None else sorted({name for one in said for name in one})
        place_of = {name: i for i, name in enumerate(names)}
        if unknown := sorted({name for one in said for name in one} - set(place_of)):
            raise InputError(f"{path}: label {unknown[0]!r} has no column of its own: expected one of {', '.join(names[:10])}.")
        found = [np.array([place_of[name] for name in one], np.int64) for one in said]
    for one in found:
        if len(one) and (one.min() < 0 or (count and one.max() >= count)):
            raise InputError(f"{path}: labels {one.min()} to {one.max()}, expected 0 to {(count or one.max() + 1) - 1}.")
    return (None if names is None else tuple(names)), found[0], (found[1] if prediction is not None else None)
