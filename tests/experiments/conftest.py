"""A cache with scored runs whose queue starts nothing, and one in which real runs train."""

import os

import pytest

from learnability.jobs import devices, queue
from learnability.jobs.processes import Process
from tests.jobs.conftest import place, real_place  # noqa: F401
from tests.ui.conftest import many_root, own_many  # noqa: F401


@pytest.fixture
def scored(own_many):  # noqa: F811
    """digits with two finished seeds of resnet20 and vgg16; what is launched stays in the queue."""
    queue.write(own_many, lambda connection: queue.set_worker(connection, devices.lane("auto"), Process.of(os.getpid())))
    return own_many
