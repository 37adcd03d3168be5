"""Scores of runs and groups, kept by the checksums of what was read, and what is drawn from them.

What is returned is shared between sessions and read-only.
"""

import dataclasses
import hashlib

import numpy as np
import streamlit as st

from learnability.charts import distributions, pairs
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError, NotFound
from learnability.store import files, heldout, imported, scores
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import data, order, words
from ui.series import Series, counted, joined

LARGE = 200_000  # samples above which few scores are held at a time


def token(run: Run) -> tuple[int, str]:
    """What a run's scores are now, a small key for caches: (looks, name of the content), (0, "") where there are none."""
    try:
        told = files.table_metadata(data.cache().run_folder(run.data, run.id) / "scores.parquet")
        return int(told["looks"]), hashlib.blake2b(told["crc32"].encode(), digest_size=8).hexdigest()
    except NotFound:
        return 0, ""
    except (KeyError, ValueError) as error:
        raise files.DamagedFile(f"scores.parquet of run {run.id} is damaged: {error!r}.") from error


def column(run: Run, root: str, token: tuple, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """(sample ids, scores) of a run; of many samples read anew each time, as series hold them too."""
    read = _column if run.head.rows <= LARGE else _column_read
    return read(root, run.data, run.id, token, metric)


@st.cache_resource(max_entries=8, show_spinner=False)
def _column(root: str, name: str, run_id: str, token: tuple, metric: str) -> tuple[np.ndarray, np.ndarray]:
    return _column_read(root, name, run_id, token, metric)


def _column_read(root: str, name: str, run_id: str, token: tuple, metric: str) -> tuple[np.ndarray, np.ndarray]:
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
            tokens[run.id] = token(run)
        except LearnabilityError:
            if len(members) == 1:
                raise
    used, left_out = counted(members, {run_id: looks for run_id, (looks, _) in tokens.items()})
    if not used:
        return None
    named = tuple(tuple((run.id, tokens[run.id]) for run in unit) for unit in used)
    kept = _series if used[0][0].head.rows <= LARGE else _large_series
    return kept(data.root(), name, id, named, metric, left_out, tuple(map(tuple, used)))


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs={Run: lambda run: run.id})
def _series(root: str, name: str, id: str, tokens: tuple, metric: str, left_out: str | None, used: tuple) -> Series | None:
    return _series_made(root, name, id, tokens, metric, left_out, used)


@st.cache_resource(max_entries=5, show_spinner=False, hash_funcs={Run: lambda run: run.id})
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
            columns = [column(run, root, token, metric) for run, ((_, token),) in zip(runs, tokens, strict=True)]
    except NotFound:
        return None  # the recording lacks the signal this metric needs
    ids_N = columns[0][0]
    for more, _ in columns[1:]:
        ids_N = ids_N if np.array_equal(ids_N, more) else np.intersect1d(ids_N, more)
    whole = all(ids_n is ids_N for ids_n, _ in columns)
    score_RN = np.stack([score_n if whole else score_n[np.searchsorted(ids_n, ids_N)] for ids_n, score_n in columns])
    score_RN.setflags(write=False)
    opened = data.version(root, name, config.fingerprint[:8], config.labels)
    return Series(
        key=(root, name, id, tokens, metric), id=id, name=data.name_of(id, list(runs)), metric=metric, sample_ids_N=ids_N,
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
    changed = data.cache().imported(name, score).stat().st_mtime_ns
    opened = data.version(data.root(), name, base.runs[0].config.fingerprint[:8], base.runs[0].config.labels)
    found = _imported(data.root(), opened, score, changed)
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
