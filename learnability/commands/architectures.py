"""architectures: networks of one's own, by name: registered here, offered in the dashboard's form, and removed again."""

import importlib.metadata
import importlib.util
import os
import sys

from learnability.commands.arguments import cache_of, command, print_json, table
from learnability.config import ARCHITECTURES, LIBRARIES, checked_arch
from learnability.errors import ConfigError
from learnability.store.architectures import Registered, expect_known, offered, register, registered, unregister
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import load_runs

SPEC = "torchvision:NAME, timm:NAME or package.module:function; a name to remove"


def add(commands) -> None:
    own = command(
        commands,
        "architectures",
        run,
        "List the networks that can be trained, add one of your own under a name, remove it.",
        "  python -m learnability architectures add timm:convnext_atto\n"
        "  python -m learnability architectures add mynets.small:build --name small\n"
        "  python -m learnability architectures list\n"
        "  python -m learnability architectures remove small\n"
        "A function gets (num_classes, in_channels) and returns an nn.Module that makes logits. What is added is imported when it is "
        "trained:\nadd only code you trust. Names keep their meaning: another function wants another name.",
    )
    own.add_argument("action", choices=("add", "list", "remove"))
    own.add_argument("spec", nargs="?", metavar="SPEC", help=SPEC)
    own.add_argument("--name", help="what it is called (default: SPEC itself)")
    own.add_argument("--data", metavar="DATA", help="check it with this data set's classes and images (default: 10 classes, 3 x 32 x 32)")
    own.add_argument("--json", action="store_true", help="list: for programs")


def run(args) -> int:
    cache = cache_of(args)
    if args.action == "list":
        return _list(cache, args)
    if args.spec is None:
        raise ConfigError(f"{args.action}: expected SPEC after it, {SPEC}. See: python -m learnability architectures list")
    checked_arch(args.spec)
    if args.action == "remove":
        gone = unregister(cache, args.spec)
        runs = sum(one.config is not None and one.config.arch == gone.name for one in load_runs(cache))
        print(f"{gone.name} ({gone.spec}) is not registered any more. {runs} run(s) of it stay; to resume them, add it again.")
        return 0
    found = Registered(args.name or args.spec, args.spec, _folder(args.spec))
    print(_checked(cache, found, args.data))
    if register(cache, found):
        print(f"Registered as {found.name}: python -m learnability train --data {args.data or 'NAME'} --arch {found.name}")
    else:
        print(f"{found.name} was registered already.")
    return 0


def remember(cache: Cache, arch: str) -> None:
    """Registers a path `package.module:function` that was given in a shell, so that queue, resume and form know it too.

    ConfigError for a name that stands for nothing.
    """
    expect_known(cache, arch)
    kind = checked_arch(arch).partition(":")[0]
    if ":" in arch and kind not in LIBRARIES and arch not in registered(cache):
        from learnability.training.architectures import origin_of

        found = Registered(arch, arch, _folder(arch))
        origin_of(arch, {arch: found})
        register(cache, found)


def _list(cache: Cache, args) -> int:
    own = registered(cache)
    rows = [{"name": name, "is": own[name].spec if name in own else ARCHITECTURES.get(name, name)} for name in offered(cache)]
    for row in rows:
        row["from"] = "built in" if row["name"] in ARCHITECTURES else "registered" if row["name"] in own else "used before"
    if args.json:
        print_json(rows)
    else:
        print(table(rows, ["name", "from", "is"]))
    return 0


def _checked(cache: Cache, found: Registered, data: str | None) -> str:
    """What the network is, in words, after it was built and ran on a small batch; ConfigError says what does not fit."""
    from learnability.training import architectures

    classes, channels, size = 10, 3, (32, 32)
    if data is not None:
        dataset = open_dataset(cache, data)
        classes, channels, size = dataset.K, dataset.C or 3, (dataset.H or 32, dataset.W or 32)
    origin = architectures.origin_of(found.name, {found.name: found})
    network, traits = architectures.built(origin, found.name, classes, channels, 0, size)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    head = f"logits from {traits.head}, in float32" if traits.head else "logits from no one linear layer: trained in float32 alone"
    draws = ", draws random numbers as it trains (seeded by epoch)" if traits.draws else ""
    package = f" of {origin.package}" if origin.package else ""
    return f"{found.spec}{package}: {parameters:,} parameters for {classes} classes of {channels} x {size[0]} x {size[1]}; {head}{draws}."


def _folder(spec: str) -> str | None:
    """The folder that a module of one's own is found in from here, for trainers that start elsewhere."""
    kind, _, _ = spec.partition(":")
    if ":" not in spec or kind in LIBRARIES:
        return None
    top = kind.partition(".")[0]
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    found = importlib.util.find_spec(top)
    if found is None or not (found.origin or found.submodule_search_locations):
        return None
    places = list(found.submodule_search_locations or [])
    folder = os.path.dirname(os.path.abspath(places[0] if places else found.origin))
    installed = importlib.metadata.packages_distributions().get(top) or top in sys.stdlib_module_names
    return None if installed else folder
