"""Features in the place of images: rows of a set of features as batches on the device."""

from collections.abc import Sequence

import numpy as np
import torch

from learnability.store.features import FeatureSet
from learnability.training.images import Places, free_memory

NORM = 8.0  # of a sample, on average: the same learning rate then suits few features and many


class Features:
    """Rows `ids_n` of a mapped (rows, d) float16 array as (B, d) float32 batches, each feature standardised over the train rows.

    Takes the place of `Images`: how an image would be cut or mirrored is passed over. Where they do not fit on the device,
    each batch is read from the file.
    """

    layout = "nchw"

    def __init__(self, one: FeatureSet, features: np.ndarray, ids_n: np.ndarray, device: torch.device):
        self.features, self.ids_n, self.device = features, ids_n, device
        mean, std = np.array(one.made["mean"]), np.array(one.made["std"])
        scale = np.where(std > 1e-6, NORM / np.maximum(std, 1e-6) / len(std) ** 0.5, 0.0)
        self.scale = torch.from_numpy(scale).float().to(device)
        self.shift = torch.from_numpy(-mean * scale).float().to(device)
        fits = len(ids_n) * len(std) * 2 < free_memory(device) / 2
        self.resident = torch.from_numpy(np.ascontiguousarray(features[ids_n])).to(device) if fits else None

    def places(self, rows: np.ndarray, _ends: Sequence[int]) -> Places:
        return Places(rows)

    def __call__(self, places_B: torch.Tensor, *_cuts: torch.Tensor) -> torch.Tensor:
        if self.resident is not None:
            taken = self.resident.index_select(0, places_B)
        else:
            taken = torch.from_numpy(self.features[self.ids_n[places_B.cpu().numpy()]]).to(self.device)
        return torch.addcmul(self.shift, taken.float(), self.scale)
