"""What is here, and what to look at first."""

import numpy as np
import streamlit as st

from learnability.charts import distributions
from learnability.metrics import SHARES
from ui import data, details, empty, gallery, headline, left_out, listing, order, reliability, scored, state, words

now, found = empty.chosen()
run = next((run for run in found if run.recipe == now.recipe and run.config), None)
opened = data.dataset(now.data, run and run.config.fingerprint, run.config.labels if run else "original")


def counted() -> None:
    """Numbers of the data set, with what was left out and what stands twice."""
    info, twice = opened.info, words.count(opened.info.get("conflicts", 0), "picture")
    size = "none" if opened.images is None else f"{opened.W} × {opened.H} {'grey' if opened.C == 1 else 'RGB'}"
    cells = [
        ("Train samples", f"{opened.N:,}", None),
        ("Test samples", f"{info.get('test', 0):,}", f"How they came about: {info.get('split', 'not known')}"),
        ("Classes", str(opened.K), None), ("Pictures", size, "What the networks see: width × height in pixels"),
        ("Rejected files", f"{info.get('rejects', 0):,}", "Files that could not be used; listed below with their reasons"),
        ("Exact duplicates", f"{info.get('duplicates', 0):,}", f"Train samples whose pixels occur more than once; {twice} have two labels"),
    ]  # fmt: skip
    for column, (label, value, said) in zip(st.columns(len(cells)), cells, strict=True):
        column.metric(label, value, help=said)
    for warning in info.get("warnings", []):
        st.text(f"Note: {warning}")
    left_out.draw(opened)
    if info.get("duplicates") and run is not None:
        st.button("Show the exact copies", key="show-copies", on_click=state.leave_note, args=("gallery",), kwargs={"which": order.COPIES})


def ends(made) -> None:
    """The hardest and the easiest, and the one clicked."""
    hardest, easiest, beside = st.columns([10, 10, 7], gap="small")
    picked = None
    for column, which, title in ((hardest, "hardest", "12 hardest"), (easiest, "easiest", "12 easiest")):
        with column:
            st.subheader(title, anchor=False)
            ids = listing.ordered(now, found, made, which)[:12].tolist()
            said = f"the {title} by {words.label(made.metric)} of {made.name}"
            clicked = gallery.tiles(f"overview-{which}", opened, ids, *listing.written(opened, made, ids), said, "overview")
            if clicked is not None and state.last_place() == f"overview-{which}":
                picked = clicked, ids, said
            elif picked is None and state.last_place() is None and which == "hardest" and ids:
                picked = ids[0], ids, said
            st.button(
                f"All, {which} first",
                key=f"all-{which}",
                on_click=state.leave_note,
                args=("gallery",),
                kwargs={"which": which.capitalize()},
            )
    with beside:
        details.beside("overview", opened, [made], *(picked or (None, [], "")), "overview")


def spread(made) -> None:
    """Histogram and class sizes, each with how to read it and what it shows."""
    left, right = st.columns(2, gap="large")
    known = made.score_N[np.isfinite(made.score_N)]
    with left:
        st.subheader(f"How {words.label(made.metric)} is spread", anchor=False)
        st.plotly_chart(
            scored.histogram_figure(made), key="spread", config={"displayModeBar": False}, alt=f"Histogram of {words.label(made.metric)}"
        )
        if made.metric in SHARES:
            zero, one = int((known == 0).sum()), int((known == 1).sum())
            st.caption(f"Never right: {words.share(zero, len(known))}. Right in every epoch: {words.share(one, len(known))}.")
        else:
            st.caption(f"Median {words.number(np.median(known), made.metric)}, {len(np.unique(known)):,} different values.")
    with right:
        table = listing.by_class(opened, made)
        st.subheader("Which classes are hard?" if table.alike else "Are small classes harder?", anchor=False)
        if table.alike:
            figure = distributions.class_means_figure(table.names, table.means, title=f"mean {words.axis(made.metric)}")
        else:
            figure = distributions.class_size_figure(
                table.names, table.sizes, table.means, title=f"mean {words.axis(made.metric, lines=2)}"
            )
        st.plotly_chart(figure, key="classes", config={"displayModeBar": False}, alt=table.said)
        st.text(f"One dot a class. {table.said}")


def balance() -> None:
    st.subheader("Samples in each class", anchor=False)
    names = [headline.class_name(opened, k) for k in range(opened.K)]
    train = np.bincount(opened.labels_N[opened.labels_N >= 0], minlength=opened.K)
    held = opened.test_labels_T[opened.test_labels_T >= 0]
    test = np.bincount(held, minlength=opened.K) if len(held) else None
    figure = distributions.class_balance_figure(names, train, test)
    st.plotly_chart(figure, key="balance", config={"displayModeBar": False}, alt=f"Class sizes from {train.min()} to {train.max()}")
    st.caption(f"The smallest class has {train.min():,} train samples, the largest {train.max():,}.")


if now.a is None:
    headline.draw(now.data, "overview")
    counted()
    empty.waiting_or_no_runs(now.data, found)
    balance()
    st.stop()
made = empty.series_or_stop(now, found, now.a, now.data)
headline.draw(now.data, "overview", made, table=lambda: headline.sample_table(opened, made.sample_ids_N, made))
counted()
reliability.draw(found, made)
ends(made)
spread(made)
balance()
listing.next_steps(now, found, made)
