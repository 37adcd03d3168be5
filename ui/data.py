"""What pages read, and the place with caches. Keys are small: run id and the checksums of its scores, never an array or a table.

What is returned is shared between sessions and read-only.
"""

import dataclasses
import hashlib
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from learnability import selections
from learnability.charts import distributions, pairs
from learnability.curriculum import parse_curriculum
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError, NotFound
from learnability.store import architectures as architecture_store
from learnability.store import datasets as dataset_store
from learnability.store import features as feature_store
from learnability.store import files, heldout, identity, imported, last_layer, locks, runs, scores
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import neighbours, order, pictures, words
from ui.series import Series, counted, joined

pa.set_memory_pool(pa.system_memory_pool())  # gives back at once what a table took; the default keeps it for the next one


def cache() -> Cache:
    return Cache.at()


def _root() -> str:
    return str(cache().root)


# data sets


def dataset_names() -> list[str]:
    return cache().dataset_names()


def dataset(name: str, fingerprint: str | None = None, labels: str = "original") -> Dataset:
    """A data set version with its labels; the newest version when none is named."""
    return _dataset(_root(), name, (fingerprint or cache().current(name))[:8], labels)


@st.cache_resource(max_entries=8, show_spinner=False)
def _dataset(root: str, name: str, fingerprint8: str, labels: str) -> Dataset:
    return dataset_store.open_dataset(Cache.at(root), name, fingerprint8, labels)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={Dataset: lambda d: (str(d.folder), d.labels)})
def samples(opened: Dataset) -> pa.Table:
    """The columns that the source had for the train samples, their size there among them; keys and hashes are in `identities`."""
    return opened.samples().drop_columns(["sample_id", "key", "hash", "split"])


def source_row(opened: Dataset, sample_id: int) -> dict:
    """The columns that the source had for a sample, its size there among them."""
    row = samples(opened).slice(sample_id, 1).to_pylist()[0]
    return {name: value for name, value in row.items() if value is not None}


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={Dataset: lambda d: str(d.folder)})
def identities(opened: Dataset) -> identity.Identities:
    """Keys and hashes of every row of a data set version."""
    return identity.identities(opened)


def identity_of(opened: Dataset, sample_ids) -> list[tuple[str, str]]:
    """(key, hash) of samples, in the order given."""
    return identities(opened).samples(sample_ids)


def texts(opened: Dataset, sample_ids) -> list[str]:
    """What stands for samples without a picture: their captions, or their keys where they have none."""
    table, ids = samples(opened), pa.array(np.asarray(sample_ids, np.int64))
    return table["caption" if "caption" in table.column_names else "key"].take(ids).to_pylist()


def key_of(opened: Dataset, sample_id: int) -> str:
    return identity_of(opened, [sample_id])[0][0]


def same_pixels(opened: Dataset, sample_id: int) -> np.ndarray:
    """Other train samples with exactly the same pixels."""
    hashes = identities(opened).hashes[: opened.N]
    same = np.flatnonzero(pc.equal(hashes, hashes[sample_id]).to_numpy(zero_copy_only=False))
    return same[same != sample_id]


def selection_names(name: str) -> list[str]:
    return cache().selection_names(name)


def selection(name: str, opened: Dataset) -> tuple[np.ndarray, int]:
    """(sample ids of a saved selection, how many of it are not in this data set version)."""
    placed = selections.place(selections.load(cache(), opened.name, name), identities(opened), opened.N)
    return placed.sample_ids, len(placed.changed) + len(placed.gone)


def save_selection(opened: Dataset, name: str, sample_ids: np.ndarray, said: str) -> None:
    selections.save(cache(), opened, name, sample_ids, said, version=identities(opened))


# runs and groups


def label_versions(name: str) -> list[str]:
    """Label versions of the newest version of a data set, `original` first."""
    return dataset_store.label_versions(cache(), name)


def architectures() -> list[str]:
    """What can be trained: built in, registered from a shell, or used before. Never what somebody types into a page."""
    return architecture_store.offered(cache())


def starts(name: str) -> list[str]:
    """Sets of features of the newest version of a data set that are whole: heads can train on them."""
    return [one.name for one in feature_store.feature_sets(cache(), name) if one.made is not None]


def all_runs(name: str) -> list[Run]:
    """Every run of a data set, also damaged and unstarted ones; read anew each time."""
    return runs.load_runs(cache(), name)


def run(name: str, run_id: str) -> Run:
    return runs.load_run(cache(), name, run_id)


