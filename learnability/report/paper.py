"""The experiment of arXiv 1901.02347 on a data set: learnability under three architectures, and how far they agree."""

import itertools
from collections.abc import Collection

import numpy as np

from learnability import agreement
from learnability.charts.cells import cells
from learnability.charts.distributions import histogram_figure
from learnability.charts.pairs import counts_figure
from learnability.charts.reliability import dots_figure
from learnability.report import page, pictures, tables
from learnability.report.agreement import measured
from learnability.report.page import Html, joined, paragraph, section
from learnability.report.study import Study, axis, open_study, versions
from learnability.review import wrong_class
from learnability.store.paths import Cache

ARCHS = ("resnet20", "vgg16", "mobilenet")
PUBLISHED = {
    frozenset(("vgg16", "resnet20")): (0.796, 0.867),
    frozenset(("vgg16", "mobilenet")): (0.713, 0.792),
    frozenset(("resnet20", "mobilenet")): (0.774, 0.782),
}
SHOWN = 24  # pictures of the hardest, and of the easiest


def paper_report(
    cache: Cache,
    data: str,
    recipe: str,
    command: str,
    replicates: int = agreement.REPLICATES,
    run_ids: Collection[str] | None = None,
) -> str:
    """The HTML file on the runs of one recipe, of `run_ids` alone where they are given. `command` is how it was made."""
    study = open_study(cache, data, "learnability", recipe, run_ids)
    content = measured(study.table, replicates, cache=cache)
    archs = sorted(study.groups, key=lambda arch: (ARCHS.index(arch) if arch in ARCHS else len(ARCHS), arch))
    opened, config = study.dataset, study.config
    seeds = {group.S for group in study.groups.values()}
    return page.document(
        f"Learnability across architectures: {data}",
        page.tag("h1", f"Learnability across architectures: {pictures.text(data)}"),
        paragraph(
            "Which images are learned at once, which late, which never, and do different networks agree on it? "
            "The experiment of arXiv 1901.02347, run here.",
        ),
        page.facts(
            Train_samples=f"{len(study.table.sample_ids_N):,}",
            Classes=opened.K,
            Architectures=len(archs),
            Seeds_of_each="/".join(map(str, sorted(seeds))),
            Epochs=config.epochs,
        ),
        section("Agreement, beside the published table", _correlations(content, study), tables.pairs(content)),
        section("What the paper does not state", _unstated(study)),
        section("How far two seeds of one architecture agree", tables.seeds(content), _dots(content)),
        section("Sample by sample", _scatters(study, archs)),
        section("Other views on the same pairs", tables.views(content)),
        section("How learnability is spread", _spreads(study, archs), tables.shapes(content)),
        section("The hardest", _ends(study, archs, hardest=True)),
        section("The easiest", _ends(study, archs, hardest=False)),
        section("Checks", _checks(study, archs)),
        section("What was run", _runs(study, archs, command)),
        page.data_block("figures", content),
    )


def _correlations(content: dict, study: Study) -> Html:
    rows = []
    for cross in content["agreement"]["pearson"]["crosses"]:
        known = PUBLISHED.get(frozenset((cross["a"], cross["b"])))
        told = f"{known[0]:.3f} ({known[1]:.3f})" if known else "not published"
        rows.append([f"{cross['a']} and {cross['b']}", tables.number(cross["single_run"]), tables.number(cross["seed_mean"]), told])
    here = f"here: two runs ({study.config.epochs} epochs)"
    return joined(
        page.table(["pair", here, "here: means over seeds", "published, conditions unknown"], rows),
        paragraph(
            "Pearson correlation of learnability, the share of epochs in which a sample was predicted right. The published column is no "
            "target: under which conditions its numbers came about, and what those in parentheses mean, is not known.",
            quiet=True,
        ),
    )


def _dots(content: dict) -> Html | None:
    """Every pair of runs behind the tables as a dot, where somebody has two seeds."""
    rows = tables.dots(content)
    if all(len(values) == 1 for _, values, _ in rows):
        return None
    plot = dots_figure(rows, title="Pearson r of learnability of two runs (1 = the same order)")
    return page.figure(plot, "Correlation of every pair of runs", "A dot is a pair of runs, the stroke what seeds allow.")


def _unstated(study: Study) -> Html:
    config = study.config
    mode = "the pass of each update itself" if config.record == "train" else "a pass over all samples after each epoch"
    mode = f"a pass after each epoch, by the network of {config.folds} that never trained on the sample" if config.folds else mode
    return joined(
        paragraph("Not known of the published numbers, and how it is here:"),
        page.table(
            ["", "in the paper", "here"],
            [
                ["data set of the table", "not known", f"{pictures.text(study.dataset.name)}, {len(study.table.sample_ids_N):,} samples"],
                ["formula of learnability", "not known", "epochs with a right prediction / epochs: our reading"],
                ["epochs", "not known", config.epochs],
                ["predictions noted in", "not known", mode],
                ["augmentation", "not known", config.augment_of(study.dataset.C or 3)],
                ["optimizer", "not known", _optimizer(study)],
                ["seeds of each architecture", "not known", ", ".join(f"{arch} {group.S}" for arch, group in study.groups.items())],
                ["intervals, seed reliability, ceiling", "none given", "in the tables here"],
                ["the numbers in parentheses", "not known", ""],
            ],
        ),
        paragraph(
            "So it is also not known whether 0.713 is less agreement, or a MobileNet whose scores are less reliable.",
            quiet=True,
        ),
    )


