"""scores.parquet of a run, and the score table of a recipe. The engine writes, pages read."""

import dataclasses
import json
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from learnability.config import FORMAT, RunConfig, planted
from learnability.errors import DamagedFile, InputError, LearnabilityError, NotFound
from learnability.metrics import METRICS, score_all
from learnability.store import heldout
from learnability.store.datasets import open_dataset
from learnability.store.files import metadata_of, read_table, write_table
from learnability.store.paths import Cache
from learnability.store.runs import Run, check_format, load_config, load_recording, load_runs


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """One row a sample, one column a run, of one metric."""

    metric: str
    recipe: str  # recipe key, or "all"
    sample_ids_N: np.ndarray
    keys_N: np.ndarray  # of str objects
    labels_N: np.ndarray  # as in the label version of the runs, original where these differ
    columns: dict[str, np.ndarray]  # `<arch>-s<seed>` -> score_N, NaN where a run does not hold the sample
    runs: dict[str, Run]  # with folds the one with the fewest looks

    def only(self, names: Iterable[str]) -> "ScoreTable":
        """The same samples with these columns alone."""
        kept = list(names)
        return dataclasses.replace(self, columns={name: self.columns[name] for name in kept}, runs={name: self.runs[name] for name in kept})

    def to_arrow(self) -> pa.Table:
        columns = {"sample_id": self.sample_ids_N, "key": pa.array(list(self.keys_N), pa.string()), "label": self.labels_N}
        return pa.table({**columns, **self.columns})


def write_scores(cache: Cache, data: str, run_id: str) -> None:
    """Makes scores.parquet from the committed looks of a run, each checked against its checksum."""
    recording = load_recording(cache, data, run_id, verify=True)
    columns = {"sample_id": recording.sample_ids_N} | {name: _stored(score_N) for name, score_N in score_all(recording).items()}
    table = pa.table(columns)
    metadata = {
        "format": str(FORMAT),
        "looks": str(recording.E),
        "record": recording.record,
        "crc32": json.dumps({name: _crc(table[name]) for name in table.column_names}),
    }
    write_table(cache.run_folder(data, run_id) / "scores.parquet", table, metadata)


def load_run_scores(cache: Cache, data: str, run_id: str, columns: list[str] | None = None) -> tuple[pa.Table, int]:
    """(table with `sample_id` and the metrics named, looks they stand for) of one run; checksums verified."""
    path = cache.run_folder(data, run_id) / "scores.parquet"
    wanted = None if columns is None else ["sample_id", *(name for name in columns if name != "sample_id")]
    try:
        table = read_table(path, wanted)
    except NotFound:
        if path.exists():
            raise
        raise NotFound(f"run {run_id} has no scores yet: they appear with its first committed look.") from None
    metadata = metadata_of(table.schema)  # of the very file that was read: the engine may have put another one in its place
    try:
        check_format(path, {"format": int(metadata["format"])})
        crc, looks = json.loads(metadata["crc32"]), int(metadata["looks"])
        damaged = [name for name in table.column_names if _crc(table[name]) != crc[name]]
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedFile(f"{path} is damaged: {error!r}.") from error
    if damaged:
        raise DamagedFile(
            f"{path} is damaged: the checksum of {', '.join(damaged)} does not match. Make it anew: python -m learnability doctor --repair"
        )
    return table, looks


def recipes(cache: Cache, data: str) -> list[str]:
    """Recipe keys of a data set's runs, the newest launch first; trials (under a curriculum, on planted labels) behind all others."""
    newest: dict[str, int] = {}
    trials: dict[str, bool] = {}
    for run_id in cache.run_ids(data):
        launched = (cache.run_folder(data, run_id) / "config.json").stat().st_mtime_ns
        key = run_id.rsplit("-", 1)[1]
        newest[key] = max(newest.get(key, 0), launched)
        if key not in trials:
            trials[key] = _is_trial(cache, data, run_id)
    return sorted(newest, key=lambda key: (trials[key], -newest[key], key))


def is_trial(config: RunConfig) -> bool:
    """Whether a run tries something out, under a curriculum or on planted labels, so that its scores judge no sample."""
    return config.curriculum is not None or planted(config.labels) is not None


def _is_trial(cache: Cache, data: str, run_id: str) -> bool:
    try:
        return is_trial(load_config(cache, data, run_id))
    except LearnabilityError:
        return False  # a damaged config: told where the run is shown


def unit_of(cache: Cache, run: Run) -> list[Run]:
    """The run itself, or all scored folds of its seed."""
    if run.config.folds is None:
        return [run]
    same = [other for other in load_runs(cache, run.data) if (other.group, other.problem) == (run.group, None)]
    return [other for other in same if other.config.seed == run.config.seed and scored_looks(cache, run.data, other.id)]


