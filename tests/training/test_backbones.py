"""Heads on a frozen backbone: features made once, from weights this test makes; runs of seconds that record like any other."""

import dataclasses
import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from learnability.config import RunConfig
from learnability.errors import ConfigError, InputError, NonFinite, NotFound, StoreError
from learnability.pictures import Originals
from learnability.prepare import prepare
from learnability.recording import SIGNALS
from learnability.store.architectures import Registered
from learnability.store.datasets import open_dataset
from learnability.store.features import declare, feature_set, load_features
from learnability.store.runs import load_array, load_looks, load_recording, load_run
from learnability.store.runs import load_features as last_layer
from learnability.training import CommitPolicy, Stop, extraction, train
from learnability.training.backbones import described
from learnability.training.extraction import prepared
from tests.training.toy import make_toy

OFTEN = CommitPolicy(signals_s=0, scores_s=0, checkpoint_s=0, share=1e9, poll_s=0, tell_s=0)
OWN = {"narrow": Registered("narrow", "tests.training.test_backbones:narrow")}


def narrow(num_classes: int, in_channels: int) -> nn.Module:
    """A backbone of one's own: 2 x 2 means of the image, doubled."""
    body = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * in_channels, 5, bias=False), nn.ReLU())
    return nn.Sequential(body, nn.Linear(5, num_classes))


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A real timm model, its weights drawn here, as a safetensors file that says what it is."""
    import timm

    path = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = timm.create_model("test_resnet", pretrained=False, num_classes=7).state_dict()
    safetensors.torch.save_file(state, path, {"architecture": "timm:test_resnet", "input_size": "40"})
    return path


def head_config(toy, start, arch="linear", **fields) -> RunConfig:
    backbone, _ = described(str(start), None, {}) if not isinstance(start, str) else (None, None)
    name = start if backbone is None else declare(toy.cache, toy.name, toy.fingerprint[:8], backbone).name
    return toy.config(arch=arch, start=name, **{"epochs": 3, **fields})


def recorded(toy, config) -> dict[str, bytes]:
    recording = load_recording(toy.cache, toy.name, config.run_id, verify=True)
    return {name: recording.signals[name].tobytes() for name in SIGNALS}


def test_a_file_that_names_its_architecture_becomes_a_backbone_and_its_own_head_does_not_count(weights, tmp_path):
    import timm

    backbone, network = described(str(weights), None, {})
    assert (backbone.spec, backbone.channels, backbone.height, backbone.resize) == ("timm:test_resnet", 3, 40, 40)
    assert backbone.dimension == network.num_features and backbone.name.startswith("test_resnet-") and backbone.package.startswith("timm 1")
    assert not any(parameter.requires_grad for parameter in network.parameters()) and not network.training
    other = tmp_path / "other.safetensors"
    state = safetensors.torch.load_file(weights)
    whole = timm.create_model("test_resnet", num_classes=7)
    whole.load_state_dict(state)
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        assert torch.allclose(network(images), whole.eval().forward_head(whole.forward_features(images), pre_logits=True))
    headless = {name: tensor.clone() for name, tensor in state.items() if not name.startswith("fc.")}
    safetensors.torch.save_file(headless, other, {"input_size": "40"})
    assert described(str(other), "timm:test_resnet", {})[0].name == backbone.name
    state["conv1.0.weight"][0, 0, 0, 0] += 1e-3
    safetensors.torch.save_file(state, other, {"architecture": "timm:test_resnet", "input_size": "40"})
    assert described(str(other), None, {})[0].name != backbone.name
    safetensors.torch.save_file(headless, other)
    (tmp_path / "config.json").write_text('{"architecture": "test_resnet"}')  # as downloaded from the hub
    hub, _ = described(str(other), None, {})
    assert hub.weights == backbone.weights and (hub.height, hub.resize, hub.mean) == (160, round(160 / 0.95), (0.5, 0.5, 0.5))


def test_torchvision_and_own_networks_give_what_stands_before_their_last_layer(tmp_path):
    import torchvision

    file = tmp_path / "w.safetensors"
    model = torchvision.models.shufflenet_v2_x0_5(weights=None)
    safetensors.torch.save_file(model.state_dict(), file, {"architecture": "torchvision:shufflenet_v2_x0_5"})
    backbone, network = described(str(file), None, {})
    assert (backbone.dimension, backbone.height, backbone.resize, backbone.interpolation) == (1024, 224, 256, "bilinear")
    assert backbone.mean == (0.485, 0.456, 0.406)
    safetensors.torch.save_file(
        narrow(9, 1).state_dict(), file, {"architecture": "narrow", "input_size": "16", "mean": "[0.5]", "std": "[1]"}
    )
    backbone, network = described(str(file), None, OWN)
    assert (backbone.dimension, backbone.channels, backbone.height) == (5, 1, 16)
    assert network(torch.rand(3, 1, 16, 16)).shape == (3, 5)


def pickled(path):
    torch.save({"a": torch.zeros(1)}, path)


def saved(metadata, tensors=None):
    return lambda path: safetensors.torch.save_file(tensors or {"a": torch.zeros(1)}, path, metadata)


@pytest.mark.parametrize(
    ("write", "spec", "told"),
    [
        (lambda path: None, None, "no such file"),
        (pickled, None, "is a pickle, which is never opened.*save_file"),
        (lambda path: path.write_text("hello"), None, "expected a safetensors file"),
        (saved({}), None, "does not say of which architecture.*--backbone"),
        (saved({"architecture": "os:system"}), None, "a file may name.*--backbone os:system"),
        (saved({"architecture": "timm:test_resnet"}), None, "does not hold the weights of timm:test_resnet: .* tensors are missing"),
        (saved({"architecture": "timm:nothing"}), None, "expected a model of timm"),
        (saved({}), "tests.training.test_backbones:narrow", "not registered"),
        (saved({"architecture": "timm:test_resnet", "input_size": "4"}), None, "metadata.*input_size 4 is not"),
        (saved({"architecture": "timm:test_resnet", "mean": "[0, 1]"}), None, "metadata.*cannot be used"),
    ],
)
def test_a_file_that_is_no_backbone_is_refused_in_words(tmp_path, write, spec, told):
    path = tmp_path / "w.safetensors"
    write(path)
    with pytest.raises(InputError, match=told):
        described(str(path), spec, OWN)


@pytest.mark.parametrize("arch", ["linear", "mlp"])
def test_a_head_records_like_any_run_and_every_seed_uses_the_same_features(weights, tmp_path, arch):
    toy = make_toy(tmp_path / "cache")
    configs = [head_config(toy, weights, arch, seed=seed, epochs=12) for seed in range(2)]
    heads = [train(config, toy.cache, "cpu", threads=1) for config in configs]
    assert [head.state for head in heads] == ["done", "done"] and configs[0].recipe == configs[1].recipe
    recording = load_recording(toy.cache, toy.name, configs[0].run_id, verify=True)
    assert set(recording.signals) == set(SIGNALS) and recording.loss_NE.shape == (70, 12) and recording.seen_NE.all()
    looks = load_looks(toy.cache, toy.name, configs[0].run_id)
    assert looks[-1]["loss"] < looks[0]["loss"] and 0 <= looks[-1]["test_accuracy"] <= 1
    assert recorded(toy, configs[0]) != recorded(toy, configs[1])
    assert configs[0].recipe not in {toy.config(arch="resnet20", epochs=12).recipe}, "never mixed with training from scratch"
    made = feature_set(toy.cache, toy.name, toy.fingerprint[:8], configs[0].start)
    assert made.made["pictures"] == {"prepared": 90} and load_features(made, 90).shape == (90, made.backbone.dimension)
    told = json.loads((toy.cache.run_folder(toy.name, configs[0].run_id) / "environment.json").read_text())
    assert (told["backbone"], told["features_crc32"], told["augment"]) == ("timm:test_resnet", made.made["crc32"], "none")
    assert (last_layer(toy.cache, toy.name, configs[0].run_id) is None) == (arch == "linear"), "a linear head sees what is kept already"


def test_features_are_those_of_the_network_on_each_image_alone(weights, tmp_path):
    toy = make_toy(tmp_path / "cache")
    config = head_config(toy, weights)
    train(config, toy.cache, "cpu", threads=1)
    one, (backbone, network) = feature_set(toy.cache, toy.name, toy.fingerprint[:8], config.start), described(str(weights), None, {})
    features, dataset = load_features(one, 90), open_dataset(toy.cache, toy.name)
    for row in (0, 63, 64, 69, 70, 89):
        image = Image.fromarray(np.asarray(dataset.images[row] if row < 70 else dataset.test_images[row - 70]))
        pixels = torch.from_numpy(prepared(image, backbone)).float() / 255
        with torch.no_grad():
            alone = network(((pixels - 0.5) / 0.5)[None])[0].numpy()
        assert np.allclose(features[row], alone, rtol=2e-3, atol=2e-3)
    mean, std = features[:70].astype(np.float64).mean(0), features[:70].astype(np.float64).std(0)
    assert np.allclose(one.made["mean"], mean) and np.allclose(one.made["std"], std)


def stopped_at(toy, config, images: int):
    """Stops a run when the backbone has seen so many images."""
    stop = Stop()

    def progress(_done, _total, phase, **shown):
        if phase == "features" and int(shown.get("images", "0").partition("/")[0]) >= images:
            stop.ask()

    return train(config, toy.cache, "cpu", threads=1, stop=stop, progress=progress, policy=OFTEN)


def test_a_pass_that_was_stopped_goes_on_where_it_was_and_ends_with_the_same_bytes(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "BATCH", 16)
    toy, twin = make_toy(tmp_path / "cache"), make_toy(tmp_path / "twin")
    config = head_config(toy, weights)
    head = stopped_at(toy, config, 32)
    assert (head.state, head.looks) == ("stopped", 0)
    one = feature_set(toy.cache, toy.name, toy.fingerprint[:8], config.start)
    assert one.made is None and json.loads((one.folder / "progress.json").read_text())["rows"] == 32
    seen = []
    real = extraction._passed
    monkeypatch.setattr(extraction, "_passed", lambda network, pixels, *more: seen.append(len(pixels)) or real(network, pixels, *more))
    assert train(config, toy.cache, "cpu", threads=1).state == "done"
    assert sum(seen) == 58
    same = head_config(twin, weights)
    train(same, twin.cache, "cpu", threads=1)
    assert recorded(toy, config) == recorded(twin, same)
    other = feature_set(twin.cache, twin.name, twin.fingerprint[:8], config.start)
    assert (one.folder / "features.npy").read_bytes() == (other.folder / "features.npy").read_bytes()


def test_a_head_that_was_stopped_resumes_to_the_bytes_of_one_that_was_not_and_needs_no_weights_for_it(weights, tmp_path):
    toy, twin = make_toy(tmp_path / "cache"), make_toy(tmp_path / "twin")
    file = tmp_path / "moved.safetensors"
    file.write_bytes(weights.read_bytes())
    config, stop = head_config(toy, file, "mlp", epochs=6), Stop()

    def progress(_done, _total, phase, epoch="", **_):
        if phase == "train" and epoch == "3/6":
            stop.ask()

    assert train(config, toy.cache, "cpu", threads=1, stop=stop, progress=progress, policy=OFTEN).looks in (2, 3)
    file.unlink()
    assert train(config, toy.cache, "cpu", threads=1).state == "done"
    same = head_config(twin, weights, "mlp", epochs=6)
    train(same, twin.cache, "cpu", threads=1)
    assert same.run_id == config.run_id and recorded(toy, config) == recorded(twin, same)


def test_weights_that_are_gone_or_others_end_the_run_with_the_reason(weights, tmp_path):
    toy, file = make_toy(tmp_path / "cache"), tmp_path / "w.safetensors"
    file.write_bytes(weights.read_bytes())
    config = head_config(toy, file)
    file.unlink()
    with pytest.raises(ConfigError, match="are needed again and cannot be had.*no such file"):
        train(config, toy.cache, "cpu", threads=1)
    left = load_run(toy.cache, toy.name, config.run_id)
    assert left.state == "failed" and "cannot be had" in left.head.reason
    state = safetensors.torch.load_file(weights)
    state["conv1.0.weight"] += 1
    safetensors.torch.save_file(state, file, {"architecture": "timm:test_resnet", "input_size": "40"})
    with pytest.raises(ConfigError, match="is not what the features .* are made with"):
        train(config, toy.cache, "cpu", threads=1)
    file.write_bytes(weights.read_bytes())
    assert train(config, toy.cache, "cpu", threads=1).state == "done"


def test_features_made_anew_with_other_numbers_are_refused_at_a_resume(weights, tmp_path):
    toy = make_toy(tmp_path / "cache")
    config, stop = head_config(toy, weights, epochs=4), Stop()
    train(dataclasses.replace(config, seed=1), toy.cache, "cpu", threads=1)
    one = feature_set(toy.cache, toy.name, toy.fingerprint[:8], config.start)

    def after_the_first(_done, _total, epoch, **_shown):
        if epoch.startswith("2/"):
            stop.ask()

    stopped = train(config, toy.cache, "cpu", threads=1, stop=stop, progress=after_the_first, policy=OFTEN)
    assert stopped.state == "stopped" and 1 <= stopped.looks < 4
    told = json.loads((one.folder / "features.json").read_text())
    features = np.load(one.folder / "features.npy") + np.float16(1)
    np.save(one.folder / "features.npy", features)
    import zlib

    crc = zlib.crc32((one.folder / "features.npy").read_bytes())
    (one.folder / "features.json").write_text(json.dumps(told | {"crc32": crc}))
    with pytest.raises(StoreError, match="was begun on other features"):
        train(config, toy.cache, "cpu", threads=1)


def test_held_out_folds_and_eval_records_work_on_features(weights, tmp_path):
    toy = make_toy(tmp_path / "cache")
    config = head_config(toy, weights, folds=2, fold=1, record="eval")
    assert train(config, toy.cache, "cpu", threads=1).state == "done"
    kept = load_array(toy.cache, toy.name, config.run_id, "heldout.npy")
    assert kept.shape == (70, 4) and np.isfinite(kept.astype(float)).all(1).sum() == 35


def test_a_backbone_that_gives_nan_ends_the_run_and_names_the_sample(weights, tmp_path):
    toy, file = make_toy(tmp_path / "cache"), tmp_path / "w.safetensors"
    state = safetensors.torch.load_file(weights)
    state["conv1.0.weight"][:] = torch.nan
    safetensors.torch.save_file(state, file, {"architecture": "timm:test_resnet", "input_size": "40"})
    with pytest.raises(NonFinite, match="gives NaN or infinity for sample 0"):
        train(head_config(toy, file), toy.cache, "cpu", threads=1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"arch": "linear"}, "'linear': expected a start beside it"),
        ({"arch": "resnet20", "start": "some-set"}, "'resnet20': expected linear or mlp on the features of some-set"),
        ({"arch": "linear", "start": "some-set", "augment": "flip"}, "features are of the image as it is"),
        ({"arch": "linear", "start": "some-set", "precision": "bf16"}, "auto or fp32"),
        ({"arch": "linear", "start": "../up"}, "letters, digits"),
    ],
)
def test_what_cannot_be_asked_together_is_refused(toy, fields, told):
    with pytest.raises(InputError, match=told):
        toy.config(**fields)


def test_an_unknown_set_of_features_is_refused_before_anything_is_written(toy):
    with pytest.raises(NotFound, match="no features 'some-set'; it has none yet"):
        train(toy.config(arch="linear", start="some-set"), toy.cache, "cpu")
    assert not toy.cache.run_ids(toy.name)


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_originals_are_shown_where_they_are_and_thumbnails_where_not(tmp_path, kind):
    draw = np.random.default_rng(0)
    photos = tmp_path / "photos"
    for label in ("cat", "dog"):
        (photos / label).mkdir(parents=True)
        for number in range(6):
            pixels = draw.integers(0, 256, (30, 40, 3), np.uint8)
            Image.fromarray(pixels).resize((400, 300)).save(photos / label / f"{number}.png")
    source = str(photos)
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = sorted(photos.rglob("*.png"))
        table = {"image": [{"bytes": file.read_bytes(), "path": None} for file in files], "label": [file.parent.name for file in files]}
        pq.write_table(pa.table(table), tmp_path / "photos.parquet", row_group_size=5)
        source = str(tmp_path / "photos.parquet")
    from learnability.store.paths import Cache

    cache = Cache.at(tmp_path / "cache")
    prepare(cache, source, name="photos", size=32, test=0.25)
    dataset = open_dataset(cache, "photos")
    originals = Originals(dataset)
    payloads = list(originals.payloads(0))
    assert len(payloads) == 12
    keys = dataset.all_samples()["key"].to_pylist()
    for row, payload in enumerate(payloads):
        image = originals.image(row, payload, 300)
        at = photos / keys[row] if kind == "folder" else sorted(photos.rglob("*.png"))[int(keys[row])]
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(at)))
    assert [type(payload) for payload in originals.payloads(7)] == [type(payload) for payload in payloads[7:]]
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file(narrow(9, 3).state_dict(), file, {"architecture": "narrow", "input_size": "64"})
    backbone, _ = described(str(file), None, OWN)
    name = declare(cache, "photos", dataset.fingerprint[:8], backbone).name
    config = RunConfig(data="photos", fingerprint=dataset.fingerprint, arch="linear", start=name, epochs=1, batch_size=4)
    if kind == "folder":  # one original is another picture by now, one is gone
        Image.new("RGB", (10, 10)).save(photos / "cat" / "1.png")
        (photos / "dog" / "2.png").unlink()
    own = {"narrow": OWN["narrow"].spec}
    train(config, cache, "cpu", threads=2, own_architectures=own, pictures=Originals)
    told = feature_set(cache, "photos", dataset.fingerprint[:8], name).made["pictures"]
    assert told == ({"original": 10, "thumbnail": 2} if kind == "folder" else {"original": 12})
    if kind == "folder":
        __import__("shutil").rmtree(photos)
        assert Originals(dataset).image(0, next(Originals(dataset).payloads(0)), 300) is None


def test_images_are_shown_as_their_libraries_show_them():
    """The shorter side resized, the middle cut out: torchvision's own transform gives the same pixels."""
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    from tests.store.test_features import BACKBONE

    backbone = dataclasses.replace(BACKBONE, height=48, width=48, resize=56, interpolation="bicubic")
    theirs = transforms.Compose([transforms.Resize(56, InterpolationMode.BICUBIC), transforms.CenterCrop(48), transforms.PILToTensor()])
    for size in ((60, 100), (101, 57), (30, 30), (80, 81)):
        image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))
        assert np.array_equal(prepared(image, backbone), theirs(image).numpy())
    grey = dataclasses.replace(backbone, channels=1, resize=0)
    assert prepared(image, grey).shape == (1, 48, 48)


