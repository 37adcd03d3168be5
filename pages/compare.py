"""Two scores of the same samples: whether they can be compared, where two networks agree, what only one of them finds hard."""

import streamlit as st

from ui import (
    comparable,
    data,
    disagreements,
    empty,
    enough,
    hard_for_whom,
    headline,
    listing,
    matrix,
    next_seeds,
    pair,
    state,
    trust,
    words,
)

now, found = empty.chosen()
made = empty.series_or_stop(now, found, now.a, "Compare")
opened = data.dataset(now.data, made.config.fingerprint, made.config.labels)

if now.b is None:
    headline.draw("Compare", "compare", made)
    pair.choose_b(now, found, made)
    matrix.draw(now, found, made, None)
    next_seeds.draw(now, found)
    enough.draw(found, [made], [made.config.arch])
    st.stop()

b = empty.series_or_stop(now, found, now.b, "Compare", pair.metric_of_b(made))
comparison = comparable.compared(made, b)
headline.draw(
    "Compare", "compare", made, b, view=state.widget("view"), **{"in": pair.lasso_text()},
    metric_b=None if b.metric == made.metric else words.label(b.metric), kind=state.widget("kind"), recipes=state.widget("recipes") or None,
    **{name: state.widget(name) for name in ("colour", "score", "column")},
    table=None if comparison.refused else lambda: hard_for_whom.sample_table(now, found, opened, made, b),
)  # fmt: skip
refused = comparable.draw(comparison, made, b)
matrix.draw(now, found, made, b)
next_seeds.draw(now, found)
if refused:
    st.stop()
st.subheader("Sample by sample", anchor=False)
pair.controls(opened, made, b)
pair.draw(opened, made, b)
hard_for_whom.draw(now, found, made, b)
disagreements.draw(opened, made, b)
same = listing.other_score(now, found, b.id, made.metric) or b
several = [made] if same.id == made.id else [made, same]
enough.draw(found, several, [trust.title(one, several) for one in several])
