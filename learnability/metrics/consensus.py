"""The class that the networks would rather give a sample: the most frequent wrong prediction."""

from collections.abc import Sequence

import numpy as np

from learnability.errors import InputError
from learnability.metrics.looks import Looks, chunks, wrong_class
from learnability.recording import Recording


def most_frequent_wrong(recordings: Sequence[Recording]) -> tuple[np.ndarray, np.ndarray]:
    """What several runs take a sample for when they miss it: (class_N, share_N), counts added over all their looks.

    recordings   of the same samples under the same labels, each with `prediction`; their numbers of looks may differ
    class_N      float64, 0..K-1, -1 where no run ever missed, NaN where none saw the sample
    share_N      float64, 0..1, share of the looks that saw the sample in which that class was predicted
    Ties go to the class predicted last, then to the lowest. InputError if the recordings do not fit together.
    """
    _check(recordings)
    first, seen = recordings[0], [recording for recording in recordings if recording.E]
    class_N, share_N = np.full((2, first.N), np.nan)
    for rows in chunks(first.N, sum(recording.E for recording in seen)) if seen else ():
        several = [Looks(recording.rows(rows)) for recording in seen]
        never_seen_n = np.logical_and.reduce([looks.never_seen_n for looks in several])
        looks_n = sum(np.where(looks.never_seen_n, 0, looks.seen_n) for looks in several)
        class_n, count_n = wrong_class(several)
        class_N[rows] = np.where(never_seen_n, np.nan, class_n)
        share_N[rows] = np.where(never_seen_n, np.nan, count_n / np.maximum(looks_n, 1))
    return class_N, share_N


def _check(recordings: Sequence[Recording]) -> None:
    if not recordings:
        raise InputError("most_frequent_wrong: expected at least one recording, got none.")
    for recording in recordings:
        if recording.prediction_NE is None:
            raise InputError("most_frequent_wrong: expected recordings with the signal prediction, got one without. Leave that run out.")
        for name in ("sample_ids_N", "labels_N"):
            if not np.array_equal(getattr(recording, name), getattr(recordings[0], name)):
                raise InputError(
                    f"most_frequent_wrong: expected recordings of the same samples and labels, got other {name}. "
                    "Choose runs of one data set version and one label version, and take the rows they share."
                )
