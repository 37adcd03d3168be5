"""The networks: sizes known from elsewhere, first weights from the seed alone, a head in float32."""

import pytest
import torch

from learnability.config import ARCHITECTURES as NAMES
from learnability.errors import ConfigError
from learnability.training.architectures import ARCHITECTURES, build, head_of


@pytest.mark.parametrize(("arch", "parameters"), [("resnet20", 269_722), ("vgg16", 14_728_266), ("mobilenet", 3_217_226)])
def test_parameter_counts_for_ten_classes_of_rgb_are_the_known_ones(arch, parameters):
    assert sum(parameter.numel() for parameter in build(arch, 10, 3, seed=0).parameters()) == parameters


def test_every_name_of_the_form_has_a_builder_at_its_place():
    assert {name: f"{builder.__module__}:{builder.__name__}" for name, builder in ARCHITECTURES.items()} == NAMES


@pytest.mark.parametrize(("arch", "width"), [("resnet20", 64), ("vgg16", 512), ("mobilenet", 1024)])
@pytest.mark.parametrize(("channels", "height", "side"), [(1, 32, 32), (3, 48, 40)])
def test_any_size_from_32_and_one_or_three_channels(arch, width, channels, height, side):
    network = build(arch, 7, channels, seed=0).eval()
    images = torch.zeros(2, channels, height, side)
    with torch.no_grad():
        assert network.features(images).shape == (2, width)
        assert network(images).shape == (2, 7)
    assert head_of(network) is network.head


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_first_weights_depend_on_the_seed_alone_and_leave_the_global_state(arch):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = build(arch, 10, 3, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(100)
    two, other = build(arch, 10, 3, seed=3).state_dict(), build(arch, 10, 3, seed=4).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["body.0.weight"], other["body.0.weight"])


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_first_weights_have_the_variance_of_he(arch):
    for name, parameter in build(arch, 10, 3, seed=0).named_parameters():
        if parameter.dim() == 4 and parameter.numel() > 5000:
            expected = (2 / parameter[0].numel()) ** 0.5
            assert abs(float(parameter.detach().std()) / expected - 1) < 0.05, name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_logits_are_float32_under_autocast_and_a_batch_of_one_can_be_trained_on(arch):
    network = build(arch, 3, 3, seed=0).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.dtype == torch.float32
    torch.nn.functional.cross_entropy(logits, torch.tensor([1])).backward()
    assert all(parameter.grad.dtype == torch.float32 and torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_option_a_shortcut_is_the_image_subsampled_with_zeros_beside_it():
    block = build("resnet20", 10, 3, seed=0).body[6].eval()
    assert (block.stride, block.missing) == (2, 16)
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.rand(2, 16, 8, 8)
    with torch.no_grad():
        out = block(x)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any() and not out[:, 24:].any()


def test_unknown_and_broken_names_are_refused_in_words():
    with pytest.raises(ConfigError, match="'resnet99'.*resnet20, vgg16, mobilenet.*mine"):
        build("resnet99", 10, 3, 0, own={"mine": "nowhere.at:all"})
    with pytest.raises(ConfigError, match="'nowhere.at:all' cannot be imported.*nowhere"):
        build("mine", 10, 3, 0, own={"mine": "nowhere.at:all"})
    with pytest.raises(ConfigError, match="at least two"):
        build("resnet20", 1, 3, 0)
    assert head_of(build("mine", 5, 3, 0, own={"mine": "tests.training.toy:tiny"})).out_features == 5
