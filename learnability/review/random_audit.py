"""What share of the labels is wrong: samples drawn at random, judged by a person, and an interval.

A draw is a tag in the log of actions, so it lasts by key and hash, is undone like any action, and the log itself says what had
been decided before it.
"""

import dataclasses
import re

import numpy as np
from scipy.special import betaincinv

from learnability.curriculum.randomness import PURPOSES, words
from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.review.log import VERDICTS, Action, Log, read_log, tag
from learnability.review.verdicts import real_errors, resolve, state
from learnability.store.datasets import open_dataset
from learnability.store.identity import Identities, identities
from learnability.store.paths import Cache

COUNT = 100
_TAG = re.compile(r"random-audit-([1-9]\d{0,6})")
_OWN_WORDS = 2**33  # index of these words among the draws of that purpose


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with the exact (Clopper-Pearson) 95 % interval around it."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float, plus: float = 0.0, most: float = float("inf")) -> "Interval":
        """factor x + plus of all three, held between 0 and `most`."""
        return Interval(**{name: min(max(factor * value + plus, 0.0), most) for name, value in dataclasses.asdict(self).items()})


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class RandomAudit:
    """The latest draw of a data set, and what its verdicts say so far.

    sample_ids    drawn samples in the order of the draw, as far as this data set version holds them
    population    train samples that nobody had decided when it was drawn: what it speaks for
    judged        decided from the first drawn on, without a gap: a random sample of its own, however far one has come
    errors        of the judged: dropped, or given another class;  unsure  may be errors, so only the upper end counts them
    wrong         share of wrong labels in the population;  None while nothing is judged
    open_before   decided when it was drawn, now unsure or undecided again: may be errors, so only the upper ends count them
    at_source     share of wrong labels among all N train samples, those found before the draw included; never below those found so far
    left          wrong labels that are still there, after all decisions so far; never more than are unsure or undecided
    """

    number: int
    action: Action
    sample_ids: np.ndarray
    N: int
    population: int
    judged: int
    errors: int
    unsure: int
    fixed_before: int
    fixed_since: int
    open_before: int
    wrong: Interval | None
    at_source: Interval | None
    left: Interval | None

    @property
    def whole(self) -> bool:
        return self.judged == len(self.sample_ids)


def draw_random_audit(cache: Cache, name: str, *, by: str, count: int = COUNT) -> Action:
    """Draws `count` train samples at random among the undecided (all of them where there are fewer) and tags them, as one action."""
    if count < 1:
        raise InputError(f"audit of {count} samples: expected at least 1.")
    original = open_dataset(cache, name)
    version, log = identities(original), read_log(cache, name)
    ids = _undecided(log, version, original)
    if not len(ids):
        raise InputError(f"every train sample of {name!r} is decided: nothing is left to draw.")
    number = 1 + max([0, *(number for action in log.actions if (number := _number(action)))])
    drawn = ids[np.argsort(words(number, PURPOSES["draw"], _OWN_WORDS, original.N)[ids], kind="stable")[:count]]
    why = f"drawn at random among {len(ids)} undecided train samples"
    return tag(cache, name, version.samples(drawn), add=[f"random-audit-{number}"], by=by, why=why)


def random_audit(log: Log, original: Dataset, version: Identities | None = None) -> RandomAudit | None:
    """The latest draw that was not undone, or None. `original` is the data set under its original labels."""
    draws = [action for action in log.holding if _number(action)]
    if not draws:
        return None
    action = draws[-1]
    version = version or identities(original)
    population = np.zeros(original.N, bool)
    population[_undecided(_before(log, action), version, original)] = True
    drawn = version.match([key for key, _ in action.samples], [hashed for _, hashed in action.samples]).rows_n
    drawn = drawn[(drawn >= 0) & (drawn < original.N)]
    resolved = resolve(state(log), version)
    wrong = dict(zip(resolved.decided_n.tolist(), real_errors(resolved, original).tolist(), strict=True))
    judged = next((i for i, row in enumerate(drawn.tolist()) if row not in wrong), len(drawn))
    unsure = sum(resolved.by_id[row].verdict == "unsure" for row in drawn[:judged].tolist())
    errors = sum(wrong[row] for row in drawn[:judged].tolist())
    fixed = [row for row, is_wrong in wrong.items() if is_wrong and row < original.N]
    since = int(population[fixed].sum()) if fixed else 0
    size, before = int(population.sum()), len(fixed) - since
    open_N = np.isin(resolved.codes[: original.N], (0, 1 + VERDICTS.index("unsure"))) & (original.labels_N >= 0)
    open_before = int((open_N & ~population).sum())
    share = _share(errors, unsure, judged, size) if judged else None
    left = share and _left(share.scaled(size, -since), open_before, int(open_N.sum()))
    return RandomAudit(
        number=_number(action),
        action=action,
        sample_ids=drawn,
        N=original.N,
        population=size,
        judged=judged,
        errors=errors,
        unsure=unsure,
        fixed_before=before,
        fixed_since=since,
        open_before=open_before,
        wrong=share,
        at_source=left and left.scaled(1 / original.N, len(fixed) / original.N, 1.0),
        left=left,
    )


