"""One sample beside a grid: picture, label, scores and what the runs predicted, epoch by epoch."""

import numpy as np
import streamlit as st

from learnability.charts import looks
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from ui import data, gallery, headline, pictures, recorded, review_verdicts, words
from ui.series import Series


def beside(
    place: str, opened: Dataset, several: list[Series], sample_id: int | None, walk: list[int], said: str, back: str,
    verdicts: bool = False,
) -> None:  # fmt: skip
    """The panel beside the grid `place`; a hint while nothing is picked. `verdicts`: with the buttons of the review."""
    with st.container(border=True, key=f"details-{place}"):
        if sample_id is None:
            st.caption("Click a tile to see it here. Arrow keys move between tiles, Enter opens the sample page.")
            return
        picture(opened, sample_id, 224)
        st.text(f"sample {sample_id:,}  ·  {data.key_of(opened, sample_id)}")
        facts(opened, several, sample_id)
        if verdicts:
            review_verdicts.verdict_bar(opened, [sample_id], place)
        strip(opened, several, sample_id, f"strip-{place}")
        gallery.open_button(sample_id, walk, said, back)


def picture(opened: Dataset, sample_id: int, target: int) -> None:
    """What a person should judge: the original's thumbnail where there is one, else the prepared pixels, enlarged."""
    if opened.images is None:
        text(opened, sample_id)
        return
    alt = f"sample {sample_id}, labelled {headline.class_name(opened, opened.labels_N[sample_id])}"
    thumbnail = opened.thumbnail(sample_id)
    if thumbnail:
        st.image(thumbnail, alt=alt)
    else:
        st.image(pictures.enlarged(opened, sample_id, target)[0], output_format="PNG", alt=alt)


def text(opened: Dataset, sample_id: int) -> None:
    """What there is instead of a picture: the caption, or the key."""
    with st.container(border=True):
        st.text(data.texts(opened, [sample_id])[0])


def facts(opened: Dataset, several: list[Series], sample_id: int) -> None:
    lines = [f"Label: {headline.class_name(opened, opened.labels_N[sample_id])}"]
    for made in several:
        row = int(made.rows(np.array([sample_id]))[0])
        if row < 0:
            lines.append(f"{made.name}: not among its samples")
            continue
        lines.append(f"{words.label(made.metric)} of {made.name}: {words.number(made.score_N[row], made.metric)}{standing(made, row)}")
    st.text("\n".join(lines))


def standing(made: Series, row: int) -> str:
    """`, harder than 97 % of the samples`; nothing for a score without an easy end."""
    if not words.ordered(made.metric) or not np.isfinite(made.score_N[row]):
        return ""
    return f", {made.harder_than(row)}"


def strip(opened: Dataset, several: list[Series], sample_id: int, key: str) -> None:
    """Prediction of every run at every look."""
    runs = {run.id: run for made in several for run in made.runs_of(sample_id)}
    names, rows, label = [], [], int(opened.labels_N[sample_id])
    for run in runs.values():
        try:
            found = recorded.trajectory(run, sample_id)
        except LearnabilityError as error:
            st.text(f"{run.label}: {error}")
            continue
        names.append(run.label)
        rows.append(found["shown"])
        label = found["label"]
    if not rows:
        return
    E = max(map(len, rows))
    predictions_RE = np.full((len(rows), E), -1)
    for r, row in enumerate(rows):
        predictions_RE[r, : len(row)] = row
    classes = [headline.class_name(opened, k) for k in range(len(opened.class_names))]
    figure = looks.predictions_figure(np.arange(E), names, predictions_RE, label, classes)
    st.plotly_chart(
        figure, key=key, config={"displayModeBar": False}, alt=f"Predictions for sample {sample_id}, epoch by epoch: ● right, × wrong"
    )
    st.caption("● blue: predicted its label, × orange: another class (named when you point at it).")
    wrong = predictions_RE[(predictions_RE >= 0) & (predictions_RE != label)]
    if len(wrong):
        most = np.bincount(wrong).argmax()
        st.text(
            f"Most often taken for: {headline.class_name(opened, int(most))}, "
            f"{int((wrong == most).sum())} of {int((predictions_RE >= 0).sum())} times"
        )
