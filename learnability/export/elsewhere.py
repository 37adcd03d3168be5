"""What other tools read: a Hugging Face data set with score columns, FiftyOne's classification folder, a table for cleanlab."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.export.encoded import encoded
from learnability.export.folder import appearing, refuse_taken
from learnability.store.files import write_table
from learnability.store.identity import identities
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_array
from learnability.store.scores import ScoreTable

SHARD_ROWS, GROUP_ROWS = 20_000, 500  # rows of a Parquet file, and of what is held in memory at once


def score_columns(found: Mapping[str, ScoreTable], rows: int) -> dict[str, np.ndarray]:
    """`<metric>_<arch>_s<seed>` -> (rows,) float32, NaN where a run does not hold the sample; names that every tool takes."""
    columns = {}
    for metric, table in found.items():
        for run, score_N in table.columns.items():
            score = np.full(rows, np.nan, np.float32)
            score[table.sample_ids_N] = score_N
            name = re.sub(r"[^A-Za-z0-9_]", "_", f"{metric}_{run}")
            while name in columns:  # two runs whose names differ in such characters alone
                name += "_"
            columns[name] = score
    return columns


def hugging_face(dataset: Dataset, scores: Mapping[str, np.ndarray], out: Path, progress: Callable | None = None) -> int:
    """A folder that `datasets.load_dataset(folder)` reads: data/<split>-*.parquet and README.md. Returns the rows written.

    Columns: image (or caption, where there are no pictures), label as a ClassLabel, key, hash, and the scores; test rows have none.
    """
    refuse_taken(out)
    version, N = identities(dataset), dataset.N
    labels = np.concatenate([dataset.labels_N, dataset.test_labels_T])
    parts = {split: rows[labels[rows] >= 0] for split, rows in (("train", np.arange(N)), ("test", np.arange(N, len(labels))))}
    total, done = sum(map(len, parts.values())), 0
    schema = _schema(dataset, scores)
    with appearing(out.absolute()) as temporary:
        (temporary / "data").mkdir()
        for split, rows in parts.items():
            shards = -(-len(rows) // SHARD_ROWS)
            for shard in range(shards):
                name = f"{split}-{shard:05d}-of-{shards:05d}.parquet"
                with pq.ParquetWriter(temporary / "data" / name, schema, compression="zstd") as writer:
                    for some in _groups(rows[shard * SHARD_ROWS : (shard + 1) * SHARD_ROWS]):
                        writer.write_table(_rows(dataset, version, labels, scores, some, schema))
                        done += len(some)
                        if progress:
                            progress(done, total)
        (temporary / "README.md").write_text(_card(dataset, [split for split, rows in parts.items() if len(rows)], scores))
    return total


def _groups(rows: np.ndarray) -> Sequence[np.ndarray]:
    return np.split(rows, range(GROUP_ROWS, len(rows), GROUP_ROWS)) if len(rows) else []


def _schema(dataset: Dataset, scores: Mapping[str, np.ndarray]) -> pa.Schema:
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    captions = dataset.images is None and "caption" in dataset.samples().column_names
    fields = [("image", picture)] if dataset.images is not None else [("caption", pa.string())] if captions else []
    fields += [("label", pa.int64()), ("key", pa.string()), ("hash", pa.string()), *((name, pa.float32()) for name in scores)]
    features = {name: {"dtype": str(kind), "_type": "Value"} for name, kind in fields}
    features = {name: one | ({"dtype": "float32"} if one["dtype"] == "float" else {}) for name, one in features.items()}
    features["label"] = {"names": list(dataset.class_names), "_type": "ClassLabel"}
    if dataset.images is not None:
        features["image"] = {"_type": "Image"}
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def _rows(dataset: Dataset, version, labels: np.ndarray, scores: Mapping, rows: np.ndarray, schema: pa.Schema) -> pa.Table:
    samples = version.samples(rows)
    columns = {"label": labels[rows], "key": [key for key, _ in samples], "hash": [hashed for _, hashed in samples]}
    if "image" in schema.names:
        pictures = [encoded(dataset, int(row)) for row in rows]
        columns["image"] = [
            {"bytes": content, "path": f"{row:08d}{kind}"} for row, (content, kind, _) in zip(rows.tolist(), pictures, strict=True)
        ]
    if "caption" in schema.names:
        columns["caption"] = dataset.all_samples()["caption"].take(pa.array(rows))
    for name, score in scores.items():
        value = np.where(rows < dataset.N, score[np.minimum(rows, len(score) - 1)], np.nan).astype(np.float32)
        columns[name] = pa.array(value, pa.float32(), mask=np.isnan(value))
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _card(dataset: Dataset, splits: list[str], scores: Mapping) -> str:
    files = "".join(f"  - split: {split}\n    path: data/{split}-*\n" for split in splits)
    task = "image-classification" if dataset.images is not None else "text-classification"
    said = "".join(f"- `{name}`\n" for name in scores)
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}task_categories:\n- {task}\n---\n"
        f"# {dataset.name} with learnability scores\n\nLabels: version {dataset.labels}. Data set version {dataset.fingerprint}.\n\n"
        f"Score columns, one a metric and run; empty for test rows:\n\n{said}"
    )


def fiftyone(dataset: Dataset, scores: Mapping[str, np.ndarray], out: Path, progress: Callable | None = None) -> int:
    """A folder of the type fiftyone.types.FiftyOneImageClassificationDataset: data/ and labels.json. Returns the samples written.

    Every train sample's scores, key and hash are attributes of its label.
    """
    if dataset.images is None:
        raise InputError(f"data set {dataset.name!r} has no pictures: expected images for FiftyOne. Export huggingface or scores.")
    refuse_taken(out)
    rows = np.flatnonzero(dataset.labels_N >= 0)
    told = {}
    with appearing(out.absolute()) as temporary:
        (temporary / "data").mkdir()
        for done, (row, (key, hashed)) in enumerate(zip(rows.tolist(), identities(dataset).samples(rows), strict=True), 1):
            content, extension, _ = encoded(dataset, row)
            (temporary / "data" / f"{row:08d}{extension}").write_bytes(content)
            attributes = {name: float(score[row]) for name, score in scores.items() if np.isfinite(score[row])}
            told[f"{row:08d}"] = {"label": int(dataset.labels_N[row]), "attributes": {"key": key, "hash": hashed, **attributes}}
            if progress and done % 100 == 0:
                progress(done, len(rows))
        content = {"classes": list(dataset.class_names), "labels": told}
        (temporary / "labels.json").write_text(json.dumps(content, ensure_ascii=True))
    return len(rows)


def cleanlab(cache: Cache, dataset: Dataset, runs: Sequence[Run], out: Path) -> tuple[int, int]:
    """A folder with pred_probs.npy (n, K), labels.npy (n,) and samples.parquet, of held-out probabilities: (samples, left out).

    runs    the folds of one group; the mean over its seeds. A sample that no fold has held out yet is left out.
    """
    refuse_taken(out)
    total, times = np.zeros((dataset.N, dataset.K)), np.zeros(dataset.N, np.int64)
    for run in runs:
        probabilities_NK = load_array(cache, run.data, run.id, "heldout.npy")
        if probabilities_NK is None:
            continue
        ids = pq.read_table(cache.run_folder(run.data, run.id) / "rows.parquet", columns=["sample_id"])["sample_id"].to_numpy()
        held = ~np.isnan(probabilities_NK).any(1)
        total[ids[held]] += probabilities_NK[held]
        times[ids[held]] += 1
    rows = np.flatnonzero((times > 0) & (dataset.labels_N >= 0))
    if not len(rows):
        raise InputError(
            f"no held-out probabilities among the {len(runs)} runs given: expected runs with folds that are done. Train them: "
            f"python -m learnability train --data {dataset.name} --arch resnet20 --folds 5"
        )
    pred_probs = total[rows] / times[rows, None]
    pred_probs /= pred_probs.sum(1, keepdims=True)  # they were kept as float16
    samples = identities(dataset).samples(rows)
    with appearing(out.absolute()) as temporary:
        np.save(temporary / "pred_probs.npy", pred_probs.astype(np.float32), allow_pickle=False)
        np.save(temporary / "labels.npy", dataset.labels_N[rows], allow_pickle=False)
        names = pa.array(dataset.class_names, pa.string()).take(pa.array(dataset.labels_N[rows]))
        keys = {"key": [key for key, _ in samples], "hash": [hashed for _, hashed in samples]}
        write_table(temporary / "samples.parquet", pa.table({"sample_id": rows, **keys, "label": dataset.labels_N[rows], "class": names}))
    return len(rows), int((dataset.labels_N >= 0).sum()) - len(rows)
