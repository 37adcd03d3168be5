"""Which training images does a network learn at once, which late, which never. Importing this is cheap; torch comes only with training."""

import importlib

__version__ = "0.1.0"

_WHERE = {
    "open_dataset": "learnability.reading",
    "load_runs": "learnability.reading",
    "load_recording": "learnability.reading",
    "load_scores": "learnability.reading",
    "METRICS": "learnability.metrics",
    "Recording": "learnability.recording",
    "RunConfig": "learnability.config",
    "Recorder": "learnability.integrations.recorder",
    "with_ids": "learnability.integrations.ids",
}
__all__ = list(_WHERE)


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'learnability' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted([*globals(), *__all__])
