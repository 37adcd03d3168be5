"""The room with torch: networks, batches, the loop, and the Recorder that your own loop calls too. Importing it is cheap."""

import importlib
import os
import sys

SPIN = "1000"  # rounds an idle OpenMP thread spins before it sleeps; libgomp's own 300,000 starve a neighbour on the same cores
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)  # read when PyTorch is loaded; what is gained stands in bench/process_settings.py

_WHERE = {
    "ARCHITECTURES": "learnability.training.architectures",
    "CommitPolicy": "learnability.training.commits",
    "CurriculumSampler": "learnability.training.sampler",
    "Recorder": "learnability.training.recorder",
    "Stop": "learnability.training.stopping",
    "train": "learnability.training.run",
    "train_together": "learnability.training.run",
}
__all__ = list(_WHERE)


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'learnability.training' has no attribute {name!r}; it has {', '.join(__all__)}")
