"""Two scores of the same samples: counts per cell with marginals, and points."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style
from learnability.charts.cells import Cells, counts

MAX_TEXT_CELLS = 13  # cells a side up to which each one shows its count
SVG_POINTS = 3000  # more are drawn by WebGL


def counts_figure(
    x: np.ndarray, y: np.ndarray, across: Cells, up: Cells, *, x_title: str, y_title: str, dark: bool = False, diagonal: bool = True,
    outline: tuple = (),
) -> go.Figure:  # fmt: skip
    """Heatmap of the number of samples per cell (log colour) with the marginal histograms above and at the right.

    `outline` holds polygons, ((x, y), ...) each, to be drawn on top.
    """
    table = counts(x, y, across, up)
    colour = np.where(table > 0, np.log10(np.maximum(table, 1)), np.nan)
    shown = table.astype(str) if max(across.count, up.count) <= MAX_TEXT_CELLS else None
    heatmap = go.Heatmap(
        x=across.middles, y=up.middles, z=colour, customdata=table, colorscale=style.sequential(dark), zmin=0, xgap=0.5, ygap=0.5,
        zmax=max(float(np.log10(max(table.max(), 1))), 0.3), colorbar=_colorbar(int(table.max())), name="samples",
        text=None if shown is None else np.where(table > 0, shown, ""), texttemplate=None if shown is None else "%{text}",
        hovertemplate="%{customdata} samples<br>across %{x:.3g}<br>up %{y:.3g}<extra></extra>",
    )  # fmt: skip
    bar = dict(marker=dict(color=style.OTHER, line=dict(width=0)), hovertemplate="%{customdata} samples at %{meta}<extra></extra>")
    top, right = table.sum(0), table.sum(1)
    above = go.Bar(x=across.middles, y=top, yaxis="y2", width=across.step * 0.9, customdata=top, **bar, name="across")
    beside = go.Bar(x=right, y=up.middles, xaxis="x2", orientation="h", width=up.step * 0.9, customdata=right, **bar, name="up")
    above.hovertemplate, beside.hovertemplate = "%{y} samples at %{x:.3g}<extra></extra>", "%{x} samples at %{y:.3g}<extra></extra>"
    made = style.figure([heatmap, above, beside], 600, (10, 10, 10, 10), dragmode="lasso", hovermode="closest")
    quiet = dict(showgrid=False, zeroline=False, showticklabels=False, fixedrange=True)
    made.update_layout(
        xaxis=dict(title=x_title, domain=[0, 0.86], range=across.span, zeroline=False, showgrid=False, constrain="domain"),
        yaxis=dict(title=y_title, domain=[0, 0.86], range=up.span, zeroline=False, showgrid=False),
        xaxis2=dict(domain=[0.88, 1], **quiet), yaxis2=dict(domain=[0.88, 1], **quiet),
    )  # fmt: skip
    if diagonal:
        _add_diagonal(made, across, up)
    for polygon in outline:
        path = "M" + "L".join(f"{x0:g},{y0:g}" for x0, y0 in polygon) + "Z"
        made.add_shape(type="path", path=path, line=dict(color=style.CATEGORIES[1], width=2), layer="above")
    return made


def points_figure(
    x: np.ndarray,
    y: np.ndarray,
    across: Cells,
    up: Cells,
    groups: list[tuple[str, np.ndarray]] | None = None,
    *,
    x_title: str,
    y_title: str,
    shade: np.ndarray | None = None,
    shade_title: str = "",
    dark: bool = False,
) -> go.Figure:
    """One dot a sample: coloured by group (name, rows) or by a number `shade`. The caller adds the jitter."""
    draw = go.Scatter if len(x) <= SVG_POINTS else go.Scattergl
    common = dict(mode="markers", hoverinfo="skip")
    if shade is not None:
        bar = dict(title=dict(text=shade_title, side="right"), thickness=12)
        traces = [draw(x=x, y=y, marker=dict(size=4, opacity=0.75, color=shade, colorscale=style.sequential(dark), colorbar=bar), **common)]
    else:
        traces = [
            draw(x=x[rows], y=y[rows], name=style.plain(name), **common,
                 marker=dict(size=4, opacity=0.7, color=style.CATEGORIES[i % 6], symbol=_SYMBOLS[i // 6 % len(_SYMBOLS)]))
            for i, (name, rows) in enumerate(groups or [])
        ]  # fmt: skip
    made = style.figure(traces, 600, (10, 10, 30, 10), dragmode="pan")
    made.update_layout(
        showlegend=shade is None, legend=style.legend_above() | dict(itemsizing="constant"),
        xaxis=dict(title=x_title, range=across.span, zeroline=False), yaxis=dict(title=y_title, range=up.span, zeroline=False),
    )  # fmt: skip
    return made


_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star")


def _colorbar(largest: int) -> dict:
    ticks = [n for power in range(7) for n in (10**power, 2 * 10**power, 5 * 10**power) if n <= largest]
    if len(ticks) > 9:
        ticks = [n for n in ticks if str(n)[0] == "1"]
    ticks = ticks or [1]
    where = dict(thickness=12, len=0.86, y=0, yanchor="bottom", x=1.01)
    return dict(title=dict(text="samples per cell", side="right"), tickvals=np.log10(ticks), ticktext=[f"{n:,}" for n in ticks], **where)


def _add_diagonal(made: go.Figure, across: Cells, up: Cells) -> None:
    low, high = max(across.span[0], up.span[0]), min(across.span[1], up.span[1])
    made.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line=dict(color=style.OTHER, width=1, dash="dot"), layer="above")
