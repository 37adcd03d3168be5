"""What runs recorded, look by look, and what they keep of each sample at their end."""

import warnings

import numpy as np
import streamlit as st

from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.store import files, last_layer, runs
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import data, neighbours, scored


def trajectory(run: Run, sample_id: int) -> dict:
    """Signals of one sample, (E,) each, with "label", and "shown": the class predicted at each look, -1 where it was not seen."""
    return _trajectory(data.root(), run.data, run.id, (run.head.looks, run.head.generation), sample_id)


@st.cache_data(max_entries=512, show_spinner=False)
def _trajectory(root: str, name: str, run_id: str, committed: tuple, sample_id: int) -> dict:
    found = runs.load_trajectory(Cache.at(root), name, run_id, sample_id)
    prediction_E = found.get("prediction")
    if prediction_E is None:
        return found | {"shown": np.zeros(0, np.int64)}
    seen_E = ~np.isnan(found["loss"]) if "loss" in found else prediction_E != np.iinfo(prediction_E.dtype).max
    return found | {"shown": np.where(seen_E, prediction_E.astype(np.int64), -1)}


MAX_BAND = 60_000_000  # values of a signal that are read for the band of a class


def class_band(run: Run, signal: str, label: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(10th, 50th, 90th percentile) of a signal over a class, look by look; None for a recording too large to read in a page."""
    if run.head.rows * run.head.looks > MAX_BAND:
        return None
    return _class_band(data.root(), run.data, run.id, (run.head.looks, run.head.generation), signal, label)


@st.cache_data(max_entries=256, show_spinner=False)
def _class_band(root: str, name: str, run_id: str, committed: tuple, signal: str, label: int) -> tuple | None:
    recording = runs.load_recording(Cache.at(root), name, run_id, [signal])
    values_nE = recording.signals[signal][recording.labels_N == label].astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a look that saw nobody of the class: NaN
        return tuple(np.nanpercentile(values_nE, [10, 50, 90], axis=0))


def looks_of(run: Run) -> list[dict]:
    """One dict a committed look."""
    return _looks(data.root(), run.data, run.id, (run.head.looks, run.head.generation))


@st.cache_data(max_entries=256, show_spinner=False)
def _looks(root: str, name: str, run_id: str, committed: tuple) -> list[dict]:
    return runs.load_looks(Cache.at(root), name, run_id)


def ran_with(run: Run) -> dict:
    """What a run really ran with: device, way, versions, as its trainer wrote them down; empty before it began."""
    try:
        told = files.read_json(data.cache().run_folder(run.data, run.id) / "environment.json")
    except LearnabilityError:
        return {}
    known = {name: value for name, value in told.items() if value is not None and not isinstance(value, list) and name != "format"}
    return known if run.config.origin else {"lr": run.config.peak_lr, **known}


# what a run keeps of each sample at its end


def has_features(run: Run) -> bool:
    """Asked anew: a series keeps its runs as they were when its scores were read, and features come after the last of them."""
    return (data.cache().run_folder(run.data, run.id) / "features.npy").exists() and data.run(run.data, run.id).state == "done"


@st.cache_resource(max_entries=2, show_spinner=False)
def _features(root: str, name: str, run_id: str, committed: tuple) -> np.ndarray | None:
    return runs.load_features(Cache.at(root), name, run_id)


def nearest(run: Run, opened: Dataset, sample_id: int) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """(sample ids, distances, whether all samples were searched) of a sample's nearest neighbours; None if the run lacks it."""
    shape = last_layer.features_shape(data.cache(), run.data, run.id)
    ids_N, _ = scored.column(run, data.root(), scored.token(run), "learnability")
    row = int(np.searchsorted(ids_N, sample_id))
    if shape is None or row == len(ids_N) or ids_N[row] != sample_id or shape[0] != len(ids_N):
        return None
    if shape[0] * shape[1] <= neighbours.EXACT:
        features_ND = _features(data.root(), run.data, run.id, (run.head.looks, run.head.generation))
        rows, distances = neighbours.nearest(features_ND, row)
        return ids_N[rows], distances, True
    among_n = np.flatnonzero(opened.labels_N[ids_N] == opened.labels_N[sample_id])
    among_n = np.union1d(among_n, [row])
    features_nd = last_layer.load_feature_rows(data.cache(), run.data, run.id, among_n)
    rows, distances = neighbours.nearest(features_nd, int(np.searchsorted(among_n, row)))
    return ids_N[among_n[rows]], distances, False


def disk_used(run: Run) -> int:
    """Bytes of a run's folder."""
    folder = data.cache().run_folder(run.data, run.id)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
