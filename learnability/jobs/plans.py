"""What to train: three presets, or as much as fits into a time, by the speed measured here."""

import dataclasses
from collections.abc import Sequence

from learnability.config import ARCHITECTURES, RunConfig, study
from learnability.errors import InputError
from learnability.jobs.costs import Estimate, Speed, estimate, info, measured_here, run_seconds, speed_of
from learnability.store.paths import Cache

LEAST_EPOCHS = 8  # below that most scores are ties
QUICK_S, NIGHT_S = 600.0, 8 * 3600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A proposal: which runs, why these, what they cost."""

    title: str
    archs: tuple[str, ...]
    seeds: int
    epochs: int
    subset: int | None  # None: all train samples
    configs: tuple[RunConfig, ...]
    estimate: Estimate
    sentence: str  # what was left out to fit, in words


def presets(cache: Cache, data: str, device: str = "auto", **fields) -> dict[str, Plan]:
    """`quick` (about 10 minutes here), `overnight` (about 8 hours), `paper` (three architectures x three seeds).

    `fields` go into every config, for example labels="planted-0.05-0".
    """
    archs = tuple(ARCHITECTURES)
    return {
        "quick": plan_for_budget(cache, data, QUICK_S, device, title="Quick look", most_epochs=8, most_seeds=1, **fields),
        "overnight": plan_for_budget(cache, data, NIGHT_S, device, title="Overnight", most_epochs=60, **fields),
        "paper": planned(cache, data, "Paper", archs, 3, 30, None, device, "Three architectures with three seeds each.", **fields),
    }


def plan_for_budget(
    cache: Cache,
    data: str,
    seconds: float,
    device: str = "auto",
    archs: Sequence[str] = tuple(ARCHITECTURES),
    title: str = "Time budget",
    most_epochs: int = 30,
    most_seeds: int = 5,
    **fields,
) -> Plan:
    """The largest study that fits into `seconds`: all epochs on all samples, then more seeds; else fewer epochs, then a subset,
    then fewer architectures. Where nothing fits, the smallest one, which says so.
    """
    if not seconds > 0:
        raise InputError(f"time budget of {seconds!r} s: expected more than 0.")
    measured, fingerprint8 = measured_here(cache, device), cache.current(data)
    told = info(cache, data, fingerprint8)
    speeds = {arch: speed_of(cache, measured, data, fingerprint8, arch) for arch in archs}
    rows, least = told["train"], min(told["train"], max(2000, 50 * len(told["class_names"])))
    chosen = sorted(archs, key=lambda arch: speeds[arch].image_s)
    for count in range(len(chosen), 0, -1):
        some = [arch for arch in archs if arch in chosen[:count]]
        fitted = _fitted([speeds[arch] for arch in some], seconds, rows, least, most_epochs, most_seeds)
        if fitted is not None:
            epochs, subset, seeds = fitted
            said = _sentence(some, archs, epochs, most_epochs, subset, rows, seeds)
            return planned(cache, data, title, some, seeds, epochs, subset, device, said, **fields)
    smallest = min(LEAST_EPOCHS, most_epochs), None if least == rows else least
    return planned(
        cache, data, title, chosen[:1], 1, *smallest, device, "The smallest study that makes sense; it takes longer than asked.", **fields
    )


def _fitted(
    speeds: list[Speed], seconds: float, rows: int, least: int, most_epochs: int, most_seeds: int
) -> tuple[int, int | None, int] | None:
    """(epochs, subset, seeds) of the largest study of these networks, or None."""

    def takes(epochs: int, some_rows: int) -> float:
        return sum(run_seconds(speed, some_rows, epochs) for speed in speeds)

    fewest = min(LEAST_EPOCHS, most_epochs)
    fitting = [epochs for epochs in range(fewest, most_epochs + 1) if takes(epochs, rows) <= seconds]
    if fitting:
        epochs = fitting[-1]
        return epochs, None, max(1, min(most_seeds, int(seconds // takes(epochs, rows)))) if epochs == most_epochs else 1
    for some_rows in range(rows // 100 * 100, least - 1, -100):
        if takes(fewest, some_rows) <= seconds:
            return fewest, some_rows, 1
    return None


def _sentence(some: Sequence[str], archs: Sequence[str], epochs: int, most_epochs: int, subset: int | None, rows: int, seeds: int) -> str:
    left_out = [arch for arch in archs if arch not in some]
    parts = [f"{', '.join(some)}, {epochs} epochs, {'one seed' if seeds == 1 else f'{seeds} seeds'} each"]
    if epochs < most_epochs:
        parts.append(f"fewer epochs than {most_epochs} to fit the time")
    if subset is not None:
        parts.append(f"on {subset:,} of {rows:,} samples, the same share of every class")
    if left_out:
        parts.append(f"without {', '.join(left_out)}, which would not fit")
    return "; ".join(parts) + "."


def planned(
    cache: Cache,
    data: str,
    title: str,
    archs: Sequence[str],
    seeds: int,
    epochs: int,
    subset: int | None,
    device: str,
    sentence: str,
    **fields,
) -> Plan:
    """A plan with its configs and what they cost."""
    told = info(cache, data, cache.current(data))
    if told["C"] is None:
        raise InputError(f"data set {data!r} has no images to train on.")
    configs = study(data, told["fingerprint"], told["C"], told["train"], list(archs), seeds, epochs=epochs, subset=subset, **fields)
    return Plan(
        title=title,
        archs=tuple(archs),
        seeds=seeds,
        epochs=epochs,
        subset=subset,
        configs=tuple(configs),
        estimate=estimate(cache, configs, device),
        sentence=sentence,
    )
