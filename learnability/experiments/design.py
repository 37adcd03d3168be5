"""What an experiment is to be, which runs that takes, and their launch."""

import dataclasses
import hashlib
import json

import numpy as np

from learnability import jobs
from learnability.config import RunConfig, planted, study
from learnability.curriculum import (
    ARMS,
    UNBALANCED,
    Order,
    Pacing,
    Schedule,
    check_no_leak,
    curriculum_text,
    order,
    order_name,
    parse_pacing,
)
from learnability.datasets import Dataset, trained_ids
from learnability.errors import InputError
from learnability.experiments import scores as score_runs
from learnability.experiments.found import experiment_id
from learnability.experiments.scores import Scores
from learnability.export import curricula
from learnability.jobs import Estimate
from learnability.metrics import METRICS
from learnability.store.architectures import expect_known
from learnability.store.datasets import label_versions, open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import Run

TIES_SEED = 0  # of the ties in the two orders, which all seeds of an experiment share
NO_KEY = "0" * 8  # of orders that are still to be made: names no run, only tells what the arms will cost
RECIPE = ("epochs", "batch_size", "lr", "weight_decay", "schedule", "augment", "precision", "deterministic")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Design:
    """What is asked for. Whatever is not named here is the default recipe, the same in every arm."""

    data: str
    arch: str = "resnet20"
    metric: str = "learnability"
    easy_is: str | None = None  # "high" or "low", for a metric without an easy end of its own
    scores: str | None = None  # group or run whose scores make the order; None: this network's own with most seeds
    score_seeds: int = 2  # runs that are trained first where there are no scores; averaging helps (2411.00973)
    balance: bool = True
    arms: tuple[str, ...] = ARMS
    seeds: int = 3
    first_seed: int | None = None  # None: the one after those of the scores
    pacing: Pacing = dataclasses.field(default_factory=Pacing)
    subset: int | None = None  # train samples; None: all
    labels: str = "original"
    recipe: tuple[tuple[str, object], ...] = ()  # fields of RECIPE that are not to be the default

    def __post_init__(self):
        _expect(self.metric in METRICS, "metric", self.metric, f"one of {', '.join(METRICS)}")
        _expect(METRICS[self.metric].easy_is != "none", "metric", self.metric, "one that gives an order, for example learnability")
        given = self.easy_is or METRICS[self.metric].easy_is
        _expect(given in ("high", "low"), "easy end", self.easy_is, f"'high' or 'low': {self.metric} has no easy end of its own")
        _expect(set(self.arms) <= set(ARMS) and "random" in self.arms, "arms", self.arms, "some of " + ", ".join(ARMS) + ", random always")
        _expect({"easy_first", "hard_first"} & set(self.arms), "arms", self.arms, "easy_first or hard_first, or both, beside random")
        _expect(isinstance(self.seeds, int) and self.seeds >= 1, "seeds", self.seeds, "a count of at least 1, better 3 or more")
        _expect(isinstance(self.score_seeds, int) and self.score_seeds >= 1, "score seeds", self.score_seeds, "a count of at least 1")
        _expect(self.pacing.name != "full", "pacing", "full", "one that holds samples back; with full all arms are the same")
        unknown = {field for field, _ in self.recipe} - set(RECIPE)
        _expect(not unknown, "recipe fields", sorted(unknown), f"some of {', '.join(RECIPE)}")

    @property
    def easy_end(self) -> str:
        return self.easy_is or METRICS[self.metric].easy_is


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """The runs of an experiment, or the runs whose scores it still lacks. Made without changing anything."""

    design: Design
    id: str | None  # of the experiment; None while there are no scores
    scores: Scores | None
    orders: dict[str, Order]  # ordered arm -> its order
    key: str | None
    configs: tuple[RunConfig, ...]  # arms, seed by seed; without scores: the runs that make them
    new: tuple[RunConfig, ...]  # those that have no run yet
    estimate: Estimate  # of the new ones
    later: Estimate | None  # of the arms, where runs for the scores come first
    samples: int  # that an arm trains on
    updates: int  # of every arm
    first_seed: int | None
    notes: tuple[str, ...]  # what limits what can be concluded

    @property
    def complete(self) -> bool:
        """Whether the arms can be launched: their scores are there."""
        return self.scores is not None

    @property
    def said(self) -> str:
        """What is launched, in one sentence."""
        design, runs = self.design, len(self.configs)
        if not self.complete:
            return (
                f"The runs of {design.arch} that make the scores on these samples and labels are not finished yet. First {runs} "
                f"run{'s' if runs > 1 else ''} "
                f"for the scores (seeds {', '.join(str(config.seed) for config in self.configs)}), then the arms."
            )
        seeds = f"seeds {self.first_seed} to {self.first_seed + design.seeds - 1}" if design.seeds > 1 else f"seed {self.first_seed}"
        arms = ", ".join(arm for arm in ARMS if arm in design.arms)
        return f"{arms}: {design.arch}, {seeds}, {self.updates:,} updates each on {self.samples:,} samples."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launched:
    """Run ids of a launch: begun, put back into the queue, and done or at work already."""

    new: tuple[str, ...]
    resumed: tuple[str, ...]
    there: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return self.new + self.resumed + self.there

    @property
    def said(self) -> str:
        counts = ((self.new, "queued"), (self.resumed, "go on"), (self.there, "there already"))
        return ", ".join(f"{len(own)} {word}" for own, word in counts if own)


