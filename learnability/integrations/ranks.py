"""Several processes of one training (torch.distributed): what each has seen, brought together at the first."""

import os

import numpy as np
import torch
import torch.distributed as dist


def rank() -> int:
    """Which of the processes this is; before they have met, what the launcher says."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", 0) if "WORLD_SIZE" in os.environ else 0)


def several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gathered(ids_n: np.ndarray, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """What all ranks noted, rank after rank, at rank 0; None at the others. Every rank must call it."""
    if not several():
        return ids_n, packed
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    count = torch.tensor([len(ids_n)], device=device)
    counts = [torch.zeros_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    most = max(int(one) for one in counts)
    both = np.zeros((most, 2 + packed.shape[0]), np.int32)  # an id is two of these
    both[: len(ids_n), :2] = ids_n[:, None].view(np.int32)
    both[: len(ids_n), 2:] = packed.T
    sent = torch.from_numpy(both).to(device)
    first = dist.get_rank() == 0
    parts = [torch.empty_like(sent) for _ in counts] if first else None
    dist.gather(sent, parts, dst=0)
    if not first:
        return None
    rows = np.concatenate([part[: int(one)].cpu().numpy() for part, one in zip(parts, counts, strict=True)])
    return np.ascontiguousarray(rows[:, :2]).view(np.int64)[:, 0], np.ascontiguousarray(rows[:, 2:].T)


def agreed(good: bool) -> bool:
    """What rank 0 says, at every rank."""
    if not several():
        return good
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    said = torch.tensor([int(good)], device=device)
    dist.broadcast(said, src=0)
    return bool(said.item())
