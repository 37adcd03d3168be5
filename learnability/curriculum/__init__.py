"""Scores to orders, steps to pools and batches, scores to weights and subsets: pure functions of (score, parameters, seed).

randomness   words(seed, purpose, index, n): the one source of randomness of the engine
orders       score -> order: easy_first, hard_first, random, standard
pacing       step -> how many samples are in play
schedule     order + pacing -> batch t, for our loop and for a sampler
weights      score -> drawing probabilities and unbiased weights
pruning      score -> subset
experiment   paired differences between arms
"""

from learnability.curriculum.experiment import CONTRASTS, PairedDifference, check_no_leak, paired_difference
from learnability.curriculum.orders import ARMS, Order, balanced, difficulty, order
from learnability.curriculum.pacing import NAMES as PACINGS
from learnability.curriculum.pacing import Pacing, competence, parse_pacing, pool_size
from learnability.curriculum.pruning import METHODS as PRUNING_METHODS
from learnability.curriculum.pruning import class_shares, prune, pruning_warning, strata, strata_budget
from learnability.curriculum.randomness import PURPOSES, shuffled, words
from learnability.curriculum.schedule import Schedule, expected_presentations, presentations
from learnability.curriculum.weights import Weights, effective_sample_size, importance, rank_difficulty, weighted_draw

__all__ = [
    "ARMS",
    "CONTRASTS",
    "PACINGS",
    "PRUNING_METHODS",
    "PURPOSES",
    "Order",
    "Pacing",
    "PairedDifference",
    "Schedule",
    "Weights",
    "balanced",
    "check_no_leak",
    "class_shares",
    "competence",
    "difficulty",
    "effective_sample_size",
    "expected_presentations",
    "importance",
    "order",
    "paired_difference",
    "parse_pacing",
    "pool_size",
    "presentations",
    "prune",
    "pruning_warning",
    "rank_difficulty",
    "shuffled",
    "strata",
    "strata_budget",
    "weighted_draw",
    "words",
]
