"""The curriculum for one's own loop: the order, drawing weights or a subset as a file, and the ten lines that use it."""

import numpy as np
import streamlit as st

from learnability import curriculum, export
from learnability.curriculum import PRUNING_METHODS
from learnability.datasets import Dataset
from learnability.errors import InputError, LearnabilityError
from learnability.export import curricula
from ui import data, headline, review_verdicts, state, words
from ui.curriculum import Plan, scores_by_id

ORDER, WEIGHTS, SUBSET = KINDS = ("Order", "Weights", "Subset")
KEYS = """# the names of your own samples, in the order of your data set
my_keys = learnability.open_dataset("{data}").keys"""
ORDER_LINES = """import learnability, pyarrow.parquet as parquet, torch
from learnability.training import CurriculumSampler

{keys}
row_of = {{key: row for row, key in enumerate(my_keys)}}
order = [row_of[key] for key in parquet.read_table("{file}")["key"].to_pylist()]
sampler = CurriculumSampler(order, "{pacing}", batch_size={batch}, steps={steps}, seed={seed})
for epoch in range({epochs}):
    sampler.set_epoch(epoch)
    for images, labels in torch.utils.data.DataLoader(dataset, batch_sampler=sampler):
        ...  # one update; sampler.state_dict(step=updates done) goes into your checkpoint"""
WEIGHT_LINES = """import learnability, pyarrow.parquet as parquet, torch

{keys}
columns = parquet.read_table("{file}").to_pydict()
found = dict(zip(columns["key"], zip(columns["p"], columns["w"])))
p, w = torch.tensor([found.get(key, (0.0, 0.0)) for key in my_keys]).T
# once an epoch: as many samples as there are, hard ones more often
seeded = torch.Generator().manual_seed({seed})
rows = torch.multinomial(p, len(p), replacement=True, generator=seeded)
for some in rows.split({batch}):
    images, labels = map(torch.stack, zip(*(dataset[row] for row in some.tolist())))
    losses = torch.nn.functional.cross_entropy(model(images), labels, reduction="none")
    loss = (w[some] * losses).mean()  # then backward and one update"""
SUBSET_LINES = """import learnability, pyarrow.parquet as parquet, torch

{keys}
kept = set(parquet.read_table("{file}")["key"].to_pylist())
rows = [row for row, key in enumerate(my_keys) if key in kept]
subset = torch.utils.data.Subset(dataset, rows)
for images, labels in torch.utils.data.DataLoader(subset, batch_size={batch}, shuffle=True):
    ...  # one update; compare with a random subset of this size, at equal updates"""


def draw(plan: Plan, opened: Dataset) -> None:
    st.subheader("Take it into your own loop", anchor=False)
    st.segmented_control("What to take", KINDS, required=True, default=ORDER, key="take", label_visibility="collapsed")
    st.caption(
        "Resuming in the middle of an epoch, several processes, a bare loop: docs/curriculum.md. From the shell: learnability curriculum."
    )
    review_verdicts.told()
    {ORDER: order, WEIGHTS: weights, SUBSET: subset}[state.widget("take") or ORDER](plan, opened)


def lines(template: str, file: str, plan: Plan, opened: Dataset) -> str:
    """The lines as they run, with this plan's numbers."""
    told = plan.schedule
    return template.format(
        keys=KEYS.format(data=opened.name), file=file, pacing=told.pacing, batch=told.batch_size, steps=told.steps, seed=told.seed,
        epochs=plan.epochs,
    )  # fmt: skip


def order(plan: Plan, opened: Dataset) -> None:
    """The order by key and hash, also kept in the cache."""
    table = lambda: curricula.order_table(opened, plan.order, scores_by_id(opened, plan.made))  # noqa: E731
    left, right = st.columns([1, 2], gap="large")
    with left:
        st.markdown(
            f"The {words.count(plan.schedule.N, 'sample')} in the order **{plan.arm}**, by key and hash, with place, class and score."
        )
        headline.downloads(table, f"{plan.arm}-order")
        row = st.container(horizontal=True, vertical_alignment="bottom")
        name = row.text_input("Keep it here as", key="order-name", placeholder=f"for example {plan.arm}-1", max_chars=64, width=260)
        row.button("Keep", key="keep-order", disabled=not name, on_click=keep_order, args=(opened, name, table, plan.metadata))
        st.caption("Kept with its settings in orders/ of the cache. An order that was kept never changes.")
    with right:
        st.code(lines(ORDER_LINES, f"{plan.arm}-order.parquet", plan, opened), language="python")


def keep_order(opened: Dataset, name: str, table, metadata: dict[str, str]) -> None:
    """In a callback."""
    try:
        curricula.save_order(data.cache(), opened.name, name, table(), metadata)
    except LearnabilityError as error:
        review_verdicts.say(str(error), good=False)
    else:
        review_verdicts.say(f"Kept as {name}.")


