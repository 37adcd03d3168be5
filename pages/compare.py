"""Two scores of the same samples: where two networks agree, and which samples only one of them finds hard."""

import streamlit as st

from ui import data, empty, hard_for_whom, headline, pair, state, words

now, found = empty.chosen()
made = empty.series_or_stop(now, found, now.a, "Compare")
opened = data.dataset(now.data, made.runs[0].config.fingerprint, made.runs[0].config.labels)

if now.b is None:
    headline.draw("Compare", "compare", made)
    pair.choose_b(now, found, made)
    st.stop()

b = empty.series_or_stop(now, found, now.b, "Compare", pair.metric_of_b(made))
headline.draw(
    "Compare", "compare", made, b, view=state.widget("view"), **{"in": pair.lasso_text()},
    metric_b=None if b.metric == made.metric else words.label(b.metric),
    table=lambda: headline.sample_table(opened, pair.shared(made, b), made, b),
)  # fmt: skip
if pair.refused(made, b):
    st.stop()
pair.controls(made, b)
pair.draw(opened, made, b)
hard_for_whom.draw(now, found, made, b)
