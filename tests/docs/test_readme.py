"""The Python of the README, as it stands there, on runs of which one is queued."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from learnability import load_recording, load_runs
from learnability.errors import NotFound
from learnability.store.runs import create_run
from tests.ui.conftest import many_root, own_many  # noqa: F401


def test_the_python_of_the_readme_runs(own_many):  # noqa: F811
    queued = dataclasses.replace(load_runs("digits")[0].config, seed=7)
    create_run(own_many, queued)
    with pytest.raises(NotFound, match=f"run {queued.run_id} has no committed look yet; it has not begun"):
        load_recording(next(run for run in load_runs("digits") if run.id == queued.run_id))
    (block,) = re.findall(r"```python\n(.*?)```", (Path(__file__).resolve().parents[2] / "README.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(block.replace('"photos"', '"digits"'), names)
    assert len(names["data"].keys) == len(names["hardest_first"]) == len(names["table"].sample_ids_N)
    assert np.isfinite(names["recording"].loss_NE).all()
