"""The table METRICS: every metric with its formula, its range, its direction and its source; and the scores of a recording."""

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np

from learnability.errors import InputError
from learnability.metrics.looks import Looks, chunks, count
from learnability.recording import Recording

DIRECTIONS = {
    "high": "higher = easier",
    "low": "lower = easier",
    "neither": "no direction: low for the easy and for the hopeless",
    "none": "a class, no order",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One number per sample, and how to read it."""

    name: str
    label: str  # what the screen calls it
    sentence: str  # what it tells a data curator
    easy_is: str  # "high", "low", "neither", or "none" for a class
    range: Callable[[int, int], tuple[float, float]]  # E looks, K classes -> lowest and highest value
    whole: bool = False  # whole numbers only (or yes/no); NaN still marks a sample never seen
    never: str  # value for a sample without any hit
    needs: tuple[str, ...]  # signals; the labels are always there
    formula: Callable[..., np.ndarray]  # Looks -> score_n; with `ranks`, their scores over all rows -> score_N
    ranks: tuple[str, ...] = ()  # metrics whose order over all rows of the run this one is
    recorded: str = "either"  # how the source recorded what it used: train, eval, either, not known
    source: str

    @property
    def direction(self) -> str:
        """Which end is easy, in words."""
        return DIRECTIONS[self.easy_is]

    def score(self, recording: Recording) -> np.ndarray:
        """(N,) float64, NaN for a sample never seen. InputError where a signal is missing."""
        return score_all(recording, [self.name])[self.name]


def available(recording: Recording) -> list[str]:
    """Names of the metrics whose signals the recording has."""
    return [name for name, metric in METRICS.items() if set(metric.needs) <= set(recording.signals)]


def score_all(recording: Recording, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Name -> score_N of every metric the recording has the signals for, or of the named ones.

    score_N is (N,) float64, NaN for a sample never seen. Works through the rows in chunks, so memory stays small.
    """
    names = available(recording) if names is None else list(names)
    for name in names:
        if name not in METRICS:
            raise InputError(f"metric {name!r}: expected one of {', '.join(METRICS)}.")
        if missing := set(METRICS[name].needs) - set(recording.signals):
            raise InputError(
                f"metric {name!r}: expected a recording with {', '.join(sorted(missing))}; this has {', '.join(recording.signals)}."
            )
    by_row = dict.fromkeys(part for name in names for part in METRICS[name].ranks or (name,))
    scores = {name: np.full(recording.N, np.nan) for name in by_row}
    np.empty(2**21)  # 16 MiB, freed untouched: from then on the C library keeps the chunks' memory instead of returning it each time
    for rows in chunks(recording.N, recording.E) if recording.E else ():
        looks = Looks(recording.rows(rows))
        for name, score_N in scores.items():
            score_N[rows] = np.where(looks.never_seen_n, np.nan, METRICS[name].formula(looks))
    for name in names:
        if METRICS[name].ranks:
            scores[name] = METRICS[name].formula(*(scores[part] for part in METRICS[name].ranks))
    return {name: scores[name] for name in names}


def early_look(epochs: int) -> int:
    """Index of the look of `el2n_early`: a tenth into the recipe's epochs, so that it does not move while a run grows."""
    return max(math.ceil(epochs / 10) - 1, 0)


def _el2n_early(looks: Looks) -> np.ndarray:
    look = early_look(looks.recording.epochs)
    if look >= looks.E:
        return np.full(len(looks.seen_n), np.nan)
    return np.where(looks.seen_En[look], looks.recording.el2n_NE[:, look], np.nan)


def _suspicion(learnability_N: np.ndarray, aum_N: np.ndarray) -> np.ndarray:
    """(mid-rank - 1/2) / N in the order: share of misses rising, then aum falling. Rows never seen are not ranked."""
    score_N = np.full(len(aum_N), np.nan)
    rows_n = np.flatnonzero(~np.isnan(aum_N))
    rows_n = rows_n[np.lexsort((-aum_N[rows_n], -learnability_N[rows_n]))]
    new_n = np.ones(len(rows_n), bool)
    new_n[1:] = (np.diff(learnability_N[rows_n]) != 0) | (np.diff(aum_N[rows_n]) != 0)
    before, equal = np.flatnonzero(new_n), np.diff(np.append(np.flatnonzero(new_n), len(rows_n)))
    score_N[rows_n] = np.repeat((before + equal / 2) / max(len(rows_n), 1), equal)  # mid-rank = before + (equal + 1) / 2
    return score_N


FIRST = ("learnability", "suspicion", "forgetting_events")  # what a screen offers first

METRICS: dict[str, Metric] = {
    "learnability": Metric(
        name="learnability",
        label="Learnability",
        sentence="Share of looks at which the network named the class right: near 1 it was learned at once, near 0 hardly ever.",
        easy_is="high",
        range=lambda E, K: (0, 1),
        never="0",
        needs=("prediction",),
        formula=lambda looks: looks.hits_n / looks.seen_n,
        recorded="not known",
        source="arXiv 1901.02347 (its exact formula is not known); CumAcc of arXiv 2411.00973; correctness of arXiv 2009.10795 over E",
    ),
    "never_learned": Metric(
        name="never_learned",
        label="Never learned",
        sentence="The network named the class right at no look: often a wrong label, a picture of something else, or a rare view.",
        easy_is="low",
        range=lambda E, K: (0, 1),
        whole=True,
        never="1",
        needs=("prediction",),
        formula=lambda looks: looks.hits_n == 0,
        source="ours",
    ),
    "forgetting_events": Metric(
        name="forgetting_events",
        label="Forgetting events",
        sentence="How often a right answer turned wrong at the next look: near the border between classes. No detector of wrong labels.",
        easy_is="low",
        range=lambda E, K: (0, E // 2),
        whole=True,
        never="0, and last in every order",
        needs=("prediction",),
        formula=lambda looks: count(looks.hit_En[:-1] & ~looks.hit_En[1:]),
        recorded="train",
        source="arXiv 1812.05159",
    ),
    "first_learned": Metric(
        name="first_learned",
        label="First learned (epoch)",
        sentence="When the network named the class right for the first time, counted from 0; E if it never did.",
        easy_is="low",
        range=lambda E, K: (0, E),
        whole=True,
        never="E",
        needs=("prediction",),
        formula=lambda looks: looks.first(looks.hit_En),
        recorded="train",
        source="arXiv 1812.05159",
    ),
    "consistently_learned": Metric(
        name="consistently_learned",
        label="Learned for good (epoch)",
        sentence="From when on the network was right to the end, counted from 0; E if it was wrong at the last look.",
        easy_is="low",
        range=lambda E, K: (0, E),
        whole=True,
        never="E",
        needs=("prediction",),
        formula=lambda looks: looks.after_last(~looks.hit_En),
        recorded="eval",
        source="arXiv 2012.03107",
    ),
    "iteration_learned": Metric(
        name="iteration_learned",
        label="Prediction settled (epoch)",
        sentence="From when on the prediction no longer changed, right or wrong, counted from 0.",
        easy_is="low",
        range=lambda E, K: (0, E - 1),
        whole=True,
        never="any",
        needs=("prediction",),
        formula=lambda looks: looks.after_last(looks.prediction_En != looks.prediction_En[-1]),
        recorded="eval",
        source="arXiv 2106.09647",
    ),
    "confidence": Metric(
        name="confidence",
        label="Mean confidence in the label",
        sentence="Mean probability the network gave the label it was told.",
        easy_is="high",
        range=lambda E, K: (0, 1),
        never="at most 1/2",
        needs=("loss",),
        formula=lambda looks: looks.mean(looks.p_En),
        recorded="train",
        source="arXiv 2009.10795",
    ),
    "variability": Metric(
        name="variability",
        label="Variability of confidence",
        sentence="How much the probability of the label moved between looks: high for samples the network was torn about.",
        easy_is="neither",
        range=lambda E, K: (0, 0.5),
        never="at most 1/4",
        needs=("loss",),
        formula=lambda looks: looks.deviation(looks.p_En),
        recorded="train",
        source="arXiv 2009.10795",
    ),
    "aleatoric": Metric(
        name="aleatoric",
        label="Aleatoric uncertainty",
        sentence="How undecided the network stayed about the label: high for pictures that fit more than one class.",
        easy_is="neither",
        range=lambda E, K: (0, 0.25),
        never="any",
        needs=("loss",),
        formula=lambda looks: looks.mean(looks.p_En * (1 - looks.p_En)),
        recorded="eval",
        source="arXiv 2210.13043",
    ),
    "aum": Metric(
        name="aum",
        label="Mean logit margin (AUM)",
        sentence="By how much the label's logit led the best other one, on average: below 0 another class led.",
        easy_is="high",
        range=lambda E, K: (-math.inf, math.inf),
        never="at most 0",
        needs=("margin",),
        formula=lambda looks: looks.mean(looks.signal("margin")),
        recorded="train",
        source="arXiv 2001.10528",
    ),
    "el2n_early": Metric(
        name="el2n_early",
        label="Early error norm (EL2N)",
        sentence="How far the probabilities were from the label a tenth into training: large for what is not learned early.",
        easy_is="low",
        range=lambda E, K: (0, math.sqrt(2)),
        never="above 1/2",
        needs=("el2n",),
        formula=_el2n_early,
        recorded="eval",
        source="arXiv 2107.07075, which averages at least 10 runs",
    ),
    "el2n": Metric(
        name="el2n",
        label="Mean error norm (EL2N)",
        sentence="How far the probabilities were from the label, on average over all looks.",
        easy_is="low",
        range=lambda E, K: (0, math.sqrt(2)),
        never="above 1/2",
        needs=("el2n",),
        formula=lambda looks: looks.mean(looks.signal("el2n")),
        source="variant of arXiv 2107.07075",
    ),
    "mean_loss": Metric(
        name="mean_loss",
        label="Mean loss",
        sentence="Cross-entropy of the label, on average over all looks; a few very wrong looks weigh much.",
        easy_is="low",
        range=lambda E, K: (0, math.inf),
        never="at least ln 2",
        needs=("loss",),
        formula=lambda looks: looks.mean(looks.loss_En),
        source="common",
    ),
    "loss_std": Metric(
        name="loss_std",
        label="Spread of loss",
        sentence="How much the loss moved between looks.",
        easy_is="neither",
        range=lambda E, K: (0, math.inf),
        never="any",
        needs=("loss",),
        formula=lambda looks: looks.deviation(looks.loss_En),
        source="common",
    ),
    "mean_entropy": Metric(
        name="mean_entropy",
        label="Mean entropy",
        sentence="How spread out the network's answer was, whatever the label: low when it was sure, also when sure of a wrong class.",
        easy_is="low",
        range=lambda E, K: (0, math.log(K)),
        never="any",
        needs=("entropy",),
        formula=lambda looks: looks.mean(looks.signal("entropy")),
        source="arXiv 2401.01867",
    ),
    "prediction_flips": Metric(
        name="prediction_flips",
        label="Changes of prediction",
        sentence="How often the predicted class changed from one look to the next: 0 when it never did, right or wrong.",
        easy_is="neither",
        range=lambda E, K: (0, E - 1),
        whole=True,
        never="any",
        needs=("prediction",),
        formula=lambda looks: count(looks.prediction_En[1:] != looks.prediction_En[:-1]),
        source="churn",
    ),
    "consensus_prediction": Metric(
        name="consensus_prediction",
        label="Most frequent wrong class",
        sentence="What the network took the sample for when it was wrong, most often: the first class to consider for a new label.",
        easy_is="none",
        range=lambda E, K: (-1, K - 1),
        whole=True,
        never="a class",
        needs=("prediction",),
        formula=lambda looks: looks.wrong_class[0],
        source="ours",
    ),
    "consensus_share": Metric(
        name="consensus_share",
        label="Share of that class",
        sentence="Share of looks at which the network named its most frequent wrong class: near 1 it insists on that other class.",
        easy_is="low",
        range=lambda E, K: (0, 1),
        never="at least 1/(K-1)",
        needs=("prediction",),
        formula=lambda looks: looks.wrong_class[1] / looks.seen_n,
        source="ours",
    ),
    "suspicion": Metric(
        name="suspicion",
        label="Label suspicion",
        sentence="Place in the queue for checking labels, 1 = look here first: most misses, then lowest margin. An order, no verdict.",
        easy_is="low",
        range=lambda E, K: (0, 1),
        never="top",
        needs=("prediction", "margin"),
        formula=_suspicion,
        ranks=("learnability", "aum"),
        source="ours",
    ),
}