def is_alive(run: Run) -> bool:
    """Whether some process is at work on the run: it holds the run's lock."""
    return locks.is_held(cache(), locks.run_lock(run.data, run.id))


def recipes(name: str) -> list[str]:
    return scores.recipes(cache(), name)


def choices(found: list[Run]) -> dict[str, list[Run]]:
    """What A and B can be: group id -> its runs, then run id -> that run; groups with scores first."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        if run.config is not None:
            groups.setdefault(run.group, []).append(run)
    groups = dict(
        sorted(
            groups.items(),
            key=lambda item: (-sum(not run.partial and not run.problem for run in item[1]), -sum(run.looks for run in item[1])),
        )
    )
    return groups | {run.id: [run] for run in found if run.config is not None and run.id not in groups}


def name_of(id: str, members: list[Run], recipe: str | None = None) -> str:
    """A group or run in words; its recipe too where it is another one than the page's."""
    config, seeds = members[0].config, len({run.config.seed for run in members})
    if id == members[0].id:
        said = f"{config.arch}, seed {config.seed}" + (f", fold {config.fold + 1} of {config.folds}" if config.folds else "")
    else:
        said = f"{config.arch}, {'one seed' if seeds == 1 else f'mean of {seeds} seeds'}" + (", held-out" if config.folds else "")
    if config.curriculum:
        arm = parse_curriculum(config.curriculum)
        said += f", curriculum {arm.name or arm.order}"
    return said if recipe in (None, config.recipe) else f"{said}, recipe {config.recipe}"


def scores_token(run: Run) -> tuple[int, str]:
    """What a run's scores are now: a small key for caches."""
    return _token(run.data, run.id)


def _token(name: str, run_id: str) -> tuple[int, str]:
    """(looks, name of the content) of a run's scores; (0, "") where there are none."""
    try:
        told = files.table_metadata(cache().run_folder(name, run_id) / "scores.parquet")
        return int(told["looks"]), hashlib.blake2b(told["crc32"].encode(), digest_size=8).hexdigest()
    except NotFound:
        return 0, ""
    except (KeyError, ValueError) as error:
        raise files.DamagedFile(f"scores.parquet of run {run_id} is damaged: {error!r}.") from error


@st.cache_resource(max_entries=8, show_spinner=False)
def _column(root: str, name: str, run_id: str, token: tuple, metric: str) -> tuple[np.ndarray, np.ndarray]:
    table, _ = scores.load_run_scores(Cache.at(root), name, run_id, [metric])
    ids_N, score_N = table["sample_id"].to_numpy(), table[metric].to_numpy(zero_copy_only=False).astype(np.float32)
    score_N.setflags(write=False)
    return (_first_ids(len(ids_N)) if len(ids_N) and ids_N[-1] == len(ids_N) - 1 else ids_N), score_N


@st.cache_resource(max_entries=8, show_spinner=False)
def _first_ids(N: int) -> np.ndarray:
    """0..N-1: what all runs of a whole data set share."""
    ids_N = np.arange(N)
    ids_N.setflags(write=False)
    return ids_N


def series(name: str, id: str, members: list[Run], metric: str) -> Series | None:
    """The score of a run or group, or None while none of its runs has that score. Damage is raised for a single run only."""
    if "/" in metric:
        return _made_elsewhere(name, id, members, metric)
    tokens: dict[str, tuple[int, str]] = {}
    for run in members:
        try:
            tokens[run.id] = _token(name, run.id)
        except LearnabilityError:
            if len(members) == 1:
                raise
    used, left_out = counted(members, {run_id: looks for run_id, (looks, _) in tokens.items()})
    if not used:
        return None
    named = tuple(tuple((run.id, tokens[run.id]) for run in unit) for unit in used)
    kept = _series if used[0][0].head.rows <= LARGE else _large_series
    return kept(_root(), name, id, named, metric, left_out, tuple(map(tuple, used)))


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs={Run: lambda run: run.id})
def _series(root: str, name: str, id: str, tokens: tuple, metric: str, left_out: str | None, used: tuple) -> Series | None:
    return _series_made(root, name, id, tokens, metric, left_out, used)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={Run: lambda run: run.id})
def _large_series(root: str, name: str, id: str, tokens: tuple, metric: str, left_out: str | None, used: tuple) -> Series | None:
    return _series_made(root, name, id, tokens, metric, left_out, used)


