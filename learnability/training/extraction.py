"""One pass of a frozen backbone over all images of a data set version: its features, kept for every head to come.

Each image is shown as the backbone wants it, from the best picture that is there: the original where `pictures` reaches it,
else the thumbnail or the prepared image, whichever is larger. How many came from where stands beside the features.
"""

import concurrent.futures
import io
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import nn

from learnability.datasets import Dataset
from learnability.errors import NonFinite
from learnability.store.features import Backbone, FeatureSet, FeatureWriter
from learnability.training import devices

BATCH = 64  # images a pass; fixed, so that the same images always stand together
COMMIT_S = 5.0  # between two parts on disk
_LARGEST = 65504.0  # of float16
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Pictures(Protocol):
    """The originals of a data set, in the order of its samples."""

    def payloads(self, start: int) -> Iterator:
        """What there is of each sample from `start` on."""

    def image(self, sample_id: int, payload, needed: int) -> Image.Image | None:
        """The original, upright as L or RGB, its shorter side at least `needed` px; None where it is not there or another by now."""


def extracted(
    writer: FeatureWriter,
    one: FeatureSet,
    dataset: Dataset,
    network: nn.Module,
    device: torch.device,
    threads: int,
    pictures: Pictures | None,
    goes_on: Callable[[int], bool],
) -> bool:
    """Fills `writer` from where it stands; whether all rows are there. `goes_on(rows done)` is asked before every batch."""
    total, backbone = writer.shape[0], one.backbone
    network = network.to(device).eval()
    memory_format = _fastest_layout(network, backbone, device)
    counts, clamped = Counter(writer.told.get("pictures", {})), writer.told.get("clamped", 0)
    waiting: list[np.ndarray] = []
    start, last, before = time.monotonic(), time.monotonic(), writer.told.get("seconds", 0.0)

    def told() -> dict:
        return {"pictures": dict(counts), "clamped": clamped, "seconds": round(before + time.monotonic() - start, 1)}

    payloads = pictures.payloads(writer.done) if pictures is not None else itertools.repeat(None)

    def shown(row: int, payload) -> tuple[str, np.ndarray]:
        kind, image = _picture(dataset, row, backbone, pictures, payload)
        return kind, prepared(image, backbone)

    def asked(first: int) -> list[concurrent.futures.Future]:
        return [pool.submit(shown, row, next(payloads)) for row in range(first, min(first + BATCH, total))]

    with concurrent.futures.ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix="pictures") as pool:
        coming = asked(writer.done)
        row, more = writer.done, True
        while row < total and (more := goes_on(row)):
            batch = [future.result() for future in coming]
            following = row + len(batch)
            coming = asked(following)
            features = _passed(network, np.stack([pixels for _, pixels in batch]), backbone, device, memory_format)
            if (bad := np.flatnonzero(~np.isfinite(features).all(1))).size:
                raise NonFinite(f"backbone {one.name} gives NaN or infinity for sample {row + bad[0]}; no features are kept of it.")
            clamped += int((np.abs(features) > _LARGEST).sum())
            counts.update(kind for kind, _ in batch)
            waiting.append(np.clip(features, -_LARGEST, _LARGEST).astype(np.float16))
            row = following
            if time.monotonic() - last >= COMMIT_S:
                writer.append(np.concatenate(waiting), told())
                waiting, last = [], time.monotonic()
        for future in coming:
            future.cancel()
    if waiting:
        writer.append(np.concatenate(waiting), told())
    if row < total or not more:
        return False
    writer.finish(_statistics(writer, dataset.N) | _made_with(device, threads))
    return True


def prepared(image: Image.Image, backbone: Backbone) -> np.ndarray:
    """(C, height, width) uint8: the shorter side made `resize` px long, and the middle cut out; or stretched."""
    image = image.convert("L" if backbone.channels == 1 else "RGB")
    height, width, how = backbone.height, backbone.width, _RESAMPLING.get(backbone.interpolation, Image.Resampling.BICUBIC)
    if backbone.resize == 0:
        image = image.resize((width, height), how)
    else:
        shorter = min(image.size)  # sizes are rounded as torchvision and timm round them
        size = tuple(backbone.resize if side == shorter else int(backbone.resize * side / shorter) for side in image.size)
        image = image.resize(size, how) if size != image.size else image
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        image = image.crop((left, top, left + width, top + height))
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _picture(dataset: Dataset, row: int, backbone: Backbone, pictures: Pictures | None, payload) -> tuple[str, Image.Image]:
    """original, thumbnail or prepared, and that picture."""
    thumbnail = dataset.thumbnail(row)
    if thumbnail is None:  # then no original is larger than what was prepared
        return "prepared", _prepared_image(dataset, row)
    if pictures is not None:
        original = pictures.image(row, payload, 2 * max(backbone.resize, backbone.height, backbone.width))
        if original is not None:
            return "original", original
    small = Image.open(io.BytesIO(thumbnail), formats=["WEBP"])
    if min(small.size) > min(dataset.H, dataset.W):
        return "thumbnail", small.convert("RGB")
    return "prepared", _prepared_image(dataset, row)


def _prepared_image(dataset: Dataset, row: int) -> Image.Image:
    pixels = np.asarray(dataset.images[row] if row < dataset.N else dataset.test_images[row - dataset.N])
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


@torch.no_grad()
def _passed(
    network: nn.Module, pixels: np.ndarray, backbone: Backbone, device: torch.device, memory_format: torch.memory_format
) -> np.ndarray:
    """(B, d) float32 of (B, C, height, width) uint8."""
    mean = torch.tensor(backbone.mean, device=device)[:, None, None]
    std = torch.tensor(backbone.std, device=device)[:, None, None]
    images = (torch.from_numpy(pixels).to(device).float() / 255 - mean) / std
    return network(images.contiguous(memory_format=memory_format)).float().cpu().numpy()


@torch.no_grad()
def _fastest_layout(network: nn.Module, backbone: Backbone, device: torch.device) -> torch.memory_format:
    """channels_last where the network, which is put into it, runs so."""
    images = torch.zeros(2, backbone.channels, backbone.height, backbone.width, device=device)
    if device.type != "mps":
        try:
            network.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
            return torch.channels_last
        except RuntimeError as error:
            if devices.out_of_memory(error):
                raise
    network.to(memory_format=torch.contiguous_format)
    return torch.contiguous_format


def _statistics(writer: FeatureWriter, train: int) -> dict:
    """Mean and deviation of each feature over the train rows, in float64, part by part in the order of the rows."""
    step = max(1, (1 << 24) // (8 * writer.shape[1]))
    total, squares = np.zeros(writer.shape[1]), np.zeros(writer.shape[1])
    for start in range(0, train, step):
        total += writer.rows(start, min(start + step, train)).astype(np.float64).sum(0)
    mean = total / train
    for start in range(0, train, step):
        squares += ((writer.rows(start, min(start + step, train)).astype(np.float64) - mean) ** 2).sum(0)
    return {"mean": mean.tolist(), "std": np.sqrt(squares / train).tolist()}


def _made_with(device: torch.device, threads: int) -> dict:
    return {"device": device.type, "device_name": devices.device_name(device), "threads": threads, "torch": torch.__version__}
