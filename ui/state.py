"""The one reader and writer of session state and of the URL. What comes from a URL is checked here, again."""

import dataclasses
from urllib.parse import urlencode, urlsplit

import streamlit as st

from ui import lasso, words

SIDEBAR = ("data", "recipe", "a", "b", "metric")
PAGES = ("overview", "compare", "gallery", "review", "curriculum", "runs")
HIDDEN = ("sample",)  # reached from a picture
LIMIT = 2000  # characters of a URL value that are looked at
IGNORED = {"embed", "embed_options"}


@dataclasses.dataclass(frozen=True)
class State:
    """What the sidebar says: which data set, recipe, runs or groups, and metric every page shows."""

    data: str | None = None
    recipe: str | None = None
    a: str | None = None
    b: str | None = None
    metric: str = "learnability"


def current() -> State:
    return st.session_state.get("state", State())


def keep(state: State) -> State:
    """Called by the sidebar, once a run of the script."""
    st.session_state["state"] = state
    return state


# what a link asked for


def remember_url() -> None:
    """Before any widget: notes what the link asked for, so that it can be said when it is not there."""
    st.session_state.pop("drawn", None)  # until this run has come as far as its page
    if "asked" not in st.session_state:
        st.session_state["asked"] = {name: value[:LIMIT] for name, value in st.query_params.to_dict().items() if name not in IGNORED}


def asked(name: str) -> str | None:
    return st.session_state.get("asked", {}).get(name)


def respell(page, **known: dict[str, str]) -> None:
    """A link may name things shortly, `metric=suspicion`: before any widget, the page is opened anew under the URL's full spelling."""
    changed = {name: values[asked(name)] for name, values in known.items() if asked(name) in values}
    if changed and "respelled" not in st.session_state:
        st.session_state["respelled"] = True
        st.session_state["asked"] |= changed
        st.switch_page(page, query_params=st.query_params.to_dict() | changed)


def report_ignored(**got) -> None:
    """Says which values of the link are not here; in the sidebar for its widgets, in a page for the page's own."""
    for name, value in got.items():
        wanted = st.session_state.get("asked", {}).pop(name, None)
        if wanted not in (None, "", str(value)):
            _say_ignored(name, wanted, value)


def report_unknown(known: set[str]) -> None:
    """Says which parameters of the link no page knows."""
    for name in [name for name in st.session_state.get("asked", {}) if name not in known]:
        st.session_state["asked"].pop(name)
        with st.container(key=f"ignored-{abs(hash(name)) % 10**9}"):
            st.warning("The link has a part that no page knows. It was ignored:")
            st.text(lasso.shorten(name))


def _say_ignored(name: str, wanted: str, value) -> None:
    st.warning(f"The link asked for another **{name}**, which is not here. Showing {'the default' if value is None else 'this instead'}:")
    st.text(f"asked for: {lasso.shorten(wanted)}\nshown: {'all' if value is None else lasso.shorten(str(value))}")


# going elsewhere


def leave_note(page: str, **params) -> None:
    """From callbacks, which must not rerun: the frame follows the note.

    On the page that stands its widgets take the values: what they have bound in the URL nobody else may set.
    """
    if st.session_state.get("drawn", (None,))[0] == page:
        st.session_state.update({name: value for name, value in params.items() if value is not None})
        return
    st.session_state["goto"] = page, {name: str(value) for name, value in params.items() if value is not None}


def hand_over() -> None:
    """In fragments, for which the frame does not run: it follows the note. From here what the sidebar has in the URL would be lost."""
    if "goto" in st.session_state:
        st.rerun()


def follow() -> None:
    """Called by the frame once the sidebar stands."""
    if "goto" in st.session_state:
        page, params = st.session_state.pop("goto")
        for name in params:  # the page's widget takes the value from the URL, not from an earlier visit
            st.session_state.pop(name, None)
        st.session_state["asked"] = dict(params)
        st.switch_page(f"../pages/{page}.py", query_params=params)


def note_drawn(page: str) -> None:
    """Called by the frame: this page, with the URL's parameters, is what stands from now on."""
    st.session_state["drawn"] = page, st.query_params.to_dict()


def stand_by_drawn() -> None:
    """In a display that draws itself anew: its request may have left the browser before a change of page and come after it.

    Streamlit then runs it for the page before, which empties the one that stands; that is drawn again, once.
    """
    page, params = st.session_state.get("drawn", (None, {}))
    if page is None or not st.context.url:
        return
    last = urlsplit(st.context.url).path.rstrip("/").rpartition("/")[2]
    if (last if last in PAGES + HIDDEN else "overview") == page:
        st.session_state.pop("drawn_again", None)
    elif st.session_state.get("drawn_again") != page:
        st.session_state["drawn_again"] = page
        st.switch_page(f"../pages/{page}.py", query_params=params)


