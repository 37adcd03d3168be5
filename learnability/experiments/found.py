"""Experiments as they lie in the cache: runs that differ in nothing but their order and seed."""

import dataclasses
import hashlib
import json

from learnability.config import RunConfig, file_name
from learnability.curriculum import ARMS, curriculum_text, is_balanced, order_name, parse_curriculum
from learnability.errors import LearnabilityError, NotFound
from learnability.store.files import table_metadata
from learnability.store.paths import Cache
from learnability.store.runs import Run, load_runs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """The arms of one experiment, each with a run a seed."""

    id: str  # <arch>-<8 hex digits>
    config: RunConfig  # what all its runs share; seed 0, without a curriculum
    key: str  # of its two orders
    pacing: str
    runs: dict[str, dict[int, Run]]  # arm -> seed -> run, in the order of ARMS

    @property
    def balanced(self) -> bool:
        """Whether the classes come in evenly, in all paced arms alike."""
        return is_balanced(self.key)

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for own in self.runs.values() for seed in own})

    @property
    def all_runs(self) -> list[Run]:
        return [run for own in self.runs.values() for run in own.values()]


def experiment_id(config: RunConfig, key: str, pacing: str) -> str:
    """Name of the experiment in which `config` runs under the orders `key` with this pacing."""
    shared = dataclasses.replace(config, seed=0, curriculum=None)
    told = json.dumps([shared.recipe, key, pacing])
    return f"{file_name(config.arch)}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def experiments(cache: Cache, data: str) -> list[Experiment]:
    """Every experiment of a data set, the one launched last first. Runs whose config cannot be read are in none."""
    runs = [run for run in load_runs(cache, data) if run.config is not None and run.config.curriculum]
    found: dict[str, Experiment] = {}
    for run in runs:
        arm = parse_curriculum(run.config.curriculum)
        if arm.key is None:
            continue
        id = experiment_id(run.config, arm.key, arm.pacing)
        shared = dataclasses.replace(run.config, seed=0, curriculum=None)
        known = found.setdefault(id, Experiment(id=id, config=shared, key=arm.key, pacing=arm.pacing, runs={arm: {} for arm in ARMS}))
        known.runs[arm.name][run.config.seed] = run
    by_recipe = {(run.group, run.config.seed): run for run in runs}
    whole = [_with_controls(one, by_recipe) for one in found.values()]
    return sorted(whole, key=lambda one: (-_launched(cache, one), one.id))


def experiment(cache: Cache, data: str, id: str | None = None) -> Experiment:
    """One experiment, by default the one launched last. NotFound says what there is."""
    found = experiments(cache, data)
    for one in found:
        if id in (None, one.id):
            return one
    there = ", ".join(one.id for one in found) or "none yet"
    raise NotFound(
        f"data set {data!r} has no experiment{f' {id!r}' if id else ''}; there is: {there}. "
        f"Launch one: python -m learnability curriculum run --data {data} --arch resnet20"
    )


def orders_metadata(cache: Cache, one: Experiment) -> dict[str, str]:
    """What the orders of an experiment were made of; {} where they are gone."""
    for arm in ("easy_first", "hard_first"):
        try:
            return table_metadata(cache.order(one.config.data, order_name(arm, one.key)))
        except LearnabilityError:
            continue
    return {}


def _with_controls(one: Experiment, by_recipe: dict) -> Experiment:
    """The experiment with those runs of its controls, shared between experiments, whose seeds its own arms have."""
    seeds = one.seeds
    for arm in ("random", "standard"):
        config = dataclasses.replace(one.config, curriculum=curriculum_text(arm, one.key, one.pacing))
        one.runs[arm].update({seed: by_recipe[config.group_id, seed] for seed in seeds if (config.group_id, seed) in by_recipe})
    return dataclasses.replace(one, runs={arm: dict(sorted(own.items())) for arm, own in one.runs.items() if own})


def _launched(cache: Cache, one: Experiment) -> int:
    return max((cache.run_folder(run.data, run.id) / "config.json").stat().st_mtime_ns for run in one.all_runs)
