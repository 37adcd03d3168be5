"""One suspicious label after another: a large picture, what the networks think it is, and keys for every verdict."""

import dataclasses
import io

import numpy as np
import streamlit as st
from PIL import Image

from learnability.charts.style import middle_cut
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from ui import data, details, gallery, headline, one_sample, pictures, recorded, review_verdicts, reviews, shortcuts, state, words

SIDE = 352  # px, the largest side of the picture
MOST = 9  # proposals: keys 1 to 9
FEW = 10  # up to so many classes, all of them are proposed
AT_ONCE = 100_000  # samples up to which neighbours are searched without being asked


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A class the sample may belong to, and what speaks for it."""

    label: int
    said: str


def proposals(label: int, wrong: int, named_K: np.ndarray, near_K: np.ndarray) -> list[Proposal]:
    """Up to nine other classes: what most runs took it for, then by how often it was named, then by its neighbours.

    named_K  (K,) how often each class was predicted, over all runs and looks;  near_K  neighbours under each label.
    With at most ten classes all others follow, in their order.
    """
    K, looks = len(named_K), int(named_K.sum())
    rank = np.lexsort((np.arange(K), -near_K, -named_K, np.arange(K) != wrong))
    found = []
    for k in rank.tolist():
        said = [f"{100 * named_K[k] / looks:.0f} % of looks"] * bool(named_K[k])
        said += [words.count(int(near_K[k]), "neighbour")] * bool(near_K[k])
        if k != label and (said or K <= FEW):
            found.append(Proposal(k, ", ".join(said)))
    return found[:MOST]


def at(left_ids: np.ndarray, ids: np.ndarray) -> int:
    """Where in the undecided samples the session stands; where its sample has been decided, at the one that follows."""
    wanted = state.widget(review_verdicts.AT)
    if wanted is None:
        return 0
    here = np.flatnonzero(left_ids == wanted)
    if len(here):
        return int(here[0])
    place = np.flatnonzero(ids == wanted)
    later = np.flatnonzero(np.isin(left_ids, ids[place[0] :])) if len(place) else []
    return int(later[0]) if len(later) else 0


@st.fragment
def draw(opened: Dataset, found: reviews.Suspects, ids: np.ndarray) -> None:
    """The queue over `ids`, most suspicious first, decided ones hidden."""
    done = reviews.reviewed(opened)
    progress(done)
    left_ids = done.left(ids)
    if not len(left_ids):
        nothing_left(opened, done, len(ids))
        return
    place = at(left_ids, ids)
    sample_id = int(left_ids[place])
    before, after = (int(left_ids[i]) if 0 <= i < len(left_ids) else None for i in (place - 1, place + 1))
    target = review_verdicts.Target(ids=(sample_id,), key="queue", following=after if after is not None else before).draw()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        turning(place, len(left_ids), before, after)
        review_verdicts.plain_buttons(st, opened, target, True)
        review_verdicts.undo_button(st, opened, done, target.suffix, True)
    takes = {str(number): f"relabel-{number}-queue-" for number in range(1, MOST + 1)}
    shortcuts.shortcuts(review_verdicts.letters("queue") | takes | {"ArrowLeft": "before-", "ArrowRight": "after-"})
    review_verdicts.told()
    seen, decide, evidence = st.columns([35, 33, 36], gap="medium")
    with seen:
        picture(opened, done, found, sample_id)
        gallery.open_button(
            sample_id, [int(i) for i in left_ids[max(0, place - 100) : place + 500]], "the review queue", "review", "secondary"
        )
    near = neighbour_labels(opened, found, sample_id)
    with decide:
        classes(opened, done, found, target, near)
    with evidence:
        st.markdown("**What the networks predicted**")
        details.strip(opened, [found.suspicion], sample_id, "strip-review")
        if near is not None:
            st.markdown("**Nearest neighbours**")
            one_sample.neighbours(opened, found.suspicion, sample_id)
        elif any(recorded.has_features(run) for run in found.suspicion.runs):
            st.toggle(
                "Search its nearest neighbours", key="review_near", persist_state="session", help="Takes a moment: the data set is large."
            )
    state.hand_over()


def progress(done: reviews.Reviewed) -> None:
    """How far the review is, and under whose name it goes on."""
    told = done.progress
    cells = (
        ("Decided", f"{told.decided:,}", ", ".join(f"{n:,} {name}" for name, n in told.verdicts.items() if n) or "Nothing yet"),
        ("Left", f"{told.left:,}", "Train samples without a verdict. There is no need to see them all: stop when real errors become rare."),
        ("Real errors", f"{told.errors} of the last {told.last}" if told.last else "none yet",
         "Dropped or given another class, among the last samples decided (100 at most): how much the queue still finds."),
    )  # fmt: skip
    *columns, last = st.columns([2, 2, 4, 5], vertical_alignment="center")
    for column, (label, value, said) in zip(columns, cells, strict=True):
        column.metric(label, value, help=said)
    with last:
        review_verdicts.who()


def nothing_left(opened: Dataset, done: reviews.Reviewed, count: int) -> None:
    review_verdicts.told()
    st.subheader("Every sample of this list is decided", anchor=False)
    st.markdown(f"All {count:,} have a verdict. Take the corrected labels with you, or train on them." if count else "The list is empty.")
    row = st.container(horizontal=True)
    review_verdicts.undo_button(row, opened, done, "empty", True)
    shortcuts.shortcuts({"u": "undo-empty"})
    if row.button("Export", key="to-export", type="primary", on_click=state.set_widget, args=("queue", "Export")):
        st.rerun()


def turning(place: int, count: int, before: int | None, after: int | None) -> None:
    """Through the queue without deciding."""
    to = {"on_click": state.set_widget}
    st.button("Back `←`", key=f"before-{before}", disabled=before is None, args=(review_verdicts.AT, before), **to)
    st.button("Skip `→`", key=f"after-{after}", disabled=after is None, args=(review_verdicts.AT, after), **to)
    st.text(f"{place + 1:,} of {count:,}", width=110)


def picture(opened: Dataset, done: reviews.Reviewed, found: reviews.Suspects, sample_id: int) -> None:
    """The picture as large as it stands well, its label, and how suspicious it is."""
    name = headline.class_name(opened, opened.labels_N[sample_id])
    if opened.images is not None:
        alt = f"sample {sample_id}, labelled {name}"
        thumbnail = opened.thumbnail(sample_id)
        if thumbnail:
            width, height = Image.open(io.BytesIO(thumbnail)).size
            st.image(thumbnail, width=round(width * min(2.0, SIDE / max(width, height))), alt=f"{alt}, uncropped")
        else:
            st.image(pictures.enlarged(opened, sample_id, SIDE)[0], output_format="PNG", alt=alt)
    else:
        details.text(opened, sample_id)
    st.text("Label")
    st.container(border=True).text(middle_cut(name, 60))
    original = headline.class_name(done.original, done.original.labels_N[sample_id])
    score = words.number(float(found.suspicion.of(np.array([sample_id]))[0]), "suspicion")
    lines = [
        f"sample {sample_id:,} · {middle_cut(data.key_of(opened, sample_id), 60)}",
        f"Label suspicion {score} (0 to 1, higher = more suspicious)",
    ]
    st.text("\n".join(lines + [f"Label at the source: {middle_cut(original, 60)}"] * (original != name)))


def classes(
    opened: Dataset, done: reviews.Reviewed, found: reviews.Suspects, target: review_verdicts.Target, near: np.ndarray | None
) -> None:
    """The classes it may belong to, each with its key and with what speaks for it; and any other class."""
    (sample_id,) = target.ids
    st.markdown("**It is rather**", help="At how many looks the networks named the class, and how many of the nearest neighbours bear it.")
    named_K = predicted(opened, found, sample_id)
    offered = proposals(
        int(opened.labels_N[sample_id]), found.wrong_of(sample_id), named_K, near if near is not None else np.zeros(opened.K, int)
    )
    for number, one in enumerate(offered, 1):
        name = headline.class_name(opened, one.label)
        press, told = st.columns([24, 76], gap="small", vertical_alignment="center")
        press.button(
            f"Take `{number}`", key=f"relabel-{number}-{target.suffix}", on_click=review_verdicts.give,
            args=(opened, target, "relabel", name),
        )  # fmt: skip
        told.text(middle_cut(name, 40) + (f"\n{one.said}" if one.said else ""))
    review_verdicts.class_box(opened, done, target)


def predicted(opened: Dataset, found: reviews.Suspects, sample_id: int) -> np.ndarray:
    """(K,) how often each class was named, over all runs and looks."""
    named_K = np.zeros(opened.K, np.int64)
    for run in found.suspicion.runs:
        try:
            shown = recorded.trajectory(run, sample_id)["shown"]
        except LearnabilityError:
            continue
        named_K += np.bincount(shown[(shown >= 0) & (shown < opened.K)], minlength=opened.K)
    return named_K


def neighbour_labels(opened: Dataset, found: reviews.Suspects, sample_id: int) -> np.ndarray | None:
    """(K,) labels of its nearest neighbours; None where no run keeps features, or they were not asked for."""
    run = next((run for run in found.suspicion.runs if recorded.has_features(run)), None)
    if run is None or (opened.N > AT_ONCE and not state.widget("review_near")):
        return None
    near = recorded.nearest(run, opened, sample_id)
    labels = opened.labels_N[near[0]] if near is not None else np.zeros(0, np.int64)
    return np.bincount(labels[labels >= 0], minlength=opened.K)
