"""doctor: is this machine ready, is the cache whole, and what to do."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys

from learnability.commands.arguments import Bar, cache_of, command, print_json
from learnability.errors import LearnabilityError
from learnability.store import imported
from learnability.store.datasets import open_dataset
from learnability.store.features import features_problems
from learnability.store.health import dataset_problems, run_problems
from learnability.store.locks import hold

FLOORS = {
    "torch": (2, 11),
    "torchvision": (0, 26),
    "numpy": (2, 0),
    "scipy": (1, 13),
    "pyarrow": (15, 0),
    "pillow": (11, 0),
    "safetensors": (0, 5),
}
APP_FLOORS = {"streamlit": (1, 67), "plotly": (7, 0), "pandas": (2, 2)}


def add(commands) -> None:
    own = command(
        commands,
        "doctor",
        run,
        "Check versions, devices, the compiler and every checksum in the cache; say what to do.",
        "  python -m learnability doctor\n  python -m learnability doctor --repair --json",
    )
    own.add_argument("--repair", action="store_true", help="make damaged or missing score tables anew from their recordings")
    own.add_argument("--json", action="store_true", help="for programs")


def run(args) -> int:
    cache = cache_of(args)
    report = {"versions": _versions(), "devices": _devices(), "compiler": _compiler(), "cache": str(cache.root)}
    report |= {"datasets": len(cache.dataset_names()), "runs": sum(len(cache.run_ids(name)) for name in cache.run_data_names())}
    problems = [problem for problem in report["versions"].pop("problems")]
    problems += _cache_problems(cache, args.repair)
    report["problems"] = problems
    if args.json:
        print_json(report)
    else:
        _print(report)
    return 1 if any("Repaired" not in problem for problem in problems) else 0


def _versions() -> dict:
    found, problems = {"python": platform.python_version()}, []
    for name, floor in {**FLOORS, **APP_FLOORS}.items():
        wanted = ".".join(map(str, floor))
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
            if name in FLOORS:
                problems.append(f"{name} is not installed: pip install '{name}>={wanted}'")
            continue
        if tuple(int(part) for part in found[name].split("+")[0].split(".")[:2]) < floor:
            problems.append(f"{name} {found[name]} is too old: pip install '{name}>={wanted}'")
    return {**found, "problems": problems}


def _devices() -> list[str]:
    from learnability.training.devices import device_descriptions

    return device_descriptions()


def _compiler() -> str | None:
    return next((path for name in (os.environ.get("CXX"), "g++", "clang++", "c++") if name and (path := shutil.which(name))), None)


def _cache_problems(cache, repair: bool) -> list[str]:
    problems = []
    try:
        with hold(cache, "doctor"):
            free = shutil.disk_usage(cache.root).free
        if free < 1e9:
            problems.append(f"{cache.root} has {free / 1e6:.0f} MB free: make space before training.")
    except LearnabilityError as error:
        problems.append(str(error))
    for name in cache.dataset_names():
        for version in cache.versions(name):
            bar = Bar(f"{name}/{version}", "image")
            problems += dataset_problems(cache, name, version, bar)
            bar.close()
            problems += features_problems(cache, name, version)
        if cache.imported_folder(name).is_dir():
            with contextlib.suppress(LearnabilityError):  # a damaged version is told above
                problems += imported.problems(cache, open_dataset(cache, name))
    for name in cache.run_data_names():
        for run_id in cache.run_ids(name):
            problems += run_problems(cache, name, run_id, repair)
    return problems


def _print(report: dict) -> None:
    print("versions  " + ", ".join(f"{name} {version or 'not installed'}" for name, version in report["versions"].items()))
    print("devices   " + "; ".join(report["devices"]))
    print("compiler  " + (report["compiler"] or "none: torch.compile is left out. On Debian: apt-get install g++"))
    print("cache     " + report["cache"])
    if report["problems"]:
        print(f"\n{len(report['problems'])} to look at:", file=sys.stdout)
        for problem in report["problems"]:
            print(f"- {problem}")
    elif report["datasets"] or report["runs"]:
        print("all good: every checksum matches")
    else:
        print("all good, but this cache holds no data set and no run yet")
