"""A run under a curriculum: the order and pacing that `RunConfig.curriculum` names, and the batches they make.

`<order>:<pacing>`, for example `easy-by-learnability:linear,a=0.8,b=0.2`. The order is one saved in the cache, joined by
key and hash, or `random`: a fixed shuffle of this run's own seed under the same pacing, the control for the order. Its classes
come in evenly; in `random-unbalanced` they come as the shuffle has them, beside orders made without class balancing.
"""

from collections.abc import Iterator

import numpy as np
import torch

from learnability.config import RunConfig
from learnability.curriculum import SHUFFLES, Schedule, order, parse_pacing
from learnability.datasets import Dataset
from learnability.errors import ConfigError, NotFound
from learnability.store.files import read_table
from learnability.store.identity import identities
from learnability.store.paths import Cache
from learnability.training.batches import views
from learnability.training.images import Images


def schedule_of(cache: Cache, config: RunConfig, dataset: Dataset, ids_N: np.ndarray, labels_N: np.ndarray) -> Schedule:
    """The batches of all steps, of those of the samples `ids_N` that the order holds. ConfigError says what is wrong."""
    name, _, pacing = config.curriculum.partition(":")
    if config.record != "eval":
        raise ConfigError(
            f"curriculum {config.curriculum!r} with record {config.record!r}: a curriculum does not show every sample at every epoch, "
            "so the recording would have holes. Use record 'eval'."
        )
    if not pacing:
        raise ConfigError(f"curriculum {config.curriculum!r}: expected <order>:<pacing>, for example my-order:linear,a=0.8,b=0.2.")
    if name in SHUFFLES:
        told = {"seed": config.seed, "labels_N": labels_N, "balance": SHUFFLES[name], "sample_ids_N": ids_N}
        chosen = order(np.zeros(len(ids_N)), "high", "random", **told).ids_N
    else:
        chosen = _saved(cache, config.data, name, dataset)
        chosen = chosen[np.isin(chosen, ids_N)]
    if len(chosen) < max(config.batch_size, 2):
        raise ConfigError(
            f"curriculum {config.curriculum!r}: its order holds {len(chosen)} of the {len(ids_N)} samples of this run, expected at least "
            f"one batch of {config.batch_size}. Make the order from scores of this data set, or choose a smaller batch."
        )
    steps = config.epochs * -(-len(chosen) // config.batch_size)
    return Schedule(order_N=chosen, pacing=parse_pacing(pacing), batch_size=config.batch_size, steps=steps, seed=config.seed)


def _saved(cache: Cache, data: str, name: str, dataset: Dataset) -> np.ndarray:
    """Sample ids of a saved order, first in play first; samples that this version does not hold are left out."""
    path = cache.order(data, name)
    try:
        table = read_table(path, ["place", "key", "hash"]).sort_by("place")
    except NotFound as error:
        there = ", ".join(sorted(file.stem for file in path.parent.glob("*.parquet"))) or "none yet"
        raise ConfigError(
            f"order {name!r} of data set {data!r} not found; there is: {', '.join(SHUFFLES)}, {there}. Save one first."
        ) from error
    rows = identities(dataset).match(table["key"], table["hash"]).rows_n
    return rows[rows >= 0]


def paced_batches(
    images: Images, labels_N: torch.Tensor, schedule: Schedule, seed: int, augment: str, epoch: int, rank: int = 0, ranks: int = 1
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(rows, images, labels) of the updates of an epoch, or a rank's share; views are drawn anew at every pass over the pool."""
    known, passes, first = -1, schedule.passes[:, 0], epoch * schedule.epoch_length
    chosen = [np.searchsorted(images.ids_n, schedule.batch(step, rank, ranks)) for step in range(first, first + schedule.epoch_length)]
    rows_n, ends = np.concatenate(chosen), np.cumsum([len(rows) for rows in chosen])
    places = images.places(rows_n, ends)
    for number, rows in enumerate(chosen):
        current = int(np.searchsorted(passes, first + number, side="right")) - 1
        if current != known:
            known, seen = current, views(seed, current, images.ids_n, augment)
        places.ready(number)
        rows_B, places_B = (torch.from_numpy(a).to(images.device) for a in (rows, places.places_n[ends[number] - len(rows) : ends[number]]))
        cuts = [torch.from_numpy(values[rows]).to(images.device) for values in (seen.y_n, seen.x_n, seen.flip_n)]
        yield rows_B, images(places_B, *cuts), labels_N[rows_B]
