"""How many errors a review finds: against the samples reviewed, beside chance and perfection."""

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style
from learnability.charts.looks import DASHES

MOST_POINTS = 400  # of a line


def found_figure(
    lines: list[tuple[str, np.ndarray, tuple[int, int]]], wrong: int, *, stop: int | None = None, whole: bool = False, height: int = 380
) -> go.Figure:
    """Planted errors found against samples reviewed: (name, found (n + 1,), (colour, dash)) a line.

    wrong  how many were planted;  stop  a mark at so many reviewed;  whole  the axis goes to the last sample, else as far as it matters
    """
    n = max(len(found) for _, found, _ in lines) - 1
    end = n if whole else _as_far_as_it_matters(lines, wrong, n, stop)
    quiet = dict(mode="lines", hoverinfo="skip")
    traces = [
        go.Scatter(x=[0, wrong, n], y=[0, wrong, wrong], name="perfect", line=dict(color=style.OTHER, width=1.5, dash="dash"), **quiet),
        go.Scatter(x=[0, n], y=[0, wrong], name="random", line=dict(color=style.OTHER, width=1.5, dash="dot"), **quiet),
    ]
    for name, found, (colour, dash) in lines:
        at = np.unique(np.concatenate([np.linspace(0, end, MOST_POINTS).round().astype(int), [len(found) - 1]]))
        traces.append(
            go.Scatter(
                x=at, y=found[at], name=style.plain(name, 48), mode="lines",
                line=dict(color=style.CATEGORIES[colour % 6], width=2, dash=DASHES[dash % len(DASHES)]),
                hovertemplate="%{y:.1f} found after %{x} reviewed<extra>%{fullData.name}</extra>",
            )
        )  # fmt: skip
    made = style.figure(traces, height, (10, 10, 40, 10), hovermode="closest")
    if stop is not None:
        made.add_shape(type="line", x0=stop, x1=stop, y0=0, y1=wrong, line=dict(color=style.CATEGORIES[1], width=1, dash="dash"))
        made.add_annotation(x=stop, y=0, text=f"stop: {stop:,}", showarrow=False, xanchor="left", yanchor="bottom", xshift=4)
    made.update_layout(
        showlegend=True,
        legend=style.legend_above(),
        xaxis=dict(title=f"samples reviewed, hardest first (of {n:,})", range=[-0.01 * end, 1.01 * end], zeroline=False),
        yaxis=dict(title=f"planted errors found (of {wrong:,})", range=[-0.02 * wrong, 1.05 * wrong], zeroline=False),
    )
    return made


def _as_far_as_it_matters(lines: list, wrong: int, n: int, stop: int | None) -> int:
    """Up to where the best line has nearly all of them, with room beyond."""
    nearly = min(int(np.argmax(found >= 0.95 * wrong)) for _, found, _ in lines)
    return int(min(n, max(1.5 * nearly, 3 * wrong, 1.3 * (stop or 0), 50)))
