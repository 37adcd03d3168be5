"""A data set and its suspicious labels on one page, for a colleague."""

import dataclasses

import numpy as np

from learnability import agreement, review
from learnability.charts import distributions
from learnability.charts.audit import found_figure
from learnability.charts.cells import cells
from learnability.datasets import Dataset
from learnability.metrics import METRICS
from learnability.report import page, pictures, tables
from learnability.report.agreement import measured
from learnability.report.page import Html, joined, paragraph, section
from learnability.report.pictures import class_name
from learnability.report.study import Study, axis, open_study, real_recipe, versions
from learnability.review import planted_audit, random_audit
from learnability.store.datasets import open_dataset
from learnability.store.identity import Identities, identities
from learnability.store.paths import Cache

SUSPECTS, DECIDED = 48, 48  # pictures
LINES = ("suspicion", "learnability", "aum", "mean_loss")


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What the report reads: data set, decisions, and the scores where there are any."""

    original: Dataset
    version: Identities
    log: review.Log
    resolved: review.Resolved
    study: Study | None  # of learnability


def colleague_report(cache: Cache, data: str, recipe: str | None = None, replicates: int = agreement.REPLICATES) -> str:
    """The HTML file on one data set; `recipe` None: the newest on its own labels. Without runs it says what there is."""
    recipe = recipe or real_recipe(cache, data)
    study = open_study(cache, data, "learnability", recipe) if recipe else None
    original = open_dataset(cache, data, study.config.fingerprint[:8] if study else None)
    log, version = review.read_log(cache, data), identities(original)
    seen = Seen(original, version, log, review.resolve(review.state(log), version), study)
    content = measured(study.table, replicates, cache=cache) if study else None
    return page.document(
        f"{data}: labels and learnability",
        page.tag("h1", f"{pictures.text(data)}: labels and learnability"),
        _facts(seen),
        section("Samples in each class", _balance(original)),
        section("The most suspicious labels", _suspects(seen)),
        section("Decisions so far", _decisions(seen)),
        section("How many labels are wrong, and how well they are found", _audits(cache, seen)),
        section("How hard the samples are", _spread(study)) if study else None,
        section("Do networks agree?", _agreement(content)) if content else None,
        section("What this rests on", _basis(seen)),
        page.data_block("figures", content) if content else None,
    )


def _facts(seen: Seen) -> Html:
    info, told = seen.original.info, review.progress(seen.resolved, seen.original)
    return page.facts(
        Train_samples=f"{seen.original.N:,}",
        Test_samples=f"{info.get('test', 0):,}",
        Classes=seen.original.K,
        Rejected_files=f"{info.get('rejects', 0):,}",
        Exact_duplicates=f"{info.get('duplicates', 0):,}",
        Labels_decided=f"{told.decided:,}",
    )


def _balance(original: Dataset) -> Html:
    train = np.bincount(original.labels_N[original.labels_N >= 0], minlength=original.K)
    held = original.test_labels_T[original.test_labels_T >= 0]
    names = [class_name(original, k) for k in range(original.K)]
    plot = distributions.class_balance_figure(names, train, np.bincount(held, minlength=original.K) if len(held) else None, height=280)
    said = f"The smallest class has {train.min():,} train samples, the largest {train.max():,}."
    return page.figure(plot, f"Class sizes from {train.min()} to {train.max()}", said)


def _suspects(seen: Seen) -> Html:
    study = seen.study
    scores = {metric: study and study.column(metric) for metric in ("suspicion", "aum", "consensus_prediction", "consensus_share")}
    if any(score is None for score in scores.values()):
        return paragraph("Unknown: suspicion comes from training, and there is no run with all it needs yet.")
    suspicion_N, aum_N = scores["suspicion"].mean(axis=0), scores["aum"].mean(axis=0)
    ids_N = study.table.sample_ids_N
    rows = review.queue(suspicion_N, aum_N, ids_N, seen.resolved.codes[ids_N] > 0)[:SUSPECTS]
    wrong_N = review.wrong_class(scores["consensus_prediction"], scores["consensus_share"])
    share_N = np.where(scores["consensus_prediction"] == wrong_N, np.nan_to_num(scores["consensus_share"]), 0.0).mean(axis=0)
    lines = []
    for row in rows:
        told = [f"label {class_name(study.dataset, int(study.table.labels_N[row]))}"]
        if wrong_N[row] >= 0:
            told.append(f"rather {class_name(study.dataset, int(wrong_N[row]))}, in {100 * share_N[row]:.0f} % of epochs")
        lines.append([*told, f"suspicion {suspicion_N[row]:.3f}"])
    return joined(
        paragraph(
            f"The {len(rows)} undecided samples that the networks believe least, most suspicious first. This orders a review; it is no "
            "verdict: a wrong label, a rare view and an ambiguous picture look alike to a network."
        ),
        pictures.tiles(study.dataset, ids_N[rows].tolist(), lines),
    )


def _decisions(seen: Seen) -> Html:
    told = review.progress(seen.resolved, seen.original)
    if not told.decided:
        return paragraph("Nothing is decided yet.")
    wrong = review.verdicts.real_errors(seen.resolved, seen.original)
    latest = [i for i in np.flatnonzero(wrong)[::-1].tolist() if seen.resolved.decided_n[i] < seen.original.N][:DECIDED]
    ids = [int(seen.resolved.decided_n[i]) for i in latest]
    actions = [seen.resolved.actions_n[i] for i in latest]
    lines = []
    for sample_id, action in zip(ids, actions, strict=True):
        new = "dropped" if action.verdict == "drop" else pictures.text(action.class_name)
        by = f"by {pictures.text(action.by)}, {pictures.text(action.when[:10])}"
        lines.append([f"{class_name(seen.original, int(seen.original.labels_N[sample_id]))} → {new}", by])
    train = int(wrong[seen.resolved.decided_n < seen.original.N].sum())
    return joined(
        page.table(["verdict", "train samples"], [*told.verdicts.items(), ["undecided", f"{told.left:,}"]]),
        paragraph(f"{train:,} labels were wrong: dropped, or given another class. Of the last {told.last} decided, {told.errors}."),
        joined(page.tag("h3", f"The latest {len(ids)} of them"), pictures.tiles(seen.original, ids, lines)) if ids else None,
    )


def _audits(cache: Cache, seen: Seen) -> Html:
    drawn = random_audit.random_audit(seen.log, seen.original, seen.version)
    groups = planted_audit.planted_groups(cache, seen.original.name)
    audits = [made for group in groups if (made := planted_audit.planted_audit(cache, seen.original.name, group)).planted]
    return joined(
        *map(paragraph, random_audit.told(drawn) if drawn else ["No random sample of the labels was judged yet."]),
        *map(_planted, audits),
        None if audits else paragraph("Whether these scores find wrong labels here was not tried with planted ones yet."),
    )


def _planted(made: planted_audit.PlantedAudit) -> Html:
    """One planted audit: its curves, and how far to review."""
    lines = [(METRICS[name].label, made.curves[name].found, (i, 0)) for i, name in enumerate(LINES) if name in made.curves]
    stop = planted_audit.how_far(made.curves[made.first].found)
    named = f"{made.config.arch}, {made.planted} of {made.n:,} labels planted wrong ({made.config.labels})"
    few, many = made.planted, 5 * made.planted
    rows = [
        [METRICS[one.metric].label, f"{one.auroc:.3f}", f"{100 * one.share(few):.0f} %", f"{100 * one.share(many):.0f} %"]
        for one in made.by_auroc
    ]
    return joined(
        page.tag("h3", named),
        paragraph(f"{made.told} {planted_audit.how_far_told(made, made.first, stop)}"),
        page.figure(
            found_figure(lines, made.planted, stop=None if made.too_few() else stop.reviewed),
            f"Planted errors found against samples reviewed, {named}",
        ),
        page.table(["score", "AUROC (chance 0.5)", f"found in the first {few}", f"found in the first {many}"], rows),
    )


def _spread(study: Study) -> Html:
    mean_N, archs = study.mean_N(list(study.groups)), ", ".join(study.groups)
    bars = cells(mean_N, span=(0.0, 1.0), levels=study.config.epochs * len(study.runs))
    plot = distributions.histogram_figure(mean_N, bars, title=axis("learnability"), height=280)
    return page.figure(plot, "Histogram of learnability", f"Mean over {archs}. At 0: never right. At 1: right in every epoch.")


def _agreement(content: dict) -> Html:
    if not content["pairs"]:
        alone = "One architecture so far: a second one tells whether what is hard is hard for every network."
        return joined(paragraph(alone), tables.seeds(content))
    said = "How far the architectures order the samples alike, beside what their seeds allow."
    return joined(paragraph(said), tables.pairs(content), tables.seeds(content))


def _basis(seen: Seen) -> Html:
    if seen.study is None:
        return joined(paragraph("No run yet."), paragraph(versions(), quiet=True))
    config, study = seen.study.config, seen.study
    archs = ", ".join(f"{arch} ({group.S} seed{'s' if group.S > 1 else ''})" for arch, group in study.groups.items())
    mode = f"recorded in {config.record} mode"
    if config.folds:
        mode = f"held out in {config.folds} folds: each sample scored by networks that never trained on it"
    return joined(
        paragraph(
            f"{archs}; {config.epochs} epochs, {mode}, labels {config.labels}, recipe {study.table.recipe}. "
            f"Data set version {seen.original.fingerprint[:8]}. Trained on {study.device()}."
        ),
        paragraph(f"Not counted: {', '.join(study.left_out)}.") if study.left_out else None,
        *map(paragraph, study.learned_nothing()),
        paragraph(versions(), quiet=True),
    )