def told(made: RandomAudit) -> list[str]:
    """What an audit says so far, in sentences."""
    drawn = f"{len(made.sample_ids)} of {made.population:,} samples that nobody had decided were drawn at random"
    if made.wrong is None:
        return [f"{drawn}; none is judged yet."]
    unsure = f", {made.unsure} unsure (only the upper end of the intervals counts them)" if made.unsure else ""
    before = f", the {made.fixed_before:,} found before included" if made.fixed_before else ""
    opened = f" Of those decided before, {made.open_before:,} are unsure or undecided: only the upper ends count them."
    wrong, source, left = made.wrong, made.at_source, made.left
    return [
        f"{drawn}; {made.judged} are judged: {made.errors} wrong{unsure}.",
        f"Wrong labels at the source{before}: {_percent(source.value)} of all {made.N:,} ({_percent(source.low)} to "
        f"{_percent(source.high)}, 95 % interval)."
        + (f" Among those {made.population:,}: {_percent(wrong.value)}." if made.population < made.N else "")
        + (opened if made.open_before else ""),
        f"Still wrong after all decisions so far: about {left.value:,.0f} labels ({left.low:,.0f} to {left.high:,.0f}).",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def clopper_pearson(errors: int, n: int, level: float = 0.95) -> Interval:
    """Share with its exact interval: covers the truth in at least `level` of all draws."""
    if not 0 <= errors <= n or n < 1:
        raise InputError(f"{errors} errors of {n}: expected 0 to n of at least one sample.")
    tail = (1 - level) / 2
    low = float(betaincinv(errors, n - errors + 1, tail)) if errors else 0.0
    high = float(betaincinv(errors + 1, n - errors, 1 - tail)) if errors < n else 1.0
    return Interval(value=errors / n, low=low, high=high)


def _share(errors: int, unsure: int, judged: int, population: int) -> Interval:
    """The lower end takes every unsure one for right, the upper end for wrong; where all were judged nothing is chance."""
    if judged == population:
        return Interval(value=errors / judged, low=errors / judged, high=(errors + unsure) / judged)
    least, most = clopper_pearson(errors, judged), clopper_pearson(errors + unsure, judged)
    return Interval(value=least.value, low=least.low, high=most.high)


def _left(population: Interval, before: int, most: int) -> Interval:
    """Wrong labels still there: at the upper end the `before` open ones outside the population too; never more than `most` are open."""
    return dataclasses.replace(population, high=population.high + before).scaled(1.0, most=most)


def _number(action: Action) -> int:
    """Which draw an action is, counted from 1; 0 for any other action."""
    return next((int(match[1]) for added in action.tags_added if (match := _TAG.fullmatch(added))), 0)


def _undecided(log: Log, version: Identities, original: Dataset) -> np.ndarray:
    """Train samples with a label and without a verdict."""
    codes = resolve(state(log), version).codes[: original.N]
    return np.flatnonzero((codes == 0) & (original.labels_N >= 0))


def _before(log: Log, action: Action) -> Log:
    """The log as it was when `action` was taken."""
    earlier = log.actions[: log.actions.index(action)]
    return Log(earlier, {one.undo: one.id for one in earlier if one.undo is not None})