def propose(cache: Cache, design: Design, device: str = "auto") -> Proposal:
    """Which runs an experiment takes and what they cost. InputError says what cannot be."""
    expect_known(cache, design.arch)
    dataset = _dataset(cache, design)
    ids_n = _ids(dataset, design.subset)
    subset = None if len(ids_n) == int((dataset.labels_N >= 0).sum()) else design.subset
    design = dataclasses.replace(design, subset=subset)
    groups = score_runs.candidates(cache, design.data, dataset.fingerprint)
    chosen = design.scores or score_runs.found(groups, design.arch, subset, design.labels, len(ids_n))
    missing, before = _score_configs(design, dataset), None
    if design.scores is None:
        arm = _configs(design, dataset, NO_KEY, 0)[0]
        asked = {"score": design.metric, "easy_is": design.easy_end}
        before = score_runs.taken_before(cache, groups, arm, str(design.pacing), design.balance, asked)
    if before is None and (chosen is None or design.scores is None and _under_way(cache, missing, groups[chosen])):
        return _scores_first(cache, design, dataset, ids_n, missing, device)
    members = score_runs.named(groups, chosen, design.labels) if before is None else before
    others = "" if before is None or {run.id for run in before} == {run.id for run in groups[chosen]} else chosen
    chosen = chosen if before is None else before[0].group
    scores = score_runs.load(cache, chosen, members, design.metric, ids_n)
    first = max(scores.seeds) + 1 if design.first_seed is None else design.first_seed
    check_no_leak(scores.seeds, range(first, first + design.seeds))
    orders = _orders(design, scores, dataset.labels_N[ids_n], ids_n)
    key = _key(design, scores, orders)
    configs = _configs(design, dataset, key, first)
    schedule = _schedule(configs[0], ids_n, design.pacing)
    new = tuple(config for config in configs if not _is_there(cache, config))
    return Proposal(
        design=design, id=experiment_id(configs[0], key, str(design.pacing)), scores=scores, orders=orders, key=key, configs=configs,
        new=new, estimate=jobs.estimate(cache, new, device), later=None, samples=len(ids_n), updates=schedule.steps, first_seed=first,
        notes=_notes(design, scores, schedule, others),
    )  # fmt: skip


def launch(cache: Cache, proposal: Proposal, device: str = "auto", threads: int | None = None) -> Launched:
    """Puts the runs of a proposal into the queue, its orders into the cache. What ended early goes on; what is done stays."""
    design = proposal.design
    if proposal.complete:
        opened = open_dataset(cache, design.data, proposal.configs[0].fingerprint[:8], design.labels)
        for arm, made in proposal.orders.items():
            _keep(cache, proposal, opened, arm, made)
    made = jobs.launch(cache, proposal.configs, device, threads)
    known = [run_id for run_id, created in made if not created]
    resumed = [run_id for run_id in known if _goes_on(cache, design.data, run_id, device, threads)]
    return Launched(
        new=tuple(run_id for run_id, created in made if created),
        resumed=tuple(resumed),
        there=tuple(run_id for run_id in known if run_id not in resumed),
    )


