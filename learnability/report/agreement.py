"""Agreement of one recipe's runs: every figure that the `agreement` command and the reports show."""

import itertools
from collections.abc import Iterable

import numpy as np

from learnability.agreement import (
    KINDS,
    REPLICATES,
    Group,
    Origin,
    agree,
    check_comparable,
    controls,
    correlation,
    hardest_overlap,
    hit_shares,
    nontrivial,
    oriented,
    seed_mean,
    shape,
    shared_errors,
    to_json,
    within_class,
    within_class_correlation,
)
from learnability.errors import InputError, LearnabilityError
from learnability.metrics import METRICS, MIXED
from learnability.store.hits import hits_of
from learnability.store.paths import Cache
from learnability.store.runs import Run
from learnability.store.scores import ScoreTable, unit_of

TOP = (0.01, 0.05, 0.1)  # shares of the samples whose overlap is shown
LARGE = 200_000  # samples above which the controls, which sort again and again, are left out


def measured(found: ScoreTable, replicates: int = REPLICATES, allow: Iterable[str] = (), cache: Cache | None = None) -> dict:
    """Every figure of these runs as plain JSON: agreement per kind, shapes, within classes, overlaps, controls.

    allow  fields of `agreement.Origin` that may differ. Unless `looks` is one of them, runs that came less far are left out and named
    cache  where their recordings are: then also whether they err on the same samples
    """
    metric = METRICS[found.metric]
    if metric.easy_is not in ("high", "low"):
        raise InputError(f"metric {found.metric!r} has no easy end, so its order cannot agree. Choose another, for example learnability.")
    found, notes = (found, ()) if "looks" in allow else furthest(found)
    notes += check_comparable([_origin(name, found) for name in found.columns], allow)
    notes += (MIXED,) if found.metric == "forgetting_events" else ()
    score_RN = np.stack([oriented(score_N, metric.easy_is) for score_N in whole_steps(found)])
    groups = grouped(found)
    agreements = {kind: agree(score_RN, groups, kind, replicates=replicates, rng=np.random.default_rng(0)) for kind in KINDS}
    low, high = _ends(found)
    return {
        "data": next(iter(found.runs.values())).data,
        "metric": found.metric,
        "recipe": found.recipe,
        "notes": list(notes),
        "ends": to_json([low, high]),
        "shapes": {name: to_json(shape(score_N, low, high)) for name, score_N in zip(found.columns, score_RN, strict=True)},
        "agreement": {kind: to_json(agreement) for kind, agreement in agreements.items()},
        "pairs": [
            _pair(a, b, score_RN, found.labels_N, low, high)
            | {"errors": None if cache is None else _errors(cache, found, a, b, replicates)}
            for a, b in itertools.combinations(groups, 2)
        ],
    }


def furthest(found: ScoreTable) -> tuple[ScoreTable, tuple[str, ...]]:
    """The runs that came furthest, and those left out in words: scores over fewer epochs are other scores."""
    most = max(run.looks for run in found.runs.values())
    short = {name: run for name, run in found.runs.items() if run.looks < most}
    return found.only(name for name in found.runs if name not in short), tuple(
        f"left out: {name} ({run.looks} of {most} looks)." for name, run in short.items()
    )


def whole_steps(found: ScoreTable) -> list[np.ndarray]:
    """The columns in double precision; learnability as hits over looks again, so that means over seeds keep their ties."""
    columns = [score_N.astype(np.float64) for score_N in found.columns.values()]
    if found.metric != "learnability":
        return columns
    return list(hit_shares(np.stack(columns), [run.looks for run in found.runs.values()]))


def grouped(found: ScoreTable) -> list[Group]:
    """The groups of a table: by architecture, with the recipe in the name where an architecture has several."""
    rows: dict[str, list[tuple[int, Run]]] = {}
    for row, run in enumerate(found.runs.values()):
        rows.setdefault(run.group, []).append((row, run))
    archs = [own[0][1].config.arch for own in rows.values()]
    return [
        Group(
            name=arch if archs.count(arch) == 1 else id,
            rows=tuple(row for row, _ in own),
            seeds=tuple(run.config.seed for _, run in own),
        )
        for arch, (id, own) in zip(archs, rows.items(), strict=True)
    ]


