"""The samples that a network holds for most alike: nearest in the layer before its logits."""

import numpy as np

EXACT = 50_000_000  # values up to which all samples are searched; above, those of the sample's class
CHUNK = 20_000


def nearest(features_ND: np.ndarray, row: int, count: int = 12, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(rows, Euclidean distances) of the nearest samples, nearest first, the sample itself left out."""
    rows = np.arange(len(features_ND)) if among is None else among
    rows = rows[rows != row]
    mine = features_ND[row].astype(np.float32)
    distance = np.empty(len(rows), np.float32)
    for first in range(0, len(rows), CHUNK):
        part = features_ND[rows[first : first + CHUNK]].astype(np.float32)
        distance[first : first + CHUNK] = np.sqrt(((part - mine) ** 2).sum(1))
    best = np.lexsort((rows, distance))[:count]
    return rows[best], distance[best]
