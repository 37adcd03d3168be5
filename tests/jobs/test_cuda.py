"""The same path on a CUDA device, where there is one."""

import subprocess

import pytest

from learnability import jobs
from learnability.jobs import devices
from tests.jobs.conftest import until

pytestmark = pytest.mark.cuda


@pytest.fixture
def device():
    if not devices.cuda_works():
        pytest.skip("no CUDA device here, or a PyTorch without CUDA")
    return "cuda:0"


def test_a_run_trains_on_it_and_gives_its_memory_back_within_10_s_of_a_stop(real_place, device):
    config = real_place.config("resnet20", epochs=2000, subset=None)
    ((run_id, _),) = jobs.launch(real_place.cache, [config], device)
    until(lambda: real_place.state(run_id).looks >= 1)
    state = real_place.state(run_id)
    assert (state.state, state.device) == ("running", device)
    pid = real_place.trainer(run_id).pid
    jobs.stop(real_place.cache, "digits", run_id)
    real_place.until(run_id, "stopped", seconds=45)

    def free() -> bool:
        told = subprocess.run(["nvidia-smi", "--query-compute-apps=pid", "--format=csv,noheader"], capture_output=True, text=True)
        return str(pid) not in told.stdout.split()

    until(free, seconds=10)
    assert jobs.resume(real_place.cache, "digits", run_id)
    until(lambda: real_place.state(run_id).phase == "train")
