"""How far A and B agree, in sentences; the numbers come from learnability.agreement."""

import dataclasses

import numpy as np
import streamlit as st

from learnability import agreement
from ui import words
from ui.series import Series, joined

REPLICATES = 2000
MOST_SAMPLES = 100_000  # above, no bootstrap in a page
SHARED = "A and B share runs, so there is no ceiling for them."


@dataclasses.dataclass(frozen=True)
class Numbers:
    """What the page says of a pair."""

    N: int
    pearson: agreement.Cross | None  # None where A and B share runs
    spearman: agreement.Cross | None
    plain: dict[str, agreement.Correlation]  # of the means over seeds, as drawn
    reliabilities: tuple[agreement.Reliability, ...]
    within: agreement.WithinClass
    nontrivial: agreement.Correlation | None
    shapes: tuple[agreement.Shape, agreement.Shape]


def measured(made: Series, b: Series) -> Numbers:
    rows_a, rows_b, ids = joined(made, b)
    x, y = _easier_up(made, made.score_N[rows_a]), _easier_up(b, b.score_N[rows_b])
    pearson = spearman = None
    reliabilities = ()
    if not {run.id for run in made.runs} & {run.id for run in b.runs}:
        score_RN = np.concatenate([_easier_up(made, made.score_RN[:, rows_a]), _easier_up(b, b.score_RN[:, rows_b])])
        named = (_group("A", made, 0), _group("B", b, made.seeds))
        replicates = REPLICATES if len(ids) <= MOST_SAMPLES else 0
        agreed = agreement.agree(score_RN, named, replicates=replicates, rng=np.random.Generator(np.random.Philox(1)))
        pearson, reliabilities = agreed.cross("A", "B"), agreed.reliabilities
        spearman = agreement.agree(score_RN, named, "spearman").cross("A", "B")
    ends = made.metric in words.SHARES and b.metric in words.SHARES
    apart = agreement.nontrivial(x, y) if ends else None
    return Numbers(
        N=len(ids),
        pearson=pearson,
        spearman=spearman,
        plain={kind: agreement.correlation(x, y, kind) for kind in ("pearson", "spearman")},
        reliabilities=reliabilities,
        within=agreement.within_class_correlation(x, y, made.labels_N[rows_a]),
        nontrivial=agreement.correlation(x[apart], y[apart]) if ends and apart.sum() > 2 else None,
        shapes=(agreement.shape(made.score_N[rows_a]), agreement.shape(b.score_N[rows_b])),
    )


def placed(made: Series, b: Series, level_removed: bool) -> tuple[agreement.Quadrants, np.ndarray]:
    """(quadrants of two learnability series, the sample ids they stand for)."""
    rows_a, rows_b, ids = joined(made, b)
    score_RN = np.concatenate([made.score_RN[:, rows_a], b.score_RN[:, rows_b]])
    named = (_group("A", made, 0), _group("B", b, made.seeds))
    grain = 1 / min(*made.looks, *b.looks)
    (found,) = agreement.quadrants(score_RN, named, grain, np.random.Generator(np.random.Philox(2)), remove_level=level_removed)
    return found, ids


def _group(name: str, made: Series, first: int) -> agreement.Group:
    """Runs of a group differ in seed, or in held-out fold: numbered, so that they are told apart."""
    return agreement.Group(name=name, rows=tuple(range(first, first + made.seeds)), seeds=tuple(range(made.seeds)))


def _easier_up(made: Series, score: np.ndarray) -> np.ndarray:
    return -score if words.metric_named(made.metric).easy_is == "low" else score


# on screen


def draw(told: Numbers, made: Series, b: Series) -> None:
    single = made.seeds == b.seeds == 1
    one, two, three = st.columns(3)
    one.metric(
        "Pearson r",
        _r(told.plain["pearson"].value),
        help="How closely the scores lie on a line, of the means over seeds as drawn. 1: one score gives the other; 0: no relation.",
    )
    two.metric(
        "Spearman rho", _r(told.plain["spearman"].value), help="How far both put the samples in the same order; ties count as mid-ranks."
    )
    three.metric("Samples n", f"{told.N:,}", help="Samples that both sides have seen.")
    for said in (told.plain["pearson"].reason,):
        if said:
            st.caption(f"No correlation: {said}.")
    st.markdown(_ceiling(told, made, b))
    within = told.within
    st.markdown(
        f"Inside the classes they agree at **{_r(within.overall.value)}** (single classes {_r(within.low)} to {_r(within.high)})."
        + (" Much of the agreement is about which classes are hard." if told.plain["pearson"].value - within.overall.value > 0.15 else ""),
        help="Correlation after each class's mean is taken off. A high overall r with a low one here says: the classes differ, "
        "not the samples.",
    )
    if told.nontrivial is not None and told.nontrivial.N < told.N:
        st.markdown(
            f"Without the {told.N - told.nontrivial.N:,} samples that both always get right, or never: "
            f"**{_r(told.nontrivial.value)}** over {told.nontrivial.N:,}.",
            help="The non-trivial subset. A second view, not the headline: the choice uses the same noisy scores.",
        )
    for side, one, has in (("A", made, told.shapes[0]), ("B", b, told.shapes[1])):
        ends = f", {100 * has.share_low:.0f} % at 0, {100 * has.share_high:.0f} % at 1" if one.metric in words.SHARES else ""
        st.caption(f"{side}: mean {words.number(has.mean)}, {words.count(has.distinct, 'different value')}{ends}")
    if single:
        st.caption("One seed a side: nobody knows yet how much of the difference is chance.")


def _ceiling(told: Numbers, made: Series, b: Series) -> str:
    found = told.pearson
    if found is None:
        return SHARED
    over = found.single_run_interval
    said = f"Two single runs, one of each, agree at **{_r(found.single_run)}**" + (
        f" [{_r(over.low)}, {_r(over.high)}] {over.over}." if over else "."
    )
    for side, one in zip(("A", "B"), told.reliabilities, strict=True):
        if one.pairs:
            said += f"  \nTwo seeds of {side} agree at **{_r(one.value)}**."
    if found.reason:
        return f"{said}  \n:material/help: {found.reason[0].upper()}{found.reason[1:]}. Train another seed to know it."
    ratio = found.ratio_interval
    said += f"  \nSeeds allow at most **{_r(found.ceiling)}**; A and B reach **{100 * found.ratio:.0f} %** of that"
    said += f" [{100 * ratio.low:.0f}, {100 * ratio.high:.0f}]." if ratio and np.isfinite(ratio.low) else "."
    return f"{said}  \n{_verdict(found.verdict)}" if found.verdict else said


def _verdict(verdict: str) -> str:
    return f"**{verdict[0].upper()}{verdict[1:]}.**"


def _r(value: float) -> str:
    return "unknown" if value is None or not np.isfinite(value) else f"{value:.2f}"
