"""The devices of this machine, told without PyTorch: the dashboard and the workers hold no CUDA context.

A Ray cluster counts as one more, `ray:<address>`: the address is its name, so every job says where it goes.
"""

import dataclasses
import functools
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from learnability.errors import InputError

PREPARE = "prepare"  # the lane of preparations; all other lanes are devices
CLUSTER = "ray:"  # and the address of a Ray cluster
VARIABLE = "RAY_ADDRESS"  # names a cluster where nothing else does
_ADDRESS = re.compile(r"auto|[A-Za-z0-9][A-Za-z0-9.-]*:\d{1,5}")
RESERVE = 1.5e9  # bytes a run needs on a GPU besides its images: context, network, one step


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One CUDA device as nvidia-smi tells it; bytes."""

    index: int  # cuda:<index>
    uuid: str
    name: str
    total: float
    free: float


def lane(device: str) -> str:
    """The device that a name means here: `auto` becomes the cluster of RAY_ADDRESS, cuda:0, mps or cpu, `cuda` becomes cuda:0."""
    if device == PREPARE:
        return PREPARE
    if device.startswith(CLUSTER):
        return cluster(device.removeprefix(CLUSTER))
    kind, _, index = device.partition(":")
    if device == "auto":
        if (named := _named_cluster()) is not None:
            return named
        if cuda_works():
            return "cuda:0"
        return "mps" if _apple() else "cpu"
    if kind == "cuda" and (not index or index.isdecimal()):
        return f"cuda:{int(index or 0)}"
    if device not in ("cpu", "mps"):
        raise InputError(f"device {device!r}: expected auto, cpu, cuda, cuda:<number>, mps or ray:<host>:<port>.")
    return device


def cluster(address: str) -> str:
    """The lane of a Ray cluster: `ray:<host>:<port>`, or `ray:auto` for the one this machine belongs to."""
    if not _ADDRESS.fullmatch(address):
        raise InputError(
            f"cluster {address!r}: expected <host>:<port> of its head, for example 10.0.0.1:6379, or auto. This machine must belong to "
            "it: ray start --address=<host>:<port> --num-cpus=0 --num-gpus=0"
        )
    if importlib.util.find_spec("ray") is None:
        raise InputError(f"cluster {address}: Ray is not installed here. Install it: pip install -r requirements-cluster.txt")
    return f"{CLUSTER}{address}"


def on_cluster(lane: str) -> bool:
    return lane.startswith(CLUSTER)


def _named_cluster() -> str | None:
    """The lane of the cluster that RAY_ADDRESS names; None without Ray, or where that names something else (a job server)."""
    address = os.environ.get(VARIABLE, "")
    return f"{CLUSTER}{address}" if _ADDRESS.fullmatch(address) and importlib.util.find_spec("ray") else None


def choices() -> list[str]:
    """What a launch form can offer here, the default first."""
    found = [f"cuda:{gpu.index}" for gpu in gpus()] if cuda_works() else []
    mps = ["mps"] if _apple() else []
    return list(dict.fromkeys([lane("auto"), *found, *mps, "cpu"]))


def _apple() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


@functools.lru_cache(1)
def cuda_works() -> bool:
    """Whether PyTorch here was built for CUDA and the driver lists a device."""
    spec = importlib.util.find_spec("torch")
    built = spec is not None and spec.origin is not None and (Path(spec.origin).parent / "lib" / "libtorch_cuda.so").exists()
    return built and bool(gpus())


def gpus() -> list[Gpu]:
    """The CUDA devices that this process may use, [] without a driver."""
    found = []
    for line in _asked("--query-gpu=index,uuid,name,memory.total,memory.free"):
        try:
            index, uuid, name, total, free = (part.strip() for part in line.split(","))
            found.append(Gpu(int(index), uuid, name, float(total) * 2**20, float(free) * 2**20))
        except ValueError:
            continue
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    chosen = [part.strip() for part in visible.split(",")]
    kept = [gpu for part in chosen for gpu in found if part == str(gpu.index) or (len(part) > 4 and gpu.uuid.startswith(part))]
    return [dataclasses.replace(gpu, index=index) for index, gpu in enumerate(kept)]


def too_full(device: str, image_bytes: float) -> str | None:
    """Why a run cannot begin on a CUDA device now, naming who holds its memory; None where it can or nothing is known."""
    gpu = next((gpu for gpu in gpus() if device == f"cuda:{gpu.index}"), None)
    needed = image_bytes + RESERVE
    if gpu is None or gpu.free >= needed:
        return None
    said = f"{device} has {gpu.free / 1e9:.1f} of {gpu.total / 1e9:.1f} GB free, a run needs about {needed / 1e9:.1f}"
    holders = _memory_holders(gpu)
    return f"{said}; it is held by {', '.join(holders)}" if holders else said


def _memory_holders(gpu: Gpu) -> list[str]:
    holders = []
    for line in _asked("--query-compute-apps=gpu_uuid,pid,used_memory,process_name"):
        parts = [part.strip() for part in line.split(",", 3)]
        if len(parts) == 4 and parts[0] == gpu.uuid:
            size = f"{float(parts[2]) * 2**20 / 1e9:.1f} GB" if parts[2].replace(".", "", 1).isdecimal() else "memory"
            holders.append(f"{Path(parts[3]).name} (process {parts[1]}, {size})")
    return holders


def _asked(query: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        told = subprocess.run(
            [tool, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return told.stdout.splitlines() if told.returncode == 0 else []
