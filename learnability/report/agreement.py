"""Agreement of one recipe's runs: every figure that the `agreement` command and the reports show."""

import itertools

import numpy as np

from learnability.agreement import (
    KINDS,
    REPLICATES,
    Group,
    Origin,
    agree,
    check_comparable,
    correlation,
    hardest_overlap,
    nontrivial,
    oriented,
    seed_mean,
    shape,
    to_json,
    within_class_correlation,
)
from learnability.errors import InputError
from learnability.metrics import METRICS
from learnability.store.scores import ScoreTable

TOP = (0.01, 0.05, 0.1)  # shares of the samples whose overlap is shown


def measured(found: ScoreTable, replicates: int = REPLICATES) -> dict:
    """Every figure of one recipe's runs as plain JSON: agreement per kind, shapes, within classes, overlaps."""
    metric = METRICS[found.metric]
    if metric.easy_is not in ("high", "low"):
        raise InputError(f"metric {found.metric!r} has no easy end, so its order cannot agree. Choose another, for example learnability.")
    notes = check_comparable([_origin(name, found) for name in found.columns])
    score_RN = np.stack([oriented(score_N.astype(np.float64), metric.easy_is) for score_N in found.columns.values()])
    groups = _groups(found)
    agreements = {kind: agree(score_RN, groups, kind, replicates=replicates, rng=np.random.default_rng(0)) for kind in KINDS}
    means = {group.name: seed_mean(score_RN, group) for group in groups}
    low, high = (0.0, 1.0) if metric.easy_is == "high" else (-1.0, 0.0)
    return {
        "data": next(iter(found.runs.values())).data,
        "metric": found.metric,
        "recipe": found.recipe,
        "notes": list(notes),
        "shapes": {name: to_json(shape(score_N, low, high)) for name, score_N in zip(found.columns, score_RN, strict=True)},
        "agreement": {kind: to_json(agreement) for kind, agreement in agreements.items()},
        "pairs": [_pair(a, b, means, found.labels_N, low, high) for a, b in itertools.combinations(means, 2)],
    }


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


def _groups(found: ScoreTable) -> list[Group]:
    rows: dict[str, list[tuple[int, int]]] = {}
    for row, run in enumerate(found.runs.values()):
        rows.setdefault(run.config.arch, []).append((row, run.config.seed))
    return [Group(name=arch, rows=tuple(row for row, _ in own), seeds=tuple(seed for _, seed in own)) for arch, own in rows.items()]


def _pair(a: str, b: str, means: dict, labels_N: np.ndarray, low: float, high: float) -> dict:
    """Views on one pair beside the headline: within classes, without the trivial samples, overlap of the hardest."""
    a_N, b_N = means[a], means[b]
    kept_N = nontrivial(a_N, b_N, low, high)
    N = int((~np.isnan(a_N) & ~np.isnan(b_N)).sum())
    return {
        "a": a,
        "b": b,
        "within_class": to_json(within_class_correlation(a_N, b_N, labels_N)),
        "nontrivial": to_json(correlation(a_N[kept_N], b_N[kept_N])) if kept_N.sum() > 2 else None,
        "hardest": [to_json(hardest_overlap(a_N, b_N, max(round(share * N), 1))) for share in TOP],
    }
