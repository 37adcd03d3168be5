"""Giving verdicts and taking them back, wherever samples are shown. Every action is on disk before the next picture appears."""

import dataclasses
from collections.abc import Sequence

import streamlit as st

from learnability import review
from learnability.charts.style import middle_cut
from learnability.datasets import Dataset
from learnability.errors import LearnabilityError
from ui import data, reviews, state, words

BUTTONS = (
    ("keep", "Keep", "K", "The label is right."),
    ("drop", "Drop", "D", "No label fits: leave it out."),
    ("unsure", "Unsure", "X", "Looked at, not decided: it leaves the queue and keeps its label."),
)
PAST = {"keep": "kept", "drop": "dropped", "unsure": "unsure", "relabel": "relabelled"}
NOTE, MINE, AT, DRAWN = "review_note", "review_mine", "review_at", "review_drawn"  # what a session remembers of its own review


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """The samples that a press decides, as they were drawn."""

    ids: tuple[int, ...]
    key: str  # where they are drawn
    following: int | None = None  # the sample that the queue shows next
    marked: bool = False  # those marked in the grid called `key`

    @property
    def suffix(self) -> str:
        return f"{self.key}-several" if self.marked else f"{self.key}-{self.ids[0]}"

    def draw(self) -> "Target":
        """Notes that they stand on the page: a press that comes late, or from a button on its way out, decides nothing."""
        state.set_widget(f"{DRAWN}-{self.key}", self.ids)
        return self

    @property
    def stands(self) -> bool:
        return bool(self.ids) and state.widget(f"{DRAWN}-{self.key}") == self.ids


def verdict_bar(
    opened: Dataset, sample_ids: Sequence[int], key: str, *, keys: bool = False, marked: bool = False, proposed: str | None = None
) -> None:
    """Keep, drop, unsure, relabel, tag and undo for these samples, as one action. `keys`: their letters stand on them.

    `marked`: they are those marked in the grid called `key`. `proposed` is a class that gets a button of its own.
    """
    done, target = reviews.reviewed(opened), Target(ids=tuple(int(i) for i in sample_ids), key=key, marked=marked).draw()
    if not marked:
        st.text(standing(done, target.ids[0]))
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    plain_buttons(row, opened, target, keys)
    undo_button(row, opened, done, target.suffix, keys)
    if proposed is not None:
        to = {"on_click": give, "args": (opened, target, "relabel", proposed), "disabled": not target.ids}
        row.button("Relabel to", key=f"proposed-{target.suffix}", type="primary", **to)
        row.text(middle_cut(proposed))
    with st.container(horizontal=True, gap="small"):  # side by side where there is room
        class_box(opened, done, target)
        add_tag(opened, done, target) if marked else tags(opened, done, target)
    told()


def plain_buttons(row, opened: Dataset, target: Target, keys: bool) -> None:
    """Keep, drop and unsure."""
    for verdict, label, letter, said in BUTTONS:
        row.button(
            f"{label} `{letter}`" if keys else label, key=f"{verdict}-{target.suffix}", help=said, disabled=not target.ids,
            on_click=give, args=(opened, target, verdict),
        )  # fmt: skip


def undo_button(row, opened: Dataset, done: reviews.Reviewed, suffix: str, keys: bool) -> None:
    last = last_action(done)
    said = "Nothing to take back." if last is None else f"Takes back your last action as a whole: {summary(last, with_class=False)}."
    to = {"on_click": take_back, "args": (opened, last and last.id)}
    label = "Undo `U`" if keys else "Undo"
    row.button(label, key=f"undo-{suffix}", help=said, disabled=last is None, icon=":material/undo:", **to)


def letters(place: str) -> dict[str, str]:
    """The keys of the buttons of a place, for `shortcuts`."""
    return {letter.lower(): f"{verdict}-{place}-" for verdict, _, letter, _ in BUTTONS} | {"u": f"undo-{place}-"}


def class_box(opened: Dataset, done: reviews.Reviewed, target: Target) -> None:
    """Relabels as soon as a class is chosen; a name that is not there yet becomes a new class."""
    st.selectbox(
        "Relabel to", done.classes, index=None, key=f"class-{target.suffix}", disabled=not target.ids, accept_new_options=True,
        filter_mode="contains", placeholder="type to find a class, or to name a new one", on_change=_give_class,
        args=(opened, target, f"class-{target.suffix}"),
    )  # fmt: skip


