"""Data sets, their samples, runs and groups, as pages read them; `scored` reads scores, `recorded` what a run recorded.

What is kept is shared between sessions and read-only; its keys are small, never an array or a table.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from learnability import selections
from learnability.curriculum import parse_curriculum
from learnability.datasets import Dataset
from learnability.store import architectures as architecture_store
from learnability.store import datasets as dataset_store
from learnability.store import features as feature_store
from learnability.store import files, identity, locks, runs, scores
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import pictures


def cache() -> Cache:
    return Cache.at()


def root() -> str:
    return str(cache().root)


# data sets


def dataset_names() -> list[str]:
    return cache().dataset_names()


def dataset(name: str, fingerprint: str | None = None, labels: str = "original") -> Dataset:
    """A data set version with its labels; the newest version when none is named."""
    return version(root(), name, (fingerprint or cache().current(name))[:8], labels)


@st.cache_resource(max_entries=8, show_spinner=False)
def version(root: str, name: str, fingerprint8: str, labels: str) -> Dataset:
    return dataset_store.open_dataset(Cache.at(root), name, fingerprint8, labels)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={Dataset: lambda d: (str(d.folder), d.labels)})
def samples(opened: Dataset) -> pa.Table:
    """The columns that the source had for the train samples, their size there among them; keys and hashes are in `identities`."""
    return opened.samples().drop_columns(["sample_id", "key", "hash", "split"])


def source_row(opened: Dataset, sample_id: int) -> dict:
    """The columns that the source had for a sample, its size there among them."""
    row = samples(opened).slice(sample_id, 1).to_pylist()[0]
    return {name: value for name, value in row.items() if value is not None}


def rejects(opened: Dataset) -> pa.Table:
    """Files of the source that did not become samples: key, reason. Read anew each time."""
    return files.read_table(opened.folder / "rejects.parquet", ["key", "reason"])


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
        said += f", curriculum {parse_curriculum(config.curriculum).label}"
    return said if recipe in (None, config.recipe) else f"{said}, recipe {config.recipe}"


# pictures


@st.cache_resource(max_entries=48, show_spinner=False, hash_funcs={Dataset: lambda d: (str(d.folder), d.labels)})
def sheet(opened: Dataset, sample_ids: tuple[int, ...]) -> pictures.Sheet:
    """One picture with a tile for each of these samples."""
    return pictures.sheet(opened, sample_ids)
