"""Many workers, answers in order. What ends a worker ends that file: it becomes a reject, and the rest goes on."""

import collections
import concurrent.futures
import dataclasses
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator

import numpy as np

from learnability.errors import StoreError
from learnability.prepare.formats import BYTE_LIMIT
from learnability.prepare.worker import Limits, of_pixels, receive, send
from learnability.sources.source import Payload, Reject

CHUNK = 32  # files a frame
CHUNK_BYTES = 4 << 20  # or as many bytes
_BOOT = """
import json, sys
paths, position, limits = map(json.loads, sys.argv[1:])
sys.path[:] = paths
from learnability.prepare.worker import Limits, main
main(position, Limits(**limits))
"""

Answer = tuple[dict, list[bytes]]  # {"reject": reason} or what the job found, and its blobs


def worker_count() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Worker processes, one a core, each driven by a thread. Close it, or use it as a context manager."""

    def __init__(self, workers: int | None = None, limits: Limits = Limits()):
        self.workers, self.limits = workers or worker_count(), limits
        self._threads = concurrent.futures.ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        self._own = threading.local()
        self._all = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.end()
        self._threads.shutdown(wait=True)
        for worker in self._all:
            worker.close()

    def map(self, job: dict, payloads: Iterable[Payload]) -> Iterator[Answer]:
        """`job` done on every payload (path, bytes or Reject), answers in the order of the payloads; few are held at once."""
        waiting = collections.deque()
        for chunk in _chunks(payloads):
            waiting.append(self._threads.submit(self._answers, job, chunk))
            while len(waiting) >= 3 * self.workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _answers(self, job: dict, chunk: list[Payload]) -> list[Answer]:
        if not hasattr(self._own, "worker"):
            self._own.worker = Worker(self.limits)
            self._all.append(self._own.worker)
        sent = [i for i, payload in enumerate(chunk) if isinstance(payload, bytes | str)]
        done = dict(zip(sent, self._own.worker.ask(job, [chunk[i] for i in sent]), strict=True))
        return [done[i] if i in done else directly(job, payload) for i, payload in enumerate(chunk)]


def directly(job: dict, payload: np.ndarray | Reject) -> Answer:
    """The answer on what needs no decoding: pixels, and rejects."""
    return ({"reject": payload.reason}, []) if isinstance(payload, Reject) else of_pixels(job, payload)


def _chunks(payloads: Iterable[Payload]) -> Iterator[list[Payload]]:
    chunk, size = [], 0
    for payload in payloads:
        if isinstance(payload, bytes) and len(payload) > BYTE_LIMIT:
            payload = Reject(f"too large: {len(payload) / 1e6:.0f} MB, at most {BYTE_LIMIT // 1_000_000} MB")
        chunk.append(payload)
        size += len(payload) if isinstance(payload, bytes) else 0
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class Worker:
    """One child process; started at the first question, and again after a death. Used by one thread."""

    def __init__(self, limits: Limits):
        self.process, self.ended, self.limits = None, False, limits
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        self.position = tempfile.TemporaryFile()  # noqa: SIM115

    def ask(self, job: dict, payloads: list[bytes | str]) -> list[Answer]:
        """One answer a payload. A payload that ends the process twice, or runs out of time, is answered with a reject."""
        answers, tried = {}, set()
        while remaining := [i for i in range(len(payloads)) if i not in answers]:
            part = remaining if not tried else remaining[:1] if remaining[0] in tried else remaining[: _until(remaining, tried)]
            try:
                answers.update(zip(part, self._exchange(job, [payloads[i] for i in part]), strict=True))
            except (EOFError, BrokenPipeError, ConnectionError, ValueError, KeyError, TypeError) as error:
                if self.ended:
                    raise StoreError("decoding was stopped.") from error
                status, position = self._buried()
                culprit = part[min(position, len(part) - 1)]
                too_slow = self._too_slow(status)
                if too_slow or culprit in tried:
                    answers[culprit] = {"reject": too_slow or f"crashed the decoder: {_status(status)}"}, []
                tried.add(culprit)
        return [answers[i] for i in range(len(payloads))]

    def end(self) -> None:
        """Stops the process; whoever waits for an answer gets StoreError."""
        self.ended = True
        if (process := self.process) is not None:
            process.kill()

    def close(self) -> None:
        if self.process is not None:
            self._buried()
        self.log.close()
        self.position.close()

    def _exchange(self, job: dict, payloads: list[bytes | str]) -> list[Answer]:
        if self.ended:
            raise EOFError("ended")
        if self.process is None:
            self._start()
        self.position.truncate(0)
        kinds = ["bytes" if isinstance(payload, bytes) else "path" for payload in payloads]
        send(self.process.stdin, {**job, "kinds": kinds}, [os.fsencode(payload) for payload in payloads])
        frame = receive(self.process.stdout)
        if frame is None:
            raise EOFError("the worker ended")
        header, blobs = frame
        return list(_sorted_out(job, header["answers"], blobs, len(payloads)))

    def _start(self) -> None:
        paths = [os.path.abspath(path) for path in sys.path]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-c",
                _BOOT,
                json.dumps(paths),
                str(self.position.fileno()),
                json.dumps(dataclasses.asdict(self.limits)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            pass_fds=(self.position.fileno(),),
            env=environment,
            start_new_session=True,
        )
        if receive(self.process.stdout) is None:
            self.log.seek(0)
            tail = self.log.read().decode(errors="replace").strip().splitlines()[-1:]
            raise StoreError(f"the process that decodes images does not start: {' '.join(tail) or 'no message'}.")

    def _too_slow(self, status: int) -> str | None:
        reasons = {
            -signal.SIGPROF: f"more than {self.limits.seconds:g} s of computing",
            -signal.SIGALRM: f"no end after {self.limits.patience:g} s",
        }
        return f"too slow: {reasons[status]}" if status in reasons else None

    def _buried(self) -> tuple[int, int]:
        """Exit status of the process and the position it was at; the next question starts another."""
        process, self.process = self.process, None
        try:
            process.wait(0 if self.ended else 1)
        except subprocess.TimeoutExpired:
            process.kill()
        for stream in (process.stdin, process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                continue
        told = os.pread(self.position.fileno(), 4, 0)
        return process.wait(), struct.unpack("<I", told)[0] if len(told) == 4 else 0


def _until(remaining: list[int], tried: set[int]) -> int:
    """How many of the remaining payloads come before one that ended a process already."""
    return next((i for i, payload in enumerate(remaining) if payload in tried), len(remaining))


def _sorted_out(job: dict, answers: list[dict], blobs: list[bytes], expected: int) -> Iterator[Answer]:
    """Answers with their blobs; ValueError where they are not what was asked for."""
    if len(answers) != expected:
        raise ValueError("answers missing")
    at = 0
    for answer in answers:
        count = 2 if "hash" in answer else 0
        own = blobs[at : at + count]
        if "reject" not in answer and not (type(answer["width"]) is type(answer["height"]) is int and type(answer["grey"]) is bool):
            raise ValueError("an answer without a size")
        if count and (len(answer["hash"]) != 32 or len(own) != 2 or len(own[0]) != job["size"] ** 2 * job["channels"]):
            raise ValueError("pixels of another shape")
        yield answer, own
        at += count


def _status(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