def _series_made(root: str, name: str, id: str, tokens: tuple, metric: str, left_out: str | None, used: tuple) -> Series | None:
    runs = tuple(run for unit in used for run in unit)
    config = runs[0].config
    folded = config.folds is not None and id != runs[0].id  # one fold alone is shown as it was recorded
    try:
        if folded:
            columns = [_held_out(root, unit, unit_tokens, metric) for unit, unit_tokens in zip(used, tokens, strict=True)]
        else:
            columns = [_column(root, name, run_id, token, metric) for ((run_id, token),) in tokens]
    except NotFound:
        return None  # the recording lacks the signal this metric needs
    ids_N = columns[0][0]
    for more, _ in columns[1:]:
        ids_N = ids_N if np.array_equal(ids_N, more) else np.intersect1d(ids_N, more)
    whole = all(ids_n is ids_N for ids_n, _ in columns)
    score_RN = np.stack([score_n if whole else score_n[np.searchsorted(ids_n, ids_N)] for ids_n, score_n in columns])
    score_RN.setflags(write=False)
    opened = _dataset(root, name, config.fingerprint[:8], config.labels)
    return Series(
        key=(root, name, id, tokens, metric), id=id, name=name_of(id, list(runs)), metric=metric, sample_ids_N=ids_N,
        labels_N=opened.labels_N if len(ids_N) == opened.N else opened.labels_N[ids_N], score_RN=score_RN, runs=runs, left_out=left_out,
        looks=tuple(min(looks for _, (looks, _) in unit) for unit in tokens),
        held_RN=tuple(_held_among(root, run, ids_N) for run in runs) if folded else None,
    )  # fmt: skip


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs={Run: lambda run: run.id})
def _held_out(root: str, unit: tuple[Run, ...], tokens: tuple, metric: str) -> tuple[np.ndarray, np.ndarray]:
    tables = [scores.load_run_scores(Cache.at(root), run.data, run.id, heldout.parts(metric))[0] for run in unit]
    return heldout.put_together(Cache.at(root), unit, tables, metric)


def _held_among(root: str, run: Run, ids_N: np.ndarray) -> np.ndarray:
    held_ids, held_n = heldout.held_out_rows(Cache.at(root), run)
    return np.isin(ids_N, held_ids[held_n])


def _made_elsewhere(name: str, id: str, members: list[Run], metric: str) -> Series | None:
    """An imported score on the samples of a run or group: one for all, or the mean over its runs."""
    base, score = series(name, id, members, "learnability"), metric.partition("/")[2]
    if base is None:
        return None
    changed = cache().imported(name, score).stat().st_mtime_ns
    opened = _dataset(_root(), name, base.runs[0].config.fingerprint[:8], base.runs[0].config.labels)
    found = _imported(_root(), opened, score, changed)
    key = (*base.key[:4], metric, changed)
    if imported.SCORE in found.columns:
        score_RN = found.columns[imported.SCORE][None, base.sample_ids_N]
        return dataclasses.replace(
            base, key=key, name=words.THEMSELVES, metric=metric, score_RN=score_RN, looks=base.looks[:1], left_out=None, held_RN=None
        )
    own = [found.columns[run.id][base.sample_ids_N] for run in base.runs if run.id in found.columns]
    if len(own) < len(base.runs):
        return None  # a run came after the score was made
    if base.held_RN is not None:
        own = [np.where(held_N, one, np.nan) for held_N, one in zip(base.held_RN, own, strict=True)]
        own = [np.nanmean(own, axis=0)] * len(base.score_RN)
    return dataclasses.replace(base, key=key, metric=metric, score_RN=np.stack(own))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs={Dataset: lambda d: (str(d.folder), d.labels)})
def _imported(root: str, opened: Dataset, score: str, changed_ns: int) -> imported.Imported:
    return imported.load(Cache.at(root), opened, score)


# one sample through the epochs


def trajectory(run: Run, sample_id: int) -> dict:
    """Signals of one sample, (E,) each, with "label", and "shown": the class predicted at each look, -1 where it was not seen."""
    return _trajectory(_root(), run.data, run.id, (run.head.looks, run.head.generation), sample_id)


@st.cache_data(max_entries=512, show_spinner=False)
def _trajectory(root: str, name: str, run_id: str, committed: tuple, sample_id: int) -> dict:
    found = runs.load_trajectory(Cache.at(root), name, run_id, sample_id)
    prediction_E = found.get("prediction")
    if prediction_E is None:
        return found | {"shown": np.zeros(0, np.int64)}
    seen_E = ~np.isnan(found["loss"]) if "loss" in found else prediction_E != np.iinfo(prediction_E.dtype).max
    return found | {"shown": np.where(seen_E, prediction_E.astype(np.int64), -1)}


