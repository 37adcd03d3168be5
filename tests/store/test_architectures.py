"""Architectures of one's own: kept by name, never with another meaning, never with code that came along with a cache."""

import json

import pytest

from learnability.config import ARCHITECTURES, RunConfig
from learnability.errors import ConfigError, DamagedFile, NewerFormat
from learnability.store.architectures import Registered, offered, register, registered, unregister
from learnability.store.paths import Cache
from learnability.store.runs import create_run


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache.at(tmp_path / "cache")


def test_a_name_is_kept_offered_and_forgotten(cache):
    assert registered(cache) == {} and offered(cache) == list(ARCHITECTURES)
    mine = Registered("mine", "mynets:build", "/somewhere")
    assert register(cache, mine) is True and register(cache, mine) is False
    assert register(cache, Registered("timm:resnet10t", "timm:resnet10t")) is True
    assert registered(cache) == {"mine": mine, "timm:resnet10t": Registered("timm:resnet10t", "timm:resnet10t")}
    assert offered(cache) == [*ARCHITECTURES, "mine", "timm:resnet10t"]
    assert json.loads(cache.architectures.read_text())["architectures"]["mine"] == {"spec": "mynets:build", "folder": "/somewhere"}
    assert unregister(cache, "mine") == mine
    assert offered(cache) == [*ARCHITECTURES, "timm:resnet10t"]
    with pytest.raises(ConfigError, match="'mine' is not registered; there is: timm:resnet10t"):
        unregister(cache, "mine")


def test_a_name_keeps_its_meaning_but_its_module_may_move(cache):
    register(cache, Registered("mine", "mynets:build", "/one"))
    with pytest.raises(ConfigError, match="stands for mynets:build already, not for mynets:other.*remove mine"):
        register(cache, Registered("mine", "mynets:other", "/one"))
    assert register(cache, Registered("mine", "mynets:build", "/two"))
    assert registered(cache)["mine"].folder == "/two"


@pytest.mark.parametrize(
    ("name", "spec", "told"),
    [
        ("resnet20", "mynets:build", "built in"),
        ("linear", "mynets:build", "built in"),
        ("mine", "mynets", "'mynets': expected torchvision:NAME"),
        ("a:b", "mynets:build", "name 'a:b': expected letters"),
        ("mine", "my nets:build", "expected one of resnet20"),
        ("mine", "../nets:build", "expected one of resnet20"),
        ("x-s1", "mynets:build", "expected one of resnet20"),
    ],
)
def test_what_is_no_name_or_no_architecture_is_refused(cache, name, spec, told):
    with pytest.raises(ConfigError, match=told):
        register(cache, Registered(name, spec))
    assert not cache.architectures.exists()


def test_code_inside_the_cache_is_refused(cache):
    with pytest.raises(ConfigError, match="a cache never brings code along"):
        register(cache, Registered("mine", "mynets:build", str(cache.root / "datasets")))


def test_what_runs_used_is_offered_if_it_comes_from_a_library_a_path_is_not(cache):
    for arch in ("timm:resnet10t", "mynets:build", "gone"):
        create_run(cache, RunConfig(data="toy", fingerprint="0" * 64, arch=arch))
    assert offered(cache) == [*ARCHITECTURES, "timm:resnet10t"]


def test_a_damaged_and_a_newer_file_are_said_to_be(cache):
    register(cache, Registered("mine", "mynets:build"))
    cache.architectures.write_text('{"format": 1, "architectures": {"mine": 3}}')
    with pytest.raises(DamagedFile, match="architectures.json is damaged"):
        registered(cache)
    cache.architectures.write_text('{"format": 999, "architectures": {}}')
    with pytest.raises(NewerFormat, match="999"):
        registered(cache)


def test_run_ids_of_two_names_are_two_and_are_safe(cache):
    def run_id(arch):
        return RunConfig(data="toy", fingerprint="0" * 64, arch=arch).run_id

    names = ["timm:a_b", "timm_a_b", "timm.a_b", "timm-a_b", "timm:a.b", "my.nets:fn", "my_nets:fn"]
    ids = [run_id(name) for name in names]
    assert len(set(ids)) == len(names)
    assert ids[0].startswith("timm@a_b-s0-")
    for one in ids:
        assert cache.run_folder("toy", one).parent == cache.runs_folder("toy")
    groups = {RunConfig(data="toy", fingerprint="0" * 64, arch=name).group_id for name in names}
    assert not groups & set(ids)
    for bad in ("a:b:c", ".a", "a..b", "a/b", "a b", "x" * 101, "", "net-s3", "-a"):
        with pytest.raises(ConfigError, match="architecture"):
            run_id(bad)
