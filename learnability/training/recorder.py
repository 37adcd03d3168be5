"""Recorder: what a loop tells of its samples at every look. Ours calls it, and so can yours.

    recorder = Recorder(N, class_count)
    for epoch in range(epochs):
        for ids, images, labels in loader:
            logits = network(images)
            ...                                    # loss, backward, step
            recorder.update(ids, logits, labels)   # the logits of before the step
        look = recorder.end_look()                 # look.signals: five arrays (N, 1)

All sums run in float32, and only what is kept is rounded to float16. No update waits for the device.
"""

import dataclasses

import numpy as np
import torch

from learnability.errors import InputError, NonFinite
from learnability.recording import storage_dtype

_LARGEST = 65504.0  # of float16
_KEPT = ("loss", "margin", "el2n", "entropy")


@dataclasses.dataclass(frozen=True)
class Look:
    """One look: the signals as they are stored, and what they come to."""

    signals: dict[str, np.ndarray]  # (N, 1) each
    seen: int  # samples seen
    loss: float  # mean over the samples seen and counted, nats
    accuracy: float  # share of hits among them
    clamped: int  # values beyond the range of float16


class Recorder:
    """Notes prediction, loss, margin, el2n and entropy of N samples, each at most once a look.

    row_count    N, rows of the recording
    class_count  K >= 2
    device       where the logits are
    sample_ids   (N,) rising ids of the rows, where `update` is given ids other than 0..N-1
    """

    def __init__(self, row_count: int, class_count: int, device: str | torch.device = "cpu", sample_ids: np.ndarray | None = None):
        if class_count < 2:
            raise InputError(f"{class_count} classes: expected at least two.")
        self.N, self.K, self.device = row_count, class_count, torch.device(device)
        self.sample_ids_N = np.arange(row_count) if sample_ids is None else np.asarray(sample_ids)
        if self.sample_ids_N.shape != (row_count,) or (np.diff(self.sample_ids_N) <= 0).any():
            raise InputError(f"sample_ids: expected {row_count} rising ids, none twice, got shape {self.sample_ids_N.shape}.")
        self.row_of_id = None
        if sample_ids is not None:
            rows = np.full(int(self.sample_ids_N[-1]) + 2, row_count)  # the row behind the last one takes ids we do not hold
            rows[self.sample_ids_N] = np.arange(row_count)
            self.row_of_id = torch.from_numpy(rows).to(self.device)
        self.looks = 0
        self._kept = torch.empty((len(_KEPT), row_count + 1), device=self.device)
        self._predictions = torch.empty(row_count + 1, dtype=torch.int64, device=self.device)
        self._labels = torch.empty(row_count + 1, dtype=torch.int64, device=self.device)
        self._times = torch.zeros(row_count + 1, dtype=torch.int32, device=self.device)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """What an update writes to."""
        return [self._kept, self._predictions, self._labels, self._times]

    @torch.no_grad()
    def update(self, ids: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Notes a batch: ids (B,), logits (B, K) of any float type, labels (B,) 0..K-1."""
        if logits.shape != (len(ids), self.K) or labels.shape != ids.shape:
            raise InputError(
                f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}: expected ({len(ids)}, {self.K}) and ({len(ids)},)."
            )
        rows = ids.to(self.device)
        if self.row_of_id is not None:
            rows = self.row_of_id[rows.clamp(-1, len(self.row_of_id) - 1)]
        predictions, kept = signals(logits.detach().float(), labels)
        self._kept[:, rows] = kept
        self._predictions[rows] = predictions
        self._labels[rows] = labels
        self._times.index_add_(0, rows, torch.ones_like(rows, dtype=torch.int32))

    def end_look(self, epoch: int | None = None, counted_N: np.ndarray | None = None) -> Look:
        """The look that ends here, and a fresh one begins. NonFinite names the epoch and the first sample ids.

        Samples that were not seen have NaN as `loss`, zeros else, and the largest value of its type as prediction.
        `counted_N` (bool) says which samples mean loss and accuracy are made of; all by default.
        """
        epoch = self.looks if epoch is None else epoch
        times_N = self._times.cpu().numpy().copy()
        kept_N = dict(zip(_KEPT, self._kept[:, :-1].cpu().numpy(), strict=True))
        predictions_N, labels_N = self._predictions[:-1].cpu().numpy(), self._labels[:-1].cpu().numpy()
        self._times.zero_()
        self._check(times_N, kept_N, epoch)
        seen_N = times_N[:-1] == 1
        counted_N = seen_N if counted_N is None else seen_N & counted_N
        loss = float(kept_N["loss"][counted_N].mean(dtype=np.float64)) if counted_N.any() else float("nan")
        accuracy = float((predictions_N == labels_N)[counted_N].mean()) if counted_N.any() else float("nan")
        clamped = sum(int((np.abs(values[seen_N]) > _LARGEST).sum()) for values in kept_N.values())
        kind = storage_dtype("prediction", self.K)
        stored = {"prediction": np.where(seen_N, predictions_N, np.iinfo(kind).max).astype(kind)[:, None]}
        for name, values_N in kept_N.items():
            unseen = np.float32(np.nan if name == "loss" else 0)
            stored[name] = np.where(seen_N, np.clip(values_N, -_LARGEST, _LARGEST), unseen).astype(storage_dtype(name, self.K))[:, None]
        self.looks += 1
        return Look(stored, int(seen_N.sum()), loss, accuracy, clamped)

    def _check(self, times_N: np.ndarray, kept_N: dict[str, np.ndarray], epoch: int) -> None:
        if times_N[-1]:
            raise InputError(
                f"{times_N[-1]} samples of this look have ids that the recorder does not hold: expected one of its sample_ids."
            )
        if (twice := np.flatnonzero(times_N > 1)).size:
            named = ", ".join(map(str, self.sample_ids_N[twice[:5]]))
            raise InputError(
                f"{twice.size} samples were recorded more than once in look {self.looks} ({named}): expected each at most once."
            )
        bad_N = ~np.isfinite(np.stack(list(kept_N.values()))).all(0) & (times_N[:-1] == 1)
        if (bad := np.flatnonzero(bad_N)).size:
            named = ", ".join(map(str, self.sample_ids_N[bad[:5]]))
            raise NonFinite(
                f"NaN or infinity in the logits of {bad.size} samples in epoch {epoch}, first of them {named}; that look is not kept. "
                "A lower learning rate or a longer warm-up usually helps."
            )


def signals(logits_BK: torch.Tensor, labels_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """predictions (B,) and loss, margin, el2n, entropy as (4, B) float32, of float32 logits."""
    is_label_BK = labels_B[:, None] == torch.arange(logits_BK.shape[1], device=logits_BK.device)
    log_p_BK = torch.log_softmax(logits_BK, 1)
    p_BK = log_p_BK.exp()
    loss_B = 0 - log_p_BK.gather(1, labels_B[:, None])[:, 0]  # 0 - x, so that no loss is minus zero
    best_other_B = logits_BK.masked_fill(is_label_BK, -torch.inf).amax(1)
    margin_B = logits_BK.gather(1, labels_B[:, None])[:, 0] - best_other_B
    el2n_B = torch.linalg.vector_norm(p_BK - is_label_BK.float(), dim=1)
    entropy_B = 0 - (p_BK * log_p_BK).sum(1)
    return logits_BK.argmax(1), torch.stack((loss_B, margin_B, el2n_B, entropy_B))
