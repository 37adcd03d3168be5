"""What a measured curriculum has shown so far, growing while its runs are at work."""

import math

import pyarrow as pa
import streamlit as st

from learnability import experiments, jobs
from learnability.charts import experiment as charts
from learnability.curriculum import SeedMean
from learnability.errors import LearnabilityError, NotFound
from learnability.experiments import Experiment, Results
from learnability.jobs import JobState
from ui import data, headline, state, words

QUIET = {"displayModeBar": False}
GOING = ("queued", "running", "stalled", "stopping")


def states(name: str) -> list[JobState]:
    """Every run of a data set as the queue sees it."""
    return jobs.states(data.cache(), name)


def draw(name: str, preferred: str | None) -> None:
    """The experiments of a data set; `preferred` is the one that the choices above stand for."""
    found = experiments.experiments(data.cache(), name)
    if not found:
        st.caption("Curves of the four arms appear here with the first epoch. Nothing was measured on this data set yet.")
        return
    ids = [one.id for one in found]
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    left.selectbox(
        "Experiment", ids, index=ids.index(preferred) if preferred in ids else 0, key="experiment", bind="query-params",
        help="Newest first. Runs of one network that differ in nothing but their order and seed.",
    )  # fmt: skip
    chosen = next((one for one in found if one.id == state.widget("experiment")), found[0])
    state.report_ignored(experiment=chosen.id)
    right.number_input("Target accuracy, %", 0.0, 100.0, 0.0, 1.0, key="measure-target",
                       help="What `updates to` is measured to. 0: 95 % of the last accuracy of standard.")  # fmt: skip
    _about(chosen)
    going = _at_work(name, chosen)
    st.fragment(_live, run_every="2s" if going else None)(name, chosen.id, going)


def _about(one: Experiment) -> None:
    config, seeds = one.config, words.count(len(one.seeds), "seed")
    samples = f"{config.subset:,} samples" if config.subset else "all samples"
    st.text(
        f"{config.arch}, {seeds}, {words.count(config.epochs, 'epoch')} on {samples}, labels {config.labels}, pacing {one.pacing}, "
        f"{'' if one.balanced else 'classes not balanced, '}"
        f"batch {config.batch_size}, peak learning rate {config.peak_lr:g} in every arm (not tuned for each)"
    )


def _at_work(name: str, one: Experiment) -> int:
    """How many of its runs are queued or at work."""
    ids = {run.id for run in one.all_runs if run.state != "done"}
    if not ids:
        return 0
    return sum(found.state in GOING and not found.interrupted for found in states(name) if found.name in ids)


def _live(name: str, id: str, drawn: int) -> None:
    """Charts and numbers; the page is drawn anew when a run ends."""
    state.stand_by_drawn()
    try:
        one = experiments.experiment(data.cache(), name, id)
        results = experiments.measured(data.cache(), one, _target())
    except NotFound:
        st.warning("This experiment is not here any more: its runs are gone.")
        return
    except LearnabilityError as error:
        st.text(str(error))
        return
    if (going := _at_work(name, one)) != drawn:
        st.rerun()
    if going:
        looks = sum(run.looks for run in one.all_runs)
        whole = len(one.all_runs) * one.config.epochs
        st.progress(looks / whole, text=f"{looks} of {whole} epochs, {words.count(going, 'run')} to go")
    if failed := [run_id for arm in results.arms.values() for run_id in arm.failed]:
        st.warning("Some runs failed; the runs page says why.")
        st.text(", ".join(failed))
    _curves(results)
    for contrast in results.contrasts:
        st.text(contrast.sentence)
    _table(results)
    st.caption(
        "Intervals: mean ± t · sd / √seeds, 95 %; of a difference, within a seed. A time is averaged only where every seed of the arm is "
        "finished and came to it. All of it speaks of this network, data, length and recipe, and of seeds, not of other settings. The "
        "accuracy after the last update counts, never the best of some epochs."
    )


def _curves(results: Results) -> None:
    left, right = st.columns(2, gap="large")
    lines = [(arm, own.seeds, own.accuracy_SE, own.half_E) for arm, own in results.arms.items()]
    with left:
        st.plotly_chart(
            charts.accuracy_figure(results.step_E, lines, results.target), key="measured-accuracy", config=QUIET,
            alt="Test accuracy of each arm by update",
        )  # fmt: skip
        st.caption(
            f"A line is the mean of an arm, the band its 95 % interval over seeds, a dot one seed (of at most {charts.FEW}). Every arm has "
            "made the same number of updates at each point. Whether two arms differ, the differences say: bands may overlap where they do."
        )
    pairs = [(f"{own.name}: {own.a} - {own.b}", own.difference_SE, own.half_E) for own in results.contrasts]
    with right:
        if not pairs:
            st.caption("No contrast: it takes easy_first and random, or random and standard.")
            return
        st.plotly_chart(
            charts.difference_figure(results.step_E, pairs), key="measured-differences", config=QUIET,
            alt="Differences of test accuracy within a seed, by update",
        )  # fmt: skip
        st.caption("A line is the mean difference, the band its 95 % interval, a dot one seed. Where a band holds 0, nothing is shown.")


def _table(results: Results) -> None:
    reached = "Updates to target" if results.target is None else f"Updates to {100 * results.target:.1f} %"
    shown = "Times shown, first to last tenth"
    columns: dict[str, list] = {name: [] for name in ("Arm", "Seeds done", "Test accuracy, %", reached, shown, "Minutes")}
    for arm, own in results.arms.items():
        last, time, (first, end) = own.last, results.times.get(arm), results.shown[arm]
        columns["Arm"].append(arm)
        columns["Seeds done"].append(f"{int(own.finished_S.sum())} of {len(own.seeds)}")
        columns["Test accuracy, %"].append("" if last is None else _number(last, ".2f", 100))
        columns[reached].append("" if time is None else _number(time.mean, ",.0f") if time.mean else time.standing)
        columns[shown].append(f"{first:.1f} to {end:.1f}")
        columns["Minutes"].append(f"{own.seconds / 60:.1f}")
    st.dataframe(pa.table(columns), hide_index=True, key="measured-table", height="content")
    scores = results.scores
    if scores:
        minutes = float(scores.get("score_seconds", "nan")) / 60
        st.text(
            f"What it cost besides: the scores of the order, {scores.get('score')} of {scores.get('of')} "
            f"(seeds {scores.get('score_seeds')}), took {minutes:.1f} min of training."
        )
    with st.popover("Download"):
        headline.downloads(lambda: _long(results), f"measured-{results.experiment.id}")


def _number(found: SeedMean, spec: str, scale: float = 1) -> str:
    """A mean over seeds and, from two on, its interval: `90.30 ± 0.25`."""
    return f"{scale * found.mean:{spec}}" + ("" if math.isnan(found.half) else f" ± {scale * found.half:{spec}}")


def _long(results: Results) -> pa.Table:
    """One row an arm, seed and look."""
    rows = [
        (arm, seed, int(step), float(value))
        for arm, own in results.arms.items()
        for seed, value_E in zip(own.seeds, own.accuracy_SE, strict=True)
        for step, value in zip(results.step_E, value_E, strict=True)
        if not math.isnan(value)
    ]
    names = ("arm", "seed", "updates", "test_accuracy")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def _target() -> float | None:
    percent = state.widget("measure-target")
    return None if not percent else percent / 100
