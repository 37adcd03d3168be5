"""Small data sets that a network can learn in seconds, written as `prepare` leaves them."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from learnability.config import FORMAT, RunConfig
from learnability.datasets import fingerprint, image_hash
from learnability.store.files import write_file, write_json, write_table
from learnability.store.paths import Cache


@dataclasses.dataclass
class Toy:
    """A cache with one data set of coloured stripes: the class is the direction, the rest is noise."""

    cache: Cache
    name: str
    fingerprint: str

    def config(self, **fields) -> RunConfig:
        chosen = {"arch": "tiny", "epochs": 2, "batch_size": 16, "precision": "fp32", **fields}
        return RunConfig(data=self.name, fingerprint=self.fingerprint, **chosen)


def pictures(count: int, class_count: int, channels: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, size, size, channels) uint8 and labels; the same for the same arguments."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % class_count
    y, x = np.mgrid[:size, :size]
    angles = np.pi * labels[:, None, None, None] / class_count
    along = np.cos(angles) * x[None, :, :, None] + np.sin(angles) * y[None, :, :, None]
    wave = np.sin(along / 2 + draw.random((count, 1, 1, channels)) * 6)
    return (127 + 60 * wave + draw.normal(0, 40, (count, size, size, channels))).clip(0, 255).astype(np.uint8), labels


def tiny(num_classes: int, in_channels: int) -> nn.Module:
    """A network of milliseconds, given to `train` as an architecture of one's own."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
    )  # fmt: skip


def unnormed(num_classes: int, in_channels: int) -> nn.Module:
    """`tiny` without batch norm: what it makes of an image does not depend on the others of a batch."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
    )  # fmt: skip


def failing(num_classes: int, in_channels: int) -> nn.Module:
    """`tiny`, but its logits are NaN for every image once it has taken ten updates."""
    network = tiny(num_classes, in_channels)
    network.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def spoilt(module, _inputs, logits):
        module.passes += module.training
        return logits * torch.where(module.passes > 10, torch.nan, 1.0)

    network.register_forward_hook(spoilt)
    return network


def flat(num_classes: int, in_channels: int) -> nn.Module:
    """A network whose batch norm sees one value a channel and sample."""
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, 8), nn.BatchNorm1d(8))
    return nn.Sequential(*pooled, nn.ReLU(), nn.Linear(8, num_classes))


OWN = {name: f"tests.training.toy:{name}" for name in ("tiny", "failing", "unnormed")}


def make_toy(root, N=70, T=20, K=4, C=3, size=32, name="toy") -> Toy:
    cache = Cache.at(root)
    images, labels = pictures(N + T, K, C, size, seed=7)
    keys, hashes = [f"{i:04d}" for i in range(N + T)], [image_hash(image) for image in images]
    names = [f"direction {k}" for k in range(K)]
    whole = fingerprint(hashes, keys, names, (size, size, C))
    folder = cache.datasets / name / whole[:8]
    (folder / "labels").mkdir(parents=True)
    np.save(folder / "images.npy", images)
    info = {"format": FORMAT, "name": name, "fingerprint": whole, "train": N, "test": T, "H": size, "W": size, "C": C, "class_names": names}
    write_json(folder / "dataset.json", json.loads(json.dumps(info)))
    ids = np.arange(N + T)
    split = ["train"] * N + ["test"] * T
    sides = np.full(N + T, size, np.int32)
    columns = {"sample_id": ids, "key": keys, "hash": hashes, "split": split, "width": sides, "height": sides}
    write_table(folder / "samples.parquet", pa.table(columns))
    write_table(folder / "labels" / "original.parquet", pa.table({"sample_id": ids, "label": labels.astype(np.int64)}))
    write_file(cache.datasets / name / "current", whole[:8].encode())
    return Toy(cache, name, whole)
