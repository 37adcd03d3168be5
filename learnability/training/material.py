"""What a run is made of: which rows, with which labels, trained on or held out, and the images behind them."""

import dataclasses

import numpy as np

from learnability.config import RunConfig
from learnability.curriculum import PURPOSES, Schedule, words
from learnability.datasets import trained_ids
from learnability.errors import ConfigError
from learnability.store.datasets import ensure_labels, open_dataset
from learnability.store.paths import Cache
from learnability.training.curricula import schedule_of


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """The rows of a run's recording, and the test samples."""

    ids_N: np.ndarray  # rows of the data set version, rising
    labels_N: np.ndarray
    trained_N: np.ndarray  # bool; the others are held out
    class_count: int
    images: np.ndarray  # all train images of the data set, (rows, H, W, C) uint8, mapped
    test_images: np.ndarray | None
    test_labels_T: np.ndarray
    schedule: Schedule | None = None  # of a curriculum

    @property
    def test_ids(self) -> np.ndarray:
        """Rows of the test samples that have a label."""
        return np.flatnonzero(self.test_labels_T >= 0) if self.test_images is not None else np.zeros(0, np.int64)


def gathered(cache: Cache, config: RunConfig) -> Material:
    """What `config` trains on, from the cache; ConfigError where it cannot be trained on."""
    ensure_labels(cache, config.data, config.fingerprint[:8], config.labels)
    dataset = open_dataset(cache, config.data, config.fingerprint[:8], config.labels)
    if dataset.fingerprint != config.fingerprint:
        raise ConfigError(
            f"data set {config.data!r} has fingerprint {dataset.fingerprint}, not {config.fingerprint}. Make the config anew."
        )
    if dataset.images is None:
        raise ConfigError(f"data set {config.data!r} has no images to train on. Prepare one from pictures.")
    if dataset.K < 2:
        raise ConfigError(f"data set {config.data!r} has {dataset.K} class: expected at least two. Add samples of another class.")
    count = int((dataset.labels_N >= 0).sum())
    if config.subset is not None and config.subset > count:
        raise ConfigError(f"subset {config.subset}: expected at most {count}, the train samples of {config.data!r}.")
    ids_N = trained_ids(dataset.labels_N, config.subset)
    labels_N = dataset.labels_N[ids_N]
    trained_N = np.ones(len(ids_N), bool)
    if config.folds is not None:
        trained_N = folds(ids_N, labels_N, config.folds) != config.fold
    schedule = None
    if config.curriculum is not None:
        schedule = schedule_of(cache, config, dataset, ids_N[trained_N], labels_N[trained_N])
        trained_N &= np.isin(ids_N, schedule.order_N)
    if trained_N.sum() < 2:
        raise ConfigError(f"{trained_N.sum()} samples to train on: expected at least two. Prepare more or choose a larger subset.")
    return Material(ids_N, labels_N, trained_N, dataset.K, dataset.images, dataset.test_images, dataset.test_labels_T, schedule)


def folds(ids_N: np.ndarray, labels_N: np.ndarray, count: int) -> np.ndarray:
    """(N,) fold 0..count-1 of each sample: every class spread evenly, the same for all architectures and seeds."""
    word_N = words(0, PURPOSES["folds"], count, int(ids_N.max()) + 1)[ids_N]
    place_N = np.empty(len(ids_N), np.int64)
    place_N[np.lexsort((word_N, labels_N))] = np.arange(len(ids_N))
    return place_N % count
