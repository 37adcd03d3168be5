"""One HTML file that opens without a server: text escaped where it enters, Plotly once, nothing fetched.

Markup is made by `tag` alone, which escapes every text that is not `Html` already. A content security policy names the two scripts by
their checksums and allows no request, so that even a text that slipped through would stay a text.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from learnability.charts import style

_VOID = ("img", "meta", "br", "hr")
_CSS = """
:root { color-scheme: light dark; --text: #1c1f24; --quiet: #5b6470; --page: #fff; --box: #f4f6f8; --line: #d9dee4; --link: #0067a3; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ed; --quiet: #a2abb6; --page: #14171b; --box: #1e2329; --line: #363d46; --link: #6bb8ea; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 24px 60px; max-width: 1120px; background: var(--page); color: var(--text);
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 21px; margin: 40px 0 8px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 16px; margin: 22px 0 4px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 85ch; }
.quiet, figcaption { color: var(--quiet); font-size: 14px; }
figcaption { max-width: 95ch; }
figure { margin: 10px 0 18px; break-inside: avoid; min-width: 0; }
.plot { width: 100%; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 8px 0 10px; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: break-word; }
th { color: var(--quiet); font-weight: 600; vertical-align: bottom; }
tr { break-inside: avoid; }
.firm { white-space: nowrap; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 8px 28px; }
.facts { display: flex; flex-wrap: wrap; gap: 10px 34px; margin: 16px 0; }
.facts div { font-size: 14px; color: var(--quiet); }
.facts b { display: block; font-size: 22px; font-weight: 600; color: var(--text); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); gap: 14px 12px; margin: 12px 0; }
.tile { font-size: 13px; line-height: 1.35; overflow-wrap: anywhere; break-inside: avoid; }
.tile img { display: block; max-width: 100%; margin-bottom: 4px; border-radius: 3px; background: var(--box); }
.tile span { display: block; }
.box { background: var(--box); border-left: 3px solid #0072B2; padding: 8px 16px; margin: 12px 0; }
code, pre { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; background: var(--box); }
pre { padding: 10px 14px; white-space: pre-wrap; overflow-wrap: anywhere; }
ul { padding-left: 22px; margin: 6px 0; max-width: 85ch; }
@media print {
  :root { --text: #000; --quiet: #444; --page: #fff; --box: #f2f2f2; --line: #bbb; }
  body { padding: 0; max-width: none; font-size: 12px; }
  h2 { break-after: avoid; }
}
"""
_BOOT = """(() => {
  const scales = SCALES, wanted = matchMedia("(prefers-color-scheme: dark)");
  const holders = [...document.querySelectorAll(".plot")];
  const read = holder => JSON.parse(holder.nextElementSibling.textContent);
  const axis = dark => ({automargin: true, gridcolor: dark ? "#363d46" : "#e3e7ec", linecolor: dark ? "#57606b" : "#c3cad2",
                         zerolinecolor: dark ? "#57606b" : "#c3cad2", ticks: "", title: {standoff: 10}});
  function draw(dark) {
    for (const holder of holders) {
      const spec = read(holder);
      for (const trace of spec.data) if (trace.type === "heatmap") trace.colorscale = scales[dark ? "dark" : "light"];
      spec.layout.template = {layout: {
        font: {family: "system-ui, sans-serif", size: 13, color: dark ? "#e6e9ed" : "#1c1f24"},
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", xaxis: axis(dark), yaxis: axis(dark)}};
      Plotly.react(holder, spec.data, spec.layout, {responsive: true, displaylogo: false, displayModeBar: false});
    }
  }
  draw(wanted.matches);
  wanted.addEventListener("change", () => draw(wanted.matches));
  addEventListener("beforeprint", () => draw(false));
  addEventListener("afterprint", () => draw(wanted.matches));
})();"""


class Html(str):
    """Markup that `tag` has made: not escaped again."""


def tag(name: str, /, *children, **attributes) -> Html:
    """An element. Children and attribute values are escaped; None is left out. `class_` is the attribute class."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{''.join(map(_escaped, children))}</{name}>")


def joined(*parts) -> Html:
    return Html("".join(map(_escaped, parts)))


def paragraph(*children, quiet: bool = False) -> Html:
    return tag("p", *children, **({"class_": "quiet"} if quiet else {}))


def section(title: str, *children) -> Html:
    return tag("section", tag("h2", title), *children)


def table(columns: Sequence[str], rows: Iterable[Sequence]) -> Html:
    """Rows under their column names; None is an empty cell."""
    body = [tag("tr", *(tag("td", "" if cell is None else cell) for cell in row)) for row in rows]
    return tag("div", tag("table", tag("tr", *(tag("th", name) for name in columns)), *body), class_="wide")


def bullets(*items) -> Html:
    return tag("ul", *(tag("li", item) for item in items))


def facts(**named) -> Html:
    """Large numbers with their names under them: Train_samples="1,438"."""
    return tag("div", *(tag("div", tag("b", value), name.replace("_", " ")) for name, value in named.items()), class_="facts")


def figure(made: go.Figure, said: str, caption: str | Html | None = None) -> Html:
    """A figure that Plotly draws when the file is opened; `said` is read aloud instead of it."""
    spec = json.loads(made.to_json())
    spec["layout"].pop("template", None)
    spec["layout"]["dragmode"] = False
    content = _inert({"data": spec["data"], "layout": spec["layout"]})
    plot = tag("div", class_="plot", role="img", aria_label=said, style=f"height:{int(made.layout.height)}px")
    held = Html(f'<script type="application/json">{content}</script>')
    return tag("figure", plot, held, tag("figcaption", caption) if caption else None)


def data_block(name: str, content) -> Html:
    """JSON that programs may read out of the file."""
    return Html(f'<script type="application/json" id="{html.escape(name)}">{_inert(content)}</script>')


def document(title: str, *body) -> str:
    """The whole file."""
    scales = json.dumps({"light": style.sequential(False), "dark": style.sequential(True)})
    scripts = get_plotlyjs(), _BOOT.replace("SCALES", scales)
    allowed = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Html(f"<style>{_CSS}</style>"),
    )
    without = tag("noscript", paragraph("The charts need JavaScript; every number stands in the tables too."))
    content = tag("body", without, *body, *(Html(f"<script>{script}</script>") for script in scripts))
    return f"<!doctype html>\n{tag('html', head, content, lang='en')}\n"


def _inert(content) -> str:
    """JSON without a character that could end its element."""
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _escaped(child) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Html) else html.escape(str(child))
