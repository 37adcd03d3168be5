"""What people decide about samples, kept as a log of actions, and the label versions made of it.

log            one line an action: verdicts, tags, undo; appended, synced, never edited
verdicts       what the log says of each sample now, on a data set version; progress
labels         decisions -> a label version; a class merged into another
suspects       which samples to look at first; which pairs of classes are mixed up
scores         the scores of a group of runs as the review reads them
comparison     what new labels changed, sample by sample and class by class
planted_audit  how many labels planted wrong each metric finds, against samples reviewed
random_audit   what share of the labels is wrong, from samples drawn at random
"""

from learnability.review.comparison import BeforeAfter, before_after
from learnability.review.labels import label_version_from_reviews, merge_class, reviewed_labels
from learnability.review.log import VERDICTS, Action, Log, decide, log_length, read_log, tag, undo
from learnability.review.scores import GroupScores, group_scores
from learnability.review.suspects import pairs, queue, wrong_class
from learnability.review.verdicts import Progress, Resolved, State, class_choices, progress, resolve, state

__all__ = [
    "VERDICTS",
    "Action",
    "BeforeAfter",
    "GroupScores",
    "Log",
    "Progress",
    "Resolved",
    "State",
    "before_after",
    "class_choices",
    "decide",
    "group_scores",
    "label_version_from_reviews",
    "log_length",
    "merge_class",
    "pairs",
    "progress",
    "queue",
    "read_log",
    "resolve",
    "reviewed_labels",
    "state",
    "tag",
    "undo",
    "wrong_class",
]