def _goes_on(cache: Cache, data: str, run_id: str, device: str, threads: int | None) -> bool:
    """Puts a run that was stopped, failed or cut off back into the queue, on the device that was named; whether it was one."""
    named = None if device == "auto" else device
    return "resume" in jobs.state(cache, data, run_id).actions and jobs.resume(cache, data, run_id, named, threads)


def _dataset(cache: Cache, design: Design) -> Dataset:
    """The newest version with the labels asked for; planted ones that are still to be made drop no sample."""
    if design.labels not in label_versions(cache, design.data) and planted(design.labels) is not None:
        dataset = open_dataset(cache, design.data)
    else:
        dataset = open_dataset(cache, design.data, None, design.labels)
    if dataset.images is None:
        raise InputError(f"data set {design.data!r} has no images to train on.")
    if not (dataset.test_labels_T >= 0).any():
        raise InputError(
            f"data set {design.data!r} has no test samples: expected some, on which the arms are compared. "
            f"Prepare it again with --test 0.2."
        )
    return dataset


def _ids(dataset: Dataset, subset: int | None) -> np.ndarray:
    count = int((dataset.labels_N >= 0).sum())
    if subset is not None and subset < 2:
        raise InputError(f"subset {subset}: expected 2 to {count}, the train samples there are.")
    return trained_ids(dataset.labels_N, None if subset is None or subset >= count else subset)


def _score_configs(design: Design, dataset: Dataset) -> tuple[RunConfig, ...]:
    """The runs that make the scores where there are none: ordinary training under the recipe of the arms."""
    fields = dict(design.recipe) | {"subset": design.subset, "labels": design.labels}
    return tuple(study(design.data, dataset.fingerprint, dataset.C, dataset.N, [design.arch], design.score_seeds, 0, **fields))


def _under_way(cache: Cache, configs: tuple[RunConfig, ...], done: list[Run]) -> bool:
    """Whether `done` are only some of these runs and another was begun: an order of theirs would rest on fewer seeds than asked for."""
    ids = {run.id for run in done}
    return configs[0].group_id == done[0].group and any(config.run_id not in ids and _is_there(cache, config) for config in configs)


def _scores_first(
    cache: Cache, design: Design, dataset: Dataset, ids_n: np.ndarray, configs: tuple[RunConfig, ...], device: str
) -> Proposal:
    first = design.score_seeds if design.first_seed is None else design.first_seed
    check_no_leak(range(design.score_seeds), range(first, first + design.seeds))
    schedule = _schedule(configs[0], ids_n, design.pacing)
    arms = _configs(design, dataset, NO_KEY, first)
    new = tuple(config for config in configs if not _is_there(cache, config))
    return Proposal(
        design=design, id=None, scores=None, orders={}, key=None, configs=configs, new=new, estimate=jobs.estimate(cache, new, device),
        later=jobs.estimate(cache, arms, device), samples=len(ids_n), updates=schedule.steps, first_seed=design.first_seed, notes=(),
    )  # fmt: skip


def _orders(design: Design, scores: Scores, labels_n: np.ndarray, ids_n: np.ndarray) -> dict[str, Order]:
    told = {"labels_N": labels_n, "balance": design.balance, "never_learned_N": scores.never_n, "sample_ids_N": ids_n}
    ordered = [arm for arm in design.arms if arm in ("easy_first", "hard_first")]
    return {arm: order(scores.score_n, design.easy_end, arm, seed=TIES_SEED, **told) for arm in ordered}


def _key(design: Design, scores: Scores, orders: dict[str, Order]) -> str:
    """8 hex digits of everything that the orders are made of, so that the same scores give the same runs again; marked if unbalanced."""
    told = [design.metric, design.easy_end, design.balance, TIES_SEED, [run.id for run in scores.runs]]
    ids_n = np.sort(next(iter(orders.values())).ids_N)
    made = json.dumps(told).encode() + scores.score_n.astype("<f8").tobytes() + ids_n.astype("<i8").tobytes()
    return ("" if design.balance else UNBALANCED) + hashlib.sha256(made).hexdigest()[:8]


