"""What a selection in the pair plot means: shapes in score coordinates, applied to any number of samples."""

import math

import numpy as np

MAX_CORNERS, MAX_SHAPES = 60, 20

Shapes = tuple[tuple[tuple[float, float], ...], ...]  # polygons; a box is a polygon of four corners


def from_event(drawn) -> Shapes:
    """Polygons of a Plotly selection, those over the main plot only."""
    shapes = []
    for shape in list(drawn.get("lasso", [])) + list(drawn.get("box", [])):
        if shape.get("xref", "x") != "x" or shape.get("yref", "y") != "y":
            continue
        xs, ys = [float(x) for x in shape["x"]], [float(y) for y in shape["y"]]
        if len(xs) == 2:
            xs, ys = [xs[0], xs[1], xs[1], xs[0]], [ys[0], ys[0], ys[1], ys[1]]
        shapes.append(tuple(zip(xs, ys, strict=True)))
    return tuple(shapes[:MAX_SHAPES])


def box(x0: float, x1: float, y0: float, y1: float) -> Shapes:
    return (((x0, y0), (x1, y0), (x1, y1), (x0, y1)),)


def inside(shapes: Shapes, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N,) bool: which points lie in any of the shapes (even-odd rule). NaN lies in none.

    Scores are stored in single precision; a score of 0.7 lies on the edge 0.7 and not beside it.
    """
    x, y = (np.round(values.astype(np.float64), 6) if values.dtype == np.float32 else values for values in (x, y))
    found = np.zeros(len(x), bool)
    for shape in shapes:
        hit = np.zeros(len(x), bool)
        for (x0, y0), (x1, y1) in zip(shape, shape[1:] + shape[:1], strict=True):
            if y0 != y1:
                hit ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        found |= hit
    return found & np.isfinite(x) & np.isfinite(y)


def as_text(shapes: Shapes) -> str:
    """`0.29,0.81;0.6,0.76;...`, shapes apart by `|`: three digits, at most 60 corners each, thinned evenly."""
    return "|".join(";".join(f"{_short(x)},{_short(y)}" for x, y in _thinned(shape)) for shape in shapes[:MAX_SHAPES])


def parse(text: str) -> Shapes:
    """The shapes that `as_text` wrote; ValueError says what is wrong with any other text."""
    shapes = []
    for part in text.split("|"):
        corners = []
        for corner in part.split(";"):
            x, comma, y = corner.partition(",")
            values = float(x), float(y) if comma else math.nan
            if not all(math.isfinite(value) and abs(value) < 1e9 for value in values):
                raise ValueError("expected corners as two numbers with a comma between")
            corners.append(values)
        if not 3 <= len(corners) <= MAX_CORNERS:
            raise ValueError(f"expected 3 to {MAX_CORNERS} corners, got {len(corners)}")
        shapes.append(tuple(corners))
    if len(shapes) > MAX_SHAPES:
        raise ValueError(f"expected at most {MAX_SHAPES} shapes, got {len(shapes)}")
    return tuple(shapes)


def shorten(text: str, limit: int = 80) -> str:
    """A text from outside, on one line and not longer than `limit`."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= limit else text[: limit // 2] + "…" + text[-limit // 2 + 1 :]


def _thinned(shape: tuple) -> tuple:
    if len(shape) <= MAX_CORNERS:
        return shape
    return tuple(shape[i] for i in np.linspace(0, len(shape) - 1, MAX_CORNERS).round().astype(int))


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:.6g}"
