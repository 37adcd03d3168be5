"""In which order, and from what pool, to train: seen before it is tried."""

import streamlit as st

from ui import curriculum, curriculum_export, curriculum_views, data, empty, headline, listing, measured, state

now, found = empty.chosen()
made = empty.series_or_stop(now, found, now.a, "Curriculum")
config = made.runs[0].config
opened = data.dataset(now.data, config.fingerprint, config.labels)


top = st.container()
curriculum_views.expectation()
with st.container(border=True):
    forgotten = made.metric == "forgetting_events"
    plan = curriculum.choices(made, listing.other_score(now, found, made.id, "never_learned") if forgotten else None)
if plan is None:
    with top:
        headline.draw("Curriculum", "curriculum", made)
    st.stop()

left, right = st.columns([5, 6], gap="large")
with left:
    step = curriculum_views.step_slider(plan)
own = {name: curriculum.written(state.widget(name)) for name in curriculum.OWN if state.widget(name) is not None}
with top:
    headline.draw("Curriculum", "curriculum", made, **own)
    state.report_ignored(**own)
with left:
    curriculum_views.pacing(plan, step)
    curriculum_views.classes(plan, opened, step)
with right:
    curriculum_views.pictures(plan, opened, step)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("How often each sample is shown", anchor=False)
    curriculum_views.presentations(plan)
with right:
    st.subheader("Classes, stage by stage", anchor=False)
    curriculum_views.class_mix(plan, opened)
measured.draw(plan, opened)
curriculum_export.draw(plan, opened)
