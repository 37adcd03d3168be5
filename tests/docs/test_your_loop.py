"""docs/your-loop.md: every Python block runs, one after the other, with the real packages."""

import re
from pathlib import Path

import pytest

from learnability.store.runs import load_runs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your-loop.md"
NEEDS = {"lightning": "lightning.pytorch", "transformers": "transformers", "keras": "keras"}


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_every_block_of_the_page_runs_and_records(digits, tmp_path, monkeypatch):
    for needed in NEEDS.values():
        monkeypatch.setenv("KERAS_BACKEND", "torch")
        pytest.importorskip(needed, reason=f"the page uses {needed}: it comes with the extra dev")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEARNABILITY_CACHE", str(digits.root))
    names: dict = {"__name__": "your_loop"}
    for number, block in enumerate(blocks()):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), names)
    runs = {(run.data, run.config.arch, run.config.seed): run for run in load_runs(digits)}
    assert {key: (run.state, run.looks) for key, run in runs.items()} == {
        ("digits", "resnet18", 0): ("done", 2),
        ("digits", "resnet18", 1): ("done", 3),
        ("digits", "lightning-linear", 0): ("done", 2),
        ("digits", "keras-linear", 0): ("done", 2),
        ("things", "bert", 0): ("done", 2),
    }
    assert runs["digits", "keras-linear", 0].config.record == "eval"
    assert all(run.head.rows == (64 if run.data == "things" else 256) for run in runs.values())