LARGE = 200_000  # samples above which few scores are held at a time
MAX_BAND = 60_000_000  # values of a signal that are read for the band of a class


def class_band(run: Run, signal: str, label: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(10th, 50th, 90th percentile) of a signal over a class, look by look; None for a recording too large to read in a page."""
    if run.head.rows * run.head.looks > MAX_BAND:
        return None
    return _class_band(_root(), run.data, run.id, (run.head.looks, run.head.generation), signal, label)


@st.cache_data(max_entries=256, show_spinner=False)
def _class_band(root: str, name: str, run_id: str, committed: tuple, signal: str, label: int) -> tuple | None:
    recording = runs.load_recording(Cache.at(root), name, run_id, [signal])
    values_nE = recording.signals[signal][recording.labels_N == label].astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a look that saw nobody of the class: NaN
        return tuple(np.nanpercentile(values_nE, [10, 50, 90], axis=0))


def looks_of(run: Run) -> list[dict]:
    """One dict a committed look."""
    return _looks(_root(), run.data, run.id, (run.head.looks, run.head.generation))


@st.cache_data(max_entries=256, show_spinner=False)
def _looks(root: str, name: str, run_id: str, committed: tuple) -> list[dict]:
    return runs.load_looks(Cache.at(root), name, run_id)


# what a run keeps of each sample at its end


def has_features(run: Run) -> bool:
    return run.state == "done" and (cache().run_folder(run.data, run.id) / "features.npy").exists()


@st.cache_resource(max_entries=2, show_spinner=False)
def _features(root: str, name: str, run_id: str, committed: tuple) -> np.ndarray | None:
    return runs.load_features(Cache.at(root), name, run_id)


def nearest(run: Run, opened: Dataset, sample_id: int) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """(sample ids, distances, whether all samples were searched) of a sample's nearest neighbours; None if the run lacks it."""
    shape = last_layer.features_shape(cache(), run.data, run.id)
    ids_N, _ = _column(_root(), run.data, run.id, _token(run.data, run.id), "learnability")
    row = int(np.searchsorted(ids_N, sample_id))
    if shape is None or row == len(ids_N) or ids_N[row] != sample_id or shape[0] != len(ids_N):
        return None
    if shape[0] * shape[1] <= neighbours.EXACT:
        features_ND = _features(_root(), run.data, run.id, (run.head.looks, run.head.generation))
        rows, distances = neighbours.nearest(features_ND, row)
        return ids_N[rows], distances, True
    among_n = np.flatnonzero(opened.labels_N[ids_N] == opened.labels_N[sample_id])
    among_n = np.union1d(among_n, [row])
    features_nd = last_layer.load_feature_rows(cache(), run.data, run.id, among_n)
    rows, distances = neighbours.nearest(features_nd, int(np.searchsorted(among_n, row)))
    return ids_N[among_n[rows]], distances, False


def disk_used(run: Run) -> int:
    """Bytes of a run's folder."""
    folder = cache().run_folder(run.data, run.id)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


# of series; they are named by their keys


def _named(made: Series | None):
    return made and made.key


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs={Series: _named})
def ordered(made: Series, which: str, aum: Series | None, never: Series | None) -> np.ndarray:
    """Sample ids in an order of `order.WHICH`."""
    return made.sample_ids_N[order.order(made, which, aum, never)].astype(np.int32)


# figures, named by their series


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs={Series: _named})
def counts_figure(a: Series, b: Series, dark: bool, outline: tuple):
    rows_a, rows_b, _ = joined(a, b)
    return pairs.counts_figure(
        a.score_N[rows_a], b.score_N[rows_b], a.cells, b.cells, dark=dark, diagonal=a.metric == b.metric,
        x_title=words.axis(a.metric, a.name, 2), y_title=words.axis(b.metric, b.name, 2), outline=outline,
    )  # fmt: skip


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs={Series: _named})
def histogram_figure(made: Series):
    return distributions.histogram_figure(made.score_N, made.cells, title=words.axis(made.metric))


# pictures


@st.cache_resource(max_entries=48, show_spinner=False, hash_funcs={Dataset: lambda d: (str(d.folder), d.labels)})
def sheet(opened: Dataset, sample_ids: tuple[int, ...]) -> pictures.Sheet:
    """One picture with a tile for each of these samples."""
    return pictures.sheet(opened, sample_ids)
