"""How far runs, seeds and architectures order the samples alike. Score arrays in, frozen results out; knows nothing of training.

comparable    what may be compared, and which rows are the same samples
correlation   Pearson, Spearman, Kendall's tau-b of two scores
groups        agreement of groups of runs, each beside its ceiling
bootstrap     intervals over seeds and samples
shapes        ends, ties and classes of a score
decisions     overlap of the hardest samples, error consistency of hits
seed_noise    hard for both, hard for one: beyond seed noise or not
hard_for      hard for every group, hard for one alone, all groups tested together
enough        how many looks and seeds are enough
checks        numbers that must come out as known
plain         results as JSON
"""

from learnability.agreement.bootstrap import OVER_SAMPLES, OVER_SEEDS, REPLICATES, Interval, check_replicates
from learnability.agreement.checks import Controls, controls
from learnability.agreement.comparable import Origin, check_comparable, common_rows, oriented
from learnability.agreement.correlation import KINDS, Correlation, correlation, correlations, kendall_tau_b, mid_ranks, pearson, spearman
from learnability.agreement.decisions import (
    ErrorConsistency,
    Overlap,
    SharedErrors,
    error_consistency,
    hardest_overlap,
    seed_consistency,
    shared_errors,
)
from learnability.agreement.enough import Enough, SeedStep, enough_looks_and_seeds, last_worthwhile_seed, prefixes
from learnability.agreement.groups import (
    NO_DIFFERENCE,
    NOT_TOLD,
    ONE_SEED,
    Agreement,
    Cross,
    Group,
    Reliability,
    agree,
    ceiling,
    disattenuated,
    seed_mean,
    seeds_needed,
    spearman_brown,
)
from learnability.agreement.hard_for import EVERY, SOME, HardFor, hard_for, hit_shares, only
from learnability.agreement.plain import to_json
from learnability.agreement.seed_noise import QUADRANTS, Quadrants, benjamini_hochberg, hard_samples, level_removed, quadrants
from learnability.agreement.shapes import Cells, Shape, WithinClass, cells, nontrivial, shape, within_class, within_class_correlation

__all__ = [
    "EVERY",
    "KINDS",
    "NO_DIFFERENCE",
    "NOT_TOLD",
    "ONE_SEED",
    "OVER_SAMPLES",
    "OVER_SEEDS",
    "QUADRANTS",
    "REPLICATES",
    "SOME",
    "Agreement",
    "Cells",
    "Controls",
    "Correlation",
    "Cross",
    "Enough",
    "ErrorConsistency",
    "Group",
    "HardFor",
    "Interval",
    "Origin",
    "Overlap",
    "Quadrants",
    "Reliability",
    "SeedStep",
    "Shape",
    "SharedErrors",
    "WithinClass",
    "agree",
    "benjamini_hochberg",
    "ceiling",
    "cells",
    "check_comparable",
    "check_replicates",
    "common_rows",
    "controls",
    "correlation",
    "correlations",
    "disattenuated",
    "enough_looks_and_seeds",
    "error_consistency",
    "hard_for",
    "hard_samples",
    "hardest_overlap",
    "hit_shares",
    "kendall_tau_b",
    "last_worthwhile_seed",
    "level_removed",
    "mid_ranks",
    "nontrivial",
    "only",
    "oriented",
    "pearson",
    "prefixes",
    "quadrants",
    "seed_consistency",
    "seed_mean",
    "seeds_needed",
    "shape",
    "shared_errors",
    "spearman",
    "spearman_brown",
    "to_json",
    "within_class",
    "within_class_correlation",
]
