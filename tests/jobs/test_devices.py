"""Devices told without PyTorch: by a driver's tool where there is one. Here a script stands in for it."""

import importlib.util
import os
import stat
import types

import pytest

from learnability.errors import InputError
from learnability.jobs import devices, readiness
from learnability.store.locks import hold
from tests.jobs.test_derivation import job

TWO = """#!/bin/sh
case "$1" in
  --query-gpu=*) echo "0, GPU-aaaa1111, NVIDIA H200, 143771, 900"; echo "1, GPU-bbbb2222, NVIDIA H200, 143771, 140000";;
  --query-compute-apps=*) echo "GPU-aaaa1111, 4242, 140000, /usr/bin/python3"
    echo "GPU-bbbb2222, 7, [N/A], other"; echo "GPU-aaaa1111, 8, [N/A], x";;
esac
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Two devices, the first of them full; a PyTorch that was built for CUDA."""

    def install(script: str = TWO, built: bool = True):
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(script)
        tool.chmod(tool.stat().st_mode | stat.S_IEXEC)
        library = tmp_path / "torch" / "lib" / "libtorch_cuda.so"
        library.parent.mkdir(parents=True, exist_ok=True)
        if built:
            library.touch()
        spec = types.SimpleNamespace(origin=str(tmp_path / "torch" / "__init__.py"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        devices.cuda_works.cache_clear()

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield install
    monkeypatch.undo()
    devices.cuda_works.cache_clear()


def test_auto_takes_the_first_cuda_device(driver):
    driver()
    assert devices.lane("auto") == "cuda:0"
    assert devices.lane("cuda") == "cuda:0"
    assert devices.choices() == ["cuda:0", "cuda:1", "cpu"]
    assert [gpu.name for gpu in devices.gpus()] == ["NVIDIA H200"] * 2


@pytest.mark.parametrize(
    ("visible", "found"), [("1", ["GPU-bbbb2222"]), ("GPU-bbbb,0", ["GPU-bbbb2222", "GPU-aaaa1111"]), ("", []), ("-1", [])]
)
def test_only_visible_devices_count(driver, monkeypatch, visible, found):
    driver()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.uuid for gpu in devices.gpus()] == found
    assert [gpu.index for gpu in devices.gpus()] == list(range(len(found)))
    assert devices.lane("auto") == ("cuda:0" if found else "cpu")


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho no devices were found\n", "not even a script"])
def test_a_driver_that_does_not_answer_is_none(driver, script):
    driver(script)
    assert devices.gpus() == []
    assert devices.choices() == ["cpu"]


def test_a_pytorch_without_cuda_means_the_processor(driver):
    driver(built=False)
    assert devices.lane("auto") == "cpu"


def test_a_full_device_names_who_holds_it(driver, place):
    driver()
    said = devices.too_full("cuda:0", 1e9)
    assert "cuda:0 has 0.9 of 150.8 GB free, a run needs about 2.5" in said
    assert "held by python3 (process 4242, 146.8 GB), x (process 8, memory)" in said
    assert devices.too_full("cuda:1", 1e9) is None
    assert devices.too_full("cuda:7", 1e9) is None
    place.as_worker()
    waiting = job("queued", name=place.launch(place.config()), lane="cuda:0")
    assert "python3 (process 4242" in readiness.device_taken(place.cache, waiting)
    assert readiness.device_taken(place.cache, job("queued", name=waiting.name, lane="cuda:1")) is None
    assert readiness.device_taken(place.cache, job("queued", name="resnet20-s9-00000000", lane="cuda:1")) is None
    with hold(place.cache, "device-cuda:1"):
        assert f"in use by process {os.getpid()}" in readiness.device_taken(place.cache, job("queued", name=waiting.name, lane="cuda:1"))


def test_a_full_device_nobody_owns_up_to(driver):
    driver(TWO.replace("GPU-aaaa1111, 4242", "GPU-cccc, 1").replace("GPU-aaaa1111, 8", "GPU-cccc, 8"))
    assert devices.too_full("cuda:0", 0).endswith("a run needs about 1.5")


def test_apple_devices(monkeypatch):
    devices.cuda_works.cache_clear()
    monkeypatch.setattr(devices, "gpus", lambda: [])
    monkeypatch.setattr(devices.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(devices.platform, "machine", lambda: "arm64")
    assert devices.lane("auto") == "mps"
    assert devices.choices() == ["mps", "cpu"]
    devices.cuda_works.cache_clear()


def test_names_of_devices():
    assert [devices.lane(name) for name in ("cpu", "mps", "cuda:1", "prepare")] == ["cpu", "mps", "cuda:1", "prepare"]
    for name in ("gpu", "cuda:x", "cuda:-1", "CPU", ""):
        with pytest.raises(InputError, match="expected auto, cpu"):
            devices.lane(name)
