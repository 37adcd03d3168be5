"""How far scores can be trusted, worked out once and kept by small keys: the ids of runs and the checksums of their scores.

Intervals in pages come from a small bootstrap of REPLICATES draws; `python -m learnability agreement` makes 2,000.
"""

import dataclasses

import numpy as np
import streamlit as st

from learnability import agreement
from learnability.agreement import Group
from learnability.errors import LearnabilityError
from learnability.metrics import METRICS
from learnability.store import heldout
from learnability.store.hits import hits_of
from learnability.store.paths import Cache
from learnability.store.prefixes import prefix_scores
from learnability.store.runs import Run
from learnability.store.scores import is_trial
from ui import comparable, data, scored, state, words
from ui.series import Series, joined

REPLICATES = 400
MOST_SAMPLES = 100_000  # above, no bootstrap in a page
MOST_TESTED = 200_000  # samples up to which all networks are tested together without being asked
MOST_VALUES = 60_000_000  # samples x epochs x runs that are read for the curve over epochs
QUICK_VALUES = 6_000_000  # of them that are read for a sentence in the launch form, in some half a second


def as_group(name: str, made: Series, first: int = 0) -> Group:
    """The rows of a series in a score_RN, seeds numbered in their order."""
    return Group(name=name, rows=tuple(range(first, first + made.seeds)), seeds=tuple(range(made.seeds)))


def easier_up(made: Series, score: np.ndarray) -> np.ndarray:
    return -words.hardness(made.metric, score) if words.ordered(made.metric) else score


def of_networks(made: Series) -> bool:
    """Whether it is one of the scores that every recording gives: an imported one has no seeds to agree."""
    return made.metric in METRICS


def groups(now: state.State, found: list[Run], metric: str, every_recipe: bool = False) -> list[Series]:
    """The score of every group of a data set, or of the page's recipe; those with most seeds first. Damaged ones are left out."""
    made = []
    for id, members in data.choices(found).items():
        if id != members[0].group or not (every_recipe or members[0].recipe == now.recipe):
            continue
        try:
            one = scored.series(now.data, id, members, metric)
        except LearnabilityError:
            continue
        if one is not None:
            made.append(one)
    return made


def title(made: Series, among: list[Series]) -> str:
    """A group's name among others: the architecture, with what tells it from another one of the same name."""
    same = [one for one in among if one.config.arch == made.config.arch]
    if len(same) == 1:
        return made.config.arch
    parts = [part for part, differs in (
        (made.config.labels, len({one.config.labels for one in same}) > 1),
        (words.count(max(made.looks), "epoch"), len({max(one.looks) for one in same}) > 1),
        (made.mode, len({one.mode for one in same}) > 1),
    ) if differs]  # fmt: skip
    unlike = len({(one.config.labels, max(one.looks), one.mode) for one in same}) == len(same)
    return f"{made.config.arch} ({', '.join(parts if unlike else [*parts, made.config.recipe])})"


@dataclasses.dataclass(frozen=True)
class Cell:
    """Two groups, or one with itself: how far single runs agree, beside what seeds allow."""

    N: int
    comparison: comparable.Comparison
    cross: agreement.Cross | None  # None where refused, and on the diagonal
    reliabilities: tuple[agreement.Reliability, ...]


def _key(made: Series):
    return made.key


@st.cache_resource(max_entries=256, show_spinner="Measuring how far the groups agree ...", hash_funcs={Series: _key})
def between(a: Series, b: Series, kind: str) -> Cell:
    found = comparable.compared(a, b)
    if found.refused is not None:
        return Cell(0, found, None, ())
    rows_a, rows_b, ids = joined(a, b)
    score_RN = np.concatenate([easier_up(a, a.score_RN[:, rows_a]), easier_up(b, b.score_RN[:, rows_b])])
    agreed = _agreed(score_RN, [as_group("A", a), as_group("B", b, a.seeds)], kind)
    return Cell(agreed.N, found, agreed.cross("A", "B"), agreed.reliabilities)


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs={Series: _key})
def within(made: Series, kind: str = "pearson") -> Cell:
    agreed = _agreed(easier_up(made, made.score_RN), [as_group("A", made)], kind)
    return Cell(agreed.N, comparable.Comparison(), None, agreed.reliabilities)


def _agreed(score_RN: np.ndarray, groups: list[Group], kind: str) -> agreement.Agreement:
    replicates = REPLICATES if score_RN.shape[1] <= MOST_SAMPLES and score_RN.shape[0] > 1 else 0
    return agreement.agree(score_RN, groups, kind, replicates=replicates, rng=np.random.Generator(np.random.Philox(1)))


def cost(made: Series) -> int:
    """Values of signals that `enough` reads."""
    return sum(run.head.rows * run.head.looks for run in made.runs)


