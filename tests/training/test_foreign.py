"""Networks from torchvision, timm and one's own code: built to fit, tried before they train, recorded like ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from learnability.errors import ConfigError
from learnability.recording import SIGNALS
from learnability.store.architectures import Registered, register
from learnability.store.runs import load_array, load_features, load_recording, load_run
from learnability.training import CommitPolicy, Stop, train
from learnability.training.architectures import build, built, head_of, origin_of
from learnability.training.heads import Head
from tests.training.toy import make_toy

OFTEN = CommitPolicy(signals_s=0, scores_s=0, checkpoint_s=0, share=1e9, poll_s=0, tell_s=0)
OWN = {
    name: f"tests.training.own_networks:{name}"
    for name in ("dropping", "pairs", "thousand", "colour_only", "large_only", "infinite", "no_module")
}
OWN |= {"strided": "tests.training.own_networks:Strided", "three": "tests.training.own_networks:three_arguments"}
OWN |= {"number": "tests.training.own_networks:NOT_A_FUNCTION", "gone": "tests.training.own_networks:gone"}


def environment(toy, config) -> dict:
    return json.loads((toy.cache.run_folder(toy.name, config.run_id) / "environment.json").read_text())


def recorded(toy, config) -> dict[str, bytes]:
    recording = load_recording(toy.cache, toy.name, config.run_id, verify=True)
    return {name: recording.signals[name].tobytes() for name in SIGNALS}


@pytest.mark.parametrize(
    ("spec", "channels", "side", "parameters"),
    [
        ("torchvision:resnet18", 3, 32, 11_181_642),  # 11,689,512 with 1000 classes: resnet18's known count, less 990 x 513
        ("torchvision:shufflenet_v2_x0_5", 1, 32, None),
        ("timm:test_resnet", 1, 32, None),
        ("timm:test_vit", 3, 48, None),  # made for 160 x 160: its positions are laid out anew
        ("timm:test_convnext", 3, 32, None),
    ],
)
def test_a_library_model_gets_our_classes_channels_and_size_and_its_head_runs_in_float32(spec, channels, side, parameters):
    network, traits = built(origin_of(spec), spec, 10, channels, 0, (side, side))
    if parameters:
        assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert isinstance(network.get_submodule(traits.head), Head) and head_of(network) is network.get_submodule(traits.head)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = network.eval()(torch.randn(2, channels, side, side))
    assert logits.shape == (2, 10) and logits.dtype == torch.float32


def test_first_weights_depend_on_the_seed_alone():
    one, two, other = (build("timm:test_resnet", 5, 1, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one) and not torch.equal(one["fc.weight"], other["fc.weight"])


def test_grey_images_are_seen_as_colour_images_of_three_equal_channels():
    grey, colour = (
        build("torchvision:shufflenet_v2_x0_5", 5, 1, seed=0).eval(),
        build("torchvision:shufflenet_v2_x0_5", 5, 3, seed=0).eval(),
    )
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(grey(images), colour(images.expand(-1, 3, -1, -1)), atol=1e-5)


@pytest.mark.parametrize(
    ("arch", "told"),
    [
        ("torchvision:resnet81", "torchvision; did you mean resnet18"),
        ("timm:convnext_ato", "did you mean convnext_atto"),
        ("timm:resnet10t.c3_in1k", "without the tag of pretrained weights, for example timm:resnet10t"),
        ("large_only", "3, 32, 32.*got RuntimeError.*--size"),
        ("tests.training.own_networks:dropping", "not registered.*architectures add tests.training.own_networks:dropping"),
        ("gone", "cannot be imported.*no attribute 'gone'"),
        ("number", r"expected a function \(num_classes, in_channels\) -> nn.Module, got int"),
        ("three", "missing a required argument: 'width'"),
        ("no_module", "returns an nn.Module, got str"),
        ("pairs", r"in train mode: expected logits of shape \(2, 4\) for images of shape \(2, 3, 32, 32\), got a tuple.*logits alone"),
        ("thousand", r"expected logits of shape \(2, 4\).*got \(2, 1000\).*num_classes outputs"),
        ("infinite", "expected finite logits"),
        ("resnet99", "expected one of resnet20.*torchvision:NAME, timm:NAME"),
    ],
)
def test_what_does_not_fit_is_refused_in_words_before_anything_is_written(toy, arch, told):
    with pytest.raises(ConfigError, match=told):
        train(toy.config(arch=arch), toy.cache, "cpu", own_architectures=OWN)
    assert not toy.cache.run_ids(toy.name)


def test_colour_networks_are_refused_for_grey_images(tmp_path):
    grey = make_toy(tmp_path / "grey", C=1)
    with pytest.raises(ConfigError, match=r"expected logits of shape.*got RuntimeError.*expected input\[2, 1, 32, 32\] to have 3 channels"):
        train(grey.config(arch="colour_only"), grey.cache, "cpu", own_architectures=OWN)


@pytest.mark.parametrize(("arch", "precision"), [("torchvision:shufflenet_v2_x0_5", "fp32"), ("timm:test_resnet", "bf16")])
def test_real_models_train_and_record_like_ours(digits, arch, precision):
    from learnability.config import RunConfig
    from learnability.store.datasets import open_dataset
    from learnability.store.scores import load_run_scores

    dataset = open_dataset(digits, "digits")
    config = RunConfig(data="digits", fingerprint=dataset.fingerprint, arch=arch, epochs=2, subset=40, precision=precision)
    head = train(config, digits, "cpu", threads=2)
    recording = load_recording(digits, "digits", config.run_id, verify=True)
    assert (head.state, head.looks) == ("done", 2) and recording.loss_NE.shape == (40, 2) and recording.seen_NE.all()
    assert config.run_id.startswith(arch.replace(":", "@") + "-s0-") and config.run_id in digits.run_ids("digits")
    assert len(load_features(digits, "digits", config.run_id)) == 40 and load_run_scores(digits, "digits", config.run_id)[1] == 2
    told = json.loads((digits.run_folder("digits", config.run_id) / "environment.json").read_text())
    library = arch.partition(":")[0]
    assert told["architecture_spec"] == arch and told["architecture_package"].startswith(f"{library} ")


def test_what_a_network_draws_is_a_function_of_seed_and_epoch_so_it_resumes_to_the_same_bytes(toy, tmp_path):
    config, stop = toy.config(arch="dropping", epochs=4, precision="auto"), Stop()

    def progress(_done, _total, phase, epoch, **_):
        if phase == "train" and epoch == "2/4":
            stop.ask()

    state = torch.get_rng_state()
    given = {"device": "cpu", "threads": 1, "policy": OFTEN, "own_architectures": OWN}
    head = train(config, toy.cache, stop=stop, progress=progress, **given)
    assert head.state == "stopped" and 0 < head.looks < 4
    torch.rand(7)
    assert train(config, toy.cache, **given).state == "done"
    twin = make_toy(tmp_path / "twin")
    torch.manual_seed(99)
    train(config, twin.cache, **given)
    assert recorded(toy, config) == recorded(twin, config)
    other = toy.config(arch="dropping", epochs=4, precision="auto", seed=1)
    train(other, toy.cache, **given)
    assert recorded(toy, other) != recorded(toy, config)
    torch.set_rng_state(state)
    before = torch.get_rng_state()
    train(toy.config(arch="dropping", epochs=1), toy.cache, **given)
    assert torch.equal(before, torch.get_rng_state()), "the caller's own random state stays"
    assert (environment(toy, config)["precision"], environment(toy, config)["layout"]) == ("fp32", "channels_last")


def test_a_network_that_cannot_take_channels_last_and_has_no_linear_head_trains_in_plain_float32(toy):
    given = {"device": "cpu", "threads": 1, "own_architectures": OWN}
    for precision in ("fp32", "auto"):
        config = toy.config(arch="strided", precision=precision, folds=2, fold=0)
        assert train(config, toy.cache, **given).state == "done"
        assert (environment(toy, config)["precision"], environment(toy, config)["layout"]) == ("fp32", "nchw")
        assert load_features(toy.cache, toy.name, config.run_id) is None
        kept = load_array(toy.cache, toy.name, config.run_id, "heldout.npy")
        assert kept.shape == (70, 4) and np.isfinite(kept.astype(float)).all(1).sum() == 35
    with pytest.raises(ConfigError, match="'bf16' with strided: no one linear layer makes its logits"):
        train(toy.config(arch="strided", precision="bf16"), toy.cache, **given)


def test_other_code_under_the_same_name_is_refused_at_a_resume_and_another_version_is_noted(toy, monkeypatch):
    config, stop = toy.config(arch="timm:test_resnet", epochs=3, subset=32), Stop()
    given = {"device": "cpu", "threads": 1, "policy": OFTEN}

    def after_the_first(_done, _total, epoch, **_shown):
        if epoch.startswith("2/"):
            stop.ask()

    stopped = train(config, toy.cache, stop=stop, progress=after_the_first, **given)
    assert stopped.state == "stopped" and 1 <= stopped.looks < 3
    from learnability.training import foreign

    monkeypatch.setattr(foreign, "_version", lambda package: f"{package} 99.0")
    head = train(config, toy.cache, **given)
    assert head.state == "done" and not head.exact and "architecture_package 'timm 1" in head.note and "'timm 99.0' now" in head.note


def test_a_registered_module_is_found_from_elsewhere_and_an_unregistered_one_is_never_imported(toy, tmp_path):
    """What the queue does: another process, started in another folder, knows the run by its id alone."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "herenets.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\nfrom torch import nn\n\n\n"
        "def small(num_classes, in_channels):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * in_channels, num_classes))\n"
    )
    from learnability.store.runs import create_run

    config = toy.config(arch="herenets:small", epochs=1)
    create_run(toy.cache, config)
    command = [sys.executable, "-m", "learnability", "trainer", toy.name, config.run_id, "--cache", str(toy.cache.root), "--device", "cpu"]
    root = Path(__file__).resolve().parents[2]

    def trainer():
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)})

    refused = trainer()
    assert refused.returncode == 2 and "not registered in this cache" in refused.stderr
    assert not (home / "imported").exists()
    register(toy.cache, Registered("herenets:small", "herenets:small", str(home)))
    done = trainer()
    assert done.returncode == 0, done.stderr
    assert (home / "imported").exists() and load_run(toy.cache, toy.name, config.run_id).state == "done"