def tags(opened: Dataset, done: reviews.Reviewed, target: Target) -> None:
    """The tags of a sample, to add to and to take from. Verdicts stay as they are."""
    held, key = list(done.resolved.tags.get(target.ids[0], ())), f"tags-{target.suffix}-{done.log.length}"
    st.multiselect(
        "Tags", done.tags, default=held, key=key, accept_new_options=True, placeholder="none; type to add one", on_change=_give_tags,
        args=(opened, target, key, held),
    )  # fmt: skip


def add_tag(opened: Dataset, done: reviews.Reviewed, target: Target) -> None:
    """One more tag for several samples."""
    key = f"tags-{target.suffix}-{done.log.length}"
    st.selectbox(
        "Tag them", done.tags, index=None, key=key, accept_new_options=True, placeholder="a tag, also a new one", on_change=_give_tags,
        args=(opened, target, key, []), disabled=not target.ids,
    )  # fmt: skip


# in callbacks


def _give_tags(opened: Dataset, target: Target, widget: str, held: list[str]) -> None:
    chosen = state.widget(widget)
    wanted = [chosen] if isinstance(chosen, str) else [one for one in chosen or () if isinstance(one, str)]
    add, remove = [tag for tag in wanted if tag not in held], [tag for tag in held if tag not in wanted]
    if target.stands and (add or remove):
        told = {"add": add, "remove": remove, "by": reviews.reviewer(), "why": reviews.reason()}
        samples = data.identities(opened).samples(target.ids)
        _acted(lambda: review.tag(data.cache(), opened.name, samples, **told))


def give(opened: Dataset, target: Target, verdict: str, class_name: str | None = None) -> None:
    """One action for all these samples; a second press of the same key adds nothing. Then the queue goes on, or no mark is left."""
    if not target.stands:
        return
    by_id = reviews.reviewed(opened).resolved.by_id
    if any(i not in by_id or (by_id[i].verdict, by_id[i].class_name) != (verdict, class_name) for i in target.ids):
        samples = data.identities(opened).samples(target.ids)
        by, why = reviews.reviewer(), reviews.reason()
        if not _acted(lambda: review.decide(data.cache(), opened.name, samples, verdict, class_name=class_name, by=by, why=why)):
            return
    if target.following is not None:
        state.set_widget(AT, target.following)
    if target.marked:
        state.choose(target.key, ())


def _give_class(opened: Dataset, target: Target, widget: str) -> None:
    chosen = state.widget(widget)
    state.set_widget(widget, None)
    if isinstance(chosen, str):
        give(opened, target, "relabel", chosen)


def merge(opened: Dataset, class_name: str | None, into: str | None) -> None:
    """Relabels every sample of a class to another, as one action."""
    if class_name is None or into is None:
        return
    told = {"by": reviews.reviewer(), "why": reviews.reason(), "fingerprint8": opened.fingerprint[:8]}
    _acted(lambda: review.merge_class(data.cache(), opened.name, class_name, into, **told))


def take_back(opened: Dataset, action_id: str | None) -> None:
    """Undoes an action as a whole and shows its first sample again."""
    if action_id is None:
        return
    before = reviews.reviewed(opened).log.by_id.get(action_id)
    undone = _acted(lambda: review.undo(data.cache(), opened.name, action_id, by=reviews.reviewer(), why=reviews.reason()), before)
    if undone and before is not None:
        rows = data.identities(opened).match(*zip(*before.samples[:1], strict=True)).rows_n
        state.set_widget(AT, int(rows[0]) if rows[0] >= 0 else None)


def _acted(act, undone: review.Action | None = None) -> bool:
    try:
        made = act()
    except LearnabilityError as error:
        say(str(error), good=False)
        return False
    state.set_widget(MINE, (*(state.widget(MINE) or ()), made.id))
    said = summary(made) if made.undo is None else f"took back: {summary(undone)}" if undone else "took back an action"
    say(f"{said[0].upper()}{said[1:]}.")
    return True


def say(text: str, good: bool = True) -> None:
    """Leaves a line for `told`."""
    state.set_widget(NOTE, (text, good))


