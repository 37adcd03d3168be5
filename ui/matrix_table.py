"""A table of coloured cells that can be pressed, with the mouse and by keys; buttons in columns where that does not work."""

import streamlit as st

from ui import state

CSS = """
.matrix { border-collapse: separate; border-spacing: 3px; font-family: var(--st-font); color: var(--st-text-color); font-size: 13px; }
.matrix th { font-weight: 600; padding: 4px 8px; text-align: left; max-width: 190px; overflow-wrap: anywhere; vertical-align: bottom; }
.matrix th small { display: block; font-weight: 400; opacity: 0.75; }
.matrix td { padding: 0; }
.matrix button { all: unset; box-sizing: border-box; cursor: pointer; width: 132px; min-height: 84px; padding: 6px 8px; text-align: center;
  border-radius: 4px; border: 1px solid var(--st-border-color); display: flex; flex-direction: column; justify-content: center; }
.matrix button b { font-size: 17px; font-variant-numeric: tabular-nums; }
.matrix button span { font-size: 11.5px; line-height: 14px; }
.matrix button.words { border-style: dashed; }
.matrix button:hover { outline: 2px solid var(--st-text-color); }
.matrix button[aria-pressed="true"] { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.matrix button:focus-visible { outline: 3px solid var(--st-text-color); outline-offset: 1px; }
.scroll { overflow-x: auto; padding: 4px; }
"""

JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".scroll"), { names, cells, said } = data
  const root = box.getRootNode(), active = root.activeElement ?? document.activeElement
  const before = [...box.querySelectorAll("button")].indexOf(active)
  const make = (tag, text, parent, kind) => {
    const e = document.createElement(tag); if (text) e.textContent = text; if (kind) e.className = kind; parent.append(e); return e
  }
  const table = document.createElement("table"); table.className = "matrix"; table.setAttribute("aria-label", said)
  const head = make("tr", "", make("thead", "", table))
  make("td", "", head)
  names.forEach(([name, more]) => { const th = make("th", name, head); th.scope = "col"; make("small", more, th) })
  const body = make("tbody", "", table)
  cells.forEach((row, i) => {
    const tr = make("tr", "", body), th = make("th", names[i][0], tr)
    th.scope = "row"; make("small", names[i][1], th)
    row.forEach((cell, j) => {
      const b = make("button", "", make("td", "", tr), cell.fill ? "" : "words")
      b.type = "button"; b.title = cell.told; b.setAttribute("aria-label", cell.told)
      b.setAttribute("aria-pressed", cell.here ? "true" : "false")
      if (cell.fill) { b.style.background = cell.fill; b.style.color = cell.ink }
      make("b", cell.value, b); cell.lines.forEach((line) => make("span", line, b))
      b.onclick = () => setTriggerValue("picked", [i, j])
    })
  })
  box.replaceChildren(table)
  const all = [...box.querySelectorAll("button")]
  if (before >= 0 && all[before]) all[before].focus({ preventScroll: true })
  box.onkeydown = (e) => {
    const at = all.indexOf(root.activeElement ?? document.activeElement), n = names.length
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + n, ArrowUp: at - n }[e.key]
    if (at >= 0 && to !== undefined && all[to]) { all[to].focus(); e.preventDefault() }
  }
}
"""

TABLE = st.components.v2.component("matrix", html="<div class='scroll'></div>\n", css=CSS, js=JS)


def draw(heads: list[list[str]], cells: list[list[dict]], said: str, chosen) -> None:
    """`heads`: name and a word more of each row and column; a cell: value, lines, told, fill, ink, here. `chosen([row, column])`."""
    if state.widget("plain"):
        for i, row in enumerate(cells):
            for j, (column, cell) in enumerate(zip(st.columns(len(row)), row, strict=True)):
                column.button(cell["value"], key=f"matrix-{i}-{j}", help=cell["told"], on_click=chosen, args=([i, j],), width="stretch")
        return

    def picked() -> None:
        chosen(st.session_state["matrix"].picked)

    TABLE(key="matrix", data={"names": heads, "cells": cells, "said": said}, on_picked_change=picked)
