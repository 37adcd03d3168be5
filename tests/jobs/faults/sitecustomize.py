"""Found by every Python that a test starts: adds networks that misbehave to those one can train.

They stand in for what users bring along: their own code, a device without memory, a disk that does not answer.
"""

import importlib.abc
import importlib.machinery
import os
import sys

WHERE = "learnability.training.architectures"
NAMES = ("hangs", "deaf", "greedy", "exits", "missing", "chatty", "slow", "dies")


class _AddNetworks(importlib.abc.MetaPathFinder):
    """Lets the usual finders find the module and adds to what it holds."""

    def find_spec(self, name, path, target=None):
        if name != WHERE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        loader = spec.loader
        execute = loader.exec_module

        def exec_module(module):
            execute(module)
            import faulty_networks

            module.ARCHITECTURES.update({one: getattr(faulty_networks, one) for one in NAMES})

        loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _AddNetworks())
if os.environ.get("LEARNABILITY_TEST_PRIORITY") != "low":
    os.nice = lambda _more: 0  # tests of supervision on a busy machine: only the test of the priority itself lowers it
