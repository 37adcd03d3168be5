"""Found by every Python that a test starts: adds networks that misbehave to those one can train.

They stand in for what users bring along: their own code, a device without memory, a disk that does not answer. With
ENGINE=light the engine itself is replaced by one that starts quickly, where a test is about processes and not about training.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
LIGHT = {f"learnability.training.{name}": HERE / f"light_{name}.py" for name in ("run", "devices")}


class _Replace(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if os.environ.get("ENGINE") == "light" and name in LIGHT:
            return importlib.util.spec_from_file_location(name, LIGHT[name])
        if name != "learnability.training.architectures":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            from faulty_networks import NETWORKS

            module.ARCHITECTURES.update(NETWORKS)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Replace())
if os.environ.get("LEARNABILITY_TEST_PRIORITY") != "low":
    os.nice = lambda _more: 0  # tests of supervision on a busy machine: only the test of the priority itself lowers it