def _configs(design: Design, dataset: Dataset, key: str, first_seed: int) -> tuple[RunConfig, ...]:
    """Seed by seed, so that an experiment cut short still has whole pairs."""
    fields = dict(design.recipe) | {"subset": design.subset, "labels": design.labels, "record": "eval"}
    arms = [arm for arm in ARMS if arm in design.arms]
    by_arm = [
        study(
            design.data, dataset.fingerprint, dataset.C, dataset.N, [design.arch], design.seeds, first_seed,
            curriculum=curriculum_text(arm, key, design.pacing), **fields,
        )
        for arm in arms
    ]  # fmt: skip
    return tuple(config for seed in zip(*by_arm, strict=True) for config in seed)


def _schedule(config: RunConfig, ids_n: np.ndarray, pacing: Pacing) -> Schedule:
    """Of one paced arm; InputError where batch and samples do not fit."""
    if len(ids_n) < config.batch_size:
        raise InputError(f"batch size {config.batch_size}: expected at most {len(ids_n)}, the samples there are. Choose a smaller batch.")
    steps = config.epochs * -(-len(ids_n) // config.batch_size)
    return Schedule(order_N=ids_n, pacing=pacing, batch_size=config.batch_size, steps=steps, seed=config.seed)


def _is_there(cache: Cache, config: RunConfig) -> bool:
    return (cache.run_folder(config.data, config.run_id) / "config.json").exists()


def _notes(design: Design, scores: Scores, schedule: Schedule, others: str) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(f"The order is that of the experiment launched before. By the scores of {others}: --scores {others}.")
    if design.seeds < 3:
        notes.append("Fewer than 3 seeds: too few for an interval worth reading; 5 are better.")
    elif design.seeds < 5:
        notes.append("Three or four seeds rarely decide anything; five are better.")
    if len(scores.seeds) == 1:
        notes.append("The order rests on one seed's scores; a mean over several orders the samples more reliably.")
    if scores.runs[0].config.subset != design.subset:
        notes.append("The scores come from networks that trained on other samples than the arms: the order knows more than these do.")
    if scores.runs[0].config.arch != design.arch:
        notes.append(f"The scores are those of {scores.runs[0].config.arch}, the arms train {design.arch}.")
    if len(schedule.passes) < 2:
        notes.append("All samples are in play at once: in so few updates this pacing never holds one back.")
    return tuple(notes)


def _keep(cache: Cache, proposal: Proposal, opened: Dataset, arm: str, made: Order) -> None:
    """Saves the order of an arm; the same one may be there already, and never changes."""
    design, scores, name = proposal.design, proposal.scores, order_name(arm, proposal.key)
    if cache.order(design.data, name).exists():
        return
    score_of = np.full(opened.N, np.nan)
    score_of[np.sort(made.ids_N)] = scores.score_n
    told = {
        "order": arm, "score": design.metric, "of": scores.of, "runs": ", ".join(run.id for run in scores.runs),
        "score_seeds": ", ".join(map(str, scores.seeds)), "score_seconds": round(scores.seconds, 1), "easy_is": design.easy_end,
        "balanced": made.balanced, "seed": TIES_SEED, "data": design.data, "fingerprint": opened.fingerprint, "labels": design.labels,
        "samples": len(made.ids_N),
    }  # fmt: skip
    try:
        curricula.save_order(cache, design.data, name, curricula.order_table(opened, made, score_of), {k: str(v) for k, v in told.items()})
    except InputError:
        if not cache.order(design.data, name).exists():  # another launch was faster; the same name is the same order
            raise


def design_from(text_pacing: str, recipe: dict, **fields) -> Design:
    """A design from a pacing as text and a recipe as a dict; fields of the recipe that are None are the default."""
    kept = tuple(sorted((field, value) for field, value in recipe.items() if value is not None))
    return Design(pacing=parse_pacing(text_pacing), recipe=kept, **fields)


def _expect(good, what: str, got, expected: str) -> None:
    if not good:
        raise InputError(f"{what} {got!r}: expected {expected}.")
