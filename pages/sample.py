"""One sample, and everything known of it."""

import streamlit as st

from ui import data, details, empty, headline, listing, one_sample, review_verdicts, shortcuts, state

now, found = empty.chosen()
made = empty.series_or_stop(now, found, now.a, "Sample")
config = made.runs[0].config
opened = data.dataset(now.data, config.fingerprint, config.labels)
b = listing.partner(now, found, made)
walk, said, _ = state.walk()


def walking(sample_id: int) -> None:
    """Back to the list, previous and next in it, or any other by its number."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    at = walk.index(sample_id) if sample_id in walk else None
    row.button("Back to the list" if walk else "To the gallery", key="back", icon=":material/arrow_back:", on_click=state.back_to_list)
    previous = walk[at - 1] if at else None
    following = walk[at + 1] if at is not None and at + 1 < len(walk) else None
    row.button("Previous `←`", key="previous", disabled=previous is None, on_click=state.set_widget, args=("id", previous))
    row.button("Next `→`", key="next", disabled=following is None, on_click=state.set_widget, args=("id", following))
    if at is not None:
        row.text(f"{at + 1:,} of {len(walk):,}: {said}")


top, number = st.columns([5, 1], vertical_alignment="bottom")
with number:
    st.number_input("Sample", step=1, key="id", bind="query-params", help="Its row in this data set version")
sample_id = st.session_state["id"]
state.report_ignored(id=sample_id)
with top:
    walking(sample_id)
if not 0 <= sample_id < opened.N:
    st.warning(f"No sample {sample_id:,} here: this data set version has samples 0 to {opened.N - 1:,}.")
    st.stop()

headline.draw(f"Sample {sample_id:,}", "sample", made, b, id=sample_id)
several = [made, *([b] if b else [])]
left, right = st.columns([2, 5], gap="large")
with left:
    one_sample.picture(opened, sample_id)
    one_sample.duplicates(opened, sample_id)
with right:
    review_verdicts.verdict_bar(opened, [sample_id], "sample", keys=True)
    shortcuts.shortcuts(review_verdicts.letters("sample") | {"ArrowLeft": "previous", "ArrowRight": "next"})
    st.subheader("What the networks predicted", anchor=False)
    details.strip(opened, several, sample_id, "strip")
    one_sample.trajectories(opened, several, sample_id)
st.subheader(
    "Nearest neighbours",
    anchor=False,
    help="Samples whose features before the last layer are most alike. Neighbours under another label are worth a look.",
)
one_sample.neighbours(opened, made, sample_id)
st.subheader(f"Every score of {made.name}", anchor=False)
one_sample.every_score(now, found, made, sample_id)