def load_seed_scores(cache: Cache, unit: Sequence[Run], metrics: Sequence[str]) -> tuple[list[Run], np.ndarray, dict[str, np.ndarray]]:
    """(runs read, sample_ids_n, metric -> score_n) of one seed: of its run, or held-out of its folds. Runs without these scores stay out.

    With folds each sample has the value from the run that never trained on it, NaN where no fold that is here held it out.
    """
    folded, tables = unit[0].config.folds is not None, {}
    needed = list(dict.fromkeys(part for metric in metrics for part in (heldout.parts(metric) if folded else [metric])))
    for run in unit:
        try:
            tables[run.id], _ = load_run_scores(cache, run.data, run.id, needed)
        except NotFound:
            continue
    scored = [run for run in unit if run.id in tables]
    if not scored:
        return [], np.zeros(0, np.int64), {}
    if folded:
        held = {metric: heldout.put_together(cache, scored, list(tables.values()), metric) for metric in metrics}
        return scored, held[metrics[0]][0], {metric: score_n.astype(np.float32) for metric, (_, score_n) in held.items()}
    (table,) = tables.values()
    return scored, table["sample_id"].to_numpy(), {metric: table[metric].to_numpy(zero_copy_only=False) for metric in metrics}


def load_scores(cache: Cache, data: str, metric: str = "learnability", recipe: str | None = None) -> ScoreTable:
    """The scores of one recipe's runs side by side; `recipe` None: the newest ordinary one with scores, "all": every one.

    With "all" the recipe key is part of each column's name, runs on planted labels are left out, and the labels are the original
    ones where those of the runs differ. Runs without scores and damaged ones are left out. The folds of a seed are one column,
    held-out: of each sample the value from the run that never trained on it. NotFound where there is no such data set.
    """
    if metric not in METRICS:
        raise InputError(f"metric {metric!r}: expected one of {', '.join(METRICS)}.")
    cache.current(data)
    found: dict[str, tuple[Run, np.ndarray, np.ndarray]] = {}
    keys = recipes(cache, data)
    if recipe not in (None, "all") and recipe not in keys:
        raise NotFound(
            f"data set {data!r} has no recipe {recipe!r}; it has {', '.join(keys) or 'none'}. "
            f"See: python -m learnability runs --data {data}"
        )
    runs = [run for run in load_runs(cache, data) if not run.problem and run.looks]
    if recipe == "all":
        runs = [run for run in runs if planted(run.config.labels) is None]
    for key in keys if recipe in (None, "all") else [recipe]:
        for arch in dict.fromkeys(run.config.arch for run in runs if run.recipe == key):
            for unit in heldout.units([run for run in runs if run.recipe == key and run.config.arch == arch]):
                if (made := _scored(cache, unit, metric)) is not None:
                    name = f"{unit[0].label.rsplit('-', 1)[0]}-s{unit[0].config.seed}"
                    found[f"{name}-{key}" if recipe == "all" else name] = made
        if found and recipe is None:
            break
    if not found:
        raise NotFound(
            f"data set {data!r} has no scores of {metric!r} yet. Train first: python -m learnability train --data {data} --arch resnet20"
        )
    config = next(iter(found.values()))[0].config
    versions = dict.fromkeys(run.config.fingerprint for run, *_ in found.values())
    if len(versions) > 1:
        raise InputError(
            f"these runs belong to {len(versions)} versions of data set {data!r} ({', '.join(key[:8] for key in versions)}), "
            "whose rows differ. Name one recipe with --recipe."
        )
    labels = {run.config.labels for run, *_ in found.values()}
    dataset = open_dataset(cache, data, config.fingerprint[:8], config.labels if len(labels) == 1 else "original")
    sample_ids_N = np.unique(np.concatenate([ids_n for _, ids_n, _ in found.values()]))
    return ScoreTable(
        metric=metric,
        recipe=recipe or config.recipe,
        sample_ids_N=sample_ids_N,
        keys_N=np.asarray(dataset.keys, object)[sample_ids_N],
        labels_N=dataset.labels_N[sample_ids_N],
        columns={name: _spread(ids_n, score_n, sample_ids_N) for name, (_, ids_n, score_n) in found.items()},
        runs={name: run for name, (run, *_) in found.items()},
    )


def _scored(cache: Cache, unit: list[Run], metric: str) -> tuple[Run, np.ndarray, np.ndarray] | None:
    """(the run with the fewest looks, sample_ids_n, score_n) of one seed; None where there is no such score yet."""
    scored, ids_n, scores = load_seed_scores(cache, unit, [metric])
    return (min(scored, key=lambda run: run.looks), ids_n, scores[metric]) if scored else None


def _spread(ids_n: np.ndarray, score_n: np.ndarray, sample_ids_N: np.ndarray) -> np.ndarray:
    if len(score_n) == len(sample_ids_N):
        return score_n
    score_N = np.full(len(sample_ids_N), np.nan, np.float32)
    score_N[np.searchsorted(sample_ids_N, ids_n)] = score_n
    return score_N


def _stored(score_N: np.ndarray) -> np.ndarray:
    return score_N.astype(np.float32) if score_N.dtype == np.float64 else score_N


def _crc(column: pa.ChunkedArray) -> int:
    return zlib.crc32(np.ascontiguousarray(column.to_numpy(zero_copy_only=False)))


def scored_looks(cache: Cache, data: str, run_id: str) -> int:
    """Looks that the run's scores.parquet stands for; 0 where there is none."""
    try:
        return int(pq.read_schema(cache.run_folder(data, run_id) / "scores.parquet").metadata[b"looks"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return 0
