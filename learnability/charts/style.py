"""What all charts share: colours that colour-blind readers tell apart, and texts that stay texts."""

import html

import plotly.graph_objects as go

CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")  # Okabe-Ito
OTHER = "#8A9099"
HIT, MISS, UNSEEN = "#0072B2", "#E69F00", "#8A9099"
# cividis, from near the page's own colour to its other end: a single sample is quiet, many stand out
ON_LIGHT = ("#F1E9C3", "#E6D88A", "#D2C26C", "#B5A873", "#938D78", "#717173", "#575D6D", "#3B496C", "#123570", "#00224E")
ON_DARK = ("#2B3A5C", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#F2DC46", "#FEE838")
MAX_TEXT = 28


def sequential(dark: bool) -> list[list]:
    """Colour scale for counts, read off against a light or a dark page: more is further from the page's colour."""
    colours = ON_DARK if dark else ON_LIGHT
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def shade(value: float, dark: bool) -> str:
    """The colour of a value in 0..1 on that scale, as `#RRGGBB`; values beyond are those of the ends."""
    colours = ON_DARK if dark else ON_LIGHT
    place = min(max(value, 0.0), 1.0) * (len(colours) - 1)
    low = min(int(place), len(colours) - 2)
    mixed = [round(a + (b - a) * (place - low)) for a, b in zip(_channels(colours[low]), _channels(colours[low + 1]), strict=True)]
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def ink_on(fill: str) -> str:
    """Black or white, whichever stands out more on `fill`: always at least 4.5 : 1."""
    return "#000000" if _luminance(fill) > 0.179 else "#FFFFFF"


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in _channels(colour))]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _channels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def middle_cut(text: str, limit: int = MAX_TEXT) -> str:
    """`text` in at most `limit` characters, cut in the middle, without line breaks and control characters."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return text[:head] + "…" + text[len(text) - (limit - 1 - head) :]


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """A text from the data for a figure: Plotly reads some HTML, so it is escaped."""
    return html.escape(middle_cut(text, limit)).replace("$", "&#36;")


def figure(data, height: int, margin: tuple = (10, 10, 10, 10), **layout) -> go.Figure:
    """A figure with the margins (left, right, top, bottom) and the calm style of all charts."""
    left, right, top, bottom = margin
    return go.Figure(data, go.Layout(height=height, margin=dict(l=left, r=right, t=top, b=bottom), showlegend=False, bargap=0.06, **layout))


def legend_above() -> dict:
    return dict(orientation="h", x=0, xanchor="left", y=1.02, yanchor="bottom", title=None, traceorder="normal")
