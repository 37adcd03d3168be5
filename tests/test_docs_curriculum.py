"""docs/curriculum.md: its commands and its blocks of Python run as they stand, and do what the page says of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability.__main__ import main
from learnability.curriculum import Schedule, parse_pacing
from learnability.store.datasets import open_dataset
from tests.ui import made_cache

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "curriculum.md").read_text()
BLOCKS = {  # title of the section -> its block
    title: block for title, block in re.findall(r"^### ([^\n]+)\n(?:(?!^### ).)*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
}
SETUP = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
RUNNER = """
import json, sys
setup, blocks = json.load(open(sys.argv[1]))
own = {}
exec(compile(setup, "setup", "exec"), own)
class Seen(type(own["dataset"])):
    def __getitem__(self, row):
        seen.append(int(row))
        return super().__getitem__(row)
updates, seen, told = [], [], {}
own["dataset"] = Seen(*own["dataset"].tensors)
inner = own["update"]
def update(images, labels, weights=1.0):
    updates.append(len(labels))
    inner(images, labels, weights)
own["update"] = update
for title, block in blocks.items():
    updates.clear(), seen.clear()
    exec(compile(block, title, "exec"), own)
    told[title] = {"updates": list(updates), "seen": list(seen), "effective": float(own.get("effective", -1))}
json.dump(told, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """(folder with the exported files, what every block did), in a folder of somebody's own."""
    pytest.importorskip("torchdata", reason="no torchdata: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("own")
    cache = made_cache.digits(folder / "cache")
    for seed in (0, 1):
        made_cache.add_run(cache, "resnet20", seed)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for command in re.findall(r"^python -m learnability (curriculum (?:order|weights|subset) .*)$", PAGE, re.MULTILINE):
            assert main([*command.split(), "--cache", str(cache.root)]) == 0
    finally:
        os.chdir(before)
    (folder / "page.json").write_text(json.dumps([SETUP, BLOCKS]))
    environment = os.environ | {"LEARNABILITY_CACHE": str(cache.root), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(before)}
    outcome = subprocess.run(
        [sys.executable, "-c", RUNNER, "page.json", "told.json"], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert outcome.returncode == 0, outcome.stderr
    return cache, folder, json.loads((folder / "told.json").read_text())


def titled(told: dict, start: str) -> dict:
    return next(own for title, own in told.items() if title.startswith(start))


def ids(folder: Path, name: str) -> list[int]:
    return pq.read_table(folder / f"{name}.parquet")["sample_id"].to_pylist()


def schedule(folder: Path, pacing: str, epochs: int = 6) -> Schedule:
    order = ids(folder, "order")
    return Schedule(order_N=order, pacing=parse_pacing(pacing), batch_size=64, steps=epochs * -(-len(order) // 64), seed=0)


def test_every_section_with_a_loop_was_run(ran):
    assert len(BLOCKS) == 7 == len(re.findall(r"```python", PAGE)) - 1
    assert len(ran[2]) == 7


def test_the_order_is_that_of_the_scores_and_comes_as_the_schedule_says(ran):
    _, folder, told = ran
    own, expected = titled(told, "An order"), schedule(folder, "linear,a=0.8,b=0.2")
    assert own["seen"] == np.concatenate([expected.batch(t) for t in range(expected.steps)]).tolist()
    assert len(own["updates"]) == expected.steps == 138
    bare = schedule(folder, "root,a=0.5,b=0.1")
    assert titled(told, "A bare loop")["updates"] == [len(bare.batch(t)) for t in range(bare.steps)]


def test_stopped_and_resumed_is_the_uninterrupted_run(ran):
    _, _, told = ran
    assert titled(told, "Stopped")["updates"] == titled(told, "An order")["updates"]
    seen = titled(told, "Stopped")["seen"]
    assert seen == titled(told, "An order")["seen"]
    assert len(titled(told, "With StatefulDataLoader")["updates"]) == 23, "one epoch, in two pieces"


def test_weights_draw_hard_samples_more_often_and_the_effective_size_is_that_of_the_page(ran):
    cache, folder, told = ran
    weights = pq.read_table(folder / "weights.parquet")
    p = dict(zip(weights["sample_id"].to_pylist(), weights["p"].to_pylist(), strict=True))
    own = titled(told, "Importance")
    assert len(own["seen"]) == open_dataset(cache, "digits").N
    hard = np.median(list(p.values()))
    assert np.mean([p[row] > hard for row in own["seen"]]) > 1.2 * np.mean([value > hard for value in p.values()])
    p_N, w_N = weights["p"].to_numpy(), weights["w"].to_numpy()
    assert own["effective"] == pytest.approx(1 / (p_N * w_N**2).sum(), rel=1e-4)


def test_a_subset_and_its_control_have_one_size(ran):
    _, folder, told = ran
    kept, control = ids(folder, "subset"), ids(folder, "subset-random")
    assert len(kept) == len(control) == 719 and set(kept) != set(control)
    seen = titled(told, "A pruned subset")["seen"]
    assert sorted(seen[:719]) == sorted(kept) and sorted(seen[719:]) == sorted(control)
