"""Lists of samples: their order, what stands under each tile, and what a class has in common."""

import dataclasses

import numpy as np
import streamlit as st

from learnability.agreement import QUADRANTS
from learnability.config import train_command
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from learnability.store.runs import Run
from ui import data, headline, lasso, launch, numbers, order, scored, state, words
from ui.series import Series


def other_score(now: state.State, found: list[Run], id: str, metric: str) -> Series | None:
    """Another score of the same group or run, or None where there is none."""
    try:
        return scored.series(now.data, id, data.choices(found).get(id, []), metric)
    except LearnabilityError:
        return None


def ordered(now: state.State, found: list[Run], made: Series, which: str) -> np.ndarray:
    """Sample ids in the order asked for."""
    aum = other_score(now, found, made.id, "aum")
    never = other_score(now, found, made.id, "never_learned") if made.metric == "forgetting_events" else None
    return scored.ordered(made, which, aum, never)


def copies(opened: Dataset, made: Series) -> np.ndarray:
    """Sample ids of the series whose pixels occur more than once in the data set, copies side by side."""
    images = data.identities(opened).hashes[: opened.N].dictionary_encode().indices.to_numpy()
    found = order.copies(images, opened.labels_N)
    return found[np.isin(found, made.sample_ids_N)]


def written(opened: Dataset, made: Series | None, sample_ids: list[int], b: Series | None = None) -> tuple[list[str], list[list[str]]]:
    """(names read aloud, captions beneath) of the tiles: label, then the scores."""
    names, captions = [], []
    scores = [one.of(np.array(sample_ids, np.int64)) for one in (made, b) if one is not None]
    for i, sample_id in enumerate(sample_ids):
        label = headline.class_name(opened, opened.labels_N[sample_id])
        told = [words.number(score[i], one.metric) for score, one in zip(scores, (made, b), strict=False)]
        named = [f"{words.label(one.metric).lower()} {said}" for said, one in zip(told, (made, b), strict=False)]
        names.append(", ".join([f"sample {sample_id}", label, *named]))
        captions.append([label, " · ".join(told)])
    return names, captions


@dataclasses.dataclass(frozen=True)
class ByClass:
    names: list[str]
    sizes: np.ndarray
    means: np.ndarray
    said: str

    @property
    def alike(self) -> bool:
        """Whether the classes are about equally large, so that size cannot explain a difference."""
        return len(self.sizes) < 2 or self.sizes.max() < 1.5 * self.sizes.min()


def by_class(opened: Dataset, made: Series) -> ByClass:
    """Mean score and size of each class that has a score, and in words whether the small ones are harder."""
    known = np.isfinite(made.score_N) & (made.labels_N >= 0)
    labels, score = made.labels_N[known], made.score_N[known]
    sizes = np.bincount(labels, minlength=opened.K)
    here = np.flatnonzero(sizes)
    means = np.bincount(labels, score, opened.K)[here] / sizes[here]
    names = [headline.class_name(opened, k) for k in here]
    return ByClass(names, sizes[here], means, _imbalance(made, names, sizes[here], means))


def _imbalance(made: Series, names: list[str], sizes: np.ndarray, means: np.ndarray) -> str:
    if len(names) < 2 or not words.ordered(made.metric):
        return f"{len(names)} classes of {sizes.min():,} to {sizes.max():,} samples." if len(names) else "No class has a score."
    hardest = int(np.argmax(words.hardness(made.metric, means)))
    said = f"The hardest class on average is {names[hardest]!r} (mean {words.number(means[hardest])}, {sizes[hardest]:,} samples)."
    if sizes.max() < 1.5 * sizes.min():
        return f"{said} The classes are about equally large, so size explains nothing here."
    small, large = means[sizes <= np.median(sizes)], means[sizes > np.median(sizes)]
    if not len(large):
        return said
    harder = words.hardness(made.metric, small.mean()) > words.hardness(made.metric, large.mean())
    against = f"(mean {small.mean():.3g} against {large.mean():.3g})"
    return f"{said} The smaller half of the classes is {'harder' if harder else 'not harder'} {against}."


