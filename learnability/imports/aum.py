"""asappresearch/aum: full_aum_records.csv, one row a sample and measurement, of `AUMCalculator(..., compressed=False)`.

Columns sample_id, num_measurements, target_logit, target_val, other_logit, other_val, margin. The package writes the class
numbers into target_val and other_val and the logits into target_logit and other_logit (its field names say the reverse).
"""

from pathlib import Path

import numpy as np

from learnability.errors import InputError
from learnability.imports.dynamics import Dynamics, one_label, spread
from learnability.imports.tables import column, numbers, places, table_of, texts, whole_numbers

FILE = "full_aum_records.csv"


def read_aum(path: Path) -> Dynamics:
    """Predictions and margins of the file, or of that file in a folder."""
    path = path / FILE if path.is_dir() else path
    table = table_of(path, text=("sample_id",))
    if "num_measurements" not in table.column_names and "aum" in table.column_names:
        raise InputError(
            f"{path} holds one number a sample, no looks: expected {FILE}, of AUMCalculator(compressed=False). As a score it can be "
            f"imported: python -m learnability scores import {path} --key sample_id --column aum --name their-aum --direction easy"
        )
    keys, place_n = places(texts(column(table, path, "sample_id"), "sample_id"))
    number_n = whole_numbers(column(table, path, "num_measurements"), "num_measurements")
    epochs, look_n = np.unique(number_n, return_inverse=True)
    label_n, other_n = _classes(table, path)
    margin_n = numbers(column(table, path, "margin"), "margin")
    tie = np.minimum(label_n, other_n)
    prediction_n = np.where(margin_n > 0, label_n, np.where(margin_n < 0, other_n, tie))
    found = spread(place_n, look_n, (len(keys), len(epochs)), {"prediction": prediction_n, "margin": margin_n}, str(path))
    return Dynamics(
        keys=keys, labels_M=one_label(place_n, label_n, keys, str(path)), class_count=int(max(label_n.max(), other_n.max())) + 1,
        class_names=None, epochs=tuple(int(epoch) - 1 for epoch in epochs), **found,
    )  # fmt: skip


def _classes(table, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(label, best other class) of each row, from whichever pair of columns holds whole numbers."""
    for kind in ("val", "logit"):
        pair = [numbers(column(table, path, f"{side}_{kind}"), f"{side}_{kind}") for side in ("target", "other")]
        if all((values >= 0).all() and (values == np.round(values)).all() for values in pair):
            return pair[0].astype(np.int64), pair[1].astype(np.int64)
    raise InputError(f"{path}: expected class numbers in target_val and other_val, got fractions. Is it the package's own file?")
