"""Scores to orders, steps to pools and batches, scores to weights and subsets: pure functions of (score, parameters, seed).

randomness   words(seed, purpose, index, n): the one source of randomness of the engine
orders       score -> order: easy_first, hard_first, random, standard
pacing       step -> how many samples are in play
schedule     order + pacing -> batch t, for our loop and for a sampler
weights      score -> drawing probabilities and unbiased weights
pruning      score -> subset
experiment   arms over seeds, and paired differences between them
arms         how a run's config names its curriculum
"""

from learnability.curriculum.arms import SHUFFLES, UNBALANCED, Arm, curriculum_text, is_balanced, order_name, parse_curriculum
from learnability.curriculum.experiment import CONTRASTS, SeedMean, check_no_leak, mean_over_seeds, paired_difference, time_to_accuracy
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
    "SHUFFLES",
    "UNBALANCED",
    "Arm",
    "Order",
    "Pacing",
    "Schedule",
    "SeedMean",
    "Weights",
    "balanced",
    "check_no_leak",
    "class_shares",
    "competence",
    "curriculum_text",
    "difficulty",
    "effective_sample_size",
    "expected_presentations",
    "importance",
    "is_balanced",
    "mean_over_seeds",
    "order",
    "order_name",
    "paired_difference",
    "parse_curriculum",
    "parse_pacing",
    "pool_size",
    "presentations",
    "prune",
    "pruning_warning",
    "rank_difficulty",
    "shuffled",
    "strata",
    "strata_budget",
    "time_to_accuracy",
    "weighted_draw",
    "words",
]