def _origin(name: str, found: ScoreTable) -> Origin:
    config = found.runs[name].config
    return Origin(
        name=name,
        fingerprint=config.fingerprint,
        labels=config.labels,
        looks=found.runs[name].looks,
        record=config.record,
        metric=found.metric,
        recipe=config.recipe,
    )


def _ends(found: ScoreTable) -> tuple[float, float]:
    """Lowest and highest value of the score turned to larger = easier; infinite where it has no such end."""
    metric = METRICS[found.metric]
    low, high = metric.range(max(run.looks for run in found.runs.values()), max(int(found.labels_N.max()) + 1, 2))
    return (low, high) if metric.easy_is == "high" else (-high, -low)


def _pair(a: Group, b: Group, score_RN: np.ndarray, labels_N: np.ndarray, low: float, high: float) -> dict:
    """Views on one pair beside the headline, each with the ceiling of the same samples; overlap of the hardest; controls."""
    score_RN = score_RN[[*a.rows, *b.rows]]
    a = Group(name=a.name, rows=tuple(range(a.S)), seeds=a.seeds)
    b = Group(name=b.name, rows=tuple(range(a.S, a.S + b.S)), seeds=b.seeds)
    a_N, b_N = seed_mean(score_RN, a), seed_mean(score_RN, b)
    kept_N = nontrivial(a_N, b_N, low, high)
    N = int((~np.isnan(a_N) & ~np.isnan(b_N)).sum())
    small = 2 < N <= LARGE
    return {
        "a": a.name,
        "b": b.name,
        "within_class": to_json(within_class_correlation(a_N, b_N, labels_N)),
        "within_class_cross": _cross(a, b, within_class(score_RN, labels_N)),
        "nontrivial": to_json(correlation(a_N[kept_N], b_N[kept_N])) if kept_N.sum() > 2 else None,
        "nontrivial_cross": _cross(a, b, score_RN[:, kept_N]) if kept_N.sum() > 2 else None,
        "hardest": [to_json(hardest_overlap(a_N, b_N, max(round(share * N), 1))) for share in TOP],
        "controls": to_json(controls(a_N, b_N, labels_N, np.random.default_rng(0))) if small else None,
    }


def _errors(cache: Cache, found: ScoreTable, a: Group, b: Group, replicates: int) -> dict | None:
    """Whether two groups err on the same samples at the last look that all their runs have; None where it is not known."""
    runs = list(found.runs.values())
    sides = [[unit_of(cache, runs[row]) for row in group.rows] for group in (a, b)]
    look = min(run.looks for own in sides for unit in own for run in unit) - 1
    try:
        (a_SN, seen_a), (b_SN, seen_b) = (hits_of(cache, own, found.sample_ids_N, look) for own in sides)
    except LearnabilityError:  # a recording from elsewhere need not have predictions
        return None
    seen_N = seen_a & seen_b
    if not seen_N.any():
        return None
    return {"look": look} | to_json(shared_errors(a_SN[:, seen_N], b_SN[:, seen_N], np.random.default_rng(0), replicates))


def _cross(a: Group, b: Group, score_RN: np.ndarray) -> dict:
    return to_json(agree(score_RN, [a, b]).crosses[0])


def shared(top: dict) -> str:
    """`9 of 12` hardest samples; `9 of 14 and 12` where ties made the two sets differ in size."""
    return f"{top['shared']} of {' and '.join(map(str, dict.fromkeys((top['k_a'], top['k_b']))))}"


def end(share: float, value: float | None) -> str:
    """The share of samples at an end of a score, `no end` where it has none."""
    return "no end" if value is None else f"{share:.1%}"
