"""Scores made elsewhere: joined by key and hash, kept for good, and metrics of one's own run over every recorded run."""

import json

import numpy as np
import pytest

from learnability.__main__ import main
from learnability.errors import DamagedFile, InputError, NotFound
from learnability.imports import import_score, score_runs
from learnability.store import imported
from learnability.store.datasets import open_dataset
from learnability.store.runs import load_recording, load_runs
from tests.ui import made_cache


def table(path, rows, header="key,human_entropy") -> None:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


def test_a_score_is_joined_by_key_and_what_is_left_out_is_said(digits, tmp_path, capsys):
    dataset = open_dataset(digits, "digits")
    rows = [(dataset.keys[i], i / 7) for i in range(0, 100)] + [(dataset.keys[100], ""), ("no-such-key", 1.0)]
    table(tmp_path / "human.csv", rows)
    arguments = ["--data", "digits", "--name", "human_entropy", "--direction", "hard", "--cache", str(digits.root)]
    assert main(["scores", "import", str(tmp_path / "human.csv"), *arguments]) == 0
    told = capsys.readouterr().out
    assert "human_entropy: 100 samples of digits have it" in told and "1 rows without a number" in told and "'no-such-key'" in told
    found = imported.load(digits, dataset, "human_entropy")
    score = found.columns["score"]
    assert np.allclose(score[:100], np.arange(100) / 7) and np.isnan(score[100:]).all()
    assert (found.metric.easy_is, found.metric.name) == ("low", "digits/human_entropy")
    assert imported.names(digits, "digits") == ["human_entropy"]


def test_with_a_hash_a_changed_picture_gets_no_score(digits, tmp_path):
    dataset = open_dataset(digits, "digits")
    rows = [(dataset.keys[i], dataset.hashes[i] if i else "0" * 32, i) for i in range(5)]
    table(tmp_path / "s.csv", rows, "key,hash,value")
    done = import_score(digits, tmp_path / "s.csv", "digits", "own", "easy")
    assert (done.samples, done.changed, done.unknown) == (4, 1, 0)
    assert np.isnan(imported.load(digits, dataset, "own").columns["score"][0])


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        ([("zz", 1)], "key,v", "none of its 1 keys are in data set"),
        ([("KEY", 1), ("KEY", 2)], "key,v", "1 rows repeat a key"),
        ([("KEY", 1, 2)], "key,a,b", "2 columns of numbers .a, b.. Name one with --column"),
        ([("KEY", 1)], "name,v", "expected key"),
        ([("KEY", "inf")], "key,v", "expected finite numbers"),
    ],
)
def test_a_file_that_cannot_be_joined_is_refused(digits, tmp_path, rows, header, said):
    key = open_dataset(digits, "digits").keys[0]
    table(tmp_path / "s.csv", [[key if cell == "KEY" else cell for cell in row] for row in rows], header)
    with pytest.raises(InputError, match=said):
        import_score(digits, tmp_path / "s.csv", "digits", "own", "hard")
    assert imported.names(digits, "digits") == []


def test_names_of_our_metrics_and_paths_are_no_names_of_scores(digits, tmp_path):
    table(tmp_path / "s.csv", [(open_dataset(digits, "digits").keys[0], 1)])
    for name in ("aum", "../up", "a/b", ""):
        with pytest.raises(InputError):
            import_score(digits, tmp_path / "s.csv", "digits", name, "hard")
    with pytest.raises(NotFound, match="there is: none"):
        imported.metric_of(digits, "digits", "gone")


def test_a_damaged_score_is_named(digits, tmp_path, capsys):
    table(tmp_path / "s.csv", [(open_dataset(digits, "digits").keys[0], 1)])
    import_score(digits, tmp_path / "s.csv", "digits", "own", "hard")
    path = digits.imported("digits", "own")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match="own.parquet"):
        imported.metric_of(digits, "digits", "own")
    assert main(["doctor", "--cache", str(digits.root)]) == 1
    assert "own.parquet is damaged" in capsys.readouterr().out


OWN = '''
import numpy as np

def _hidden(recording):
    return 0

def last_margin(recording):
    """The margin at the last look."""
    return recording.margin_NE[:, -1]

last_margin.easy_is = "high"

def spread(recording):
    return np.ptp(recording.loss_NE, axis=1)
'''


def test_functions_of_ones_own_become_scores_of_every_run(digits, tmp_path, capsys):
    configs = [made_cache.add_run(digits, "resnet20", seed) for seed in (0, 1)]
    (tmp_path / "my.py").write_text(OWN)
    assert main(["scores", "--data", "digits", "--metrics", str(tmp_path / "my.py"), "--json", "--cache", str(digits.root)]) == 0
    assert json.loads(capsys.readouterr().out) == {name: [one.run_id for one in configs] for name in ("last_margin", "spread")}
    dataset = open_dataset(digits, "digits")
    found = imported.load(digits, dataset, "last_margin")
    assert (found.metric.easy_is, found.metric.sentence) == ("high", "The margin at the last look.")
    for run in load_runs(digits, "digits"):
        recording = load_recording(digits, "digits", run.id)
        assert np.allclose(found.columns[run.id][recording.sample_ids_N], recording.margin_NE[:, -1])
    assert imported.metric_of(digits, "digits", "spread").easy_is == "neither"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "expected functions of a recording"),
        ("def wrong(recording):\n    return recording.labels_N[:3]", r"wrong of run .*: expected \(1438,\) numbers"),
        ("def aum(recording):\n    return recording.labels_N", "'aum' is a metric of ours"),
        ("def odd(recording):\n    return recording.labels_N\nodd.easy_is = 'left'", "odd.easy_is is 'left'"),
    ],
)
def test_functions_that_make_no_score_are_refused(digits, tmp_path, code, said):
    made_cache.add_run(digits, "resnet20", 0)
    (tmp_path / "my.py").write_text(code)
    with pytest.raises(InputError, match=said):
        score_runs(digits, tmp_path / "my.py", "digits")
    assert imported.names(digits, "digits") == []