def weights(plan: Plan, opened: Dataset) -> None:
    """Hard samples drawn more often, with the weights that keep the mean unbiased."""
    left, right = st.columns([1, 2], gap="large")
    with left:
        st.markdown("Draw hard samples more often; each loss is multiplied by a weight that keeps the mean unbiased.")
        alpha = st.slider("How strongly difficulty counts (alpha, 0 = not at all)", 0.0, 3.0, 1.0, 0.1, key="alpha")
        cap = st.slider("Drawn at most so many times as often as the easiest (cap)", 1.0, 100.0, 10.0, 1.0, key="cap")
        made = plan.made
        found = curriculum.importance(difficulty(plan), min(made.looks), alpha, cap)
        n = int((found.w_N > 0).sum())
        one, two = st.columns(2)
        one.metric("Samples in play", f"{found.in_play:,.0f} of {n:,}", help="1 / sum p²: on how many samples the draw concentrates.")
        two.metric(
            "Effective sample size",
            f"{100 * found.effective_fraction:.0f} %",
            help="1 / sum p w²: share of a draw that the weighted mean uses.",
        )
        if found.warning:
            st.warning(found.warning)
        st.caption(
            "Hard samples include wrong labels, and these would be drawn most. Look at them first. Used without w, the draw is biased."
        )
        st.button("Look at the hardest", key="look-hardest", on_click=state.leave_note, args=("gallery",), kwargs={"which": "Hardest"})
        headline.downloads(lambda: curricula.weights_table(opened, made.sample_ids_N, found), "weights")
    with right:
        st.code(lines(WEIGHT_LINES, "weights.parquet", plan, opened), language="python")


def difficulty(plan: Plan) -> np.ndarray:
    """(N,) 0..1, larger is harder: 1 - learnability, for any other score its rank. NaN where no network was trained on a sample."""
    made = plan.made
    score_N = made.score_N if plan.never_N is None else np.where(plan.never_N, np.inf, made.score_N)  # never learned is hardest
    hard_N = 1 - score_N if made.metric == "learnability" else curriculum.rank_difficulty(score_N, plan.direction)
    return np.where(made.labels_N >= 0, hard_N, np.nan)


def subset(plan: Plan, opened: Dataset) -> None:
    """Some samples left out, with a warning where that has gone wrong before."""
    left, right = st.columns([1, 2], gap="large")
    made, n = plan.made, plan.schedule.N
    with left:
        st.markdown("Train on fewer samples. A random subset of the same size is the line to beat.")
        method = st.selectbox("Keep", PRUNING_METHODS, index=PRUNING_METHODS.index("stratified"), key="prune",
                              help="hard, easy: one end of the order. stratified: evenly over the score (arXiv 2210.15809).")  # fmt: skip
        percent = st.slider("How many to keep, % of the samples", 1, 99, 50, key="prune-keep")
        balance = st.toggle("Each class keeps its share", value=True, key="prune-balance")
        beta = st.slider("Leave out the hardest first, % of the samples", 0, 50, 0, key="beta") if method == "stratified" else 0
        keep = max(1, round(n * percent / 100))
        try:
            kept = _kept(plan, keep, method, balance, beta / 100)
        except InputError as error:
            st.text(str(error))
            return
        if warning := curriculum.pruning_warning(method, keep, n):
            st.warning(warning)
        sizes = np.bincount(opened.labels_N[kept], minlength=opened.K)
        st.caption(
            f"Keeps {words.share(len(kept), n)}, {sizes.min():,} to {sizes.max():,} of each class; "
            f"mean score {words.number(float(made.of(kept).mean()))}."
        )
        headline.downloads(lambda: curricula.subset_table(opened, kept, scores_by_id(opened, made)), f"subset-{method}-{percent}")
        if method != "random":
            st.caption("And its control, as many samples at random:")
            control = _kept(plan, keep, "random", balance, 0.0)
            _control(lambda: curricula.subset_table(opened, control, scores_by_id(opened, made)), f"subset-random-{percent}")
    with right:
        st.code(lines(SUBSET_LINES, f"subset-{method}-{percent}.parquet", plan, opened), language="python")


def _kept(plan: Plan, keep: int, method: str, balance: bool, beta: float) -> np.ndarray:
    made = plan.made
    return curriculum.prune(
        np.where(made.labels_N >= 0, made.score_N, np.nan), plan.direction, keep, method, seed=plan.schedule.seed, labels_N=made.labels_N,
        balance=balance, beta=beta, never_learned_N=plan.never_N, sample_ids_N=made.sample_ids_N,
    )  # fmt: skip


def _control(table, name: str) -> None:
    """The random line to beat, beside every chosen subset."""
    st.download_button(
        "Random control (Parquet)", lambda: export.table_file(table(), "parquet"), f"{name}.parquet", "application/vnd.apache.parquet",
        key=f"download-{name}", on_click="ignore", width="stretch",
    )  # fmt: skip
