"""How reliable a score is: pair by pair of runs, against epochs, and against seeds."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style

MARK = "circle-open"


def dots_figure(rows: list[tuple[str, list[float], float | None]], *, title: str) -> go.Figure:
    """A dot for each pair of runs: (name, correlations, ceiling or None), a row each; a stroke stands at the ceiling."""
    names = [style.plain(name, 60) for name, *_ in rows]
    traces = []
    for i, (name, (_, values, top)) in enumerate(zip(names, rows, strict=True)):
        marker = dict(size=10, color=style.CATEGORIES[i % 6], opacity=0.75, line=dict(width=1, color="white"))
        traces.append(go.Scatter(x=values, y=[name] * len(values), mode="markers", marker=marker, hovertemplate="%{x:.3f}<extra></extra>"))
        if top is not None and np.isfinite(top):
            stroke = dict(symbol="line-ns", size=22, line=dict(width=3, color=style.OTHER))
            traces.append(go.Scatter(x=[top], y=[name], mode="markers", marker=stroke, hovertemplate="seeds allow %{x:.3f}<extra></extra>"))
    made = style.figure(traces, 90 + 34 * len(rows), (10, 10, 10, 10))
    made.update_layout(
        xaxis=dict(title=title, zeroline=False),
        yaxis=dict(categoryorder="array", categoryarray=names[::-1], automargin=True, range=[-0.6, len(rows) - 0.4]),
    )
    return made


def epochs_figure(
    curves: list[tuple[str, tuple, tuple, int | None, bool]],
    *,
    title: str,
    height: int = 300,
    quiet: list[tuple[int, str, tuple, tuple]] = (),
) -> go.Figure:
    """Lines over the number of epochs: (name, epochs, values, the epoch to mark or None, whether it stands for seeds).

    What does not stand for seeds is dotted. `quiet` has thin dashed lines: (number of the curve whose colour it takes, name, epochs,
    values), named where one points at them alone.
    """
    traces = []
    for i, (name, epochs, values, mark, seeds) in enumerate(curves):
        colour = style.CATEGORIES[i % 6]
        traces.append(
            go.Scatter(x=epochs, y=values, mode="lines+markers", name=style.plain(name, 60), marker=dict(size=5, color=colour),
                       line=dict(color=colour, width=2, dash="solid" if seeds else "dot"),
                       hovertemplate="after %{x} epochs: %{y:.3f}<extra>%{fullData.name}</extra>")
        )  # fmt: skip
        if mark is not None:
            traces.append(_mark([mark], [values[list(epochs).index(mark)]], colour, "enough after %{x} epochs"))
    for i, name, epochs, values in quiet:
        line = dict(color=style.CATEGORIES[i % 6], width=1.5, dash="dash")
        hover = f"after %{{x}} epochs: %{{y:.3f}}<extra>{style.plain(name, 60)}</extra>"
        traces.append(go.Scatter(x=epochs, y=values, mode="lines", line=line, opacity=0.7, showlegend=False, hovertemplate=hover))
    return _finished(traces, "epochs trained", title, height)


def seeds_figure(curves: list[tuple[str, tuple, tuple, list[tuple[int, float]], int | None]], *, height: int = 300) -> go.Figure:
    """Reliability of the mean over k seeds: (name, k, predicted, measured (k, value) pairs, the k to mark or None)."""
    traces = []
    for i, (name, k, predicted, measured, mark) in enumerate(curves):
        colour = style.CATEGORIES[i % 6]
        traces.append(
            go.Scatter(x=k, y=predicted, mode="lines+markers", name=style.plain(name, 60), line=dict(color=colour, width=2),
                       marker=dict(size=5, color=colour), hovertemplate="%{x} seeds: %{y:.3f}<extra>%{fullData.name}, predicted</extra>")
        )  # fmt: skip
        if measured:
            at, values = zip(*measured, strict=True)
            traces.append(
                go.Scatter(x=at, y=values, mode="markers", marker=dict(size=10, symbol="x", color=colour), showlegend=False,
                           hovertemplate=f"%{{x}} seeds: %{{y:.3f}}<extra>{style.plain(name, 60)}, measured</extra>")
            )  # fmt: skip
        if mark is not None and mark in k:
            traces.append(_mark([mark], [predicted[list(k).index(mark)]], colour, "from %{x} seeds on one more adds less than 0.01"))
    return _finished(traces, "seeds in the mean", "reliability of the mean<br>(1 = another set would say the same)", height)


def _mark(x, y, colour: str, said: str) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="markers", showlegend=False, marker=dict(size=17, symbol=MARK, color=colour, line=dict(width=2.5)),
                      hovertemplate=f"{said}<extra></extra>")  # fmt: skip


def _finished(traces: list, across: str, up: str, height: int) -> go.Figure:
    made = style.figure(traces, height, (10, 10, 30, 10))
    lowest = min((float(np.nanmin(trace.y)) for trace in traces if np.isfinite(np.asarray(trace.y, float)).any()), default=0.0)
    few = max((max(trace.x) for trace in traces), default=0) <= 12  # fewer than ticks: between whole numbers they would repeat
    made.update_layout(
        showlegend=True,
        legend=style.legend_above(),
        xaxis=dict(title=across, rangemode="tozero", zeroline=False, nticks=12, dtick=1 if few else None, tickformat="d"),
        yaxis=dict(title=up, range=[min(0.0, lowest), 1.06], zeroline=False),
    )
    return made
