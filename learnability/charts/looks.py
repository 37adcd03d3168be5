"""What happened look by look: curves of a run, predictions and trajectories of one sample."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style

EPOCH = "epoch, from 0"
DASHES = ("solid", "dot", "dash", "dashdot", "longdash")


def curves_figure(
    curves: list[tuple[str, np.ndarray, np.ndarray]], *, title: str, span: tuple | None = None, height: int = 300
) -> go.Figure:
    """Lines over epochs: (name, epochs, values); NaN makes a gap. Colour and dash both tell them apart."""
    traces = [
        go.Scatter(x=epochs, y=values, name=style.plain(name, 40), mode="lines+markers" if len(epochs) < 4 else "lines",
                   line=dict(color=style.CATEGORIES[i % 6], dash=DASHES[i // 6 % len(DASHES)], width=2),
                   hovertemplate="%{y:.4g}<extra>%{fullData.name}, epoch %{x}</extra>")
        for i, (name, epochs, values) in enumerate(curves)
    ]  # fmt: skip
    made = style.figure(traces, height, (10, 10, 30, 10), hovermode="x unified" if len(curves) <= 6 else "closest")
    made.update_layout(
        showlegend=len(curves) > 1, legend=style.legend_above(), xaxis=dict(title=EPOCH), yaxis=dict(title=title, range=span)
    )
    return made


def trajectory_figure(
    epochs: np.ndarray, lines: list[tuple[str, np.ndarray, tuple[int, int]]], band: tuple[np.ndarray, ...] | None, *, title: str,
    band_name: str = "its class, middle 80 %", height: int = 240,
) -> go.Figure:  # fmt: skip
    """One sample's signal over the band (low, middle, high) of its class: one line a run, (name, values, (colour, dash))."""
    traces = []
    if band is not None:
        low, middle, high = band
        traces += [
            go.Scatter(x=epochs, y=high, mode="lines", line=dict(width=0), hoverinfo="skip", showlegend=False),
            go.Scatter(x=epochs, y=low, line=dict(width=0), fill="tonexty", fillcolor="rgba(138,144,153,0.25)",
                       name=style.plain(band_name, 60), mode="lines", hoverinfo="skip"),
            go.Scatter(x=epochs, y=middle, line=dict(color=style.OTHER, width=1, dash="dot"), name="median of its class",
                       mode="lines", hoverinfo="skip"),
        ]  # fmt: skip
    traces += [
        go.Scatter(
            x=epochs, y=values, name=style.plain(name, 40), mode="lines+markers", marker=dict(size=4),
            line=dict(color=style.CATEGORIES[colour % 6], dash=DASHES[dash % len(DASHES)], width=2),
            hovertemplate="%{y:.3g}<extra>%{fullData.name}, epoch %{x}</extra>",
        )
        for name, values, (colour, dash) in lines
    ]  # fmt: skip
    made = style.figure(traces, height, (10, 10, 30, 10))
    made.update_layout(showlegend=True, legend=style.legend_above(), xaxis=dict(title=EPOCH), yaxis=dict(title=title))
    return made


def predictions_figure(epochs: np.ndarray, runs: list[str], predictions_RE: np.ndarray, label: int, names: list[str]) -> go.Figure:
    """Strip of what each run predicted at each look: colour and mark tell hits from misses; -1 is unseen."""
    hit = predictions_RE == label
    state = np.where(predictions_RE < 0, 0.0, np.where(hit, 1.0, 0.5))
    wide = predictions_RE.shape[1] > 60
    marks = np.where(predictions_RE < 0, "", np.where(hit, "●", "×"))
    said = [[style.plain("not seen" if p < 0 else names[p]) for p in row] for row in predictions_RE]
    scale = [[0, style.UNSEEN], [0.33, style.UNSEEN], [0.33, style.MISS], [0.67, style.MISS], [0.67, style.HIT], [1, style.HIT]]
    trace = go.Heatmap(
        x=epochs, y=[style.plain(run, 40) for run in runs], z=state, zmin=0, zmax=1, colorscale=scale, showscale=False, xgap=1, ygap=3,
        text=marks, texttemplate=None if wide else "%{text}", customdata=said,
        hovertemplate="epoch %{x}: predicted %{customdata}<extra>%{y}</extra>",
    )  # fmt: skip
    made = style.figure(trace, 64 + 26 * len(runs), (10, 10, 6, 44))
    ticks = dict(tickangle=0) | (dict(tickmode="linear", dtick=1) if len(epochs) <= 8 else dict(nticks=6))
    made.update_layout(
        xaxis=dict(title=dict(text=EPOCH, standoff=6), showgrid=False, zeroline=False, **ticks),
        yaxis=dict(autorange="reversed", showgrid=False, title=None, automargin=True),
    )  # fmt: skip
    return made
