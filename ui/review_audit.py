"""How well the review finds errors: planted ones that are counted, and a random sample that people judge."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability.charts.audit import found_figure
from learnability.config import RunConfig, planted
from learnability.datasets import Dataset
from learnability.errors import InputError, LearnabilityError
from learnability.metrics import METRICS
from learnability.review import planted_audit, random_audit
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import data, empty, review_export, review_verdicts, reviews, state, words

DRAWN = "The random draw"  # among the saved selections of the queue; no selection can be called so
SHOWN = ("suspicion", "learnability", "aum", "mean_loss")
FOLDS = 5


def draw(opened: Dataset, found: list[Run], members: list[Run]) -> None:
    review_verdicts.told()
    planted_errors(opened, found)
    launch_form(opened, members)
    st.divider()
    drawn_at_random(opened)


# planted errors


def planted_errors(opened: Dataset, found: list[Run]) -> None:
    """Errors found against samples reviewed, for runs on planted labels."""
    st.subheader("Would it find wrong labels here?", anchor=False)
    st.markdown(
        "Some labels are made wrong on purpose, in a run of its own. How early its scores show them tells how well they find errors in "
        "data like this. Real scores and planted ones are never mixed."
    )
    groups = planted_audit.planted_groups(data.cache(), opened.name)
    waiting = [run for run in found if run.config and planted_audit.is_audit(run.config) and run.state != "done"]
    for run in waiting:
        st.text(f"{run.label}, {run.config.labels}: {words.state_line(run)}")
    if not groups:
        if not waiting:
            st.caption("Not tried yet.")
        return
    chosen, metrics, least = choices(opened.name, groups)
    try:
        audits = [made for group in chosen if (made := audit(groups[group])).planted]
    except LearnabilityError as error:
        empty.broken("The planted runs cannot be read", error)
        return
    if len(audits) < len(chosen):
        st.caption("Left out: runs on so few samples that none of them got a wrong label.")
    if audits and metrics:
        shown(audits, metrics, least)


def choices(name: str, groups: dict[str, list[Run]]) -> tuple[list[str], list[str], float]:
    """Which runs, which scores, and when errors count as rare."""
    names = {group: title(runs[0].config) for group, runs in groups.items()}
    one, two, three = st.columns([4, 5, 2], vertical_alignment="bottom")
    chosen = one.multiselect(
        "Runs on planted labels", list(groups), default=_first(name, groups), format_func=names.get, key="audit-groups"
    )
    ordered = [name for name, metric in METRICS.items() if metric.easy_is in ("high", "low")]
    metrics = two.multiselect("Scores", ordered, default=list(SHOWN), format_func=words.label, key="audit-scores")
    told = "Reviewing is worth it while the last 100 samples held at least so many errors."
    least = three.number_input("Errors in 100", 1, 100, int(planted_audit.LEAST), key="audit-least", help=told)
    return chosen, metrics, least


def _first(name: str, groups: dict[str, list[Run]]) -> list[str]:
    """The newest group, and beside it the one that is held out from it."""
    newest, configs = data.recipes(name), {group: runs[0].config for group, runs in groups.items()}
    first = min(groups, key=lambda group: (configs[group].folds is not None, newest.index(configs[group].recipe), group))
    same = [group for group, one in configs.items() if one.folds and (one.arch, one.labels) == (configs[first].arch, configs[first].labels)]
    return [first, *[group for group in same if group != first][:1]]


def title(config: RunConfig) -> str:
    fraction, _ = planted(config.labels)
    return f"{config.arch}, {100 * fraction:g} % planted, {words.count(config.epochs, 'epoch')}{', held out' * (config.folds is not None)}"


def audit(runs: list[Run]) -> planted_audit.PlantedAudit:
    told = tuple((run.id, run.head.looks, run.head.generation) for run in runs)
    return _audit(str(data.cache().root), runs[0].data, runs[0].group, told)


@st.cache_resource(max_entries=16, show_spinner="Counting what each score finds ...")
def _audit(root: str, name: str, group: str, told: tuple) -> planted_audit.PlantedAudit:
    return planted_audit.planted_audit(Cache.at(root), name, group)


def shown(audits: list[planted_audit.PlantedAudit], metrics: list[str], least: float) -> None:
    """The curves, how far to review in a sentence, and every score in a table."""
    several = len(audits) > 1
    lines = [
        (words.label(metric) + f", {title(made.config)}" * several, made.curves[metric].found, (metrics.index(metric), dash))
        for dash, made in enumerate(audits)
        for metric in metrics
        if metric in made.curves
    ]
    if not lines:
        return
    first = audits[0]
    metric = first.first if first.first in metrics else next(name for name in metrics if name in first.curves)
    stop = planted_audit.how_far(first.curves[metric].found, least=least)
    st.text(f"{title(first.config)}: {planted_audit.how_far_told(first, metric, stop)}")
    figure = found_figure(lines, max(made.planted for made in audits), stop=None if first.too_few(least) else stop.reviewed)
    st.plotly_chart(figure, key="audit-curves", config={"displayModeBar": False}, alt="Planted errors found against samples reviewed")
    st.caption(
        "Dashed grey: every sample reviewed is an error. Dotted grey: reviewing in random order. Errors that your labels had before stand "
        "among the first too; they are not counted here, so a review of your own data finds more."
    )
    for made in audits:
        st.text(f"{title(made.config)}: {made.planted:,} of {made.n:,} labels planted wrong. {made.told}")
        scores(made, least)


def scores(made: planted_audit.PlantedAudit, least: float) -> None:
    """Every score with a hard end, the best detector first."""
    stops = [None if made.too_few(least) else planted_audit.how_far(one.found, least=least) for one in made.by_auroc]
    columns = {
        "Score": pa.array([words.label(one.metric) for one in made.by_auroc], pa.string()),
        "AUROC (chance 0.5)": [one.auroc for one in made.by_auroc],
        f"Found in the first {made.planted:,}, %": [100 * one.share(made.planted) for one in made.by_auroc],
        f"Found in the first {5 * made.planted:,}, %": [100 * one.share(5 * made.planted) for one in made.by_auroc],
        "Review the first": pa.array([stop and stop.reviewed for stop in stops], pa.int64()),
        "Found by then, %": pa.array([stop and 100 * stop.found / made.planted for stop in stops], pa.float64()),
    }
    shape = {name: st.column_config.NumberColumn(format="%.3f" if name.startswith("AUROC") else "%.0f") for name in list(columns)[1:]}
    st.dataframe(
        pa.table(columns), hide_index=True, key=f"audit-table-{made.group}", height="content", column_config=shape,
        alt=f"How well each score finds the planted errors of {made.group}",
    )  # fmt: skip


def launch_form(opened: Dataset, members: list[Run]) -> None:
    """One button: plants the errors and puts the run into the queue."""
    configs = [run.config for run in members if run.config and run.config.origin is None and run.config.folds is None]
    base = next((config for config in configs if not planted(config.labels)), None)
    if base is None:
        st.caption("To plant errors, choose a run or group on real labels, trained here, as A in the sidebar: it is trained the same way.")
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    percent = row.number_input("Wrong labels, %", 0.1, 40.0, 2.0, 0.5, key="audit-percent", width=150)
    told = f"{FOLDS} more runs, each trained on the samples of the others: scores from networks that never saw the label."
    held_out = row.toggle("Held out too", key="audit-held-out", help=told)
    configs = planted_audit.planted_configs(base, percent / 100)
    configs += planted_audit.planted_configs(base, percent / 100, folds=FOLDS) if held_out else []
    here = {run.id for run in data.all_runs(opened.name)}
    new = [config for config in configs if config.run_id not in here]
    label = f"Plant {percent:g} % and train {base.arch}"
    refused = nothing_planted(str(data.cache().root), configs[0])
    row.button(label, key="audit-launch", type="primary", disabled=bool(refused) or not new, on_click=review_export.launch, args=(new,))
    if refused:
        st.text(refused)
    else:
        st.caption(review_export.cost(new) if new else "These runs are there already, done or in the queue.")


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs={RunConfig: repr})
def nothing_planted(root: str, config: RunConfig) -> str:
    """Why this run would hold no planted label; empty where it holds some."""
    try:
        planted_audit.check_planted(open_dataset(Cache.at(root), config.data, config.fingerprint[:8]), config)
    except InputError as error:
        return str(error)
    return ""


# a random sample


def drawn_at_random(opened: Dataset) -> None:
    """What share of the labels is wrong, from samples that people judge."""
    st.subheader("How many labels are wrong?", anchor=False)
    st.markdown(
        "Samples drawn at random and judged by you give an honest estimate, with an interval; the suspicious ones cannot, for they were "
        "chosen. Drawn are samples that nobody has decided yet."
    )
    made = estimate(opened)
    row = st.container(horizontal=True)
    if made is not None:
        for line in random_audit.told(made):
            st.text(line)
        st.progress(made.judged / max(len(made.sample_ids), 1), text=f"{made.judged} of {len(made.sample_ids)} judged")
        if not made.whole:
            st.caption("Judge them in the order they were drawn: those judged so far are then a random sample of their own.")
            to = {"queue": "One by one", "selection": DRAWN}
            st.button("Judge them", key="audit-judge", type="primary", on_click=state.leave_note, args=("review",), kwargs=to)
    if made is None or made.whole:
        label = f"Draw {random_audit.COUNT} at random" if made is None else f"Draw another {random_audit.COUNT}"
        row.button(label, key="audit-draw", on_click=_draw, args=(opened.name,))


def _draw(name: str) -> None:
    try:
        random_audit.draw_random_audit(data.cache(), name, by=reviews.reviewer())
    except LearnabilityError as error:
        review_verdicts.say(str(error), good=False)


def estimate(opened: Dataset) -> random_audit.RandomAudit | None:
    done = reviews.reviewed(opened)
    return _estimate(str(data.cache().root), opened.name, opened.fingerprint, done.log.length, done)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs={reviews.Reviewed: lambda done: done.original.fingerprint})
def _estimate(root: str, name: str, fingerprint: str, length: int, done: reviews.Reviewed) -> random_audit.RandomAudit | None:
    return random_audit.random_audit(done.log, done.original, data.identities(done.original))


def selections(opened: Dataset) -> list[str]:
    """What the queue can be narrowed to: the latest random draw, and the saved selections."""
    return [DRAWN] * (estimate(opened) is not None) + data.selection_names(opened.name)


def drawn(opened: Dataset) -> tuple[np.ndarray, str]:
    """(sample ids in the order of the draw, what they are) for the queue."""
    made = estimate(opened)
    if made is None:
        return np.zeros(0, np.int64), "There is no random draw any more."
    return made.sample_ids, f"{len(made.sample_ids)} samples in the order they were drawn at random, not by suspicion."