def next_steps(now: state.State, found: list[Run], made: Series) -> None:
    """What one can do from here, each a sentence with its button or command."""
    st.subheader("What next", anchor=False)
    groups = {run.group for run in found if run.recipe == now.recipe and run.looks}
    config = made.runs[0].config
    steps = st.columns(3, gap="medium")
    with steps[0], st.container(border=True):
        st.markdown("**Is it the label or the image?** Look through the samples whose labels are most suspicious.")
        to = {"args": ("gallery",), "kwargs": {"which": "Suspicious labels"}}
        st.button("Suspicious labels", key="next-suspicious", on_click=state.leave_note, **to)
    with steps[1], st.container(border=True):
        if len(groups) > 1:
            st.markdown("**Hard for every network, or for one?** Compare two architectures sample by sample.")
            st.button("Compare", key="next-compare", on_click=state.leave_note, args=("compare",))
        else:
            st.markdown("**Hard for every network, or for this one?** A second architecture tells.")
            if unfinished := other_networks_coming(found, made):
                st.text(f"{', '.join(unfinished)}: not finished yet.")
            else:
                command(config, ["resnet20" if config.arch == "vgg16" else "vgg16"])
    with steps[2], st.container(border=True):
        if made.seeds > 1:
            st.markdown(
                f"**Are {words.count(max(made.looks), 'epoch')} and {made.seeds} seeds enough?** Compare shows what more would give."
            )
            st.button("Epochs and seeds", key="next-enough", on_click=state.leave_note, args=("compare",))
        else:
            st.markdown("**Is the score reliable?** Unknown with one seed. A second one tells how far two trainings agree.")
            one_more(found, made, "Train a second seed", "next")


def one_more(found: list[Run], made: Series, label: str, place: str) -> None:
    """Opens the launch form with the next seed; the command where the form cannot say what the recipe asks. `place`: of the page."""
    following = max(run.config.seed for run in found if run.config and run.group == made.runs[0].group) + 1
    if unfinished := coming(found, made):
        st.text(f"{', '.join(unfinished)}: not finished yet.")
    elif launch.can_ask(made.config):
        st.button(label, key=f"more-{place}-{made.id}", on_click=launch.fill_from, args=(made.config, following))
    else:
        command(made.config, [made.config.arch], first_seed=following)


def coming(found: list[Run], made: Series) -> list[str]:
    """Runs of a group that may still join its mean."""
    counted = {run.id for run in made.runs}
    own = [run for run in found if run.config and run.group == made.runs[0].group and run.id not in counted]
    return [run.label for run in own if run.state in ("queued", "running")]


def other_networks_coming(found: list[Run], made: Series) -> list[str]:
    """Runs of other networks under the same recipe that are queued or at work."""
    others = [run for run in found if run.config and run.recipe == made.runs[0].recipe and run.group != made.runs[0].group]
    return [run.label for run in others if run.state in ("queued", "running")]


def command(config, archs: list[str], seeds: int = 1, first_seed: int = 0) -> None:
    """The command that trains more runs of the same recipe."""
    if config.origin is not None:
        st.caption("Record another run of your own loop: under another name for another network, or with another seed.")
        return
    said = train_command(config, archs, seeds=seeds, first_seed=first_seed)
    if said:
        st.code(said, language="bash", wrap_lines=True)
    else:
        st.caption(f"Launch {', '.join(archs)} with recipe {config.recipe}.")


def partner(now: state.State, found: list[Run], made: Series) -> Series | None:
    """The score of B, of the metric that the page compares with; None without B, or where B is of another data set version."""
    if now.b is None:
        return None
    b = other_score(now, found, now.b, words.named(state.url_value("metric_b"), now.data) or made.metric)
    if b is None or b.runs[0].config.fingerprint != made.runs[0].config.fingerprint:
        return None
    return b


def class_names(opened: Dataset) -> list[str]:
    """Names of the classes for a choice; equal names are told apart by their number."""
    names = [headline.class_name(opened, k) for k in range(opened.K)]
    return [name if names.count(name) == 1 else f"{name} (class {k})" for k, name in enumerate(names)]


