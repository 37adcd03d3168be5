"""Updates without a number from the host: on the CPU the same bits as the loop, on CUDA the same as a graph."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from learnability.config import RunConfig
from learnability.recording import SIGNALS
from learnability.training import capture, devices
from learnability.training.architectures import build
from learnability.training.batches import batches, order, views
from learnability.training.capture import Captured, Update, put_back
from learnability.training.images import Images
from learnability.training.loop import learning_rates, sgd, train_epoch
from learnability.training.recorder import Recorder
from learnability.training.ways import Forward, Way
from tests.training.toy import pictures

CPU = torch.device("cpu")
N, K, BATCH, EPOCHS = 70, 4, 16, 2
IDS = np.arange(N)


class Trained:
    """A network and all that an epoch of it needs, on a device."""

    def __init__(self, device: torch.device, arch: str = "resnet20", way: Way = Way("fp32", "channels_last"), budget: int | None = None):
        pixels, labels = pictures(N, K, 3, 32, seed=3)
        self.config = RunConfig(data="toy", fingerprint="0" * 64, arch=arch, epochs=EPOCHS, batch_size=BATCH, lr=0.05)
        self.network = way.prepared(build(arch, K, 3, 0), device)
        self.optimizer = sgd(self.network, self.config, device)
        self.forward = Forward(self.network, way, device, BATCH)
        self.images = Images(pixels, IDS, [0.5] * 3, [0.25] * 3, device, way.layout, BATCH, budget)
        self.labels, self.recorder = torch.from_numpy(labels).to(device), Recorder(N, K, device)
        self.rates = learning_rates(self.config, EPOCHS * 5)
        self.looks = []

    def by_the_loop(self) -> "Trained":
        for epoch in range(EPOCHS):
            given = batches(self.images, self.labels, order(0, epoch, IDS), views(0, epoch, IDS, "crop-flip"), BATCH)
            train_epoch(self.network, self.forward, self.optimizer, given, self.rates, epoch * 5, self.recorder)
            self.looks.append(self.recorder.end_look())
        return self

    def by_updates(self, wrapped=lambda update: update) -> "Trained":
        update = Update(self.network, self.forward, self.optimizer, self.images, self.labels, self.recorder, N, BATCH)
        step = wrapped(update)
        self.network.train()
        assert update.sizes == [16, 16, 16, 16, 6]
        for epoch in range(EPOCHS):
            update.begin(order(0, epoch, IDS), views(0, epoch, IDS, "crop-flip"), [self.rates(epoch * 5 + i) for i in range(5)])
            for number, size in enumerate(update.sizes):
                update.places.ready(number)
                step(size)
            self.looks.append(self.recorder.end_look())
        return self


def assert_same(one: Trained, other: Trained) -> None:
    for mine, theirs in zip(one.looks, other.looks, strict=True):
        for name in SIGNALS:
            assert mine.signals[name].tobytes() == theirs.signals[name].tobytes(), name
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, other.network.state_dict()[name]), name


@pytest.mark.parametrize(
    "way", [Way("fp32", "channels_last"), pytest.param(Way("bf16", "channels_last"), marks=pytest.mark.soak)], ids=["fp32", "bf16"]
)
def test_updates_from_tables_are_those_of_the_loop_bit_for_bit(one_thread, way):
    assert_same(Trained(CPU, way=way).by_the_loop(), Trained(CPU, way=way).by_updates())


def test_updates_from_tables_find_images_that_come_in_chunks(one_thread):
    assert_same(Trained(CPU).by_the_loop(), Trained(CPU, budget=0).by_updates())


def test_all_that_an_update_changes_can_be_put_back(one_thread):
    trained = Trained(CPU)
    update = Update(trained.network, trained.forward, trained.optimizer, trained.images, trained.labels, trained.recorder, N, BATCH)
    trained.network.train()
    update.begin(order(0, 0, IDS), views(0, 0, IDS, "crop-flip"), [0.1] * 5)
    saved = [tensor.clone() for tensor in update.state()]
    for _ in range(3):
        update(16)
        assert any(not torch.equal(now, before) for now, before in zip(update.state(), saved, strict=True))
        put_back(update.state(), saved)
    assert_same(Trained(CPU).by_the_loop(), trained.by_updates())


class Cuda:
    """Stands where `torch.cuda` does, as tests have no such device: its streams are pairs of device and number."""

    def __init__(self):
        self.current, self.streams = None, 0

    def Stream(self, device):
        self.streams += 1
        return SimpleNamespace(device=device, number=self.streams, wait_stream=lambda other: None)

    def current_stream(self, device):
        return self.current or SimpleNamespace(wait_stream=lambda other: None)

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream
        yield
        self.current = before

    def CUDAGraph(self):
        return SimpleNamespace()

    def graph(self, graph, pool=None, stream="that of the process", capture_error_mode="global"):
        return self.stream(stream)


def test_a_graph_is_captured_on_the_stream_it_was_tried_on_and_no_other_graph_is(monkeypatch):
    cuda, used = Cuda(), []
    monkeypatch.setattr(torch, "cuda", cuda)
    for device in ("first", "second", "second"):
        capture.graph_of(lambda: used.append(cuda.current), [], device)
    tried, captured = [used[i : i + 3] for i in (0, 4, 8)], used[3::4]
    assert tried == [[stream] * 3 for stream in captured]
    assert [stream.device for stream in captured] == ["first", "second", "second"] and len({stream.number for stream in captured}) == 3


@pytest.fixture
def cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    with devices.numerics(2, deterministic=True):
        yield torch.device("cuda", 0)


@pytest.mark.cuda
@pytest.mark.parametrize("arch", ["resnet20", "vgg16", "mobilenet"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_captured_epoch_is_the_epoch_of_the_loop(cuda, arch, precision):
    way = Way(precision, "channels_last")
    assert_same(Trained(cuda, arch, way).by_updates(), Trained(cuda, arch, way).by_updates(Captured))


@pytest.mark.cuda
def test_captured_updates_find_images_that_come_in_chunks(cuda):
    assert_same(Trained(cuda).by_updates(Captured), Trained(cuda, budget=0).by_updates(Captured))


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_captured_and_compiled_epoch_comes_close_to_the_eager_one(cuda, precision):
    eager, compiled = (Trained(cuda, way=Way(precision, "channels_last", compiled)).by_updates(Captured) for compiled in (False, True))
    first = order(0, 0, IDS)[:BATCH]  # later updates magnify rounding
    mine, theirs = (trained.looks[0].signals["margin"].astype(float)[:, 0] for trained in (eager, compiled))
    assert np.allclose(mine[first], theirs[first], atol=0.01 if precision == "fp32" else 0.2)
    assert np.corrcoef(mine, theirs)[0, 1] > 0.99
