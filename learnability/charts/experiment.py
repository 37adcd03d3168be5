"""What a measured curriculum shows: test accuracy of each arm by update, and the differences within a seed."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from learnability.charts import style

ARM_COLOURS = {"easy_first": 0, "hard_first": 1, "random": 2, "standard": 3}
ARM_DASHES = {"easy_first": "solid", "hard_first": "dash", "random": "dot", "standard": "dashdot"}
CONTRAST_DASHES = ("solid", "dash")
FEW = 10  # seeds of an arm that are drawn as dots; of more the band tells


def accuracy_figure(
    step_E: np.ndarray, arms: Sequence[tuple[str, tuple[int, ...], np.ndarray, np.ndarray]], target: float | None, *, height: int = 380
) -> go.Figure:
    """Test accuracy by update, for each arm a line for the mean, a band for its 95 % interval, a dot for each of a few seeds.

    `arms`: (name, seeds, accuracy_SE, half_E), NaN unknown.
    """
    bands, dots, lines = [], [], []
    for name, seeds, accuracy_SE, half_E in arms:
        colour, known_SE = style.CATEGORIES[ARM_COLOURS.get(name, 4)], ~np.isnan(accuracy_SE)
        count_E = known_SE.sum(0)
        mean_E = np.divide(np.where(known_SE, accuracy_SE, 0).sum(0), count_E, out=np.full(len(step_E), np.nan), where=count_E > 0)
        bands += _band(step_E, mean_E, half_E, colour, name)
        lines.append(
            go.Scatter(x=step_E, y=100 * mean_E, name=name, legendgroup=name, mode="lines",
                       line=dict(color=colour, width=2.5, dash=ARM_DASHES.get(name, "solid")), customdata=count_E,
                       text=["" if np.isnan(half) else f" ± {100 * half:.2f}" for half in half_E],
                       hovertemplate="%{y:.2f}%{text} %, mean of %{customdata} seeds<extra>" + name + "</extra>")
        )  # fmt: skip
        rows, looks = np.nonzero(known_SE & (len(seeds) <= FEW))
        dots.append(
            go.Scatter(x=step_E[looks], y=100 * accuracy_SE[rows, looks], name=name, legendgroup=name, showlegend=False, mode="markers",
                       marker=dict(color=colour, size=5, opacity=0.45), customdata=np.array(seeds)[rows],
                       hovertemplate="%{y:.2f} %, seed %{customdata}<extra>" + name + "</extra>")
        )  # fmt: skip
    made = style.figure([*bands, *dots, *lines], height, (10, 10, 30, 10))
    if target is not None:
        made.add_hline(y=100 * target, line=dict(color=style.OTHER, width=1, dash="dot"))
        made.add_annotation(
            x=0, xref="x domain", y=100 * target, text=f"{100 * target:.1f} %", showarrow=False, xanchor="left", yanchor="bottom"
        )
    made.update_layout(
        showlegend=True,
        legend=style.legend_above(),
        xaxis=dict(title="updates done", range=[0, 1.03 * step_E[-1]], zeroline=False),
        yaxis=dict(title="accuracy on test samples, % (higher = better)", zeroline=False, range=_reach([arm[2] for arm in arms], target)),
    )
    return made


def difference_figure(step_E: np.ndarray, contrasts: Sequence[tuple[str, np.ndarray, np.ndarray]], *, height: int = 380) -> go.Figure:
    """Differences within a seed by update: mean, band of the 95 % interval, a dot a seed. `contrasts`: (name, difference_SE, half_E)."""
    traces = []
    for i, (name, difference_SE, half_E) in enumerate(contrasts):
        colour, known_SE = style.CATEGORIES[(0, 5)[i % 2]], ~np.isnan(difference_SE)
        count_E = known_SE.sum(0)
        mean_E = np.divide(np.where(known_SE, difference_SE, 0).sum(0), count_E, out=np.full(len(step_E), np.nan), where=count_E > 0)
        traces += _band(step_E, mean_E, half_E, colour, name)
        rows, looks = np.nonzero(known_SE)
        traces.append(
            go.Scatter(x=step_E[looks], y=100 * difference_SE[rows, looks], mode="markers", marker=dict(color=colour, size=5, opacity=0.45),
                       name=name, legendgroup=name, showlegend=False, hovertemplate="%{y:+.2f} points, one seed<extra></extra>")
        )  # fmt: skip
        traces.append(
            go.Scatter(x=step_E, y=100 * mean_E, mode="lines", name=name, legendgroup=name,
                       line=dict(color=colour, width=2.5, dash=CONTRAST_DASHES[i % 2]), customdata=100 * half_E,
                       hovertemplate="%{y:+.2f} ± %{customdata:.2f} points<extra>" + name + "</extra>")
        )  # fmt: skip
    made = style.figure(traces, height, (10, 10, 30, 10))
    known = [np.abs(difference_SE[~np.isnan(difference_SE)]).max(initial=0) for _, difference_SE, _ in contrasts]
    reach = 130 * max(max(known, default=0), 0.005)  # the dots fill the chart; a band of few seeds may go beyond it
    made.add_hline(y=0, line=dict(color=style.OTHER, width=1))
    made.update_layout(
        showlegend=True,
        legend=style.legend_above(),
        xaxis=dict(title="updates done", range=[0, 1.03 * step_E[-1]], zeroline=False),
        yaxis=dict(title="difference, percentage points (above 0: the first did better)", range=[-reach, reach], zeroline=False),
    )
    return made


def _band(step_E: np.ndarray, mean_E: np.ndarray, half_E: np.ndarray, colour: str, name: str) -> list[go.Scatter]:
    """The interval mean +- half where there is one, in the colour of its line and not in the legend; [] where there is none."""
    band = ~np.isnan(half_E) & ~np.isnan(mean_E)
    if not band.any():
        return []
    edge_x = np.concatenate([step_E[band], step_E[band][::-1]])
    edge_y = 100 * np.concatenate([(mean_E + half_E)[band], (mean_E - half_E)[band][::-1]])
    return [
        go.Scatter(x=edge_x, y=edge_y, fill="toself", mode="lines", line=dict(width=0), fillcolor=_faint(colour), name=name,
                   legendgroup=name, showlegend=False, hoverinfo="skip")
    ]  # fmt: skip


def _reach(accuracies: list[np.ndarray], target: float | None) -> list[float] | None:
    """The accuracies there are fill the chart; a band of few seeds may go beyond it. None before the first."""
    known = np.concatenate([accuracy_SE[~np.isnan(accuracy_SE)] for accuracy_SE in accuracies]) if accuracies else np.empty(0)
    if not len(known):
        return None
    shown = known if target is None else np.append(known, target)
    room = max(0.15 * (shown.max() - shown.min()), 0.01)
    return [100 * max(shown.min() - room, -0.01), 100 * min(shown.max() + room, 1.01)]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
