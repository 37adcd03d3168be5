"""Which device, how many threads, and what there is to say about them."""

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from learnability.errors import ConfigError

PLANS = 4  # of cuDNN's, best guess first, that are timed for a convolution: ten take MobileNet 22 s at every start


def resolve(name: str = "auto") -> torch.device:
    """`auto` (CUDA, else MPS, else CPU), `cpu`, `cuda`, `cuda:<i>` or `mps`; ConfigError where there is none such."""
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdecimal())):
        raise ConfigError(f"device {name!r}: expected auto, cpu, cuda, cuda:<number> or mps.")
    if kind == "mps" and not mps:
        raise ConfigError("device 'mps': there is none here. Use --device cpu.")
    if kind == "cuda":
        if not cuda:
            raise ConfigError("device 'cuda': no CUDA device found, or its driver is too old for this PyTorch. Use --device cpu.")
        if int(index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"device {name!r}: expected cuda:0 to cuda:{torch.cuda.device_count() - 1}.")
        return torch.device("cuda", int(index or 0))
    return torch.device(kind)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else cpu_name()


def cpu_name() -> str:
    """Model of the processor, as the system names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({torch.backends.cpu.get_cpu_capability()})"
    return f"{platform.processor() or platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_descriptions() -> list[str]:
    """One line a device of this machine."""
    lines = [f"cpu: {cpu_name()}, {usable_cores()} cores"]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            lines.append(f"cuda:{index}: {properties.name}, {properties.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        lines.append("mps: Apple GPU")
    return lines


@contextlib.contextmanager
def numerics(threads: int, deterministic: bool) -> Iterator[None]:
    """Fixed threads, denormals flushed, float32 that is float32 (no TF32); all put back afterwards.

    The CPU is deterministic at a fixed thread count; `deterministic` concerns CUDA. Threads that were started before
    keep their own way with denormals, so a run of its own begins here.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = torch.get_num_threads(), flushes_denormals(), cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    plans = cudnn.benchmark_limit
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    cudnn.benchmark = not deterministic
    cudnn.benchmark_limit = PLANS
    _set_deterministic(deterministic)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_flush_denormal(before[1])
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before[2:]
        cudnn.benchmark_limit = plans
        _set_deterministic(*strict)


def _set_deterministic(on: bool, warn_only: bool = False) -> None:
    """Asks PyTorch only for what is not so yet: the call imports its whole compiler, two seconds."""
    if (on, warn_only) != (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()):
        torch.use_deterministic_algorithms(on, warn_only=warn_only)


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory for the next step; whether it could be told. For the life of the process.

    By default it gives large blocks back at once, and every step pays for fresh, zeroed pages. What that costs stands in
    bench/process_settings.py. The process takes no more memory at its peak than before.
    """
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(trim_threshold, 2**31 - 1)) and bool(mallopt(mmap_threshold, 2**30))


def flushes_denormals() -> bool:
    """Whether this thread does; each has its own setting."""
    return bool(torch.tensor(1e-39) * 0.5 == 0)


@contextlib.contextmanager
def seeded(device: torch.device, word: int) -> Iterator[None]:
    """What is drawn within it on the CPU and on `device` depends on `word` alone; the generators are put back afterwards."""
    accelerator = device.type if device.type in ("cuda", "mps") else None
    with torch.random.fork_rng(devices=[device] if accelerator == "cuda" else [], device_type="cuda"):
        before = torch.mps.get_rng_state() if accelerator == "mps" else None
        torch.default_generator.manual_seed(word)
        if accelerator == "cuda":
            torch.cuda.manual_seed(word)
        elif accelerator == "mps":
            torch.mps.manual_seed(word)
        try:
            yield
        finally:
            if before is not None:
                torch.mps.set_rng_state(before)


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that this thread gave it."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the host, has no memory left."""
    told = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "out of memory" in told or "can't allocate memory" in told
