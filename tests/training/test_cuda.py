"""`train` on a CUDA device, where there is one: graphs, chunks, a stop, and runs side by side change no byte of a recording."""

import numpy as np
import pytest
import torch

from learnability.agreement import spearman
from learnability.recording import SIGNALS
from learnability.store.files import read_json
from learnability.store.runs import load_recording
from learnability.store.scores import load_run_scores
from learnability.training import CommitPolicy, Stop, images, train, train_together
from learnability.training.session import Session
from tests.training.toy import OWN

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]

OFTEN = CommitPolicy(signals_s=0, scores_s=0, checkpoint_s=0, share=1e9, poll_s=0, tell_s=0)
EXACT = {"deterministic": True, "epochs": 4}


def recorded(toy, config, **more) -> dict[str, bytes]:
    train(config, toy.cache, "cuda", threads=2, policy=OFTEN, own_architectures=OWN, restart=True, **more)
    return kept(toy, config)


def kept(toy, config) -> dict[str, bytes]:
    recording = load_recording(toy.cache, toy.name, config.run_id, verify=True)
    return {name: recording.signals[name].tobytes() for name in SIGNALS}


def environment(toy, config) -> dict:
    return read_json(toy.cache.run_folder(toy.name, config.run_id) / "environment.json")


@pytest.mark.parametrize("arch", ["resnet20", "vgg16", "mobilenet"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_graphs_record_what_the_eager_loop_records(toy, arch, precision, monkeypatch):
    config = toy.config(arch=arch, precision=precision, **EXACT)
    by_graphs = recorded(toy, config)
    assert environment(toy, config)["captured"]
    monkeypatch.setattr(Session, "_captured", None)  # nothing may be captured from here on
    assert recorded(toy, config, eager=True) == by_graphs


def test_chunks_record_what_resident_images_record(toy, monkeypatch):
    config = toy.config(arch="resnet20", **EXACT)
    resident = recorded(toy, config)
    monkeypatch.setattr(images, "free_memory", lambda device: 0)
    assert recorded(toy, config) == resident


def test_a_stopped_run_goes_on_as_if_nothing_had_been(toy):
    config, stop = toy.config(arch="resnet20", **EXACT), Stop()
    whole = recorded(toy, config)

    def told(done, total, **more) -> None:
        if done >= total / 2:
            stop.ask()

    shared = {"threads": 2, "policy": OFTEN, "own_architectures": OWN}
    assert train(config, toy.cache, "cuda", restart=True, progress=told, stop=stop, **shared).state == "stopped"
    assert train(config, toy.cache, "cuda", **shared).state == "done" and kept(toy, config) == whole


def test_runs_side_by_side_record_what_each_records_alone(toy):
    configs = [toy.config(arch="resnet20", seed=seed, **EXACT) for seed in range(3)]
    alone = [recorded(toy, config) for config in configs]
    heads = train_together(configs, toy.cache, "cuda", threads=2, policy=OFTEN, own_architectures=OWN, restart=True)
    assert [head.state for head in heads] == ["done"] * 3 and [kept(toy, config) for config in configs] == alone


def test_own_networks_run_eagerly_at_a_named_precision(toy):
    config = toy.config(**EXACT)
    recorded(toy, config)
    assert not environment(toy, config)["captured"]


def test_the_fastest_way_orders_the_samples_as_the_cpu_does(toy):
    scores = []
    for device, precision in (("cpu", "fp32"), ("cuda", "auto")):
        config = toy.config(arch="resnet20", precision=precision, epochs=20)
        train(config, toy.cache, device, threads=2, policy=OFTEN)
        table, _ = load_run_scores(toy.cache, toy.name, config.run_id)
        scores.append(np.asarray(table["aum"]))
    assert spearman(*scores) > 0.8


def test_memory_is_free_after_a_run(toy):
    def taken() -> int:
        torch._C._cuda_clearCublasWorkspaces()  # some 32 MB a stream, PyTorch's own and kept for the next
        return torch.cuda.memory_allocated()

    before = taken()
    recorded(toy, toy.config(arch="resnet20", **EXACT))
    assert taken() - before < 2**20
