"""Fixtures of the training tests."""

import pytest
import torch

from tests.training.toy import Toy, make_toy


@pytest.fixture
def toy(tmp_path) -> Toy:
    return make_toy(tmp_path / "cache")


@pytest.fixture
def one_thread():
    """One CPU thread for the test, then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
