"""Images on the device; order and augmentation as functions of (seed, epoch); batches with the rows they were made of.

Nothing here depends on batch size, device or earlier epochs, so a resumed run sees the same images in the same order.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from learnability.curriculum import PURPOSES, words
from learnability.training.images import PAD, Images

_CHUNK = 1 << 26  # bytes of images looked at in one piece


def order(seed: int, epoch: int, ids_n: np.ndarray) -> np.ndarray:
    """Positions 0..n-1 of the samples `ids_n` in the order of their words: the order of an epoch."""
    return np.argsort(words(seed, PURPOSES["order"], epoch, int(ids_n.max()) + 1)[ids_n], kind="stable")


@dataclasses.dataclass(frozen=True)
class Views:
    """How each of n images is cut: offsets of the window in the padded image, and whether it is mirrored."""

    y_n: np.ndarray
    x_n: np.ndarray
    flip_n: np.ndarray


def views(seed: int, epoch: int, ids_n: np.ndarray, augment: str) -> Views:
    """The views of the samples `ids_n` in an epoch; `augment` is none, flip or crop-flip."""
    n, count = len(ids_n), int(ids_n.max()) + 1
    middle_n = np.full(n, PAD, np.int64)
    if augment == "none":
        return Views(middle_n, middle_n, np.zeros(n, bool))
    flip_n = (words(seed, PURPOSES["flip"], epoch, count)[ids_n] >> np.uint64(63)).astype(bool)
    if augment == "flip":
        return Views(middle_n, middle_n, flip_n)
    places = 2 * PAD + 1
    place_n = (words(seed, PURPOSES["crop"], epoch, count)[ids_n] % np.uint64(places * places)).astype(np.int64)
    return Views(place_n // places, place_n % places, flip_n)


def channel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of (N, H, W, C) uint8, as shares of 255; the same for any chunk size.

    Sums are whole numbers, so nothing is rounded before the end. Of more than 4 GB evenly spaced images are taken.
    """
    chosen = images[:: max(1, images.nbytes // (4 * 10**9))]
    step = max(1, _CHUNK // chosen[0].nbytes)
    levels = np.arange(256)
    counts = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(chosen), step):
        part = np.asarray(chosen[start : start + step])
        for channel in range(len(counts)):
            counts[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
    totals = counts.sum(1)
    means = (counts * levels).sum(1) / totals
    deviations = np.sqrt((counts * (levels - means[:, None]) ** 2).sum(1) / totals)
    return (means / 255).tolist(), np.maximum(deviations / 255, 1 / 255).tolist()


def share(order_n: np.ndarray, ends: list[int], rank: int, ranks: int) -> tuple[np.ndarray, list[int]]:
    """Rows r, r + R, ... of each of the batches order_n[:ends[0]], order_n[ends[0]:ends[1]], ..., for rank r of R; and their ends."""
    parts = [order_n[start + rank : end : ranks] for start, end in zip([0, *ends], ends, strict=False)]
    return np.concatenate([order_n[:0], *parts]), np.cumsum([len(part) for part in parts]).tolist()


def batches(
    images: Images, labels_n: torch.Tensor, order_n: np.ndarray, views_n: Views, batch_size: int, rank: int = 0, ranks: int = 1
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(rows, images, labels) of each batch, in order; the last one may be smaller, and is neither dropped nor filled.

    Of several `ranks` each gets its share of every batch, which may be no row at all.
    """
    ends = [min(start + batch_size, len(order_n)) for start in range(0, len(order_n), batch_size)]
    if ranks > 1:
        order_n, ends = share(order_n, ends, rank, ranks)
    places = images.places(order_n, ends)
    rows_n, places_n = (torch.from_numpy(values).to(images.device) for values in (order_n, places.places_n))
    cuts_n = [torch.from_numpy(values[order_n]).to(images.device) for values in (views_n.y_n, views_n.x_n, views_n.flip_n)]
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        places.ready(number)
        rows_B = rows_n[start:end]
        yield rows_B, images(places_n[start:end], *(values[start:end] for values in cuts_n)), labels_n[rows_B]


def plain_batches(images: Images, labels_n: torch.Tensor, batch_size: int, rows: np.ndarray | None = None, rank: int = 0, ranks: int = 1):
    """Batches of the rows (all by default) in rising order, as the images are: for passes without an update."""
    ids_n = images.ids_n
    chosen = np.arange(len(ids_n)) if rows is None else rows
    return batches(images, labels_n, chosen, views(0, 0, ids_n, "none"), batch_size, rank, ranks)
