"""Suspicious labels: look, decide, take back, and take the corrected labels with you."""

import streamlit as st

from ui import (
    data,
    empty,
    headline,
    listing,
    review_audit,
    review_comparison,
    review_export,
    review_log,
    review_pairs,
    review_queue,
    reviews,
    state,
)

ONE, PAIRS, LOG, EXPORT, AFTER, AUDIT = PARTS = (
    "One by one", "By pair of classes", "Log", "Export", "Before and after", "How well does it find errors?",
)  # fmt: skip
SCORES = ("suspicion", "aum", "consensus_prediction", "consensus_share")

now, found = empty.chosen()
members = data.choices(found).get(now.a, [])
scores = {metric: listing.other_score(now, found, now.a, metric) for metric in SCORES}
suspects = reviews.suspects(scores)
config = scores["suspicion"].runs[0].config if scores["suspicion"] else next((run.config for run in members if run.config), None)
opened = data.dataset(now.data, config and config.fingerprint, config.labels if config else "original")


def parts() -> str:
    """Which part of the page is open; without scores only what needs none."""
    left, right = st.columns([3, 1], vertical_alignment="center")
    with left:
        st.segmented_control("Review", PARTS, required=True, default=ONE, key="queue", bind="query-params", label_visibility="collapsed")
    part, saved = state.widget("queue") or ONE, review_audit.selections(opened)
    if part == ONE and saved:
        hidden = {"placeholder": "all samples", "label_visibility": "collapsed"}
        right.selectbox("Only a saved selection", saved, index=None, key="selection", bind="query-params", **hidden)
        state.report_ignored(selection=state.widget("selection"))
    state.report_ignored(queue=part)
    return part


def scored_part(part: str) -> None:
    """The parts that ask the networks."""
    if suspects is None:
        st.subheader("No suspicious labels yet", anchor=False)
        st.markdown("What is suspicious comes from training: from labels that a network does not come to believe.")
        empty.no_scores(members, "suspicion") if members else empty.waiting_or_no_runs(now.data, found)
    elif part == ONE and state.url_or_widget("selection") == review_audit.DRAWN:
        ids, said = review_audit.drawn(opened)
        listing.restrictions({"selection": said})
        review_queue.draw(opened, suspects, ids)
    elif part == ONE:
        base = listing.other_score(now, found, now.a, now.metric) or suspects.suspicion  # an area is drawn in the page's score
        b = listing.partner(now, found, base)
        ids, restricted = listing.restricted(now, found, base, b, opened, suspects.order_N, "", None, None)
        listing.restrictions(restricted)
        review_queue.draw(opened, suspects, ids)
    else:
        review_queue.progress(reviews.reviewed(opened))
        review_pairs.draw(opened, suspects)


top = st.container()
part = parts()
with top:
    own = {
        "queue": part,
        "pair": state.widget("pair") if part == PAIRS else None,
        **{name: state.url_or_widget(name) for name in ("in", "selection", "metric_b")},
    }
    headline.draw("Review", "review", scores["suspicion"], table=lambda: reviews.corrected(opened, False), **own)
    if config is not None and config.fingerprint[:8] != data.cache().current(now.data):
        st.caption("These runs belong to an earlier version of the data set. Decisions follow unchanged samples, by key and picture.")
if part in (ONE, PAIRS):
    scored_part(part)
else:
    review_queue.progress(reviews.reviewed(opened))
    if part == LOG:
        review_log.draw(opened)
    elif part == EXPORT:
        review_export.draw(opened, members)
    elif part == AUDIT:
        review_audit.draw(opened, found, members)
    else:
        review_comparison.draw(now, found)
