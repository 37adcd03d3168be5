"""Sheets of pictures in an order of one's choice, with the one clicked beside them."""

import functools

import numpy as np
import streamlit as st

from ui import data, details, empty, filters, gallery, headline, listing, order, pair_selection, review_verdicts, state, words

now, found = empty.chosen()
made = empty.series_or_stop(now, found, now.a, "Gallery")
config = made.runs[0].config
opened = data.dataset(now.data, config.fingerprint, config.labels)
b = listing.partner(now, found, made)

top = st.container()
chosen = filters.controls(now, found, opened, b)
which = chosen.which
shown = made
if which == "Suspicious labels":
    shown = listing.other_score(now, found, made.id, "suspicion") or made
how = which if which == order.COPIES else order.WHICH.get(which, "hardest")
ids = listing.copies(opened, made) if which == order.COPIES else listing.ordered(now, found, shown, how)
ids, parts = filters.apply(now, found, made, b, opened, ids, chosen)
both = [one for one in (shown, made if made is not shown else None, b) if one]
own = {name: state.url_or_widget(name) for name in ("in", "selection", "metric_b", "level")} | chosen.params
with top:
    table = functools.partial(headline.sample_table, opened, ids, *both)
    headline.draw("Gallery", "gallery", shown, b if which in order.QUADRANTS else None, table=table, **own)
listing.restrictions(parts)

if not len(ids):
    st.warning("No sample fits these filters.")
    st.button("Clear the filters", key="clear", on_click=listing.clear_filters)
    st.stop()


@st.fragment
def sheets_of(ids: np.ndarray) -> None:
    """One sheet of the list and the sample clicked in it. A click draws this anew and leaves the rest of the page alone."""
    if chosen.reviewed is not None and review_verdicts.news():
        st.rerun()  # the verdict just given decides who is in the list
    sheets = -(-len(ids) // order.SHEET)
    above, turn = st.columns([3, 2], vertical_alignment="bottom")
    with turn:
        sheet = 1
        if sheets > 1:
            sheet = st.pagination(sheets, key="sheet", bind="query-params")
        state.report_ignored(sheet=sheet)
    first, stop = order.SHEET * (sheet - 1), min(order.SHEET * sheet, len(ids))
    page_ids = [int(i) for i in ids[first:stop]]
    said = f"{words.count(len(ids), 'sample')}, {order.said(shown, how)}"
    with above:
        st.text(f"{said[0].upper()}{said[1:]}. Shown: {first + 1:,} to {stop:,}.")
        if how != order.COPIES and (tie := order.cut_in_tie(shown, shown.rows(ids), first, stop)):
            st.caption(tie)

    grid, beside = st.columns([8, 3], gap="medium")
    with grid, st.container(height=780, border=False):
        names, captions = listing.written(opened, shown, page_ids, b)
        captions = review_verdicts.with_marks(opened, page_ids, captions)
        picked = gallery.tiles("gallery", opened, page_ids, names, captions, said, several=bool(state.widget("several")))
    with beside:
        st.toggle("Mark several", key="several", help="Then they take one verdict together, as one action.")
        walk = [int(i) for i in ids[: order.WALK]]
        if state.widget("several"):
            review_verdicts.marked(opened, "gallery", walk)
        else:
            details.beside("gallery", opened, both, page_ids[0] if picked is None else picked, walk, said, "gallery", verdicts=True)
        with st.popover("Save this list", width="stretch"):
            pair_selection.save(opened, ids, said, "list")


sheets_of(ids)
