"""Images on the device: all of them where they fit, else a chunk ahead of the batches. What a batch shows is the same."""

import concurrent.futures
import math
from collections.abc import Sequence

import numpy as np
import torch

PAD = 4  # zeros around an image before it is cropped, in pixels
CHUNK = 1 << 28  # bytes of padded images that are brought to the device at once
_READ = 1 << 26  # bytes of images read in one piece


class Images:
    """Rows of a mapped (rows, H, W, C) uint8 array, cut and normalised into (B, C, H, W) float32 batches on `device`.

    `budget` is what the pixels may take there, in bytes: half of what is free by default. Where all rows do not fit, they
    are read in the order of the batches, whole batches at a time, into one half of a buffer while the other is worked on.
    `batch` is the largest batch that is asked for: a half holds one at least.
    """

    def __init__(
        self,
        images: np.ndarray,
        ids_n: np.ndarray,
        mean,
        std,
        device: torch.device,
        layout: str,
        batch: int = 256,
        budget: int | None = None,
    ):
        self.images, self.ids_n, self.device, self.layout = images, ids_n, device, layout
        self.H, self.W, self.C = images.shape[1:]
        deviations = torch.tensor(std, dtype=torch.float64)
        self.scale = (1 / (255 * deviations)).float().to(device)
        self.shift = (-torch.tensor(mean, dtype=torch.float64) / deviations).float().to(device)
        self.rows, self.columns = torch.arange(self.H, device=device), torch.arange(self.W, device=device)
        shape = (self.H + 2 * PAD, self.W + 2 * PAD, self.C)
        row_bytes, budget = math.prod(shape), free_memory(device) // 2 if budget is None else budget
        self.resident = len(ids_n) * row_bytes <= budget
        if self.resident:
            self.padded = self.read(np.arange(len(ids_n))).to(device)
            return
        self.half = max(batch, min(CHUNK, budget // 2) // row_bytes)
        self.padded = torch.zeros((2 * self.half, *shape), dtype=torch.uint8, device=device)
        if device.type == "cuda":
            self.pinned = torch.zeros((2 * self.half, *shape), dtype=torch.uint8, pin_memory=True)
            self.stream = torch.cuda.Stream(device)
            self.padded.record_stream(self.stream)  # freed in the middle of an epoch, it is given on only after the copy under way
            self.copied = [torch.cuda.Event() for _ in range(2)]  # a half of the pinned buffer may be filled again
            self.worked = [torch.cuda.Event() for _ in range(2)]  # a half of the device's buffer may be

    def places(self, rows: np.ndarray, ends: Sequence[int]) -> "Places":
        """Where the images of the batches rows[:ends[0]], rows[ends[0]:ends[1]], ... will be found on the device."""
        return Places(rows) if self.resident else Streamed(self, rows, ends)

    def __call__(self, places_B: torch.Tensor, y_B: torch.Tensor, x_B: torch.Tensor, flip_B: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float32: window (y, x) of each padded image, mirrored where `flip_B`, then normalised."""
        padded = self.padded.index_select(0, places_B)
        B, Hp, Wp, C = padded.shape
        y_BH = self.rows + y_B[:, None]
        x_BW = torch.where(flip_B[:, None], self.W - 1 - self.columns, self.columns) + x_B[:, None]
        image_B = torch.arange(B, device=self.device)
        place_BHW = ((image_B * Hp)[:, None] + y_BH)[:, :, None] * Wp + x_BW[:, None, :]
        pixels = padded.view(-1, C).index_select(0, place_BHW.view(-1)).view(B, self.H, self.W, C)
        images = pixels.float().mul_(self.scale).add_(self.shift).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=torch.channels_last if self.layout == "channels_last" else torch.contiguous_format)

    def read(self, rows: np.ndarray, into: torch.Tensor | None = None) -> torch.Tensor:
        """(n, H + 8, W + 8, C) uint8 in host memory, zeros around; read in rising order of the rows, placed in theirs."""
        shape = (len(rows), self.H + 2 * PAD, self.W + 2 * PAD, self.C)
        padded = torch.zeros(shape, dtype=torch.uint8) if into is None else into[: len(rows)]
        inner = padded.numpy()[:, PAD:-PAD, PAD:-PAD]
        rising = np.argsort(rows, kind="stable")
        step = max(1, _READ // (self.H * self.W * self.C))
        for start in range(0, len(rows), step):
            chosen = rising[start : start + step]
            inner[chosen] = self.images[self.ids_n[rows[chosen]]]
        return padded


class Places:
    """All images are on the device: the place of a row is the row."""

    def __init__(self, rows: np.ndarray):
        self.places_n = rows

    def ready(self, batch: int) -> None:
        """Sees to it that the images of this batch stand at their places. Batches come one after the other."""


class Streamed(Places):
    """The images come chunk by chunk, each into one half of the device buffer while the other half is worked on."""

    def __init__(self, images: Images, rows: np.ndarray, ends: Sequence[int]):
        self.images, self.rows, half = images, rows, images.half
        starts, first, before = {0: 0}, 0, 0  # number of a chunk's first batch -> its first row
        for number, end in enumerate(ends):
            assert end - before <= half, "a half holds every batch"
            if end - first > half:
                starts[number] = first = before
            before = end
        self.chunks = list(zip(starts.values(), [*list(starts.values())[1:], len(rows)], strict=True))
        self.chunk_of_batch = {number: chunk for chunk, number in enumerate(starts)}
        self.places_n = np.concatenate([np.arange(end - start) + chunk % 2 * half for chunk, (start, end) in enumerate(self.chunks)])
        self.cuda = images.device.type == "cuda"
        if self.cuda:
            for event in images.worked:
                event.record()
        self.reader = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="images")
        self.coming = None
        self._ask(0)

    def ready(self, batch: int) -> None:
        chunk = self.chunk_of_batch.get(batch)
        if chunk is None:
            return
        self.coming.result()
        if self.cuda:
            torch.cuda.current_stream(self.images.device).wait_event(self.images.copied[chunk % 2])
            self.images.worked[(chunk + 1) % 2].record()  # all batches of the chunk before stand in the stream
        if chunk + 1 < len(self.chunks):
            self._ask(chunk + 1)
        else:
            self.reader.shutdown(wait=False)

    def _ask(self, chunk: int) -> None:
        self.coming = self.reader.submit(self._bring, chunk)

    def _bring(self, chunk: int) -> None:
        (start, end), images, side = self.chunks[chunk], self.images, chunk % 2
        rows, at = self.rows[start:end], slice(side * images.half, side * images.half + end - start)
        if images.device.type == "cpu":
            images.read(rows, images.padded[at])
        elif not self.cuda:
            images.padded[at] = images.read(rows).to(images.device)
        else:
            images.copied[side].synchronize()
            images.read(rows, images.pinned[at])
            with torch.cuda.stream(images.stream):
                images.stream.wait_event(images.worked[side])
                images.padded[at].copy_(images.pinned[at], non_blocking=True)
                images.copied[side].record(images.stream)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    import psutil

    return psutil.virtual_memory().available
