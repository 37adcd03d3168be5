"""Keys that press the buttons of a page.

Streamlit's own `shortcut=` also listens on buttons that have left the page and are kept for a while, so a press could reach
the sample before. These press the button that stands.
"""

import streamlit as st

JS = """
export default function ({ data }) {
  document.removeEventListener("keydown", document.pressed)
  const mine = (e) => {
    const held = e.composedPath()[0], name = data.keys[e.key.length === 1 ? e.key.toLowerCase() : e.key]
    if (!name || e.defaultPrevented || e.repeat || e.ctrlKey || e.metaKey || e.altKey) return
    if (held.closest?.("input, textarea, select, [contenteditable], [role=tab], [role=radio], [role=slider], [role=dialog]")) return
    const standing = document.querySelectorAll(`[class*="st-key-${name}"]:not([data-retained])`)
    const button = standing.length === 1 && standing[0].querySelector("button:not(:disabled)")
    if (button) { e.preventDefault(); button.click() }
  }
  document.addEventListener("keydown", document.pressed = mine)
  return () => document.removeEventListener("keydown", mine)
}
"""
KEYS = st.components.v2.component("shortcuts", html="<span></span>\n", js=JS)


def shortcuts(keys: dict[str, str]) -> None:
    """`{"k": "keep-"}` presses with K the one button whose key begins so; typing in a box presses nothing. Once a page.

    What begins the key stays the same from sample to sample, the rest names the sample: no press is meant for another one.
    """
    KEYS(key="shortcuts", data={"keys": keys})
