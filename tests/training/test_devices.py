"""Which device, and the settings of a process while it trains."""

import sys

import pytest
import torch

from learnability.errors import ConfigError
from learnability.training import devices


def test_auto_finds_a_device_and_names_are_checked():
    assert devices.resolve("auto").type in ("cpu", "cuda", "mps")
    assert devices.resolve("cpu") == torch.device("cpu")
    for name in ("tpu", "cpu:0", "cuda:x", "mps:1", ""):
        with pytest.raises(ConfigError, match="expected auto, cpu, cuda, cuda:<number> or mps"):
            devices.resolve(name)
    assert devices.device_descriptions()[0].startswith("cpu: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_gpu_is_named_and_the_cpu_offered():
    with pytest.raises(ConfigError, match="no CUDA device found.*--device cpu"):
        devices.resolve("cuda")


def test_a_second_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.resolve("cuda:1") == torch.device("cuda", 1) and devices.resolve("auto") == torch.device("cuda", 0)
    with pytest.raises(ConfigError, match="'cuda:2': expected cuda:0 to cuda:1"):
        devices.resolve("cuda:2")


def test_threads_and_denormals_are_set_for_a_while():
    before = torch.get_num_threads()
    small = torch.tensor([1e-39])
    with devices.numerics(1, deterministic=False):
        assert torch.get_num_threads() == 1
        assert float(small * 0.5) == 0
    assert torch.get_num_threads() == before
    assert float(small * 0.5) != 0


def test_deterministic_mode_is_put_back():
    with devices.numerics(1, deterministic=True):
        assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has mallopt")
def test_freed_memory_can_be_kept_where_there_is_glibc():
    assert devices.keep_freed_memory()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), True),
        (MemoryError(), True),
        (RuntimeError("size mismatch"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert devices.out_of_memory(error) is expected
