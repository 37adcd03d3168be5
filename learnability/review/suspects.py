"""Which samples to look at first: the queue of suspicious labels, and the pairs of classes that are mixed up."""

import numpy as np
import pyarrow as pa

from learnability.metrics import ranking


def queue(suspicion_N: np.ndarray, aum_N: np.ndarray, sample_ids_N: np.ndarray, decided_N: np.ndarray) -> np.ndarray:
    """Rows in the order to review them: most suspicious first, ties by the smaller `aum`, then by sample id; decided ones hidden.

    The scores of a group are means over its runs. A sample that no run saw (NaN) stands last.
    """
    order_N = ranking(suspicion_N, "suspicion", hardest_first=True, aum_N=aum_N, sample_ids_N=sample_ids_N)
    return order_N[~np.asarray(decided_N, bool)[order_N]]


def wrong_class(class_RN: np.ndarray, share_RN: np.ndarray) -> np.ndarray:
    """The most frequent wrong class of each sample over R runs: (N,) int64, -1 where no run ever missed or none saw it.

    class_RN is each run's `consensus_prediction`, share_RN its `consensus_share`: a run votes with the share of its looks.
    Ties go to the lowest class.
    """
    class_RN, share_RN = np.asarray(class_RN, np.float64), np.asarray(share_RN, np.float64)
    votes_RN = np.where(class_RN >= 0, np.nan_to_num(share_RN), -1.0)
    for_RN = np.stack([np.where(class_RN == class_N, votes_RN, 0).sum(0) for class_N in class_RN])
    for_RN = np.where(votes_RN >= 0, np.round(for_RN, 6), -1.0)
    best_N = for_RN.max(0)
    candidate_RN = np.where(for_RN == best_N, class_RN, np.inf)
    return np.where(best_N >= 0, np.nan_to_num(candidate_RN.min(0), posinf=-1), -1).astype(np.int64)


def pairs(labels_N: np.ndarray, wrong_N: np.ndarray, decided_N: np.ndarray, among_N: np.ndarray | None = None) -> pa.Table:
    """Label x most frequent wrong class, largest count first: label, wrong, count, left (undecided), size (samples of the label).

    wrong_N as `wrong_class` gives it; a sample never missed is in no pair. `among_N` (bool) narrows the count, for example to
    the samples above some suspicion; `size` stays that of the whole class.
    """
    labels_N, wrong_N, decided_N = np.asarray(labels_N, np.int64), np.asarray(wrong_N, np.int64), np.asarray(decided_N, bool)
    counted_N = (wrong_N >= 0) & (labels_N >= 0)
    if among_N is not None:
        counted_N &= among_N
    K = int(max(labels_N.max(initial=-1), wrong_N.max(initial=-1))) + 1
    cell_n = labels_N[counted_N] * K + wrong_N[counted_N]
    cells, inverse_n, counts = np.unique(cell_n, return_inverse=True, return_counts=True)
    left = np.bincount(inverse_n, weights=~decided_N[counted_N], minlength=len(cells)).astype(np.int64)
    sizes_K = np.bincount(labels_N[labels_N >= 0], minlength=K)
    order = np.lexsort((cells, -counts))
    label = cells // K if K else cells
    columns = {"label": label, "wrong": cells - label * K, "count": counts, "left": left, "size": sizes_K[label]}
    return pa.table({name: values[order] for name, values in columns.items()})
