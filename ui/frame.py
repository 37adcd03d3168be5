"""What stands around every page: its settings, the menu, the sidebar."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import ui.process  # noqa: E402, F401, I001  first: it acts on what the others load
from ui import curriculum, sidebar, state, words  # noqa: E402

PAGES = {"": ("overview", "compare", "gallery", "review", "curriculum", "runs")}
HIDDEN = ("sample",)  # reached from a picture
OWN = {  # parameters of single pages
    "view", "level", "in", "metric_b", "which", "class", "wrong", "sheet", "selection", "id", "colour", "queue", "taken", "pair", "job",
    "kind", "recipes", "hard", "reviewed", "score", "column",
    *curriculum.OWN, "plain",
}  # fmt: skip


def pages() -> dict[str, list]:
    shown = {
        part: [st.Page(ROOT / "pages" / f"{name}.py", title=name.capitalize(), url_path=name, default=name == "overview") for name in names]
        for part, names in PAGES.items()
    }
    shown[""] += [st.Page(ROOT / "pages" / f"{name}.py", title=name.capitalize(), url_path=name, visibility="hidden") for name in HIDDEN]
    return shown


st.set_page_config(page_title="Learnability Explorer", page_icon=str(ROOT / "static" / "icon.png"), layout="wide")
state.remember_url()
page = st.navigation(pages())
state.respell(page, metric=words.spellings(), metric_b=words.spellings(), plain={"1": "true", "0": "false"})
with st.sidebar:
    sidebar.draw()
state.report_unknown(OWN | set(state.SIDEBAR))
state.follow()
page.run()
