"""The child process that decodes: bytes in, pixels out, under limits of memory and time. A hostile file can end it, and nothing else.

It speaks frames over its standard input and output: a length, a JSON header, then plain bytes; no pickle in either direction.
"""

import dataclasses
import io
import json
import os
import resource
import signal
import stat
import struct
import sys
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

from learnability.datasets import image_hash
from learnability.prepare.formats import BYTE_LIMIT, Unusable
from learnability.prepare.images import decoded, fitted, measured, pixels_of, thumbnail

_LENGTH = struct.Struct("<I")
_POSITION = struct.Struct("<I")
_FRAME_LIMIT = 1 << 30


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one file may cost."""

    memory: int = 950 << 20  # bytes of address space above the process as it starts
    seconds: float = 8.0  # of computing
    patience: float = 60.0  # seconds in all, as on a disk that does not answer


def send(stream: BinaryIO, header: dict, blobs: list[bytes]) -> None:
    """One frame: the header, in which `sizes` tells the lengths of the blobs that follow it."""
    head = json.dumps({**header, "sizes": [len(blob) for blob in blobs]}).encode()
    stream.write(_LENGTH.pack(len(head)) + head)
    for blob in blobs:
        stream.write(blob)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict, list[bytes]] | None:
    """The next frame; None at the end of the stream."""
    length = stream.read(_LENGTH.size)
    if not length:
        return None
    header = json.loads(_exactly(stream, *_LENGTH.unpack(length)))
    sizes = header.pop("sizes")
    if sum(sizes) > _FRAME_LIMIT or min(sizes, default=0) < 0:
        raise EOFError("frame of an impossible length")
    return header, [_exactly(stream, size) for size in sizes]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise EOFError("frame cut short")
    return content


def main(position_descriptor: int, limits: Limits) -> None:
    """Answers frames until its input ends. Where it is in a frame, it writes to `position_descriptor`."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.preinit()
    _limit_memory(limits.memory)
    parent = os.getppid()
    send(answers, {"ready": True}, [])
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what a C library prints goes nowhere, and not between the frames
    os.dup2(nowhere, 2)
    while frame := receive(requests):
        job, contents = frame
        told, blobs = [], []
        for position, (kind, content) in enumerate(zip(job["kinds"], contents, strict=True)):
            if os.getppid() != parent:  # it was killed: nobody waits for the answers
                return
            os.pwrite(position_descriptor, _POSITION.pack(position), 0)
            signal.setitimer(signal.ITIMER_PROF, limits.seconds)  # the default action of both signals ends the process, also inside C code
            signal.setitimer(signal.ITIMER_REAL, limits.patience)
            answer, parts = _answered(job, kind, content)
            told.append(answer)
            blobs += parts
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(answers, {"answers": told}, blobs)


def _answered(job: dict, kind: str, content: bytes) -> tuple[dict, list[bytes]]:
    try:
        if job["do"] == "measure":
            return _measure(kind, content), []
        return _decode(job, kind, content)
    except Unusable as unusable:
        return {"reject": str(unusable)}, []
    except MemoryError:
        return {"reject": "too much memory: more than a file may use to be decoded"}, []


def _measure(kind: str, content: bytes) -> dict:
    if kind == "path":
        with open_regular(content) as file:
            width, height, grey = measured(file)
    else:
        width, height, grey = measured(io.BytesIO(content))
    return {"width": width, "height": height, "grey": grey}


def _decode(job: dict, kind: str, content: bytes) -> tuple[dict, list[bytes]]:
    if kind == "path":
        with open_regular(content) as file:
            content = file.read(BYTE_LIMIT + 1)
    image, width, height = decoded(content, job["needed"])
    del content
    return _made(job, image, {"width": width, "height": height, "grey": image.mode == "L"})


def of_pixels(job: dict, pixels: np.ndarray) -> tuple[dict, list[bytes]]:
    """The same answers for pixels (h, w[, 3]) that need no decoding; safe in any process."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    answer = {"width": image.width, "height": image.height, "grey": image.mode == "L"}
    return (answer, []) if job["do"] == "measure" else _made(job, image, answer)


def _made(job: dict, image: Image.Image, answer: dict) -> tuple[dict, list[bytes]]:
    if job["channels"] == 1 and image.mode != "L":
        return answer, []
    small = thumbnail(image) if job["thumbnails"] else b""
    pixels = pixels_of(fitted(image, job["size"], job["fit"]), job["channels"])
    return {**answer, "hash": image_hash(pixels)}, [np.ascontiguousarray(pixels).tobytes(), small]


def open_regular(path: bytes) -> BinaryIO:
    """Opens a regular file and nothing else: no link, no FIFO, no device, nothing larger than 200 MB."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(f"unreadable: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > BYTE_LIMIT:
        os.close(descriptor)
        what = (
            f"too large: {status.st_size / 1e6:.0f} MB, at most {BYTE_LIMIT // 1_000_000} MB"
            if stat.S_ISREG(status.st_mode)
            else "no regular file: not opened"
        )
        raise Unusable(what)
    return os.fdopen(descriptor, "rb")


def _limit_memory(memory: int) -> None:
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
