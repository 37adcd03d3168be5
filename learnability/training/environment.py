"""What a run was trained with: versions, device, network, and the way that was chosen. Kept in environment.json."""

import ast
import contextlib
import hashlib
import inspect
import platform
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import learnability
from learnability.config import RunConfig
from learnability.training.devices import cpu_name, device_name
from learnability.training.foreign import Origin
from learnability.training.ways import Way


def described(
    config: RunConfig, network: nn.Module, origin: Origin, device: torch.device, threads: int, way: Way, mean, std, augment: str
) -> dict:
    """The content of environment.json; a resume takes way, threads, mean and std from the first trainer's."""
    told = {} if config.devices == 1 else _shared(config, network)
    return {
        "learnability": learnability.__version__,
        "code": code_commit(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": device.type,
        "device_name": device_name(device),
        "cpu": cpu_name(),
        "threads": threads,
        "devices": config.devices,
        **told,
        "precision": way.precision,
        "layout": way.layout,
        "compiled": way.compiled,
        "captured": way.captured,
        "gemm": way.gemm,
        "deterministic": device.type == "cpu" or (device.type == "cuda" and config.deterministic),
        "architecture": architecture_digest(network, origin.function),
        "architecture_spec": origin.spec,
        "architecture_package": origin.package,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "augment": augment,
        "mean": mean,
        "std": std,
    }


def _shared(config: RunConfig, network: nn.Module) -> dict:
    """What is different over several devices."""
    rows = config.batch_size / config.devices
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    seen = f"each device normalises over its own {rows:g} of the {config.batch_size} rows of a batch; running statistics are the first's"
    return {"rows_per_device": rows, "batch_norm": seen if normed else "none in this network"}


def architecture_digest(network: nn.Module, builder: Callable) -> str:
    """16 hex digits of the layers, their shapes, and the code behind them that is not PyTorch's; comments do not count."""
    digest = hashlib.sha256()
    for name, module in network.named_modules():
        digest.update(f"{name} {type(module).__qualname__}\n".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
    own = {type(module) for module in network.modules() if not type(module).__module__.startswith("torch.")}
    for part in [builder, *sorted(own, key=lambda kind: kind.__qualname__)]:
        digest.update(_code(part).encode())
    return digest.hexdigest()[:16]


def _code(kind: type | Callable) -> str:
    """A source without comments and docstrings; its name alone where there is no source file."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return kind.__qualname__
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def code_commit() -> str | None:
    """The commit of this checkout, or None where the package was installed."""
    root = Path(learnability.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        return told.stdout.strip() or None
    return None
