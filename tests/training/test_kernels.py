"""Vector code made while the program runs: what is done by how many threads, and the operations with more to them than one instruction."""

import concurrent.futures
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch

from learnability.training import devices, kernels
from learnability.training.kernels import LANES, VECTOR, Kernel


def counted():
    """A kernel that adds 1 to each number it is given, and writes which part of the work it was."""
    kernel = Kernel("counted", ["numbers", "parts"], ["size"], ["step"])
    one = kernel.emit.fptrunc(kernel.given["step"], kernels.FLOAT)

    def number(index):
        at = kernel.at(kernel.given["numbers"], index)
        kernel.store(kernel.emit.fadd(kernel.load(at, kernels.FLOAT), one), at)
        kernel.store(kernel.emit.sitofp(kernel.part, kernels.FLOAT), kernel.at(kernel.given["parts"], index))

    kernel.loop(kernel.first, kernel.last, number)
    return kernel.compiled()


@pytest.fixture(params=["threads of PyTorch", "threads of Python"])
def threads(request, monkeypatch):
    before = torch.get_num_threads()
    if request.param == "threads of Python":
        monkeypatch.setattr(kernels, "_team", lambda: None)
    elif kernels._team() is None:
        pytest.skip("this PyTorch has another OpenMP")
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("least", [1, 3])
def test_everything_is_done_once(threads, number, count, least):
    threads(number)
    numbers, parts = torch.zeros(count + 1), torch.full((count + 1,), -1.0)
    made = counted()
    for _ in range(3):
        found = made(count, numbers, parts, count, 0.5, least=least)
    assert found == max(1, min(number, count // least))
    assert (numbers[:count] == 1.5).all() and numbers[count] == 0, "and nothing beyond"
    assert parts[:count].unique().tolist() == list(range(found if count else 0))


@pytest.mark.parametrize("step", [2, True, np.float32(2.5)])
def test_any_kind_of_number_is_one(step):
    numbers, parts = torch.zeros(3), torch.zeros(3)
    counted()(3, numbers, parts, 3, step)
    assert numbers.tolist() == [float(step)] * 3


def test_a_processor_that_cannot_be_asked_is_the_least_of_its_kind(monkeypatch):
    def unknown():
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(kernels.binding, "get_host_cpu_features", unknown)
    monkeypatch.setattr(kernels.binding, "get_host_cpu_name", lambda: "generic")
    assert kernels.registers() == 8
    numbers = torch.zeros(3)
    counted()(3, numbers, torch.zeros(3), 3, 0.5)
    assert (numbers == 0.5).all()


@pytest.fixture
def flush():
    before = devices.flushes_denormals()
    yield torch.set_flush_denormal
    torch.set_flush_denormal(before)


def test_threads_of_python_flush_denormals_where_their_caller_does(monkeypatch, flush):
    monkeypatch.setattr(kernels, "_team", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    made, one = counted(), concurrent.futures.ThreadPoolExecutor(1)
    monkeypatch.setattr(kernels, "_threads", lambda _process: one)
    for wanted in (False, True, False):
        if not flush(wanted):
            pytest.skip("this processor cannot")
        numbers = torch.ones(100, dtype=torch.int32).view(torch.float32)  # 1.4e-45
        made(100, numbers, torch.zeros(100), 100, 0.0)
        assert numbers.view(torch.int32).bool().tolist() == [not wanted] * 100


def test_memory_outlives_an_interrupted_call(monkeypatch):
    class Busy:
        """Threads that have not begun when the one that waits for them is interrupted."""

        waiting = ()

        def submit(self, *work):
            self.waiting = [*self.waiting, work]
            return self

        def result(self):
            raise KeyboardInterrupt

    busy = Busy()
    monkeypatch.setattr(kernels, "_team", lambda: None)
    monkeypatch.setattr(kernels, "_threads", lambda _process: busy)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    made, numbers, parts = counted(), torch.zeros(100), torch.zeros(100)
    alive = weakref.ref(numbers)
    try:
        made(100, numbers, parts, 100, 1.0)
    except KeyboardInterrupt:
        del numbers
    assert alive() is not None and not alive()[50:].any()
    [(share, *given)] = busy.waiting
    share(*given)
    assert (alive() == 1).all()


def test_a_child_of_a_fork_works_too():
    code = """
import os, sys
sys.path.insert(0, ".")
import torch
from tests.training.test_kernels import counted, kernels
kernels._team = lambda: None
torch.set_num_threads(2)
made, numbers, parts = counted(), torch.zeros(100), torch.zeros(100)
made(100, numbers, parts, 100, 1.0)
child = os.fork()
made(100, numbers, parts, 100, 1.0)
if not child:
    os._exit(0 if (numbers == 2).all() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_square_is_transposed():
    kernel = Kernel("transposed", ["square", "made"], [])
    square = [kernel.load(kernel.at(kernel.given["square"], row * LANES), VECTOR) for row in range(LANES)]
    for row, vector in enumerate(kernel.transposed(square)):
        kernel.store(vector, kernel.at(kernel.given["made"], row * LANES))
    numbers, made = torch.arange(LANES * LANES).float().view(LANES, LANES), torch.zeros(LANES, LANES)
    kernel.compiled()(1, numbers, made)
    assert torch.equal(made, numbers.t())
