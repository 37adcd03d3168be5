"""From decisions to labels: a reviewed label version, and one class merged into another."""

import re

import numpy as np

from learnability.datasets import Dataset, open_version
from learnability.errors import InputError
from learnability.review.log import Action, decide, read_log, reviewing
from learnability.review.verdicts import Resolved, resolve, state
from learnability.store.datasets import label_versions, open_dataset, write_label_version
from learnability.store.identity import identities
from learnability.store.paths import Cache

_REVIEWED = re.compile(r"reviewed-([1-9]\d{0,8})")


def reviewed_labels(resolved: Resolved, original: Dataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """(labels of all rows, class names) after the review: relabels applied, dropped samples -1, all others as they were.

    The data set's classes keep their numbers, also where none of their samples is left; new ones follow, sorted by name.
    """
    new = {action.class_name for action in resolved.actions_n if action.class_name is not None} - set(original.class_names)
    class_names = (*original.class_names, *sorted(new))
    number = {name: i for i, name in reversed(list(enumerate(class_names)))}
    labels = np.concatenate([original.labels_N, original.test_labels_T])
    for i, action in zip(resolved.decided_n.tolist(), resolved.actions_n, strict=True):
        if action.verdict == "relabel":
            labels[i] = number[action.class_name]
        elif action.verdict == "drop":
            labels[i] = -1
    return labels, class_names


def label_version_from_reviews(cache: Cache, name: str, fingerprint8: str | None = None) -> str:
    """Name of the label version `reviewed-<n>` that holds what the review says now; made unless one with these labels is there.

    InputError while no decision changes a label.
    """
    original = open_dataset(cache, name, fingerprint8)
    with reviewing(cache, name):
        resolved = resolve(state(read_log(cache, name)), identities(original))
        labels, class_names = reviewed_labels(resolved, original)
        if np.array_equal(labels, np.concatenate([original.labels_N, original.test_labels_T])):
            raise InputError(f"the review of {name!r} changes no label yet: expected at least one relabel to another class or one drop.")
        there = [_REVIEWED.fullmatch(version) for version in label_versions(cache, name, original.fingerprint[:8])]
        numbers = [int(match[1]) for match in there if match]
        for n in sorted(numbers, reverse=True):
            if _holds(original, f"reviewed-{n}", labels, class_names):
                return f"reviewed-{n}"
        version = f"reviewed-{max(numbers, default=0) + 1}"
        own_names = class_names if class_names != tuple(original.class_names) else None
        write_label_version(cache, name, original.fingerprint[:8], version, labels, own_names)
    return version


def _holds(original: Dataset, version: str, labels: np.ndarray, class_names: tuple[str, ...]) -> bool:
    made = open_version(original.folder, version)
    return tuple(made.class_names) == class_names and np.array_equal(np.concatenate([made.labels_N, made.test_labels_T]), labels)


def merge_class(cache: Cache, name: str, class_name: str, into: str, *, by: str, why: str = "", fingerprint8: str | None = None) -> Action:
    """Relabels every sample of a class, as the review has it now, to another class, also a new one: one action, undone as one.

    Test samples go along; dropped ones stay dropped. InputError if the class has no samples.
    """
    original = open_dataset(cache, name, fingerprint8)
    version = identities(original)
    labels, class_names = reviewed_labels(resolve(state(read_log(cache, name)), version), original)
    rows = np.flatnonzero(np.isin(labels, [i for i, name in enumerate(class_names) if name == class_name]))
    if not len(rows) or class_name == into:
        there = ", ".join(repr(one) for one in class_names[:20])
        raise InputError(f"merge {class_name!r} into {into!r}: expected two classes, the first with samples; there is {there}.")
    why = why or f"class {class_name!r} merged into {into!r}"
    return decide(cache, name, version.samples(rows), "relabel", class_name=into, by=by, why=why)
