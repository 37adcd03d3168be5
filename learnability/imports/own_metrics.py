"""Metrics of one's own: functions in a Python file, each from a recording to one number a sample. From the shell alone.

def last_margin(recording):
    "The margin at the last look."
    return recording.margin_NE[:, -1]

last_margin.easy_is = "high"   # or "low"; without it the score has no easy end
"""

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np

from learnability.config import checked_name
from learnability.errors import InputError
from learnability.metrics import METRICS
from learnability.recording import Recording
from learnability.store import imported
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_recording, load_runs

HIGH_IS = {"high": "easy", "low": "hard", "neither": "none"}


def functions_of(path: Path) -> dict[str, Callable[[Recording], np.ndarray]]:
    """The public functions that a file defines. The file is run: only the shell may name one."""
    if path.suffix != ".py" or not path.is_file():
        raise InputError(f"--metrics {path}: expected a Python file that is there.")
    spec = importlib.util.spec_from_file_location(f"own_metrics_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {
        name: one for name, one in vars(module).items() if inspect.isfunction(one) and one.__module__ == module.__name__ and name[0] != "_"
    }
    if not found:
        raise InputError(f"--metrics {path}: expected functions of a recording, such as `def last_margin(recording): ...`, got none.")
    for name, one in found.items():
        checked_name(name, "metric")
        if name in METRICS:
            raise InputError(f"--metrics {path}: {name!r} is a metric of ours. Give yours another name.")
        if getattr(one, "easy_is", "neither") not in HIGH_IS:
            raise InputError(f"{name}.easy_is is {one.easy_is!r}: expected high, low or neither.")
    return found


def score_runs(cache: Cache, path: Path, data: str, recipe: str | None = None) -> dict[str, list[Run]]:
    """Makes a stored score of every function in a file, over all recorded runs of the data set's newest version.

    Returns the runs that each was made of. InputError where a function gives something else than one number a sample.
    """
    functions, dataset = functions_of(path), open_dataset(cache, data)
    runs = [run for run in load_runs(cache, data) if run.looks and not run.problem and run.config.fingerprint == dataset.fingerprint]
    runs = [run for run in runs if recipe in (None, "all", run.recipe)]
    if not runs:
        raise InputError(f"data set {data!r} has no recorded run to score yet. Train first, or name another recipe.")
    columns: dict[str, dict[str, np.ndarray]] = {name: {} for name in functions}
    for run in runs:
        recording = load_recording(cache, data, run.id, verify=True)
        for name, function in functions.items():
            columns[name][run.id] = _spread(name, run, recording, function, dataset.N)
    for name, function in functions.items():
        said = (inspect.getdoc(function) or f"{name} of {path.name}.").splitlines()[0]
        high_is = HIGH_IS[getattr(function, "easy_is", "neither")]
        imported.save(cache, dataset, name, np.arange(dataset.N), columns[name], high_is=high_is, sentence=said)
    return {name: runs for name in functions}


def _spread(name: str, run: Run, recording: Recording, function: Callable, rows: int) -> np.ndarray:
    score_n = np.asarray(function(recording))
    if score_n.shape != (recording.N,) or score_n.dtype.kind not in "biuf":
        raise InputError(f"{name} of run {run.id}: expected ({recording.N},) numbers, got {score_n.dtype} {score_n.shape}.")
    score_N = np.full(rows, np.nan)
    score_N[recording.sample_ids_N] = score_n
    return score_N
