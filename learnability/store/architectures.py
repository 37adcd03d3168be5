"""Architectures of one's own, registered from the shell and kept in architectures.json; and what a form may offer."""

import contextlib
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from learnability.config import ARCHITECTURES, FORMAT, HEADS, LIBRARIES, checked_arch
from learnability.errors import ConfigError, DamagedFile, LearnabilityError, NotFound
from learnability.store.files import disk_errors, read_json, write_json
from learnability.store.locks import hold
from learnability.store.paths import Cache
from learnability.store.runs import check_format, load_config


@dataclasses.dataclass(frozen=True)
class Registered:
    """What a name stands for: `torchvision:NAME`, `timm:NAME` or `package.module:function`."""

    name: str
    spec: str
    folder: str | None = None  # where the module lies, if Python does not find it by itself


def registered(cache: Cache) -> dict[str, Registered]:
    """Every registered architecture by its name, in the order of their names."""
    try:
        content = read_json(cache.architectures)
    except NotFound:
        return {}
    check_format(cache.architectures, content)
    try:
        return {name: Registered(name, told["spec"], told.get("folder")) for name, told in sorted(content["architectures"].items())}
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{cache.architectures} is damaged: {error!r}. Delete it and register the architectures anew.") from error


def register(cache: Cache, new: Registered) -> bool:
    """Keeps a name and what it stands for; False where it is kept already. A name never changes what it stands for."""
    _check(cache, new)
    with disk_errors(cache.root):
        cache.root.mkdir(parents=True, exist_ok=True)
    with hold(cache, "architectures", wait=5.0):
        known = registered(cache)
        before = known.get(new.name)
        if before == new:
            return False
        if before is not None and before.spec != new.spec:
            raise ConfigError(
                f"architecture {new.name!r} stands for {before.spec} already, not for {new.spec}. Choose another --name, or remove it "
                f"first: python -m learnability architectures remove {new.name}"
            )
        _write(cache, known | {new.name: new})
    return True


def unregister(cache: Cache, name: str) -> Registered:
    """Forgets a name; its runs stay. ConfigError where it is not registered."""
    with hold(cache, "architectures", wait=5.0):
        known = registered(cache)
        if name not in known:
            raise ConfigError(f"architecture {name!r} is not registered; there is: {', '.join(known) or 'none yet'}.")
        gone = known.pop(name)
        _write(cache, known)
    return gone


def unknown(arch: str, own: Iterable[str]) -> ConfigError:
    """What to say of a name that stands for no architecture; `own` are the registered ones."""
    return ConfigError(
        f"architecture {arch!r}: expected one of {', '.join([*ARCHITECTURES, *own])}, torchvision:NAME, timm:NAME or "
        "package.module:function. Choose one of these or register your own: python -m learnability architectures add "
        "package.module:function --name NAME"
    )


def expect_known(cache: Cache, arch: str) -> None:
    """ConfigError for a name that stands for no architecture: it is said before anything is made for it."""
    if ":" not in arch and arch not in (*ARCHITECTURES, *HEADS) and arch not in (own := registered(cache)):
        raise unknown(arch, own)


def offered(cache: Cache) -> list[str]:
    """What a form may offer: the built-in ones, those registered, and those of a library that runs in this cache used."""
    used = set()
    for data in cache.run_data_names():
        for run_id in cache.run_ids(data):
            with contextlib.suppress(LearnabilityError):
                used.add(load_config(cache, data, run_id).arch)
    names = [*ARCHITECTURES, *registered(cache)]
    return names + sorted(name for name in used if name.partition(":")[0] in LIBRARIES and ":" in name and name not in names)


def _check(cache: Cache, new: Registered) -> None:
    """ConfigError for a name that is taken or of another spelling, and for code that would come along with a cache."""
    checked_arch(new.spec)
    if new.name in (*ARCHITECTURES, *HEADS):
        raise ConfigError(f"architecture {new.name!r} is built in. Choose another --name.")
    if ":" not in new.spec:
        raise ConfigError(f"architecture {new.spec!r}: expected torchvision:NAME, timm:NAME or package.module:function.")
    if new.name != new.spec and ":" in checked_arch(new.name):
        raise ConfigError(f"name {new.name!r}: expected letters, digits, '_' or '.', for example mine. Choose another --name.")
    if new.folder is not None and Path(new.folder).resolve().is_relative_to(cache.root):
        raise ConfigError(
            f"{new.spec!r} lies in the cache folder {cache.root}: a cache never brings code along. Move the module out of it."
        )


def _write(cache: Cache, known: dict[str, Registered]) -> None:
    told = {name: {"spec": one.spec} | ({"folder": os.fspath(one.folder)} if one.folder else {}) for name, one in known.items()}
    write_json(cache.architectures, {"format": FORMAT, "architectures": told})
