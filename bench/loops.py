"""The loops that `bench.epoch_time` times, on real CIFAR-10: ours, a strong one, a plain one. The network is the same class in all.

Each gives a function that trains epoch `epoch` on the first `count` images.
"""

import concurrent.futures
import io
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.nn import functional as F

from learnability.config import RunConfig
from learnability.training import devices
from learnability.training.architectures import build
from learnability.training.batches import batches, channel_statistics, order, views
from learnability.training.capture import Captured, Update
from learnability.training.images import Images
from learnability.training.loop import sgd, train_epoch
from learnability.training.recorder import Recorder
from learnability.training.ways import Forward, Way

DATA = Path(os.environ.get("LEARNABILITY_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
BATCH = 128


def our_loop(arch: str, images, labels, device, way: Way, recording: bool = True):
    """`train_epoch` as `train` runs it. Calling the result trains epoch `epoch` on the first `count` images."""
    config = RunConfig(data="cifar10", fingerprint="0" * 64, arch=arch, batch_size=BATCH, lr=0.02)
    mean, std = channel_statistics(images)
    network = way.prepared(build(arch, 10, 3, seed=0), device)
    forward, optimizer = Forward(network, way, device, BATCH), sgd(network, config, device)
    ids = np.arange(len(images))
    cut = Images(images, ids, mean, std, device, way.layout)
    labels = torch.from_numpy(labels).to(device)
    recorder = Recorder(len(images), 10, device) if recording else None
    if way.captured:
        return replayed_loop(network, forward, optimizer, cut, labels, recorder, len(images))

    def epoch(number: int, count: int) -> None:
        order_n = order(0, number, ids[:count])
        cut_batches = batches(cut, labels, order_n, views(0, number, ids, "crop-flip"), BATCH)
        train_epoch(network, forward, optimizer, cut_batches, lambda step: 0.02, 0, recorder)
        if recorder is not None:
            recorder.end_look(number)

    return epoch


def replayed_loop(network, forward, optimizer, images: Images, labels, recorder, count: int):
    """The same by CUDA graphs, whole epochs only."""
    network.train()
    update = Update(network, forward, optimizer, images, labels, recorder, count, BATCH)
    replayed, ids = Captured(update), np.arange(count)

    def epoch(number: int, _count: int) -> None:
        update.begin(order(0, number, ids), views(0, number, ids, "crop-flip"), [0.02] * len(update.sizes))
        for batch, size in enumerate(update.sizes):
            update.places.ready(batch)
            replayed(size)
        if recorder is not None:
            recorder.end_look(number)

    return epoch


def strong_loop(arch: str, images, labels, device, way: Way):
    """What a good engineer writes in an afternoon: everything in memory, nothing a sample in Python."""
    network = build(arch, 10, 3, seed=0).to(device)
    channels_last = way.layout == "channels_last"
    network = network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format).train()
    forward = torch.compile(network) if way.compiled or device.type == "cuda" else network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    pixels = torch.from_numpy(images).float().div_(255)
    pixels = F.pad((pixels - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2)), (0, 0, 4, 4, 4, 4)).to(device).view(-1, 3)
    labels = torch.from_numpy(labels).to(device)
    kept = torch.zeros(5, len(images), device=device)
    side = torch.arange(32, device=device)

    def epoch(_number: int, count: int) -> None:
        shuffled = torch.randperm(count, device=device)
        for start in range(0, count, BATCH):
            rows = shuffled[start : start + BATCH]
            y, x = (torch.randint(0, 9, (len(rows), 1), device=device) + side for _ in range(2))
            x = torch.where(torch.rand(len(rows), 1, device=device) < 0.5, x, x.flip(1))
            place = (rows[:, None] * 40 + y)[:, :, None] * 40 + x[:, None, :]
            batch = pixels.index_select(0, place.view(-1)).view(-1, 32, 32, 3).permute(0, 3, 1, 2)
            batch = batch.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
            with torch.autocast(device.type, torch.bfloat16, enabled=way.precision == "bf16"):
                logits = forward(batch)
            logits, target = logits.float(), labels[rows]
            loss = F.cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                log_p = logits.log_softmax(1)
                p = log_p.exp()
                kept[0, rows] = (logits.argmax(1) == target).float()
                kept[1, rows] = F.nll_loss(log_p, target, reduction="none")
                best = logits.scatter(1, target[:, None], -torch.inf).amax(1)
                kept[2, rows] = logits.gather(1, target[:, None])[:, 0] - best
                kept[3, rows] = (p - F.one_hot(target, 10)).norm(dim=1)
                kept[4, rows] = -(p * log_p).sum(1)
        kept.cpu()

    return epoch


def plain_loop(arch: str, images, labels, device, workers: int):
    """The loop of the tutorials: PIL images through a DataLoader, float32 NCHW, and one Python float a sample and signal."""
    from torchvision import transforms

    mean, std = channel_statistics(images)
    change = transforms.Compose(
        [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(mean, std)]
    )
    network = build(arch, 10, 3, seed=0).to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    pictures = [Image.fromarray(image) for image in images]
    noted = {row: [] for row in range(len(images))}

    class Pictures(torch.utils.data.Dataset):
        def __init__(self, count: int):
            self.count = count

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, row: int):
            return row, change(pictures[row]), int(labels[row])

    def epoch(_number: int, count: int) -> None:
        start = "fork" if workers else None
        loader = torch.utils.data.DataLoader(Pictures(count), BATCH, shuffle=True, num_workers=workers, multiprocessing_context=start)
        for rows, batch, target in loader:
            batch, target = batch.to(device), target.to(device)
            logits = network(batch)
            losses = F.cross_entropy(logits, target, reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            logits, losses = logits.detach(), losses.detach()
            for i, row in enumerate(rows.tolist()):
                z, y = logits[i], target[i].item()
                ranked = z.sort(descending=True)
                best = ranked.values[1 if ranked.indices[0].item() == y else 0]
                p = z.softmax(0)
                error = p.clone()
                error[y] -= 1
                entropy = -(p * p.log()).sum().item()
                noted[row].append((z.argmax().item(), losses[i].item(), (z[y] - best).item(), error.norm().item(), entropy))

    return epoch


def cifar(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` train images of CIFAR-10, (count, 32, 32, 3) uint8, and their labels."""
    table = pq.read_table(DATA / "cifar10" / "train.parquet").slice(0, count)
    with concurrent.futures.ThreadPoolExecutor(devices.usable_cores()) as pool:
        images = list(pool.map(lambda cell: np.asarray(Image.open(io.BytesIO(cell["bytes"]))), table["image"].to_pylist()))
    return np.stack(images), table["label"].to_numpy().astype(np.int64)
