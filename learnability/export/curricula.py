"""What a curriculum leaves the cache as: an order, drawing weights, a subset; each by key and hash, for one's own loop."""

import numpy as np
import pyarrow as pa

from learnability.curriculum import SHUFFLES, Order, Weights
from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.store.files import table_bytes, write_new_file
from learnability.store.paths import Cache


def order_table(opened: Dataset, order: Order, score_of: np.ndarray) -> pa.Table:
    """place (0 = first in play), key, hash, sample_id, class, score of every sample that has a score.

    score_of   (N,) score by sample id
    """
    ids = order.in_play()
    return pa.table({"place": np.arange(len(ids)), **_samples(opened, ids), "score": np.asarray(score_of)[ids]})


def weights_table(opened: Dataset, sample_ids_N: np.ndarray, weights: Weights) -> pa.Table:
    """key, hash, sample_id, class, p (drawing probability, sum 1) and w (by which its loss is multiplied)."""
    return pa.table({**_samples(opened, sample_ids_N), "p": weights.p_N, "w": weights.w_N})


def subset_table(opened: Dataset, sample_ids: np.ndarray, score_of: np.ndarray) -> pa.Table:
    """key, hash, sample_id, class, score of the samples kept."""
    return pa.table({**_samples(opened, sample_ids), "score": np.asarray(score_of)[sample_ids]})


def save_order(cache: Cache, data: str, name: str, table: pa.Table, metadata: dict[str, str]) -> None:
    """Keeps an order under a name, for good; on disk when this returns. InputError if the name is taken."""
    if name in SHUFFLES:
        raise InputError(f"order {name!r}: a run's own shuffle is called so. Choose another name.")
    path = cache.order(data, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_new_file(path, table_bytes(table, metadata))
    except FileExistsError:
        raise InputError(f"order {name!r} exists already and never changes. Choose another name.") from None


def _samples(opened: Dataset, sample_ids: np.ndarray) -> dict[str, pa.Array | np.ndarray]:
    at = pa.array(np.asarray(sample_ids, np.int64))
    rows = opened.samples().select(["key", "hash"]).take(at)
    labels = opened.labels_N[sample_ids]
    names = pa.array(opened.class_names, pa.string()).take(pa.array(labels, pa.int64(), mask=labels < 0))
    return {"key": rows["key"], "hash": rows["hash"], "sample_id": at, "class": names}
