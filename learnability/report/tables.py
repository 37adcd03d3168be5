"""Agreement as tables, of the figures that the `agreement` command prints: the same numbers, rounded the same way."""

from learnability.agreement import ONE_SEED, seeds_needed
from learnability.report.agreement import end, shared
from learnability.report.page import Html, joined, paragraph, table, tag

_OVER = "Intervals: 95 %, from a bootstrap "


def number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def interval(found: dict | None) -> Html | None:
    if found is None or found["low"] is None:
        return None
    return tag("span", f"[{found['low']:.3f}, {found['high']:.3f}]", class_="firm")


def pairs(content: dict) -> Html:
    """Every pair of architectures: agreement, ceiling, and the verdict in words."""
    pearson = content["agreement"]["pearson"]
    rows = [
        [
            f"{cross['a']} and {cross['b']}",
            number(cross["single_run"]),
            interval(cross["single_run_interval"]),
            number(cross["ceiling"]),
            number(cross["ratio"]),
            interval(cross["ratio_interval"]),
            cross["verdict"] or cross["reason"],
        ]
        for cross in pearson["crosses"]
    ]
    columns = ["pair", "Pearson r of two runs", "interval", "ceiling", "share of the ceiling", "interval", "in words"]
    over = sorted({cross["single_run_interval"]["over"] for cross in pearson["crosses"] if cross["single_run_interval"]})
    told = f"{_OVER}{' or '.join(over)}, {pearson['N']:,} samples. " if over else ""
    return joined(
        table(columns, rows),
        paragraph(
            f"{told}The ceiling is the agreement that two runs would reach if both architectures ordered the samples alike: "
            "the square root of the product of their seed reliabilities. A low ceiling says that the score of one run is mostly chance: "
            "more epochs or seeds help, other architectures do not.",
            quiet=True,
        ),
    )


def seeds(content: dict) -> Html:
    """How far two seeds of one architecture agree, and how many would be needed."""
    rows, alone = [], False
    for own in content["agreement"]["pearson"]["reliabilities"]:
        alone |= own["seeds"] < 2
        needed = None if own["value"] is None else seeds_needed(own["value"], 0.95)
        stepped = own["stepped_up"] if own["seeds"] > 1 else None
        rows.append([own["group"], own["seeds"], number(own["value"]), interval(own["interval"]), number(stepped), needed or "unknown"])
    columns = ["architecture", "seeds", "two seeds agree at", "interval", "mean of these seeds", "seeds for 0.95"]
    hint = f"{ONE_SEED[0].upper()}{ONE_SEED[1:]}. A second seed tells." if alone else None
    return joined(table(columns, rows), paragraph(hint) if hint else None)


def views(content: dict) -> Html:
    """The same pairs by ranks, within classes, without the trivial samples, and by their hardest samples."""
    rows = []
    for i, pair in enumerate(content["pairs"]):
        hardest = [f"{shared(top)} ({top['chance']:.1f} by chance)" for top in pair["hardest"]]
        others = [content["agreement"][kind]["crosses"][i]["single_run"] for kind in ("spearman", "kendall")]
        some, headline = pair["nontrivial"], content["agreement"]["pearson"]["crosses"][i]
        rows.append([
            f"{pair['a']} and {pair['b']}", *map(number, others), _beside(headline), _beside(pair["within_class_cross"]),
            f"{_beside(pair['nontrivial_cross'])}, {some['N']:,} samples" if some else "too few", *hardest[1:], _errors(pair["errors"]),
        ])  # fmt: skip
    columns = [
        "pair", "Spearman", "Kendall tau-b", "r of seed means (ceiling)", "within classes", "without samples at one end in both",
        "hardest 5 % shared", "hardest 10 % shared", "the same errors at the end, kappa (two seeds)",
    ]  # fmt: skip
    return joined(
        table(columns, rows),
        paragraph(
            "In parentheses what seeds allow for means over them, from the same samples: where it falls as well, the samples left are "
            "noisier, not ordered otherwise. Which samples are at an end is itself read from these scores. Kappa is Cohen's, of right and "
            "wrong at the last epoch: 1 the same errors, 0 what accuracies alone bring about; in parentheses two seeds of each network.",
            quiet=True,
        ),
    )


def _errors(found: dict | None) -> str:
    """Kappa of two networks, behind it that of two seeds of each, `0.255 (0.516, 0.333)`."""
    if found is None:
        return "unknown"
    if found["between"]["reason"] is not None:
        return "no errors left"
    seeds = [number(own["kappa"]) for own in (found["of_a"], found["of_b"]) if own is not None]
    return number(found["between"]["kappa"]) + (f" ({', '.join(seeds)})" if seeds else "")


def _beside(cross: dict) -> str:
    """Correlation of the means over seeds with its ceiling behind it, `0.842 (0.911)`."""
    top = cross["seed_mean_ceiling"]
    return f"{number(cross['seed_mean'])} ({number(top)})" if top is not None else number(cross["seed_mean"])


def dots(content: dict) -> list[tuple[str, list[float], float | None]]:
    """(name, correlation of every pair of runs, ceiling): each pair of architectures, then each one's own seeds."""
    pearson = content["agreement"]["pearson"]
    between = [(f"{cross['a']} and {cross['b']}", cross["pairs"], cross["ceiling"]) for cross in pearson["crosses"]]
    within = [(f"seeds of {own['group']}", own["pairs"], None) for own in pearson["reliabilities"] if own["pairs"]]
    return [(name, [r for r in pairs if r is not None], top) for name, pairs, top in between + within]


def shapes(content: dict) -> Html:
    """How the score of each run is spread; the shares at its ends where it has ends."""
    low, high = content["ends"]
    rows = [
        [name, f"{own['mean']:.3f}", end(own["share_low"], low), end(own["share_high"], high), own["distinct"], f"{own['tied']:,}"]
        for name, own in content["shapes"].items()
    ]
    named = ("never right", "always right") if content["metric"] == "learnability" else ("at the hard end", "at the easy end")
    return table(["run", "mean", *named, "distinct values", "samples in ties"], rows)
