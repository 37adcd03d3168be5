"""What a curriculum does: how many samples are in play, of which classes, and how often each is shown."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style

NAMED = 40  # classes up to which each has its name on the axis
WRITTEN = 12  # classes up to which the shares are written into the cells


def pacing_figure(sizes: np.ndarray, step: int, whole: int, *, height: int = 280) -> go.Figure:
    """Samples in play at each update, (T,) whole numbers, with a mark at `step`; the dotted line is all samples."""
    T = len(sizes)
    turns = np.flatnonzero(np.diff(sizes, prepend=-1))  # where the pool changes: a line needs no more
    at = np.append(turns, T - 1)
    line = go.Scatter(x=at, y=sizes[at], mode="lines", line=dict(color=style.CATEGORIES[0], width=2, shape="hv"), name="in play",
                      hovertemplate="update %{x}: %{y} samples in play<extra></extra>")  # fmt: skip
    mark = go.Scatter(x=[step], y=[sizes[step]], mode="markers", marker=dict(color=style.CATEGORIES[1], size=11, symbol="diamond"),
                      hovertemplate="here: update %{x}, %{y} samples in play<extra></extra>")  # fmt: skip
    made = style.figure([line, mark], height, (10, 10, 10, 10))
    made.add_shape(type="line", x0=0, x1=T, y0=whole, y1=whole, line=dict(color=style.OTHER, width=1, dash="dot"))
    made.add_shape(type="line", x0=step, x1=step, y0=0, y1=sizes[step], line=dict(color=style.CATEGORIES[1], width=1, dash="dash"))
    made.update_layout(
        xaxis=dict(title=f"update of the training, 0 to {T - 1:,}", range=[-0.01 * T, 1.01 * T], zeroline=False),
        yaxis=dict(title="samples in play", range=[0, 1.06 * whole], zeroline=False),
    )
    return made


def pool_classes_figure(names: list[str], in_play: np.ndarray, whole: np.ndarray, *, height: int = 280) -> go.Figure:
    """Samples of each class in play, before all samples of the class."""
    texts = [style.plain(name, 16) for name in names]
    where = np.arange(len(names))
    told = dict(customdata=np.stack([in_play, whole], 1), text=texts, textposition="none",
                hovertemplate="%{text}: %{customdata[0]} of %{customdata[1]} in play<extra></extra>")  # fmt: skip
    back = go.Bar(x=where, y=whole, name="all of the class", marker=dict(color="rgba(138,144,153,0.30)"), **told)
    front = go.Bar(x=where, y=in_play, name="in play", marker=dict(color=style.CATEGORIES[0]), **told)
    made = style.figure([back, front], height, (10, 10, 30, 10), barmode="overlay")
    ticks = dict(tickvals=where, ticktext=texts) if len(names) <= NAMED else dict(showticklabels=False)
    made.update_layout(showlegend=True, legend=style.legend_above(), xaxis=dict(title="class", **ticks), yaxis=dict(title="samples"))
    return made


def presentations_figure(times: np.ndarray, ordinary: float, *, first: str, last: str, height: int = 280) -> go.Figure:
    """How often the sample at each place of the order is shown, (N,), and in ordinary training; `first`, `last`: what the ends are."""
    n = len(times)
    turns = np.flatnonzero(np.abs(np.diff(times, prepend=np.inf)) > 1e-9)
    at = np.append(turns, n - 1)
    line = go.Scatter(x=at + 1, y=times[at], mode="lines", line=dict(color=style.CATEGORIES[0], width=2, shape="hv"),
                      hovertemplate="place %{x}: shown %{y:.1f} times<extra></extra>")  # fmt: skip
    made = style.figure(line, height, (10, 10, 10, 10))
    made.add_shape(type="line", x0=1, x1=n, y0=ordinary, y1=ordinary, line=dict(color=style.OTHER, width=1, dash="dot"))
    made.add_annotation(
        x=1, xref="x domain", y=ordinary, text=f"ordinary training: {ordinary:g}", showarrow=False, xanchor="right", yanchor="bottom"
    )
    made.update_layout(
        xaxis=dict(title=f"place in the order (1 = {first}, {n:,} = {last})", range=[-0.01 * n, 1.01 * n], zeroline=False),
        yaxis=dict(title="times shown in all updates", rangemode="tozero", zeroline=False),
    )
    return made


def class_mix_figure(names: list[str], stages: list[str], share_KS: np.ndarray, *, dark: bool = False, height: int = 320) -> go.Figure:
    """Share of each class in the pool, stage by stage, in percent."""
    texts = [style.plain(name, 16) for name in names]
    percent = 100 * share_KS
    most = max(200 / max(len(names), 1), float(percent.max()))  # an even mix stands in the middle of the scale
    trace = go.Heatmap(
        x=stages, y=np.arange(len(names)), z=percent, colorscale=style.sequential(dark), zmin=0, zmax=most, xgap=2, ygap=1,
        customdata=np.repeat(np.array(texts, object)[:, None], len(stages), 1), texttemplate="%{z:.1f}" if len(names) <= WRITTEN else None,
        colorbar=dict(title=dict(text="share of the pool, %", side="right"), thickness=12),
        hovertemplate="%{customdata}: %{z:.1f} % of the pool<extra>%{x}</extra>",
    )  # fmt: skip
    made = style.figure(trace, height, (10, 10, 10, 10))
    ticks = dict(tickvals=np.arange(len(names)), ticktext=texts) if len(names) <= NAMED else dict(showticklabels=False)
    made.update_layout(
        xaxis=dict(title="update, and samples in play", type="category", showgrid=False),
        yaxis=dict(title="class", autorange="reversed", showgrid=False, **ticks),
    )
    return made
