"""Recording -> score_N: one number per sample, and the order of the samples by it.

table        METRICS: every metric with its formula, range, direction and source; score_all
looks        what the formulas share: rows of a recording, look by look
consensus    the most frequent wrong class over the looks of one run or several
forgetting   the readings of forgetting events that papers disagree on
ranking      score -> rows easiest or hardest first, ties broken the same way every time
"""

from learnability.metrics.consensus import most_frequent_wrong
from learnability.metrics.forgetting import MIXED, NEVER, forgetting_events, unforgettable
from learnability.metrics.ranking import SHARES, mean_of_runs, ranking, tie_sizes
from learnability.metrics.table import FIRST, METRICS, Metric, available, score_all

__all__ = [
    "FIRST",
    "METRICS",
    "MIXED",
    "NEVER",
    "SHARES",
    "Metric",
    "available",
    "forgetting_events",
    "mean_of_runs",
    "most_frequent_wrong",
    "ranking",
    "score_all",
    "tie_sizes",
    "unforgettable",
]
