"""Results as plain JSON."""

import dataclasses
import math

import numpy as np


def to_json(result, samples: bool = False):
    """A result of this package as dicts, lists, numbers and None (for NaN and infinity); (N,) arrays only with `samples`."""
    if dataclasses.is_dataclass(result):
        names = (field.name for field in dataclasses.fields(result))
        return {name: to_json(getattr(result, name), samples) for name in names if samples or not name.endswith("_N")}
    if isinstance(result, dict):
        return {str(key): to_json(value, samples) for key, value in result.items()}
    if isinstance(result, list | tuple):
        return [to_json(value, samples) for value in result]
    if isinstance(result, np.ndarray | np.generic):
        return to_json(result.tolist(), samples)
    if isinstance(result, float) and not math.isfinite(result):
        return None
    return result
