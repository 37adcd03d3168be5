"""A curriculum as it would train: the pool at one update as pictures, its classes, and how often samples are shown."""

import numpy as np
import streamlit as st

from learnability.charts import curriculum as charts
from learnability.datasets import Dataset
from ui import gallery, headline, listing, state, words
from ui.curriculum import ENDS, Plan

PICTURES = 60
QUIET = {"displayModeBar": False}
SOURCES = """Wu et al. 2021 (arXiv 2012.03107): little gain on standard benchmarks, random order with growing set size does as well; easy
first helps with few updates or noisy labels. Rampp et al. (2411.00973): no general advantage over uniform order. 2606.17706: on full
CIFAR-10 neither order beats standard training; on 20 % of it easy first gained up to 8.7 points over random. Hacohen and Weinshall
(1904.03626) report faster learning."""


def expectation() -> None:
    """Before the first control: what to expect."""
    st.markdown(
        "**Expect no gain.** With enough data and updates, easy first has mostly done no better than a random order with the same pacing: "
        "a null result is the likeliest outcome, and a useful one. Gains were seen with few updates, little data or noisy labels.",
        help=SOURCES,
    )


def step_slider(plan: Plan) -> int:
    """The update that the pictures and the histogram show."""
    if plan.T == 1:
        st.caption("This training has one update, the first and the last.")
        return 0
    if (state.widget("step") or 0) > plan.T - 1:
        state.set_widget("step", plan.T - 1)
    st.slider("Update", 0, plan.T - 1, key="step", bind="query-params", help="The first is 0. Arrow keys move it.")
    return int(state.widget("step") or 0)


def pacing(plan: Plan, step: int) -> None:
    size, n = int(plan.sizes_T[step]), plan.schedule.N
    st.plotly_chart(
        charts.pacing_figure(plan.sizes_T, step, n), key="pacing-figure", config=QUIET,
        alt=f"Samples in play at each update: {plan.sizes_T[0]:,} at the start, {size:,} of {n:,} at update {step:,}",
    )  # fmt: skip
    full = np.flatnonzero(plan.sizes_T == n)
    whole = f"All are in play from update {full[0]:,} on." if len(full) else "All samples are never in play at once."
    st.caption(
        f"At update {step:,}: **{words.share(size, n)}** of the samples in play. {whole} "
        "The pool grows when every sample of it has been shown once."
    )
    if len(plan.order.unscored_ids):
        st.caption(f"{words.count(len(plan.order.unscored_ids), 'sample')} without a score are in no pool.")


def pictures(plan: Plan, opened: Dataset, step: int) -> None:
    """As a batch of that update would be drawn."""
    ids, batches = plan.drawn(step, PICTURES)
    shown, size = [int(i) for i in ids], plan.schedule.batch_size
    score = plan.made.of(plan.pool(step))
    if batches == 1:
        said = (
            f"{words.count(len(shown), 'picture')} of the batch of update {step:,}, which holds {min(size, len(plan.schedule.batch(step)))}"
        )
    else:
        said = f"{words.count(len(shown), 'picture')} of the batches from update {step:,} on, {size} samples each"
    st.markdown(f"**{said}**")
    names, captions = listing.written(opened, plan.made, shown)
    if opened.images is not None:
        captions = [[] for _ in shown]  # names are read out and stand in the tooltip; the pictures stand close together
    picked = gallery.tiles("curriculum", opened, shown, names, captions, said, "curriculum", small=True)
    low, high = words.number(float(score.min()), plan.made.metric), words.number(float(score.max()), plan.made.metric)
    st.caption(
        f"{words.label(plan.made.metric)} in the pool: {low} to {high} ({words.direction(plan.made.metric)}). "
        "Drawn with the seed, as training would."
    )
    if plan.arm == "hard_first":
        st.caption("Hard samples include wrong labels, and this order begins with them: look before you train on it.")
        st.button("Review suspicious labels", key="to-review", on_click=state.leave_note, args=("review",))
    if picked is not None:
        st.text(names[shown.index(picked)])
        gallery.open_button(picked, shown, said, "curriculum", "secondary")


def classes(plan: Plan, opened: Dataset, step: int) -> None:
    in_play = np.bincount(opened.labels_N[plan.pool(step)], minlength=opened.K)
    whole = np.bincount(opened.labels_N[plan.schedule.order_N], minlength=opened.K)
    names = [headline.class_name(opened, k) for k in range(opened.K)]
    none = int(((in_play == 0) & (whole > 0)).sum())
    said = (
        f"{none} classes have no sample in play." if none > 1 else "One class has no sample in play." if none else "Every class is in play."
    )
    st.plotly_chart(
        charts.pool_classes_figure(names, in_play, whole),
        key="pool-classes",
        config=QUIET,
        alt=f"Classes of the pool at update {step:,}. {said}",
    )
    shares = in_play[whole > 0] / whole[whole > 0]
    least, most = f"{100 * shares.min():.0f} %", f"{100 * shares.max():.0f} %"
    st.caption(f"Classes at update {step:,}. {said} In play: {least if least == most else f'{least} to {most}'} of a class.")


def presentations(plan: Plan) -> None:
    times = plan.times_N
    first, last = ENDS[plan.arm]
    few, many = float(times.min()), float(times.max())
    st.plotly_chart(
        charts.presentations_figure(times, plan.epochs, first=first, last=last), key="times", config=QUIET,
        alt=f"How often samples are shown: {many:.1f} times at the front of the order, {few:.1f} at its end",
    )  # fmt: skip
    st.caption(
        f"In {plan.T:,} updates ({words.count(plan.epochs, 'epoch')}) the front of the order is shown **{many:.1f}** times, "
        f"its end **{few:.1f}** times; ordinary training shows each {plan.epochs} times."
    )


def class_mix(plan: Plan, opened: Dataset) -> None:
    """Which classes the pool is made of, stage by stage."""
    steps = np.unique(np.linspace(0, plan.T - 1, 6).round().astype(int))
    counts_KS = np.stack([np.bincount(opened.labels_N[plan.pool(step)], minlength=opened.K) for step in steps], 1)
    here = counts_KS[:, -1] > 0
    share_KS = counts_KS / counts_KS.sum(0)
    names = [headline.class_name(opened, k) for k in range(opened.K)]
    stages = [f"{step:,}<br>{plan.sizes_T[step]:,}" for step in steps]
    moved = np.abs(share_KS[:, 0] - share_KS[:, -1])
    most = int(moved.argmax())
    st.plotly_chart(
        charts.class_mix_figure([names[k] for k in np.flatnonzero(here)], stages, share_KS[here], dark=st.context.theme.type == "dark"),
        key="class-mix", config=QUIET, alt="Share of each class in the pool, stage by stage",
    )  # fmt: skip
    st.text(
        f"Largest shift: {names[most]}, from {100 * share_KS[most, 0]:.1f} % of the pool at the start "
        f"to {100 * share_KS[most, -1]:.1f} % at the end."
        if moved.max() > 0.0005
        else "The mix of classes stays the same."
    )
