"""docs/your-models.md: every command in it is run, in its order, in a folder that holds what the page shows."""

import re
import shlex
from pathlib import Path

import safetensors.torch
import torch

from learnability.__main__ import main
from learnability.store.paths import Cache
from learnability.store.runs import load_runs

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_commands_of_the_page_do_what_it_says(tmp_path, monkeypatch, capsys):
    blocks = BLOCK.findall((ROOT / "docs" / "your-models.md").read_text())
    (code,) = [text for kind, text in blocks if kind == "python"]
    (tmp_path / "mynets.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    import timm

    weights = timm.create_model("test_resnet", pretrained=False).state_dict()
    torch.manual_seed(0)
    safetensors.torch.save_file(weights, tmp_path / "backbone.safetensors", {"architecture": "timm:test_resnet", "input_size": "48"})
    commands = [line for kind, text in blocks if kind == "sh" for line in text.splitlines()]
    assert len(commands) == 7 and all(line.startswith("python -m learnability ") for line in commands)
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    said = []
    for line in commands:
        assert main(shlex.split(line)[3:]) == 0, line
        said.append(capsys.readouterr().out)
    assert "small" in said[4] and "registered" in said[4] and "torchvision:resnet18" in said[4] and "used before" in said[4]
    runs = load_runs(Cache.at(tmp_path / "cache"), "digits")
    assert {run.state for run in runs} == {"done"}
    count = {
        arch: sum(run.config.arch == arch for run in runs)
        for arch in ("torchvision:resnet18", "timm:test_resnet", "small", "linear", "mlp")
    }
    assert count == {"torchvision:resnet18": 1, "timm:test_resnet": 1, "small": 1, "linear": 5, "mlp": 5}
    starts = {run.config.start for run in runs}
    assert len(starts - {None}) == 1 and len({run.recipe for run in runs if run.config.start}) == 1