def restricted(
    now: state.State,
    found: list[Run],
    made: Series,
    b: Series | None,
    opened: Dataset,
    ids: np.ndarray,
    which: str,
    label: str | None,
    wrong: str | None,
) -> tuple[np.ndarray, dict[str, str]]:
    """The ids that pass the filters, in their order, and what filters beyond the page's own controls are at work."""
    parts = {}
    if which in order.QUADRANTS and b is not None:
        ids = ids[np.isin(ids, in_quadrant(now, found, made, b, order.QUADRANTS[which]))]
    if label is not None:
        ids = ids[opened.labels_N[ids] == class_names(opened).index(label)]
    if wrong is not None:
        ids = ids[taken_for(now, found, made, ids) == class_names(opened).index(wrong)]
    if (text := state.url_value("in")) is not None:
        ids, parts["in"] = _inside(made, b, ids, text)
    if (name := state.url_or_widget("selection")) is not None:
        ids, parts["selection"] = _selected(now, opened, ids, name)
    return ids, parts


def learnability_of(now: state.State, found: list[Run], made: Series, b: Series) -> tuple[Series, Series] | None:
    """The scores that quadrants are made of; None where A and B share runs or stand for other labels."""
    if {run.id for run in made.runs} & {run.id for run in b.runs} or made.runs[0].config.labels != b.runs[0].config.labels:
        return None
    pair = other_score(now, found, made.id, "learnability"), other_score(now, found, b.id, "learnability")
    return pair if all(pair) else None


def in_quadrant(now: state.State, found: list[Run], made: Series, b: Series, quadrant: str) -> np.ndarray:
    """Sample ids in a quadrant of A and B."""
    pair = learnability_of(now, found, made, b)
    if pair is None:
        return np.zeros(0, np.int64)
    placed, ids = numbers.placed(*pair, state.url_value("level") == "removed")
    return ids[placed.quadrant_N == QUADRANTS.index(quadrant)]


def taken_for(now: state.State, found: list[Run], made: Series, ids: np.ndarray) -> np.ndarray:
    """The class that most runs take each sample for when they miss it; -1 for none."""
    consensus = other_score(now, found, made.id, "consensus_prediction")
    if consensus is None:
        return np.full(len(ids), -1)
    votes_RN = np.nan_to_num(consensus.score_RN, nan=-1).astype(np.int64)[:, np.maximum(consensus.rows(ids), 0)]
    counts_KN = np.stack([(votes_RN == k).sum(0) for k in range(votes_RN.max(initial=0) + 1)])
    return np.where(counts_KN.max(0) > 0, counts_KN.argmax(0), -1)


def _inside(made: Series, b: Series | None, ids: np.ndarray, text: str) -> tuple[np.ndarray, str]:
    if b is None:
        return ids, "The link holds an area of the pair plot, but no B is chosen: choose B in the sidebar. All samples are shown."
    try:
        shapes = lasso.parse(text)
    except ValueError as error:
        return ids, f"The area in the link cannot be read ({error}). All samples are shown."
    kept = ids[lasso.inside(shapes, made.of(ids), b.of(ids))]
    return (
        kept,
        f"Inside the area drawn in the pair plot of {made.name} and {b.name}: {words.count(len(kept), 'sample')}. "
        "It moves with the scores.",
    )


def _selected(now: state.State, opened: Dataset, ids: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    try:
        chosen, missing = data.selection(name, opened)
    except LearnabilityError as error:
        return ids, f"{lasso.shorten(str(error), 300)} All samples are shown."
    gone = f" {missing:,} of its samples are not in this data set version." if missing else ""
    return ids[np.isin(ids, chosen)], f"Saved selection {name}: {words.count(len(chosen), 'sample')}.{gone}"


def restrictions(parts: dict[str, str]) -> None:
    """Says which filters came with the link, each with its way out."""
    for name, said in parts.items():
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"restriction-{name}"):
            st.text(said)
            st.button("Show all samples", key=f"drop-{name}", on_click=state.drop_url_value, args=(name,))


def clear_filters() -> None:
    """In a callback: back to every sample. A value that is only forgotten comes back from the URL."""
    state.set_widget("which", next(iter(order.WHICH)))
    for name in ("class", "wrong", "hard", "reviewed"):
        state.set_widget(name, None)
    state.set_widget("sheet", 1)
    for name in ("in", "selection"):
        state.drop_url_value(name)