# in words


def news() -> bool:
    """Whether there is something that `told` would say."""
    return state.widget(NOTE) is not None


def told() -> None:
    """What the press just now did, or why it did nothing; said once."""
    text, good = state.widget(NOTE) or (None, True)
    state.drop_widget(NOTE)
    if text is not None:
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.markdown(":material/check:" if good else ":material/error: **Not done.**", width="content")
            st.text(text)


def last_action(done: reviews.Reviewed) -> review.Action | None:
    """What U takes back: this session's last action that stands; in a fresh session the last one under the same name."""
    mine, by = set(state.widget(MINE) or ()), reviews.reviewer()
    holding = done.log.holding
    own = next((action for action in reversed(holding) if action.id in mine), None)
    return own or next((action for action in reversed(holding) if action.by == by), None)


def summary(action: review.Action, with_class: bool = True) -> str:
    """`relabelled 1 sample to nine`; without the class where the text is Markdown."""
    many = words.count(len(action.samples), "sample")
    if action.undo is not None:
        return "took back an action"
    if action.verdict is None:
        return f"tagged {many}"
    to = f" to {middle_cut(action.class_name)}" if with_class and action.class_name is not None else ""
    return f"marked {many} as unsure" if action.verdict == "unsure" else f"{PAST[action.verdict]} {many}{to}"


def standing(done: reviews.Reviewed, sample_id: int) -> str:
    """What has been decided about a sample, by whom and why."""
    action = done.resolved.by_id.get(sample_id)
    tags = done.resolved.tags.get(sample_id, ())
    tagged = f" Tags: {', '.join(map(middle_cut, tags))}." if tags else ""
    if action is None:
        return f"Not reviewed yet.{tagged}"
    to = f" to {middle_cut(action.class_name)}" if action.class_name is not None else ""
    why = f": {middle_cut(action.why, 120)}" if action.why else ""
    return f"Review: {PAST[action.verdict]}{to}, by {middle_cut(action.by)} on {action.when[:10]}{why}.{tagged}"


def mark(done: reviews.Reviewed, sample_id: int) -> str:
    """The same in a word, for captions; empty while undecided."""
    action = done.resolved.by_id.get(sample_id)
    if action is None:
        return ""
    return f"→ {action.class_name}" if action.verdict == "relabel" else PAST[action.verdict]


def with_marks(opened: Dataset, sample_ids: Sequence[int], captions: list[list[str]]) -> list[list[str]]:
    """Captions of tiles with what was decided behind the label: `9 → 5`, `9 · kept`."""
    done = reviews.reviewed(opened)
    marks = [mark(done, i) for i in sample_ids]
    return [[f"{first} {said}" if said.startswith("→") else f"{first} · {said}" if said else first, *rest]
            for said, (first, *rest) in zip(marks, captions, strict=True)]  # fmt: skip


def marked(opened: Dataset, place: str, sample_ids: Sequence[int]) -> list[int]:
    """What stands beside a grid in which several samples can be marked: how many are, and one verdict for all of them."""
    chosen = state.chosen(place)
    ids = [i for i in sample_ids if i in chosen]
    with st.container(border=True, key=f"marked-{place}"):
        st.markdown(f"**{words.count(len(ids), 'sample')} marked**")
        st.caption("A click marks a picture, with Shift all from the last one on.")
        st.button("Mark none", key=f"none-{place}", disabled=not ids, on_click=state.choose, args=(place, ()))
        verdict_bar(opened, ids, place, marked=True)
    return ids


def who() -> None:
    """Under whose name verdicts are given, and why; both stand until they are changed."""
    kept = {"persist_state": "session", "max_chars": 200}
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        why = f", because: {middle_cut(reviews.reason(), 60)}" if reviews.reason() else ""
        st.text(f"as {middle_cut(reviews.reviewer())}{why}", width="content")
        with st.popover("Name and reason"):
            st.text_input(
                "Reviewed by", key="review_by", placeholder=reviews.user_name(), help="Stands in the log with every action.", **kept
            )
            st.text_input(
                "Reason, for every verdict until you change it",
                key="review_why",
                placeholder="for example: supplier mixed up two folders",
                **kept,
            )
