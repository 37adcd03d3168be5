"""What a look has seen so far, kept on the device; and what it comes to at its end."""

import dataclasses

import numpy as np
import torch

from learnability.errors import InputError, NonFinite
from learnability.recording import storage_dtype
from learnability.training.recorder import signals

KEPT = ("loss", "margin", "el2n", "entropy")
LARGEST = 65504.0  # of float16
TOO_MANY = 100  # times the number of samples, in one look: nobody ends it


class Notes:
    """The batches of one look. Adding one waits for nothing: no number leaves the device before the look ends."""

    def __init__(self):
        self.ids: list[torch.Tensor] = []  # int64, where the caller has them
        self.packed: list[torch.Tensor] = []  # (6, B) int32: prediction, label, and the bits of KEPT
        self.count = 0

    @torch.no_grad()
    def add(self, ids: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """One batch: ids (B,), logits (B, K), labels (B,); ids may lie elsewhere than logits."""
        logits = logits.detach().float()
        labels = labels.to(logits.device, torch.int64)
        predictions, kept = signals(logits, labels.clamp(0, logits.shape[1] - 1))
        whole = torch.stack((predictions, labels)).to(torch.int32)
        self.packed.append(torch.cat((whole, kept.view(torch.int32))))
        self.ids.append(ids.to(torch.int64, copy=True))
        self.count += len(ids)

    def taken(self) -> tuple[np.ndarray, np.ndarray]:
        """(ids (n,) int64, packed (6, n) int32) of all batches in their order; the next look begins."""
        found = self.arrays()
        self.ids, self.packed, self.count = [], [], 0
        return found

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.ids:
            return np.zeros(0, np.int64), np.zeros((2 + len(KEPT), 0), np.int32)
        together = [torch.cat([one.cpu() for one in self.ids]) if len({one.device for one in self.ids}) > 1 else torch.cat(self.ids)]
        return together[0].cpu().numpy(), torch.cat(self.packed, 1).cpu().numpy()

    def put(self, ids_n: np.ndarray, packed: np.ndarray) -> None:
        """What was noted before a checkpoint in the middle of a look."""
        if len(ids_n):
            self.ids, self.packed, self.count = [torch.from_numpy(ids_n)], [torch.from_numpy(packed)], len(ids_n)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """One look: the signals as they are stored, and what they come to."""

    signals: dict[str, np.ndarray]  # (N, 1) each
    labels_N: np.ndarray  # -1 where not seen
    seen: int
    duplicates: int  # times a sample was seen again: the last time counts
    loss: float
    accuracy: float
    clamped: int


def look_of(rows_n: np.ndarray, packed: np.ndarray, row_count: int, class_count: int, number: int) -> Look:
    """The look that rows 0..N-1 were seen in; a row seen more than once keeps the last. NonFinite names the first rows."""
    values = packed[2:].view(np.float32)
    if (bad := np.flatnonzero(~np.isfinite(values).all(0))).size:
        named = ", ".join(map(str, np.unique(rows_n[bad])[:5]))
        raise NonFinite(
            f"NaN or infinity in the logits of {bad.size} samples at look {number}, first of them rows {named}; that look is not kept. A "
            "lower learning rate or a longer warm-up usually helps."
        )
    whole_N = np.full((2, row_count), -1, np.int64)
    whole_N[:, rows_n] = packed[:2]
    kept_N = np.zeros((len(KEPT), row_count), np.float32)
    kept_N[:, rows_n] = values
    prediction_N, label_N = whole_N
    seen_N = prediction_N >= 0
    seen = int(seen_N.sum())
    kind = storage_dtype("prediction", class_count)
    stored = {"prediction": np.where(seen_N, prediction_N, np.iinfo(kind).max).astype(kind)[:, None]}
    for name, value_N in zip(KEPT, kept_N, strict=True):
        unseen = np.float32(np.nan if name == "loss" else 0)
        stored[name] = np.where(seen_N, np.clip(value_N, -LARGEST, LARGEST), unseen).astype(storage_dtype(name, class_count))[:, None]
    return Look(
        signals=stored,
        labels_N=label_N,
        seen=seen,
        duplicates=len(rows_n) - seen,
        loss=float(kept_N[0][seen_N].mean(dtype=np.float64)) if seen else float("nan"),
        accuracy=float((prediction_N == label_N)[seen_N].mean()) if seen else float("nan"),
        clamped=int((np.abs(kept_N[:, seen_N]) > LARGEST).sum()),
    )


def checked_batch(logits, labels) -> tuple[torch.Tensor, torch.Tensor]:
    """logits (B, K) and labels (B,) as tensors; InputError says what is wrong with them. Nothing waits for the device."""
    logits, labels = (one if isinstance(one, torch.Tensor) else torch.as_tensor(np.asarray(one)) for one in (logits, labels))
    if logits.ndim == 1 or (logits.ndim == 2 and logits.shape[1] == 1):
        raise InputError(
            f"logits {tuple(logits.shape)}: expected (B, K) with K >= 2 classes. For one logit z a sample give torch.stack((0 * z, z), 1)."
        )
    if logits.ndim != 2 or not logits.is_floating_point():
        raise InputError(f"logits {tuple(logits.shape)} of {logits.dtype}: expected floating point of shape (B, K), one row a sample.")
    if labels.ndim == 2 or labels.is_floating_point():
        raise InputError(
            f"labels {tuple(labels.shape)} of {labels.dtype}: expected one class number a sample. Soft labels (mixup, cutmix, smoothed "
            'vectors) say of no sample what it is: use eval - Recorder(..., record="eval"), fed by a pass over the plain train samples '
            "after each epoch."
        )
    if labels.shape != logits.shape[:1]:
        raise InputError(f"labels {tuple(labels.shape)}: expected ({len(logits)},), one for each row of logits {tuple(logits.shape)}.")
    return logits, labels
