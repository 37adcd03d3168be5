"""How reliable a score is: against epochs, and against seeds."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style

MARK = "circle-open"


def epochs_figure(curves: list[tuple[str, tuple, tuple, int | None, bool]], *, title: str, height: int = 300) -> go.Figure:
    """Lines over the number of epochs: (name, epochs, values, the epoch to mark or None, whether it stands for seeds).

    What does not stand for seeds is dotted.
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
    made.update_layout(
        showlegend=True,
        legend=style.legend_above(),
        xaxis=dict(title=across, rangemode="tozero", zeroline=False, nticks=12, tickformat="d"),
        yaxis=dict(title=up, range=[min(0.0, lowest), 1.06], zeroline=False),
    )
    return made
