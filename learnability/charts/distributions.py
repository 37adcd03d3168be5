"""How one score is spread: over its values, and over the classes."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style
from learnability.charts.cells import Cells


def histogram_figure(score: np.ndarray, bars: Cells, *, title: str, height: int = 300) -> go.Figure:
    """Number of samples at each value (or in each bin) of a score. NaN is left out."""
    known = score[np.isfinite(score)]
    table = np.bincount(bars.index(known), minlength=bars.count)
    trace = go.Bar(x=bars.middles, y=table, width=bars.step * 0.92, marker=dict(color=style.CATEGORIES[0], line=dict(width=0)),
                   hovertemplate="%{y} samples at %{x:.3g}<extra></extra>")  # fmt: skip
    made = style.figure(trace, height, (10, 10, 10, 10))
    made.update_layout(xaxis=dict(title=title, range=bars.span, zeroline=False), yaxis=dict(title="samples", rangemode="tozero"))
    return made


def class_size_figure(
    names: list[str], sizes: np.ndarray, means: np.ndarray, *, title: str, span: tuple | None = None, height: int = 300
) -> go.Figure:
    """One dot a class: mean score against the number of samples; named while there are at most 30."""
    texts = [style.plain(name, 16) for name in names]
    trace = go.Scatter(
        x=sizes, y=means, mode="markers+text" if len(names) <= 30 else "markers", text=texts, textposition=_apart(sizes, means),
        marker=dict(size=9, color=style.CATEGORIES[0], opacity=0.85), cliponaxis=False,
        hovertemplate="%{text}<br>%{x} samples<br>mean %{y:.3f}<extra></extra>",
    )  # fmt: skip
    made = style.figure(trace, height, (10, 20, 20, 10))
    pad = max(1.0, 0.12 * float(np.ptp(sizes))) if len(sizes) else 1.0
    across = dict(title="samples in the class", zeroline=False)
    if len(sizes) and sizes.max() > 20 * max(sizes.min(), 1):
        across |= dict(type="log")
    elif len(sizes):
        across |= dict(range=[float(sizes.min()) - pad, float(sizes.max()) + pad])
    made.update_layout(xaxis=across, yaxis=dict(title=title, range=span, zeroline=False))
    return made


def class_means_figure(names: list[str], means: np.ndarray, *, title: str, height: int = 300) -> go.Figure:
    """Mean score of each class, one dot a class, in order; named while there are at most 30."""
    order = np.argsort(-means, kind="stable")
    place, texts = np.arange(len(names)), [style.plain(names[i], 20) for i in order]
    trace = go.Scatter(x=means[order], y=place, mode="markers", text=texts, marker=dict(size=9, color=style.CATEGORIES[0]),
                       hovertemplate="%{text}: mean %{x:.3f}<extra></extra>")  # fmt: skip
    made = style.figure(trace, max(height, 60 + 18 * len(names) if len(names) <= 30 else height), (10, 20, 10, 10))
    ticks = dict(tickvals=place, ticktext=texts) if len(names) <= 30 else dict(showticklabels=False)
    made.update_layout(xaxis=dict(title=title, zeroline=False), yaxis=dict(title="class", zeroline=False, **ticks))
    return made


def _apart(x: np.ndarray, y: np.ndarray) -> list[str]:
    """Where each dot's name stands: above, or at another side where a neighbour is in the way."""
    chosen = []
    for i in range(len(x)):
        near = np.abs(x - x[i]) < 0.07 * (np.ptp(x) or 1)
        rise = (y[near] - y[i]) / (np.ptp(y) or 1)
        above, below = ((rise > 0) & (rise < 0.14)).any(), ((rise > -0.14) & (rise < 0)).any()
        equal = (rise == 0).sum() > 1
        aside = "middle left" if (near[:i].sum() % 2) else "middle right"
        chosen.append(aside if equal or (above and below) else "bottom center" if above else "top center")
    return chosen


def class_balance_figure(names: list[str], train: np.ndarray, test: np.ndarray | None, *, height: int = 220) -> go.Figure:
    """Samples in each class, train and test."""
    texts = [style.plain(name, 16) for name in names]
    where = np.arange(len(names))
    traces = [go.Bar(x=where, y=train, name="train", marker=dict(color=style.CATEGORIES[0]), text=texts, textposition="none",
                     hovertemplate="%{text}: %{y} train samples<extra></extra>")]  # fmt: skip
    if test is not None and len(test):
        traces.append(go.Bar(x=where, y=test, name="test", marker=dict(color=style.CATEGORIES[5]), text=texts, textposition="none",
                             hovertemplate="%{text}: %{y} test samples<extra></extra>"))  # fmt: skip
    made = style.figure(traces, height, (10, 10, 30, 10), barmode="stack")
    ticks = dict(tickvals=where, ticktext=texts) if len(names) <= 40 else {}
    made.update_layout(
        showlegend=len(traces) > 1, legend=style.legend_above(), xaxis=dict(title="class", **ticks), yaxis=dict(title="samples")
    )
    return made
