"""Tables of samples: corrected labels, and scores beside the source's own columns."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from learnability.datasets import Dataset
from learnability.store.scores import ScoreTable

_OURS = ("sample_id", "key", "hash", "split")
_TOLD = ("verdict", "by", "why", "when", "tags")


def corrected_labels(original: Dataset, labels: np.ndarray, class_names: tuple[str, ...], decisions: pa.Table) -> pa.Table:
    """One row a sample, train rows first: key, hash, split, old_label, new_label, verdict, by, why, when, tags.

    labels      new labels of all rows, numbers in `class_names`; -1 is a dropped sample, whose new_label is null
    decisions   sample_id, verdict, by, why, when, tags of the samples that have any; null for all others
    """
    samples = original.all_samples().select(["key", "hash", "split"])
    old = np.concatenate([original.labels_N, original.test_labels_T])
    at = np.full(samples.num_rows, -1, np.int64)
    at[decisions["sample_id"].to_numpy()] = np.arange(decisions.num_rows)
    told = decisions.select(list(_TOLD)).take(pa.array(at, mask=at < 0))
    columns = {name: samples[name] for name in samples.column_names}
    columns |= {"old_label": _named(old, original.class_names), "new_label": _named(labels, class_names)}
    return pa.table(columns | {name: told[name] for name in _TOLD})


def scores_table(original: Dataset, found: Mapping[str, ScoreTable]) -> pa.Table:
    """Scores of one or several metrics beside what the source said of each sample.

    sample_id, key, hash, label, then `<arch>-s<seed>` for one metric or `<metric> <arch>-s<seed>` for several, then the source's
    own columns; one of these that bears a name already taken gets `source ` in front. Samples without any score are left out.
    """
    ids = np.unique(np.concatenate([table.sample_ids_N for table in found.values()]))
    samples = original.samples().take(pa.array(ids))
    columns = {name: samples[name] for name in ("sample_id", "key", "hash")}
    columns["label"] = _named(original.labels_N[ids], original.class_names)
    for metric, table in found.items():
        at = np.searchsorted(ids, table.sample_ids_N)
        for run, score_N in table.columns.items():
            score = np.full(len(ids), np.nan, np.float32)
            score[at] = score_N
            columns[run if len(found) == 1 else f"{metric} {run}"] = score
    for name in samples.column_names:
        if name not in _OURS:
            columns[f"source {name}" if name in columns else name] = samples[name]
    return pa.table(columns)


def _named(labels: np.ndarray, class_names: tuple[str, ...]) -> pa.Array:
    return pc.take(pa.array(class_names, pa.string()), pa.array(labels, pa.int64(), mask=labels < 0))
