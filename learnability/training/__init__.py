"""The room with torch: networks, batches, the loop, and the Recorder that your own loop calls too. Importing it is cheap."""

import importlib

_WHERE = {
    "ARCHITECTURES": "learnability.training.architectures",
    "CommitPolicy": "learnability.training.commits",
    "Recorder": "learnability.training.recorder",
    "Stop": "learnability.training.stopping",
    "train": "learnability.training.run",
}
__all__ = list(_WHERE)


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'learnability.training' has no attribute {name!r}; it has {', '.join(__all__)}")