def link(page: str, **params) -> str:
    """The whole selection as a URL."""
    state = current()
    base = st.context.url or "http://localhost:8501/"
    base = base.split("?")[0].rstrip("/")
    *root, last = base.split("/")
    root = base if last.count(":") or last.replace(".", "").isdigit() or last == "localhost" else "/".join(root)
    values = {
        "data": state.data,
        "recipe": state.recipe,
        "a": state.a,
        "b": state.b,
        "metric": st.session_state.get("metric") and words.label(state.metric),
    } | params
    query = urlencode({name: value for name, value in values.items() if value not in (None, "")})
    return f"{root}/{'' if page == 'overview' else page}?{query}"


# what pages leave for each other


def picked(place: str) -> int | None:
    """The sample last clicked in the grid called `place`."""
    return st.session_state.get("picked", {}).get(place)


def pick(place: str, sample_id: int | None) -> None:
    st.session_state.setdefault("picked", {})[place] = sample_id
    st.session_state["last_place"] = place


def last_place() -> str | None:
    """The grid that was clicked last."""
    return st.session_state.get("last_place")


def chosen(place: str) -> frozenset[int]:
    """The samples marked in the grid called `place`, where several can be."""
    return st.session_state.get("chosen", {}).get(place, frozenset())


def choose(place: str, sample_ids) -> None:
    """In callbacks: marks exactly these samples."""
    st.session_state.setdefault("chosen", {})[place] = frozenset(int(i) for i in sample_ids)


def keep_walk(sample_ids: list[int], said: str, page: str) -> None:
    """The list a sample was opened from: previous and next walk along it."""
    st.session_state["walk"] = tuple(sample_ids), said, page
    st.session_state["list_params"] = {name: value for name, value in st.query_params.to_dict().items() if name not in (*SIDEBAR, "id")}


def walk() -> tuple[tuple[int, ...], str, str]:
    return st.session_state.get("walk", ((), "", "gallery"))


def back_to_list() -> None:
    """In a callback: to the page that the sample was opened from, at its sheet and with its filters."""
    _, _, page = walk()
    leave_note(page if page != "sample" else "gallery", **st.session_state.get("list_params", {}))


def pair_plot(shown: tuple) -> tuple[str, lasso.Shapes]:
    """(key of the pair plot, shapes to draw as its outline): those kept from before it was first drawn like this.

    A plot keeps what is drawn in it only while its figure stays the same, so the outline does not follow the lasso.
    """
    key = f"pair-{st.session_state.get('lasso_round', 0)}"
    if key not in st.session_state or st.session_state.get("pair_shown") != shown:
        st.session_state["pair_shown"], st.session_state["pair_outline"] = shown, kept_lasso()
    return key, st.session_state["pair_outline"]


def keep_lasso(drawn) -> lasso.Shapes:
    """The shapes drawn in the pair plot, also after the figure has changed, until they are cleared."""
    shapes = lasso.from_event(drawn)
    if shapes:
        st.session_state["lasso"] = shapes
    return kept_lasso()


def kept_lasso() -> lasso.Shapes:
    return st.session_state.get("lasso", ())


def set_lasso(shapes: lasso.Shapes) -> None:
    """In callbacks; also gives the plot a new name, for the browser keeps what was drawn in the old one."""
    st.session_state["lasso"] = shapes
    st.session_state["lasso_round"] = st.session_state.get("lasso_round", 0) + 1


def clear_lasso() -> None:
    set_lasso(())


def take_lasso_from_url() -> None:
    """A link to the compare page may carry the area drawn."""
    if (text := asked("in")) is not None:
        st.session_state["asked"].pop("in")
        try:
            set_lasso(lasso.parse(text))
        except ValueError as error:
            st.warning(f"The area in the link cannot be read: {error}.")


def url_value(name: str) -> str | None:
    """A parameter of the page's own that belongs to no widget."""
    value = st.query_params.get(name)
    return None if value is None else value[:LIMIT]


def url_or_widget(name: str) -> str | None:
    """The same where a page may have a widget for it, which can be ahead of the URL."""
    return st.session_state[name] if name in st.session_state else url_value(name)


def drop_url_value(name: str) -> None:
    """In callbacks: takes a parameter out of the URL; where a widget has it, by its empty value: a forgotten one comes back."""
    if name in st.session_state:
        st.session_state[name] = None
        return
    if name in st.query_params:
        del st.query_params[name]


def widget(name: str):
    """The value of a widget, before or after it is drawn; None where it never was."""
    return st.session_state.get(name)


def set_widget(name: str, value) -> None:
    """In callbacks only."""
    st.session_state[name] = value


def follow_default(name: str, default) -> None:
    """Before the widget: one that still stands at its default takes the new one; by itself it would keep its first."""
    if st.session_state.get(name, default) != default and st.session_state[name] == st.session_state.get(f"{name}-default"):
        st.session_state[name] = default
    st.session_state[f"{name}-default"] = default


def drop_widget(*names: str) -> None:
    """Puts widgets back to their default; in callbacks only."""
    for name in names:
        st.session_state.pop(name, None)
