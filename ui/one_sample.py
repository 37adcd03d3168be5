"""Everything known of one sample, part by part; the sample page puts them together."""

import numpy as np
import pyarrow as pa
import streamlit as st

from learnability.charts import looks
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.metrics import METRICS
from learnability.store.runs import Run
from ui import all_scores, data, details, gallery, headline, listing, pictures, recorded, state, words
from ui.series import Series

QUIET = {"displayModeBar": False}


def picture(opened: Dataset, sample_id: int) -> None:
    """The picture as large as fits, its size at the source, its key and label."""
    if opened.images is None:
        details.text(opened, sample_id)
    else:
        name = headline.class_name(opened, opened.labels_N[sample_id])
        thumbnail = opened.thumbnail(sample_id)
        if thumbnail:
            st.image(thumbnail, alt=f"sample {sample_id}, labelled {name}, uncropped")
            st.caption("The original, uncropped: judge this one.")
        large, scale = pictures.enlarged(opened, sample_id, 192 if thumbnail else 384)
        st.image(large, output_format="PNG", alt=f"sample {sample_id}, labelled {name}, as the networks see it")
        st.caption(f"What the networks see: {opened.W} × {opened.H} pixels, {scale} × enlarged.")
    source = data.source_row(opened, sample_id)
    size = f"{source.pop('width')} × {source.pop('height')}" if source.get("width") else "not known"
    if opened.images is None:
        source.pop("caption", None)  # it stands above
    label, key = headline.class_name(opened, opened.labels_N[sample_id]), data.key_of(opened, sample_id)
    st.text(f"Label: {label}\nKey: {key}" + ("" if opened.images is None else f"\nSize at the source: {size}"))
    if source:
        st.text("\n".join(f"{name}: {value}" for name, value in source.items()))


def duplicates(opened: Dataset, sample_id: int) -> None:
    """Exact copies, with their labels."""
    same = data.same_pixels(opened, sample_id)
    if not len(same):
        st.caption(f"No other sample has exactly {'this text' if opened.images is None else 'these pixels'}.")
        return
    labels = opened.labels_N[same]
    st.markdown(
        f"**{words.count(len(same), 'exact copy', 'exact copies')}** of this picture"
        + (", **under another label too**" if (labels != opened.labels_N[sample_id]).any() else "")
    )
    ids = [int(i) for i in same[:12]]
    _small_grid(
        "copies", opened, ids, [[headline.class_name(opened, opened.labels_N[i]), data.key_of(opened, i)] for i in ids], "exact copies"
    )


def trajectories(opened: Dataset, several: list[Series], sample_id: int) -> None:
    """Loss and margin of every run over the band of the class: A in one colour, B in another, seeds by dash."""
    found: list[tuple[Run, dict, tuple[int, int]]] = []
    for run, looks_like in [(run, (side, seed)) for side, made in enumerate(several) for seed, run in enumerate(made.runs_of(sample_id))]:
        try:
            found.append((run, recorded.trajectory(run, sample_id), looks_like))
        except LearnabilityError as error:
            st.text(f"{run.label}: {error}")
    for signal, title in (("loss", "loss, nats (lower = easier)"), ("margin", "margin, logits (higher = easier)")):
        having = [one for one in found if signal in one[1]]
        if not having:
            continue
        E = max(len(told[signal]) for _, told, _ in having)
        lines = [(run.label, _stretched(told[signal], E), looks_like) for run, told, looks_like in having]
        band = recorded.class_band(having[0][0], signal, int(having[0][1]["label"]))
        band = None if band is None else tuple(_stretched(part, E) for part in band)
        figure = looks.trajectory_figure(np.arange(E), lines, band, title=title)
        st.plotly_chart(figure, key=f"{signal}-trajectory", config=QUIET, alt=f"{title} of sample {sample_id} by epoch")
    if found:
        run, told, _ = found[0]
        name = headline.class_name(opened, int(told["label"]))
        st.text(f"Grey: the middle 80 % of class {name} in {run.label}. Outside it, the sample is unlike its class.")


def _stretched(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([np.asarray(values, np.float64), np.full(length - len(values), np.nan)])


def every_score(now: state.State, found: list[Run], made: Series, sample_id: int) -> None:
    """Every metric with its direction and where the sample stands."""
    rows = []
    for metric, value, standing in all_scores.of_sample(now, found, made, sample_id, [*METRICS, *words.imported_scores(now.data)]):
        said = words.direction(metric), standing, words.metric_named(metric).sentence
        rows.append((words.label(metric), words.number(value, metric), *said))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    names = ("Score", "Value", "Direction", "Where it stands", "What it tells")
    st.table(pa.table(dict(zip(names, map(list, columns), strict=True))), border="horizontal", hide_index=True)


def neighbours(opened: Dataset, made: Series, sample_id: int) -> None:
    """The twelve nearest samples in a network's last features, with labels and scores."""
    run = next((run for run in made.runs if recorded.has_features(run)), None)
    if run is None:
        ours = any(run.config.origin is None for run in made.runs)
        when = "appear when a run is done: it then keeps" if ours else "need a run trained here: it keeps"
        st.caption(f"Nearest neighbours {when} the features of every sample.")
        return
    near = recorded.nearest(run, opened, sample_id)
    if near is None:
        st.caption(f"{run.label} does not hold this sample.")
        return
    ids, distances, everywhere = near
    labels = opened.labels_N[ids]
    values, counts = np.unique(labels, return_counts=True)
    most = values[counts.argmax()]
    st.text(
        f"{counts.max()} of {len(ids)} are labelled {headline.class_name(opened, most)}; "
        f"this sample is labelled {headline.class_name(opened, opened.labels_N[sample_id])}."
    )
    _, captions = listing.written(opened, made, ids.tolist())
    _small_grid(
        "neighbours",
        opened,
        ids.tolist(),
        [[a, f"{b} · {d:.2f} away"] for (a, b), d in zip(captions, distances, strict=True)],
        "nearest neighbours",
    )
    st.caption(
        f"Nearest first, by distance in the features of {run.label}; under each its label, its {words.label(made.metric)}, how far away"
        + ("." if everywhere else ", within its class only: the data set is large.")
    )


def _small_grid(place: str, opened: Dataset, ids: list[int], captions: list[list[str]], said: str) -> None:
    picked = gallery.tiles(
        place, opened, ids, [f"sample {i}, {', '.join(lines)}" for i, lines in zip(ids, captions, strict=True)], captions, said, "sample"
    )
    if picked is not None:
        st.button(f"Open sample {picked:,}", key=f"go-{place}", on_click=state.leave_note, args=("sample",), kwargs={"id": picked})
