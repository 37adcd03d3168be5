"""How far A and B agree, in sentences; the numbers come from learnability.agreement and are kept by small keys."""

import dataclasses

import numpy as np
import streamlit as st

from learnability import agreement
from learnability.charts import reliability
from learnability.metrics import MIXED, SHARES
from ui import scored, trust, words
from ui.series import Series, joined

FEW = 5  # seeds up to which every pair of runs is drawn as a dot
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
    nontrivial_ceiling: float  # what seeds allow for the means over the same samples; NaN where unknown
    hardest: agreement.Overlap | None  # of the hardest twentieth
    shapes: tuple[agreement.Shape, agreement.Shape]
    errors: tuple[int, agreement.SharedErrors] | None  # None where no predictions are kept, or A and B share runs
    controls: agreement.Controls | None  # None for very many samples


@st.cache_resource(max_entries=64, show_spinner="Measuring how far A and B agree ...", hash_funcs={Series: lambda made: made.key})
def measured(made: Series, b: Series) -> Numbers:
    rows_a, rows_b, ids = joined(made, b)
    x, y = trust.easier_up(made, made.score_N[rows_a]), trust.easier_up(b, b.score_N[rows_b])
    pearson = spearman = None
    reliabilities = ()
    if not {run.id for run in made.runs} & {run.id for run in b.runs}:
        found = trust.between(made, b, "pearson")
        pearson, reliabilities = found.cross, found.reliabilities
        spearman = trust.between(made, b, "spearman").cross
    ends = made.metric in SHARES and b.metric in SHARES
    apart = agreement.nontrivial(_share(made, x), _share(b, y)) if ends else None
    return Numbers(
        N=len(ids),
        pearson=pearson,
        spearman=spearman,
        plain={kind: agreement.correlation(x, y, kind) for kind in ("pearson", "spearman")},
        reliabilities=reliabilities,
        within=agreement.within_class_correlation(x, y, made.labels_N[rows_a]),
        nontrivial=agreement.correlation(x[apart], y[apart]) if ends and apart.sum() > 2 else None,
        nontrivial_ceiling=_ceiling_of_means(made, b, rows_a[apart], rows_b[apart]) if ends and pearson and apart.sum() > 2 else np.nan,
        hardest=_hardest(x, y),
        errors=trust.errors(made, b) if pearson is not None else None,
        controls=agreement.controls(x, y, made.labels_N[rows_a], np.random.Generator(np.random.Philox(5)))
        if len(ids) <= trust.MOST_SAMPLES
        else None,
        shapes=(agreement.shape(made.score_N[rows_a]), agreement.shape(b.score_N[rows_b])),
    )


def _share(made: Series, easier_up_N: np.ndarray) -> np.ndarray:
    """A share in which larger is easier as one from 0 to 1: one that was turned round runs from -1 to 0."""
    return easier_up_N + 1 if words.metric_named(made.metric).easy_is == "low" else easier_up_N


def _ceiling_of_means(made: Series, b: Series, rows_a: np.ndarray, rows_b: np.ndarray) -> float:
    """What seeds allow for the means over them, on some of the samples."""
    sides = [trust.easier_up(one, one.score_RN[:, rows]) for one, rows in ((made, rows_a), (b, rows_b))]
    groups = [trust.as_group("A", made), trust.as_group("B", b, made.seeds)]
    return agreement.agree(np.concatenate(sides), groups).cross("A", "B").seed_mean_ceiling


