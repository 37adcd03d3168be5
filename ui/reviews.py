"""What has been decided about samples, as pages read it. The length of the log is the key of what is kept here.

What is returned is shared between sessions and read-only.
"""

import dataclasses
import functools
import getpass

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability import export, review
from learnability.datasets import Dataset
from learnability.store.paths import Cache
from ui import data, state
from ui.series import Series

TAKEN = {"In at least half of the epochs": 0.5, "In any epoch": 0.0}  # how often a class must have been named to be counted


STATUS = ("Undecided", "Kept", "Relabelled", "Dropped", "Unsure")  # 0, then as in review.VERDICTS


@dataclasses.dataclass(frozen=True, eq=False)
class Reviewed:
    """The log of a data set, and what it says of the samples of one version."""

    log: review.Log
    resolved: review.Resolved
    progress: review.Progress
    classes: list[str]  # to relabel to: the data set's own, then those that relabels brought
    tags: list[str]  # that are in use
    original: Dataset

    @functools.cached_property
    def decided_N(self) -> np.ndarray:
        """(N,) bool, train samples that have a verdict."""
        return self.resolved.codes[: self.original.N] > 0

    def left(self, sample_ids: np.ndarray) -> np.ndarray:
        """Those of the samples that are not decided, in their order."""
        return sample_ids[~self.decided_N[sample_ids]]


@dataclasses.dataclass(frozen=True, eq=False)
class Suspects:
    """Who the review asks about, by the scores of one group or run."""

    suspicion: Series
    rows_N: np.ndarray  # rows of the series, most suspicious first
    wrong_N: np.ndarray  # most frequent wrong class of each row of the series, -1 where there is none
    share_N: np.ndarray  # share of the epochs in which that class was named

    @property
    def order_N(self) -> np.ndarray:
        """Sample ids, most suspicious first."""
        return self.suspicion.sample_ids_N[self.rows_N]

    def wrong_of(self, sample_id: int) -> int:
        row = int(self.suspicion.rows(np.array([sample_id]))[0])
        return int(self.wrong_N[row]) if row >= 0 else -1


def reviewed(opened: Dataset) -> Reviewed:
    """What the log says now; also what another tab or the shell has added."""
    return _reviewed(str(data.cache().root), opened.name, opened.fingerprint[:8], review.log_length(data.cache(), opened.name))


@st.cache_resource(max_entries=4, show_spinner=False)
def _reviewed(root: str, name: str, fingerprint8: str, length: int) -> Reviewed:
    original = data.dataset(name, fingerprint8)
    log = review.read_log(Cache.at(root), name)
    found = review.state(log)
    resolved = review.resolve(found, data.identities(original))
    classes = review.class_choices(found, original.class_names)
    return Reviewed(log, resolved, review.progress(resolved, original), classes, found.tag_names, original)


def status_of(opened: Dataset, sample_ids: np.ndarray) -> np.ndarray:
    """What has been decided of each sample, as a place in STATUS."""
    return reviewed(opened).resolved.codes[sample_ids]


def suspects(scores: dict[str, Series | None]) -> Suspects | None:
    """From the series of suspicion, aum, consensus_prediction and consensus_share; None where the recording lacks one."""
    if any(scores[name] is None for name in ("suspicion", "consensus_prediction", "consensus_share")):
        return None
    return _suspects(scores["suspicion"], scores["aum"], scores["consensus_prediction"], scores["consensus_share"])


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={Series: lambda made: made.key})
def _suspects(suspicion: Series, aum: Series | None, prediction: Series, share: Series) -> Suspects:
    ids_N = suspicion.sample_ids_N
    aum_N = np.full(len(ids_N), np.nan) if aum is None else aum.score_N
    rows = review.queue(suspicion.score_N, aum_N, ids_N, np.zeros(len(ids_N), bool))
    wrong_N = review.wrong_class(prediction.score_RN, share.score_RN)
    named_RN = np.where(prediction.score_RN == wrong_N, np.nan_to_num(share.score_RN), 0.0)
    return Suspects(suspicion, rows.astype(np.int32), wrong_N.astype(np.int32), named_RN.mean(0).astype(np.float32))


def pairs(found: Suspects, done: Reviewed, taken: str) -> pa.Table:
    """Label x most frequent wrong class, counts, largest first."""
    return _pairs(found, done.log.length, done, taken)


@st.cache_resource(
    max_entries=8,
    show_spinner=False,
    hash_funcs={Suspects: lambda found: found.suspicion.key, Reviewed: lambda done: done.original.fingerprint},
)
def _pairs(found: Suspects, length: int, done: Reviewed, taken: str) -> pa.Table:
    made = found.suspicion
    return review.pairs(made.labels_N, found.wrong_N, done.decided_N[made.sample_ids_N], found.share_N >= TAKEN[taken])


def samples_of(found: Suspects, taken: str, label: int, wrong: int) -> np.ndarray:
    """Sample ids of one cell of that table, most suspicious first."""
    made = found.suspicion
    inside_N = (made.labels_N == label) & (found.wrong_N == wrong) & (found.share_N >= TAKEN[taken])
    return made.sample_ids_N[found.rows_N[inside_N[found.rows_N]]]


# what leaves the page


def corrected(opened: Dataset, only_changed: bool) -> pa.Table:
    """One row a sample with its old and its new label; with `only_changed` those that somebody decided or tagged."""
    done = reviewed(opened)
    labels, class_names = review.reviewed_labels(done.resolved, done.original)
    decisions = done.resolved.to_arrow()
    table = export.corrected_labels(done.original, labels, class_names, decisions)
    return table.take(decisions["sample_id"]) if only_changed else table


# who decides


def reviewer() -> str:
    """Under whose name this session decides: as typed on the review page, else the user of this machine."""
    return (state.widget("review_by") or "").strip() or user_name()


def reason() -> str:
    return (state.widget("review_why") or "").strip()


@functools.cache
def user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
