"""What stands around every page: its settings, the menu, the sidebar."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import ui.process  # noqa: E402, I001  first: it acts on what the others load
from ui import curriculum, sidebar, state, words  # noqa: E402

OWN = {  # parameters of single pages
    "view", "level", "in", "metric_b", "which", "class", "wrong", "sheet", "selection", "id", "colour", "queue", "taken", "pair", "job",
    "kind", "recipes", "hard", "reviewed", "score", "column",
    *curriculum.OWN, "plain",
}  # fmt: skip


def pages() -> list:
    """The overview stands at /; who types /overview is led there."""
    shown = [_page(name, **{"default": True, "url_path": "home"} if name == "overview" else {}) for name in state.PAGES]
    return shown + [_page(name, visibility="hidden") for name in ("overview", *state.HIDDEN)]


def _page(name: str, **how):
    return st.Page(ROOT / "pages" / f"{name}.py", **{"title": name.capitalize(), "url_path": name} | how)


st.set_page_config(page_title="Learnability Explorer", page_icon=str(ROOT / "static" / "icon.png"), layout="wide")
state.remember_url()
known = pages()
page = st.navigation(known)
if page.url_path == "overview":
    st.switch_page(known[0], query_params=st.query_params.to_dict())
state.respell(page, metric=words.spellings(), metric_b=words.spellings(), plain={"1": "true", "0": "false"})
with st.sidebar:
    sidebar.draw()
state.report_unknown(OWN | set(state.SIDEBAR))
state.follow()
state.note_drawn(page.url_path or "overview")
page.run()
ui.process.keep_what_is_loaded()
