"""Measured curricula: the same network under several orders at equal updates, through the queue like any run.

    propose(cache, design, device)  -> Proposal: which runs, from whose scores, what they cost; changes nothing
    launch(cache, proposal)         -> Launched: run ids; asked twice, nothing runs twice, and what was stopped goes on
    experiments(cache, data)        -> [Experiment]: the arms there are, found among the runs
    measured(cache, experiment)     -> Results: accuracy by update, paired differences, time to an accuracy
    background.begin(cache, design) a process of its own trains the scores that are missing, then queues the arms

Nothing of an experiment is kept but its runs and the two orders they name.
"""

from learnability.experiments.design import Design, Launched, Proposal, launch, propose
from learnability.experiments.found import Experiment, experiment, experiments
from learnability.experiments.results import Results, measured, to_json
from learnability.experiments.scores import Scores

__all__ = [
    "Design",
    "Experiment",
    "Launched",
    "Proposal",
    "Results",
    "Scores",
    "experiment",
    "experiments",
    "launch",
    "measured",
    "propose",
    "to_json",
]
