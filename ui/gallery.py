"""The clickable grid of pictures: a sprite sheet with buttons, and a plain grid where that does not work."""

import streamlit as st

from learnability.datasets import Dataset
from ui import data, pictures, state
from ui.lasso import shorten

CSS = """
.tiles { display: grid; grid-template-columns: repeat(auto-fill, calc(var(--w) * 1px)); gap: 8px 6px; font-family: var(--st-font);
  padding: 3px; }
.tile { all: unset; box-sizing: border-box; cursor: pointer; width: calc(var(--w) * 1px); border-radius: 3px; }
.tile .picture { display: block; width: calc(var(--w) * 1px); height: calc(var(--h) * 1px); border-radius: 3px;
  outline: 1px solid var(--st-border-color); }
.tile .picture.sharp { image-rendering: pixelated; }
.tile .caption { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; font-size: 11.5px; line-height: 15px;
  color: var(--st-text-color); margin-top: 2px; min-height: 15px; unicode-bidi: isolate; }
.tile .caption.second { margin-top: 0; opacity: 0.72; }
.tile:hover .picture { outline: 2px solid var(--st-text-color); }
.tile[aria-pressed="true"] .picture { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.several .tile[aria-pressed="true"] .caption:not(.second)::before { content: "\\2713\\00a0"; font-weight: 700;
  color: var(--st-primary-color); }
.tile:focus-visible .picture { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.tile.words { border: 1px solid var(--st-border-color); padding: 6px 8px; min-height: 64px; }
.tile.words .text { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 6; overflow: hidden; font-size: 13px;
  line-height: 17px; min-height: 68px; overflow-wrap: anywhere; unicode-bidi: plaintext; color: var(--st-text-color); margin-bottom: 4px; }
.tile.words:hover { outline: 2px solid var(--st-text-color); }
.tile.words[aria-pressed="true"] { outline: 3px solid var(--st-primary-color); }
.tile.words:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.late { grid-column: 1 / -1; font-size: 13px; color: var(--st-text-color); visibility: hidden; animation: appear 0s 4s forwards; }
@keyframes appear { to { visibility: visible; } }
"""

JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".tiles")
  const { ids, names, texts, captions, sheet, columns, width, height, scale, sharp, picked, chosen, said } = data
  const w = width * scale, h = height * scale
  box.style.setProperty("--w", Math.max(w, captions.some((lines) => lines.length) ? 72 : 0)); box.style.setProperty("--h", h)
  box.setAttribute("aria-label", said)
  box.classList.toggle("several", chosen !== null)
  const on = (id) => (chosen ? chosen.includes(id) : id === picked) ? "true" : "false"
  const tab = (id, i) => (ids.includes(picked) ? id === picked : i === 0) ? 0 : -1
  const made = JSON.stringify([ids, names, texts, captions, w, chosen === null]) + sheet
  if (box.made === made) {
    ids.forEach((id, i) => {
      box.children[i].setAttribute("aria-pressed", on(id)); box.children[i].tabIndex = tab(id, i)
    })
    return
  }
  box.made = made
  const shadow = box.getRootNode(), active = shadow.activeElement ?? document.activeElement
  const before = [...box.children].indexOf(active)
  box.replaceChildren(...ids.map((id, i) => {
    const b = document.createElement("button")
    b.type = "button"; b.className = "tile"; b.title = names[i]; b.setAttribute("aria-label", names[i])
    b.setAttribute("aria-pressed", on(id))
    b.tabIndex = tab(id, i)
    if (sheet) {
      const p = document.createElement("span"), x = (i % columns) * w, y = Math.floor(i / columns) * h
      p.className = sharp ? "picture sharp" : "picture"
      p.style.width = w + "px"
      p.style.background = `url(${sheet}) -${x}px -${y}px / ${columns * w}px auto no-repeat`
      b.append(p)
    } else {
      const t = document.createElement("span")
      t.className = "text"; t.textContent = texts[i]; b.classList.add("words"); b.append(t)
    }
    captions[i].forEach((line, n) => {
      const c = document.createElement("span")
      c.className = n ? "caption second" : "caption"; c.textContent = line; b.append(c)
    })
    b.onclick = (e) => {
      const from = chosen && e.shiftKey ? box.last : undefined
      box.last = i
      if (from === undefined) setTriggerValue("picked", id)
      else setTriggerValue("ranged", ids.slice(Math.min(from, i), Math.max(from, i) + 1))
    }
    b.ondblclick = () => setTriggerValue("opened", id)
    return b
  }))
  if (before >= 0 && box.children[before]) box.children[before].focus({ preventScroll: true })
  box.onkeydown = (e) => {
    const all = [...box.children], root = box.getRootNode(), at = all.indexOf(root.activeElement ?? document.activeElement)
    if (at < 0) return
    if (e.key === "Enter") { setTriggerValue("opened", ids[at]); e.preventDefault(); return }
    const top = all[0].offsetTop, across = all.filter((b) => b.offsetTop === top).length
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: all.length - 1 }[e.key]
    const next = to === undefined ? undefined : all[to]
    if (next) { all[at].tabIndex = -1; next.tabIndex = 0; next.focus(); e.preventDefault() }
  }
}
"""

LATE = "If no pictures appear here, switch on Plain pictures at the foot of the sidebar."
HTML = f"<div class='tiles' role='group'><span class='late'>{LATE}</span></div>\n"  # JS takes its place at once, where it runs
TILES = st.components.v2.component("tiles", html=HTML, css=CSS, js=JS)
WORDS, MOST = 168, 400  # px of a tile without a picture, and characters of its text that are sent
PART = 24  # tiles of a plain grid at a time


def tiles(
    place: str, opened: Dataset, sample_ids: list[int], names: list[str], captions: list[list[str]], said: str, back: str = "gallery",
    several: bool = False, small: bool = False,
) -> int | None:  # fmt: skip
    """Draws the samples as tiles and returns the one last clicked, if it is among them.

    `place` names the grid, `names` are read aloud and shown as tooltip, `captions` stand beneath, `said` describes the list.
    A click picks, Enter or a double click opens the sample page, which walks along this list and leads back to page `back`.
    With `several` a click marks a sample or takes the mark away, with Shift all from the last one on: `state.chosen(place)`.
    `small` tiles have two thirds of the size.
    """
    if state.widget("plain"):
        _plain_tiles(place, opened, sample_ids, names, captions, several)
    else:
        made = data.sheet(opened, tuple(sample_ids)) if opened.images is not None else None
        picture = _drawn(made) if made else {"sheet": None, "columns": 1, "width": WORDS, "height": 1, "scale": 1}
        content = {"ids": sample_ids, "names": names, "captions": captions, "picked": state.picked(place), "said": said, **picture}
        content["texts"] = None if made else [shorten(text, MOST) for text in data.texts(opened, sample_ids)]
        content["sharp"] = made is not None and made.url.startswith("data:image/png")
        if small and made:
            content["scale"] = max(1, round(made.scale * 2 / 3)) if content["sharp"] else made.scale * 2 / 3
        content["chosen"] = sorted(state.chosen(place) & set(sample_ids)) if several else None

        def picked():
            _clicked(place, _known(st.session_state[place].picked, sample_ids), several)

        def ranged():
            asked = st.session_state[place].ranged
            if isinstance(asked, list):
                state.choose(place, state.chosen(place).union(i for i in asked if i in sample_ids))

        def opened_one():
            _open(_known(st.session_state[place].opened, sample_ids), sample_ids, said, back)

        TILES(key=place, data=content, on_picked_change=picked, on_opened_change=opened_one, on_ranged_change=ranged)
    state.hand_over()
    chosen = state.picked(place)
    return chosen if chosen in sample_ids else None


def open_button(sample_id: int, sample_ids: list[int], said: str, back: str = "gallery", type: str = "primary") -> None:
    """The button that leads to the sample page."""
    st.button("Open sample page", key=f"open-{back}", on_click=_open, args=(sample_id, sample_ids, said, back), type=type, width="stretch")


def _open(sample_id: int | None, sample_ids: list[int], said: str, back: str) -> None:
    if sample_id is not None:
        state.keep_walk(sample_ids, said, back)
        state.leave_note("sample", id=sample_id)


def _clicked(place: str, sample_id: int | None, several: bool) -> None:
    if sample_id is not None and several:
        state.choose(place, state.chosen(place) ^ {sample_id})
    state.pick(place, sample_id)


def _drawn(made: pictures.Sheet) -> dict:
    return {"sheet": made.url, "columns": made.columns, "width": made.width, "height": made.height, "scale": made.scale}


def _known(value, sample_ids: list[int]) -> int | None:
    return value if isinstance(value, int) and value in sample_ids else None


def plain_switch() -> None:
    """For the sidebar: ordinary pictures and buttons in place of the grids, on every page."""
    st.toggle(
        "Plain pictures", key="plain", bind="query-params", persist_state="session",
        help=f"Where the grids of pictures do not work: the same lists as ordinary pictures and buttons, {PART} at a time.",
    )  # fmt: skip


def _plain_tiles(place: str, opened: Dataset, sample_ids: list[int], names: list[str], captions: list[list[str]], several: bool) -> None:
    """The same list as ordinary elements, `PART` at a time."""
    parts = -(-len(sample_ids) // PART)
    part = st.pagination(parts, key=f"{place}-part") if parts > 1 else 1
    here = slice(PART * (part - 1), PART * part)
    grid = st.grid(8, min_column_width=96, gap="xsmall")
    for sample_id, name, lines in zip(sample_ids[here], names[here], captions[here], strict=True):
        with grid.cell():
            if opened.images is not None:
                st.image(pictures.enlarged(opened, sample_id, pictures.TILE)[0], output_format="PNG", alt=name)
            else:
                st.text(shorten(data.texts(opened, [sample_id])[0], MOST))
            st.text("\n".join(lines))
            marked = sample_id in state.chosen(place)
            label = f"{'Unmark' if marked else 'Mark'} {sample_id}" if several else f"Show {sample_id}"
            st.button(label, key=f"{place}-{sample_id}", on_click=_clicked, args=(place, sample_id, several))