def _optimizer(study: Study) -> str:
    config = study.config
    rates = ", ".join(f"{arch} {study.runs[group.rows[0]].config.peak_lr:g}" for arch, group in study.groups.items())
    return (
        f"SGD, Nesterov momentum {config.momentum:g}, weight decay {config.weight_decay:g}, batches of {config.batch_size}, "
        f"{config.schedule} schedule, peak learning rate {rates}"
    )


def _scatters(study: Study, archs: list[str]) -> Html:
    """A plot for each pair: samples per cell of the two scores, means over the seeds."""
    made = []
    for a, b in itertools.combinations(archs, 2):
        own = [cells(study.mean_N([arch]), span=(0.0, 1.0), levels=study.config.epochs * study.groups[arch].S) for arch in (a, b)]
        plot = counts_figure(
            study.mean_N([a]), study.mean_N([b]), *own, x_title=_lines(axis("learnability", a)), y_title=_lines(axis("learnability", b))
        )
        plot.update_layout(height=470)
        made.append(page.figure(plot, f"Samples by learnability of {a} and {b}", f"{a} across, {b} up. On the dotted line both agree."))
    return joined(page.tag("div", *made, class_="columns"), paragraph("Each cell counts samples; the scale is logarithmic.", quiet=True))


def _lines(title: str) -> str:
    return title.replace(" (", "<br>(", 1)


def _spreads(study: Study, archs: list[str]) -> Html:
    made = []
    for arch in archs:
        mean_N = study.mean_N([arch])
        bars = cells(mean_N, span=(0.0, 1.0), levels=study.config.epochs * study.groups[arch].S)
        made.append(
            page.figure(histogram_figure(mean_N, bars, title=_lines(axis("learnability", arch)), height=260), f"Learnability of {arch}")
        )
    return page.tag("div", *made, class_="columns")


def _ends(study: Study, archs: list[str], hardest: bool) -> Html:
    """Pictures by the mean over the architectures, ties by the mean margin."""
    mean_N, aum_RN = study.mean_N(archs), study.column("aum")
    tie_N = np.zeros(len(mean_N)) if aum_RN is None else aum_RN.mean(axis=0)
    sign = 1 if hardest else -1
    rows = np.lexsort((study.table.sample_ids_N, sign * tie_N, sign * mean_N))[:SHOWN]
    named = _taken_for(study)
    lines = []
    for row in rows:
        told = [pictures.class_name(study.dataset, int(study.table.labels_N[row])), f"learnability {mean_N[row]:.2f}"]
        if hardest and named is not None and named[row] >= 0:
            told.append(f"taken for {pictures.class_name(study.dataset, int(named[row]))}")
        lines.append(told)
    end = "lowest" if hardest else "highest"
    return joined(
        paragraph(f"The {len(rows)} {end} means over {len(archs)} architectures; under each picture its label. Ties: by the mean margin."),
        pictures.tiles(study.dataset, study.table.sample_ids_N[rows].tolist(), lines),
    )


def _taken_for(study: Study) -> np.ndarray | None:
    """(N,) class that most runs took the sample for when they missed it, -1 for none."""
    prediction_RN, share_RN = study.column("consensus_prediction"), study.column("consensus_share")
    return None if prediction_RN is None or share_RN is None else wrong_class(prediction_RN, share_RN)


def _checks(study: Study, archs: list[str]) -> Html:
    if len(archs) < 2:
        return paragraph("One architecture only: nothing to check against.")
    a, b = archs[:2]
    made = agreement.controls(study.mean_N([a]), study.mean_N([b]), study.table.labels_N, np.random.default_rng(0))
    itself = "exactly 1" if all(abs(value - 1) < 1e-12 for value in made.itself.values()) else "not 1: something is wrong"
    return page.table(
        ["check", "must give", "gives"],
        [
            ["a score with itself, every number", "1", itself],
            [f"{a} with {b} permuted over the samples", f"0 within {made.limit:.3f}, 19 times in 20", f"{made.permuted:.3f}"],
            ["the same permuted within classes, correlation within classes", f"0 within {made.limit:.3f}", f"{made.class_within:.3f}"],
            ["the same, overall", "what the classes alone explain", f"{made.class_permuted:.3f}"],
        ],
    )


def _runs(study: Study, archs: list[str], command: str) -> Html:
    rows = []
    for arch in archs:
        group = study.groups[arch]
        training, test = zip(*study.accuracies(arch), strict=True)
        rows.append([arch, ", ".join(map(str, group.seeds)), _percent(training), _percent(test)])
    return joined(
        page.table(["architecture", "seeds", "accuracy while training, last epoch", "test accuracy, last epoch"], rows),
        paragraph(
            f"Recipe {study.table.recipe}, labels {study.config.labels}, precision {study.config.precision}. "
            f"{study.minutes():.1f} minutes of training on {study.device()}. {versions()}.",
            quiet=True,
        ),
        paragraph(f"Not counted: {', '.join(study.left_out)}.") if study.left_out else None,
        *map(paragraph, study.learned_nothing()),
        paragraph("The same again:"),
        page.tag("pre", command),
    )


def _percent(shares: tuple) -> str:
    return ", ".join("not measured" if share is None else f"{100 * share:.1f} %" for share in shares)
