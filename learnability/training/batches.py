"""Images on the device; order and augmentation as functions of (seed, epoch); batches with the rows they were made of.

Nothing here depends on batch size, device or earlier epochs, so a resumed run sees the same images in the same order.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch

from learnability.curriculum import PURPOSES, words

PAD = 4  # zeros around an image before it is cropped, in pixels
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


class Images:
    """Rows of a mapped (rows, H, W, C) uint8 array, cut and normalised into (B, C, H, W) float32 batches on `device`.

    `resident` keeps all rows on the device; else each batch is read from the array. The batches are the same.
    """

    def __init__(self, images: np.ndarray, ids_n: np.ndarray, mean, std, device: torch.device, layout: str, resident: bool | None = None):
        self.images, self.ids_n, self.device, self.layout = images, ids_n, device, layout
        self.H, self.W, self.C = images.shape[1:]
        deviations = torch.tensor(std, dtype=torch.float64)
        self.scale = (1 / (255 * deviations)).float().to(device)
        self.shift = (-torch.tensor(mean, dtype=torch.float64) / deviations).float().to(device)
        self.rows, self.columns = torch.arange(self.H, device=device), torch.arange(self.W, device=device)
        if resident is None:
            resident = len(ids_n) * (self.H + 2 * PAD) * (self.W + 2 * PAD) * self.C < free_memory(device) / 2
        self.padded = self._read(np.arange(len(ids_n))) if resident else None

    def __call__(self, rows_B: torch.Tensor, y_B: torch.Tensor, x_B: torch.Tensor, flip_B: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float32: window (y, x) of each padded image, mirrored where `flip_B`, then normalised."""
        padded = self._read(rows_B.cpu().numpy()) if self.padded is None else self.padded.index_select(0, rows_B)
        B, Hp, Wp, C = padded.shape
        y_BH = self.rows + y_B[:, None]
        x_BW = torch.where(flip_B[:, None], self.W - 1 - self.columns, self.columns) + x_B[:, None]
        image_B = torch.arange(B, device=self.device)
        place_BHW = ((image_B * Hp)[:, None] + y_BH)[:, :, None] * Wp + x_BW[:, None, :]
        pixels = padded.view(-1, C).index_select(0, place_BHW.view(-1)).view(B, self.H, self.W, C)
        images = pixels.float().mul_(self.scale).add_(self.shift).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last if self.layout == "channels_last" else torch.contiguous_format)

    def _read(self, rows: np.ndarray) -> torch.Tensor:
        """(n, H + 8, W + 8, C) uint8 on the device, zeros around."""
        shape = (len(rows), self.H + 2 * PAD, self.W + 2 * PAD, self.C)
        padded = torch.zeros(shape, dtype=torch.uint8)
        inner = padded.numpy()[:, PAD:-PAD, PAD:-PAD]
        step = max(1, _CHUNK // (self.H * self.W * self.C))
        for start in range(0, len(rows), step):
            inner[start : start + step] = self.images[self.ids_n[rows[start : start + step]]]
        return padded.to(self.device)


def batches(
    images: Images, labels_n: torch.Tensor, order_n: np.ndarray, views_n: Views, batch_size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(rows, images, labels) of each batch, in order; the last one may be smaller, and is neither dropped nor filled."""
    rows_n = torch.from_numpy(order_n).to(images.device)
    place_n = [torch.from_numpy(values[order_n]).to(images.device) for values in (views_n.y_n, views_n.x_n, views_n.flip_n)]
    for start in range(0, len(order_n), batch_size):
        rows_B = rows_n[start : start + batch_size]
        yield rows_B, images(rows_B, *(values[start : start + batch_size] for values in place_n)), labels_n[rows_B]


def plain_batches(images: Images, labels_n: torch.Tensor, batch_size: int, rows: np.ndarray | None = None):
    """Batches of the rows (all by default) in rising order, as the images are: for passes without an update."""
    ids_n = images.ids_n
    chosen = np.arange(len(ids_n)) if rows is None else rows
    return batches(images, labels_n, chosen, views(0, 0, ids_n, "none"), batch_size)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    import psutil

    return psutil.virtual_memory().available
