"""Somebody's own training, as a process: `python -m tests.integrations.own_loop CACHE FOLDER [--die-after LOOK] [--rank R]`.

It keeps its own checkpoint after every look and goes on from it where there is one, as its owner would write it.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

import learnability

N, LOOKS = 96, 5


def material() -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    rng = np.random.default_rng(3)
    x = torch.tensor(rng.normal(size=(N, 6)), dtype=torch.float32)
    return x, (x[:, 0] + x[:, 1] > 0).long() + (x[:, 2] > 1).long(), [f"row-{i}" for i in range(N)]


def loop(cache: Path, folder: Path, die_after: int | None = None, seed: int = 0, start_rank: int = 0, ranks: int = 1) -> None:
    x, y, keys = material()
    torch.manual_seed(seed)
    network = torch.nn.Linear(6, 3)
    optimizer = torch.optim.SGD(network.parameters(), 0.3)
    recorder = learnability.Recorder("own", "linear", keys, y, class_names=["a", "b", "c"], looks=LOOKS, seed=seed, cache=cache)
    checkpoint, first = folder / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        recorder.load_state_dict(saved["recorder"])
        first = saved["epoch"] + 1
    for epoch in range(first, LOOKS):
        order = torch.randperm(N, generator=torch.Generator().manual_seed(1000 * seed + epoch))
        for number, ids in enumerate(order.split(16 * ranks)):
            ids = ids[start_rank::ranks]
            logits = network(x[ids])
            loss = torch.nn.functional.cross_entropy(logits, y[ids])
            optimizer.zero_grad()
            loss.backward()
            if ranks > 1:
                for parameter in network.parameters():
                    dist.all_reduce(parameter.grad)
                    parameter.grad /= ranks
            optimizer.step()
            recorder.update(ids, logits, y[ids])
            if die_after is not None and epoch == die_after and number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        recorder.end_look(test_accuracy=0.5)
        if ranks == 1 and epoch < LOOKS - 1:
            state = {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epoch": epoch,
                "recorder": recorder.state_dict(),
            }
            torch.save(state, folder / "new.pt")
            os.replace(folder / "new.pt", checkpoint)


def of_rank(rank: int, ranks: int, cache: Path, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=ranks)
    torch.set_num_threads(1)
    loop(cache, folder, start_rank=rank, ranks=ranks)
    dist.barrier()
    sys.stderr.flush()
    os._exit(0)  # gloo's threads sometimes abort a process that ends in the ordinary way


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--rank", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.rank is None:
        loop(options.cache, options.folder, options.die_after)
    else:
        of_rank(options.rank, 2, options.cache, options.folder)
