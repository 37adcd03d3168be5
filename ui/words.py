"""Scores, runs and samples in words: names, units, directions and numbers as every page writes them."""

import numpy as np

from learnability.config import RunConfig
from learnability.curriculum import parse_curriculum
from learnability.errors import LearnabilityError
from learnability.metrics import FIRST, METRICS, SHARES, Metric
from learnability.store import imported
from learnability.store.paths import Cache

UNITS = {
    "learnability": "share of epochs predicted right",
    "never_learned": "1 = no epoch right",
    "forgetting_events": "times forgotten",
    "first_learned": "epoch",
    "consistently_learned": "epoch",
    "iteration_learned": "epoch",
    "confidence": "probability of the label",
    "variability": "standard deviation of probability",
    "aleatoric": "p(1 - p)",
    "aum": "logits",
    "el2n_early": "norm of the error",
    "el2n": "norm of the error",
    "mean_loss": "nats",
    "loss_std": "nats",
    "mean_entropy": "nats",
    "prediction_flips": "changes",
    "consensus_share": "share of epochs",
    "suspicion": "rank, 0 to 1",
}
PLACES = ("suspicion", "confidence", "variability", "aleatoric")  # between 0 and 1, no steps
THEMSELVES = "the samples themselves"  # what an imported score is of, whatever network A is
DIRECTIONS = {"high": "higher = easier", "low": "lower = easier", "neither": "no easy end", "none": "no order"}


def choosable(data: str | None = None) -> list[str]:
    """Metrics that can be a score on a page: the three in plain words first, those imported for the data set last."""
    rest = [name for name, metric in METRICS.items() if name not in FIRST and metric.easy_is != "none"]
    return [*FIRST, *rest, *imported_scores(data)]


def imported_scores(data: str | None) -> list[str]:
    """`<data set>/<score>` of each score that was made elsewhere and can be read."""
    return [imported.spelled(data, name) for name, problem in _imported(data) if problem is None]


def damaged_scores(data: str) -> list[str]:
    """What is wrong with those that cannot."""
    return [problem for _, problem in _imported(data) if problem is not None]


def _imported(data: str | None) -> list[tuple[str, str | None]]:
    """(name, what is wrong with it) of each score of a data set that was made elsewhere."""
    found = []
    for name in imported.names(Cache.at(), data) if data else ():
        try:
            imported.metric_of(Cache.at(), data, name)
            found.append((name, None))
        except LearnabilityError as error:
            found.append((name, str(error)))
    return found


def metric_named(name: str) -> Metric:
    """The metric of that name; of `<data set>/<score>` the score that was imported."""
    if name in METRICS:
        return METRICS[name]
    data, _, score = name.partition("/")
    return imported.metric_of(Cache.at(), data, score)


def spellings() -> dict[str, str]:
    """Short name -> what the screen and the URL call it."""
    return {name: label(name) for name in choosable()}


def named(text: str | None, data: str | None = None) -> str | None:
    """The metric that a link names, by its short name or its label; None for any other text."""
    return next((name for name in choosable(data) if text in (name, label(name))), None)


def label(metric: str) -> str:
    return metric_named(metric).label


def direction(metric: str) -> str:
    return DIRECTIONS[metric_named(metric).easy_is]


def ordered(metric: str) -> bool:
    """Whether the metric has an easy and a hard end."""
    return metric_named(metric).easy_is in ("high", "low")


def hardness(metric: str, score_N: np.ndarray) -> np.ndarray:
    """The score turned so that higher is harder."""
    return -score_N if metric_named(metric).easy_is == "high" else score_N


def axis(metric: str, of: str = "", lines: int = 1) -> str:
    """Name, unit and direction: `Learnability of resnet20 (share of epochs predicted right, higher = easier)`."""
    unit = ", ".join(part for part in (UNITS.get(metric, ""), direction(metric)) if part)
    return f"{label(metric)}{f' of {of}' if of else ''}{'<br>' if lines == 2 else ' '}({unit})"


def number(value: float, metric: str | None = None) -> str:
    if value is None or not np.isfinite(value):
        return "not seen"
    if metric in METRICS and METRICS[metric].whole and float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.2f}" if metric in SHARES else f"{value:.3f}" if metric in PLACES else f"{value:.3g}"


def r(value: float | None) -> str:
    """A correlation, a reliability or their ratio."""
    return "unknown" if value is None or not np.isfinite(value) else f"{value:.2f}"


def share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else "0"


def count(n: int, noun: str, plural: str | None = None) -> str:
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def megabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "time unknown"
    return f"about {seconds / 3600:.1f} hours" if seconds > 5400 else f"about {max(seconds / 60, 1):.0f} min"


def mode_line(mode: str) -> str:
    """How samples were recorded: `recorded in train mode`."""
    return "held-out: each sample scored by networks that never trained on it" if mode == "held-out" else f"recorded in {mode} mode"


def recipe_line(config) -> str:
    """What a recipe asks for, in one line, for captions."""
    if config.origin is not None:
        by = "recorded by its owner's loop" if config.origin == "recorder" else "imported"
        return ", ".join([*[count(config.epochs, "look")] * bool(config.epochs), by, f"{config.record} mode", f"labels {config.labels}"])
    parts = [count(config.epochs, "epoch"), f"recorded in {config.record} mode", f"labels {config.labels}"]
    if config.folds:
        parts.append(f"held out in {config.folds} folds")
    if config.start:
        parts.append(f"on features {config.start}")
    if config.subset:
        parts.append(f"{config.subset:,} samples")
    if config.curriculum:
        parts.append(f"under a curriculum: {parse_curriculum(config.curriculum).said}")
    return ", ".join(parts)


def asked(config: RunConfig) -> dict:
    """The fields of a config as a page shows them: of a run trained elsewhere only those that are known."""
    known = ("data", "fingerprint", "arch", "seed", "labels", "epochs", "record", "origin")
    told = config.to_json()
    return told if config.origin is None else {name: value if name in known else "not known" for name, value in told.items()}


def state_line(run) -> str:
    """A run's state with its looks: `running, 12 of 30 epochs`."""
    if run.head is None:
        return run.state
    return f"{run.state}, {run.head.looks} of {count(run.head.epochs, 'epoch')}"
