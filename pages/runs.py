"""Every run of the data set: state and reason, curves, config, disk."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability import jobs
from learnability.charts import looks
from learnability.errors import LearnabilityError
from ui import data, empty, headline, recipes, recorded, state, words, working

now, found = empty.chosen()
headline.draw("Runs", "runs")
if not found:
    empty.no_runs(now.data)
    st.stop()


def last(run, field: str) -> float | None:
    try:
        told = recorded.looks_of(run) if run.looks and not run.problem else []
    except LearnabilityError:
        return None
    return told[-1].get(field) if told else None


def percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def table(runs: list) -> None:
    """One line a run."""
    told = {one.name: one for one in jobs.states(data.cache(), now.data)}
    columns = {
        "Run": [run.id for run in runs],
        "State": [told[run.id].state if run.id in told else run.state for run in runs],
        "Epochs": [f"{run.looks} of {run.head.epochs}" if run.head else "0" for run in runs],
        "Train accuracy, %": [percent(last(run, "accuracy")) for run in runs],
        "Test accuracy, %": [percent(last(run, "test_accuracy")) for run in runs],
        "Seconds an epoch": [last(run, "seconds") for run in runs],
        "Disk": [words.megabytes(recorded.disk_used(run)) for run in runs],
        "Reason or note": [(run.id in told and told[run.id].reason) or (run.head and run.head.note) or "" for run in runs],
    }
    shown = st.column_config.NumberColumn(format="%.1f", help="At the last committed epoch")
    timed = st.column_config.NumberColumn(format="%.1f", help="At the last committed epoch. Side by side, the runs share this time.")
    st.dataframe(
        pa.table(columns), hide_index=True, key="runs-table", height="content", placeholder="",
        column_config={"Train accuracy, %": shown, "Test accuracy, %": shown, "Seconds an epoch": timed},
    )  # fmt: skip


def curves(runs: list) -> None:
    """Accuracy of the recipe's runs, on the samples trained on and on those held back."""
    with_looks = [run for run in runs if run.looks and not run.problem][:12]
    if not with_looks:
        st.caption("Curves appear with the first finished epoch.")
        return
    for column, (field, title) in zip(
        st.columns(2, gap="large"),
        (("accuracy", "accuracy on train samples (higher = better)"), ("test_accuracy", "accuracy on test samples (higher = better)")),
        strict=True,
    ):
        lines = []
        for run in with_looks:
            told = recorded.looks_of(run)
            values = np.array([np.nan if one.get(field) is None else one[field] for one in told], float)
            lines.append((run.label, np.arange(len(told)), values))
        with column:
            if len(lines) == 1:
                st.caption(lines[0][0])
            if all(np.isnan(values).all() for _, _, values in lines):
                st.caption("No test samples: prepare the data set with --test to get a test accuracy.")
            else:
                st.plotly_chart(
                    looks.curves_figure(lines, title=title),
                    key=f"curve-{field}",
                    config={"displayModeBar": False},
                    alt=f"{title} by epoch, {len(lines)} runs",
                )


table(found)
total = sum(recorded.disk_used(run) for run in found)
st.caption(
    f"{words.count(len(found), 'run')}, {words.megabytes(total)} on disk. A run that was interrupted goes on where its checkpoint stands."
)
st.subheader("One run", anchor=False)
st.selectbox("Run", [run.id for run in found], key="job", bind="query-params", label_visibility="collapsed")
state.report_ignored(job=st.session_state["job"])
working.controls(next(run for run in found if run.id == st.session_state["job"]))
mine = [run for run in found if run.recipe == now.recipe]
if any(run.looks and not run.problem for run in mine):
    st.subheader(f"Learning curves of recipe {now.recipe}", anchor=False)
    curves(mine)
recipes.draw(now.data, now.recipe, mine)
if any(run.config for run in found):
    st.subheader("What the runs were asked to do, and what they ran with", anchor=False)
    recipes.configs(found)
