"""What the new labels changed: the same network before and after, sample by sample and class by class."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from learnability import review
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.store.paths import Cache
from learnability.store.runs import Run
from ui import data, empty, gallery, headline, state, words

FIRST = 12


def twins(found: list[Run]) -> list[tuple[list[Run], list[Run]]]:
    """(runs before, runs after) of each group that was trained on reviewed labels too, all else being equal."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        if run.config is not None and run.looks and not run.problem:
            groups.setdefault(run.group, []).append(run)
    made = []
    for after in groups.values():
        labels = after[0].config.labels
        if labels.startswith("reviewed-"):
            made += [(before, after) for before in groups.values() if before is not after and _same_but_labels(before[0], after[0])]
    return sorted(made, key=lambda pair: (pair[0][0].config.labels != "original", pair[1][0].group))


def _same_but_labels(before: Run, after: Run) -> bool:
    one, other = (run.config.to_json() | {"labels": "", "seed": 0, "fold": None} for run in (before, after))
    return one == other and before.config.labels != after.config.labels


def draw(now: state.State, found: list[Run]) -> None:
    pairs = twins(found)
    if not pairs:
        st.subheader("Nothing to compare yet", anchor=False)
        st.markdown("Once a network has been trained on reviewed labels too, this shows what became easier: per sample and per class.")
        st.button("Retrain on reviewed labels", key="to-export", type="primary", on_click=state.set_widget, args=("queue", "Export"))
        return
    titles = {f"{before[0].group} → {after[0].group}": (before, after) for before, after in pairs}
    labels = {title: f"{one[0].config.arch}: {one[0].config.labels} → {other[0].config.labels}" for title, (one, other) in titles.items()}
    chosen = st.selectbox("Before → after", list(titles), format_func=labels.get, key="twins", width=420)
    before, after = titles[chosen]
    try:
        made = compared(now.data, before, after, now.metric)
    except LearnabilityError as error:
        unfinished = [run for run in (*before, *after) if run.partial]
        waiting(unfinished) if unfinished else empty.broken("These two cannot be compared", error)
        return
    counts = made.counts
    seeds = " and ".join(words.count(len(runs), "seed") for runs in (before, after))
    st.text(
        f"{words.label(now.metric)} ({words.direction(now.metric)}): {counts['relabelled']:,} samples have a new label, "
        f"{counts['only before']:,} were dropped or are gone, {counts['same label']:,} kept their label."
    )
    st.caption(f"Means over {seeds}. A change no larger than what two seeds differ by is chance, not the review's doing.")
    for note in made.notes:
        if not note.startswith(("label version", "recipe")):  # that these differ is what is compared
            st.text(f"Note: {note}")
    left, right = st.columns([5, 4], gap="large")
    with left:
        classes(made)
    with right:
        changed(data.dataset(now.data, before[0].config.fingerprint, before[0].config.labels), made)
    with st.popover("Download sample by sample"):
        headline.downloads(lambda: made.samples, "before-after")


def waiting(unfinished: list[Run]) -> None:
    st.subheader("Not every run has all its epochs yet", anchor=False)
    for run in unfinished:
        st.text(f"{run.label} on {run.config.labels}: {words.state_line(run)}")
    st.caption("Before and after are compared over the same number of epochs. A run that stands still is resumed or deleted under Runs.")
    st.button("Look again", key="look-again")


def compared(name: str, before: list[Run], after: list[Run], metric: str) -> review.BeforeAfter:
    told = tuple((run.id, run.head.looks, run.head.generation) for run in (*before, *after))
    return _compared(str(data.cache().root), name, before[0].group, after[0].group, metric, told)


@st.cache_resource(max_entries=4, show_spinner="Comparing before and after ...")
def _compared(root: str, name: str, before: str, after: str, metric: str, told: tuple) -> review.BeforeAfter:
    sides = [review.group_scores(Cache.at(root), name, group, [metric]) for group in (before, after)]
    return review.before_after(*sides, metric)


def classes(made: review.BeforeAfter) -> None:
    """Class by class; the change counts samples that carry the label on both sides, so that sizes cannot make it."""
    st.subheader("Per class", anchor=False)
    table = made.classes
    score = st.column_config.NumberColumn(format="%.3f")
    columns = {
        "Class": table["class"], "Size before": table["size_before"], "Size after": table["size_after"],
        "Mean before": table["mean_before"], "Mean after": table["mean_after"], "Change, same samples": table["change"],
    }  # fmt: skip
    st.dataframe(
        pa.table(columns), hide_index=True, key="classes-table", height="content" if table.num_rows <= 15 else 480,
        column_config={name: score for name in ("Mean before", "Mean after", "Change, same samples")},
        alt="Classes before and after: sizes, mean scores, and the change over samples that kept their label",
    )  # fmt: skip
    st.caption("Change, same samples: over those that carry this label on both sides. What moved to another class is not in it.")


def changed(opened: Dataset, made: review.BeforeAfter) -> None:
    """The samples with a new label, what changed most first."""
    st.subheader("Samples with a new label", anchor=False)
    moved = made.samples.filter(pc.and_(pc.equal(made.samples["status"], "relabelled"), pc.is_valid(made.samples["label_after"])))
    if not moved.num_rows:
        st.caption("None: this version only drops samples.")
        return
    moved = moved.take(np.argsort(-np.abs(np.nan_to_num(moved["change"].to_numpy())), kind="stable"))
    up = int((moved["change"].to_numpy() > 0).sum())
    st.text(f"{up:,} of {moved.num_rows:,} rose, {int((moved['change'].to_numpy() < 0).sum()):,} fell. The largest changes:")
    first = moved.slice(0, FIRST)
    rows = data.identities(opened).match(first["key"], first["hash"]).rows_n
    told = [(int(row), line) for row, line in zip(rows, first.to_pylist(), strict=True) if 0 <= row < opened.N]
    captions = [
        [f"{line['label_before']} → {line['label_after']}", f"{words.number(line['score_before'])} → {words.number(line['score_after'])}"]
        for _, line in told
    ]
    names = [f"sample {row}, {', '.join(lines)}" for (row, _), lines in zip(told, captions, strict=True)]
    gallery.tiles("changed", opened, [row for row, _ in told], names, captions, "samples with a new label", "review")