def _hardest(x: np.ndarray, y: np.ndarray) -> agreement.Overlap | None:
    """Overlap of the hardest twentieth; None where none is twenty samples."""
    N = int((np.isfinite(x) & np.isfinite(y)).sum())
    return agreement.hardest_overlap(x, y, N // 20) if N >= 20 else None


def placed(made: Series, b: Series, level_removed: bool) -> tuple[agreement.Quadrants, np.ndarray]:
    """(quadrants of two learnability series, the sample ids they stand for)."""
    return (_placed if len(made.sample_ids_N) <= scored.LARGE else _large_placed)(made, b, level_removed)


@st.cache_resource(max_entries=32, show_spinner="Comparing A and B sample by sample ...", hash_funcs={Series: lambda made: made.key})
def _placed(made: Series, b: Series, level_removed: bool) -> tuple[agreement.Quadrants, np.ndarray]:
    return _placed_now(made, b, level_removed)


@st.cache_resource(max_entries=1, show_spinner="Comparing A and B sample by sample ...", hash_funcs={Series: lambda made: made.key})
def _large_placed(made: Series, b: Series, level_removed: bool) -> tuple[agreement.Quadrants, np.ndarray]:
    return _placed_now(made, b, level_removed)


def _placed_now(made: Series, b: Series, level_removed: bool) -> tuple[agreement.Quadrants, np.ndarray]:
    rows_a, rows_b, ids = joined(made, b)
    score_RN = np.concatenate([agreement.hit_shares(one.score_RN[:, rows], one.looks) for one, rows in ((made, rows_a), (b, rows_b))])
    named = (trust.as_group("A", made), trust.as_group("B", b, made.seeds))
    grain = 1 / min(*made.looks, *b.looks)
    (found,) = agreement.quadrants(score_RN, named, grain, np.random.Generator(np.random.Philox(2)), remove_level=level_removed)
    return found, ids


# on screen


def draw(told: Numbers, made: Series, b: Series) -> None:
    single = made.seeds == b.seeds == 1
    one, two, three = st.columns(3)
    one.metric(
        "Pearson r",
        words.r(told.plain["pearson"].value),
        help="How closely the scores lie on a line, of the means over seeds as drawn. 1: one score gives the other; 0: no relation.",
    )
    two.metric(
        "Spearman rho",
        words.r(told.plain["spearman"].value),
        help="How far both put the samples in the same order; ties count as mid-ranks.",
    )
    three.metric("Samples n", f"{told.N:,}", help="Samples that both sides have seen.")
    if said := told.plain["pearson"].reason:
        st.caption(f"No correlation: {said}.")
    if "forgetting_events" in (made.metric, b.metric):
        st.caption(MIXED)
    st.markdown(_ceiling(told, made, b))
    if (rows := _dots(told, made, b)) is not None:
        st.plotly_chart(
            reliability.dots_figure(rows, title="Pearson r of two runs (1 = the same order)"),
            key="pair-dots",
            config={"displayModeBar": False},
            alt="Correlation of every pair of runs: " + "; ".join(f"{name} {', '.join(map(words.r, values))}" for name, values, _ in rows),
        )
        st.caption("A dot is a pair of runs." + (" The stroke is the ceiling." if np.isfinite(told.pearson.ceiling) else ""))
    within = told.within
    st.markdown(
        f"Inside the classes they agree at **{words.r(within.overall.value)}** (single classes {words.r(within.low)} to "
        f"{words.r(within.high)})."
        + (" Much of the agreement is about which classes are hard." if told.plain["pearson"].value - within.overall.value > 0.15 else ""),
        help="Correlation after each class's mean is taken off. A high overall r with a low one here says: the classes differ, "
        "not the samples.",
    )
    if told.nontrivial is not None and told.nontrivial.N < told.N:
        st.markdown(
            f"Without the {told.N - told.nontrivial.N:,} samples that both always get right, or never: "
            f"**{words.r(told.nontrivial.value)}** over {told.nontrivial.N:,}"
            + (f", where seeds allow {words.r(told.nontrivial_ceiling)}." if np.isfinite(told.nontrivial_ceiling) else "."),
            help="The non-trivial subset, means over seeds. A second view, not the headline: the choice uses the same noisy scores, and "
            "what seeds allow falls with it.",
        )
    if told.hardest is not None:
        some = told.hardest
        sizes = f"{some.k_a:,}" if some.k_a == some.k_b else f"{some.k_a:,} and {some.k_b:,}"
        st.markdown(
            f"Of their hardest samples ({sizes}) they share **{some.shared:,}**; two sets at random would share {some.chance:.1f}.",
            help="The hardest 5 % of each, moved to the nearest size that splits no tie.",
        )
    if told.errors is not None:
        _errors(*told.errors)
    for side, one, has in (("A", made, told.shapes[0]), ("B", b, told.shapes[1])):
        ends = f", {100 * has.share_low:.0f} % at 0, {100 * has.share_high:.0f} % at 1" if one.metric in SHARES else ""
        st.caption(f"{side}: mean {words.number(has.mean)}, {words.count(has.distinct, 'different value')}{ends}")
    if told.controls is not None and np.isfinite(told.controls.permuted):
        st.caption(_checks(told.controls))
    if single:
        st.caption("One seed a side: nobody knows yet how much of the difference is chance.")


def _errors(look: int, found: agreement.SharedErrors) -> None:
    """Whether they err on the same samples; where neither errs there is nothing to say."""
    between = found.between
    if between.reason is not None:
        st.caption(f"After epoch {look + 1} {between.reason}: there are no errors to compare.")
        return
    seeds = [f"of {side} {words.r(own.kappa)}" for side, own in (("A", found.of_a), ("B", found.of_b)) if own and own.reason is None]
    st.markdown(
        f"After epoch {look + 1} they err on the same samples at **kappa {words.r(between.kappa)}** [{words.r(between.low)}, "
        f"{words.r(between.high)}]" + (f", two seeds {', '.join(seeds)}." if seeds else "."),
        help="Cohen's kappa of right and wrong predictions of two runs, the mean over all pairs. 1: the same errors; 0: no more in common "
        f"than accuracies of {between.accuracy_a:.1%} and {between.accuracy_b:.1%} bring about by themselves. With these it can be "
        f"{words.r(between.largest)} at most. The interval is over samples.",
    )


def _dots(told: Numbers, made: Series, b: Series) -> list[tuple[str, list[float], float | None]] | None:
    """Every pair of runs behind the numbers, for few seeds; None where there is one pair, or many."""
    if told.pearson is None or made.seeds * b.seeds == 1 or max(made.seeds, b.seeds) > FEW:
        return None
    rows = [("A and B", list(told.pearson.pairs), told.pearson.ceiling)]
    rows += [(f"seeds of {side}", list(one.pairs), None) for side, one in zip("AB", told.reliabilities, strict=True) if one.pairs]
    return rows


def _ceiling(told: Numbers, made: Series, b: Series) -> str:
    found = told.pearson
    if found is None:
        return SHARED
    over = found.single_run_interval
    said = f"Two single runs, one of each, agree at **{words.r(found.single_run)}**" + (
        f" [{words.r(over.low)}, {words.r(over.high)}] {over.over}." if over else "."
    )
    for side, one in zip(("A", "B"), told.reliabilities, strict=True):
        if one.pairs:
            said += f"  \nTwo seeds of {side} agree at **{words.r(one.value)}**."
    if found.reason:
        why = found.reason
        if why == agreement.ONE_SEED and made.seeds != b.seeds:
            why = f"ceiling unknown: {'A' if made.seeds == 1 else 'B'} has one seed"
        return f"{said}  \n:material/help: {why[0].upper()}{why[1:]}. Train another seed to know it."
    ratio = found.ratio_interval
    said += f"  \nSeeds allow at most **{words.r(found.ceiling)}**; A and B reach **{100 * found.ratio:.0f} %** of that"
    said += f" [{100 * ratio.low:.0f}, {100 * ratio.high:.0f}]." if ratio and np.isfinite(ratio.low) else "."
    return f"{said}  \n{_verdict(found.verdict)}" if found.verdict else said


def _checks(found: agreement.Controls) -> str:
    """Numbers that must come out as known."""
    same = all(value == 1 for value in found.itself.values())
    return (
        f"Checks: A with itself {'exactly 1 in every measure' if same else 'not 1: do not trust these numbers'}; with the scores of B "
        f"shuffled {found.permuted:.3f}, shuffled inside the classes {found.class_within:.3f} (chance stays within ±{found.limit:.3f}, 19 "
        "times in 20)."
    )


def _verdict(verdict: str) -> str:
    return f"**{verdict[0].upper()}{verdict[1:]}.**"