@st.cache_resource(max_entries=32, show_spinner="Reading the epochs ...", hash_funcs={Series: _key})
def enough(made: Series) -> agreement.Enough:
    """Reliability of a group over growing prefixes of its epochs, and over seeds."""
    root, name = made.key[:2]
    E = min(made.looks)
    of_seeds = [prefix_scores(Cache.at(root), unit, made.metric, agreement.prefixes(E)) for unit in heldout.units(made.runs)]
    score_SeN = np.stack([score_eN[:, np.searchsorted(ids_N, made.sample_ids_N)] for ids_N, score_eN in of_seeds])
    return agreement.enough_looks_and_seeds(easier_up(made, score_SeN), E, np.random.Generator(np.random.Philox(3)))


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs={Series: _key})
def errors(a: Series, b: Series) -> tuple[int, agreement.SharedErrors] | None:
    """(last epoch that all runs have, whether A and B err on the same samples there); None where predictions are not kept."""
    if not (of_networks(a) and of_networks(b)):
        return None
    look, ids = min(*a.looks, *b.looks) - 1, joined(a, b)[2]
    try:
        sides = [hits_of(Cache.at(made.key[0]), heldout.units(made.runs), ids, look) for made in (a, b)]
    except LearnabilityError:
        return None
    (hits_a, seen_a), (hits_b, seen_b) = sides
    seen_N = seen_a & seen_b
    if not seen_N.any():
        return None
    return look, agreement.shared_errors(hits_a[:, seen_N], hits_b[:, seen_N], np.random.Generator(np.random.Philox(6)), REPLICATES)


@st.cache_resource(max_entries=16, show_spinner="Testing every sample against seed noise ...", hash_funcs={Series: _key})
def hard_for(several: tuple[Series, ...], names: tuple[str, ...], level_removed: bool = False) -> tuple[agreement.HardFor, np.ndarray]:
    """(for whom each sample is hard, among all these groups, the sample ids they stand for). Series of learnability."""
    ids = several[0].sample_ids_N
    for made in several[1:]:
        ids = ids if np.array_equal(ids, made.sample_ids_N) else np.intersect1d(ids, made.sample_ids_N)
    score_RN = np.concatenate(
        [agreement.hit_shares(made.score_RN, made.looks)[:, np.searchsorted(made.sample_ids_N, ids)] for made in several]
    )
    first = np.cumsum([0, *(made.seeds for made in several)])
    named = [as_group(name, made, int(at)) for name, made, at in zip(names, several, first, strict=False)]
    grain = 1 / min(min(made.looks) for made in several)
    found = agreement.hard_for(score_RN, named, grain, np.random.Generator(np.random.Philox(4)), remove_level=level_removed)
    return found, ids


def everyone(now: state.State, found: list[Run]) -> tuple[list[Series], list[str]]:
    """(learnability of the groups of the page's recipe, their names): those among which a sample can be hard for one or for all.

    Of one recipe, so they share labels, epochs and mode; a group that has not come as far as the others is left out.
    """
    several = groups(now, found, "learnability")
    most = max((max(made.looks) for made in several), default=0)
    several = [made for made in several if max(made.looks) == min(made.looks) == most]
    return several, [title(made, several) for made in several]


def advice(name: str) -> str | None:
    """What is known here of how many epochs and seeds it takes, for somebody about to train; None before the first ordinary score.

    Of the page's recipe where its seeds tell; trials tell nothing of an ordinary training.
    """
    now = state.current()
    if now.data != name:
        return None
    ordinary = [run for run in data.all_runs(name) if run.config is not None and not is_trial(run.config)]
    several = groups(now, ordinary, "learnability", every_recipe=True)
    known = [(made, within(made).reliabilities[0].value) for made in several if made.seeds > 1]
    known = [(made, r) for made, r in known if np.isfinite(r) and r > 0]
    if not several:
        return None
    if not known:
        return "No network has two seeds here yet: two of each tell how far a score can be trusted."
    made, r = max(known, key=lambda one: (one[0].config.recipe == now.recipe, one[0].config.folds is None, one[0].seeds))
    needed, enough_seeds = agreement.seeds_needed(r), agreement.last_worthwhile_seed(r)
    over = words.count(max(made.looks), "epoch")
    seeds = (
        f"Two seeds of {made.config.arch} over {over} agree at {words.r(r)}: {words.count(needed, 'seed')} reach 0.95, "
        f"from {enough_seeds} on one more adds less than 0.01."
    )
    return " ".join(filter(None, [seeds, _advised_epochs(made)]))


def _advised_epochs(made: Series) -> str | None:
    """How many of a group's epochs its seeds need to agree, where that is read in no time."""
    if cost(made) > QUICK_VALUES:
        return None
    try:
        found = enough(made)
    except LearnabilityError:
        return None  # a damaged recording: told where the run is shown
    E = found.looks[-1]
    if found.enough is None or E == 1:
        return None
    if found.best is not None:
        return f"Seeds agreed best after {words.count(found.best, 'epoch')}, less since."
    if found.enough == E:
        return f"Seeds agree still better from epoch to epoch: more than {E} may help."
    return f"After {words.count(found.enough, 'epoch')} they agree as far as after all {E}, within 0.01: that many are enough for an order."