class Hub(http.server.BaseHTTPRequestHandler):
    """The two requests that a download from the Hugging Face hub makes."""

    content = b""

    def do_HEAD(self):  # noqa: N802 - the name http.server asks for
        self.answer()

    def do_GET(self):  # noqa: N802
        self.answer()
        self.wfile.write(self.content)

    def answer(self):
        there = self.path == "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
        self.send_response(200 if there else 404)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", '"' + "a" * 40 + '"')
        self.send_header("X-Repo-Commit", "b" * 40)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_name_of_timm_is_downloaded_as_safetensors_once_and_offline_it_is_said(toy, tmp_path, weights, monkeypatch):
    from huggingface_hub import constants

    for name, value in (("HF_HUB_CACHE", str(tmp_path / "hub")), ("HF_HUB_OFFLINE", True), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(constants, name, value)
    with pytest.raises(InputError, match="cannot be downloaded.*--start FILE.safetensors --backbone timm:test_resnet"):
        described("timm:test_resnet", None, {})
    Hub.content = weights.read_bytes()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        backbone, _ = described("timm:test_resnet", None, {})
        server.shutdown()
    assert (backbone.place, backbone.height, backbone.resize) == ("timm:test_resnet", 160, 168)
    assert backbone.weights == described(str(weights), None, {})[0].weights
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert described("timm:test_resnet", None, {})[0] == backbone, "the downloaded file is known"
    with pytest.raises(ConfigError, match="knows no weights of this name; it knows test_resnet"):
        described("timm:test_resnet.mine", None, {})
