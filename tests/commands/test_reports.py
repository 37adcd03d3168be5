"""paper, report and audit in the shell."""

import json
import os

import pytest

from learnability import review
from learnability.__main__ import main
from learnability.review import random_audit
from learnability.store.datasets import open_dataset
from learnability.store.identity import identities
from learnability.store.paths import Cache
from tests.ui.conftest import many_root, own_many  # noqa: F401

SMALL = ["--subset", "100", "--epochs", "2", "--precision", "fp32"]


def test_a_paper_trains_what_is_missing_and_uses_what_is_there(digits, tmp_path, capsys, monkeypatch):
    """One architecture is trained before; the report brings the second one and names how it was made. Then nothing is left to train."""
    monkeypatch.chdir(tmp_path)
    at = ["--cache", str(digits.root)]
    assert main(["train", "--data", "digits", "--arch", "resnet20", *SMALL, "--threads", "2", *at]) == 0
    mine = digits.run_folder("digits", digits.run_ids("digits")[0]) / "HEAD.json"
    before = mine.stat().st_mtime_ns
    asked = ["paper", "--data", "digits", "--archs", "resnet20", "mobilenet", "--seeds", "1", *SMALL, "--replicates", "20", *at]
    assert main([*asked, "--threads", "2"]) == 0
    assert "2 runs of resnet20, mobilenet; 1 to train" in capsys.readouterr().err
    assert mine.stat().st_mtime_ns == before and len(digits.run_ids("digits")) == 2
    content = (tmp_path / "paper-digits.html").read_text()
    again = "python -m learnability paper --data digits --archs resnet20 mobilenet --epochs 2 --seeds 1 --record train --precision fp32"
    assert f"{again} --subset 100" in content and "mobilenet and resnet20" in content
    assert main([*asked, "--out", "b.html"]) == 0
    assert "; 0 to train" in capsys.readouterr().err and (tmp_path / "b.html").stat().st_size > 4e6
    assert main([*(word for word in asked if word != "mobilenet"), "--out", "c.html"]) == 0
    content = (tmp_path / "c.html").read_text()
    assert "--archs resnet20 --epochs 2" in content and "One architecture only" in content and "mobilenet" not in content


def test_a_report_says_what_is_wrong_with_what_was_asked(digits, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    at = ["--cache", str(digits.root)]
    for asked, said in (
        (["report", "--data", "nothing"], "no data set 'nothing'"),
        (["audit", "--data", "nothing"], "no data set 'nothing'"),
        (["agreement", "--data", "nothing"], "no data set 'nothing'"),
        (["scores", "--data", "nothing"], "Prepare it: python -m learnability prepare"),
        (["scores", "--data", "nothing", "--recipe", "12345678"], "no data set 'nothing'"),
        (["scores", "--data", "digits"], "Train first: python -m learnability train --data digits"),
        (["report", "--data", "digits", "--out", "x.pdf"], "ends in .html"),
        (["report", "--data", "digits", "--out", "no/x.html"], "does not exist"),
        (["report", "--data", "digits", "--recipe", "00000000"], "no recipe '00000000'"),
        (["audit", "--data", "digits"], "python -m learnability train --data digits --arch resnet20"),
        (["audit", "--data", "digits", "--draw", "0"], "at least 1"),
        (["paper", "--data", "digits", "--epochs", "2", "--replicates", "-3"], "replicates -3: expected 0 (none) or more"),
        (["report", "--data", "digits", "--replicates", "-3"], "replicates -3: expected 0 (none) or more"),
    ):
        assert main([*asked, *at]) == 2, asked
        assert said in capsys.readouterr().err
    assert list(tmp_path.glob("*.html")) == [] and digits.run_ids("digits") == []
    assert main(["report", "--data", "digits", *at]) == 0
    assert (tmp_path / "report-digits.html").exists() and "without a server" in capsys.readouterr().out


def test_an_audit_goes_through_the_queue_and_counts(digits, capsys, monkeypatch):
    """A tiny run on planted labels trains in a worker of its own; the same command then only reads. Nonsense trains nothing."""
    monkeypatch.setenv("LEARNABILITY_TIMEOUTS", "poll=0.05 idle=1")
    at = ["--cache", str(digits.root)]
    assert main(["train", "--data", "digits", "--arch", "resnet20", *SMALL, "--threads", "2", *at]) == 0
    for asked, said in (
        (["--seeds", "0"], "seeds 0: expected a count of at least 1"),
        (["--folds", "-2"], "folds -2: expected at least 2"),
    ):
        assert main(["audit", "--data", "digits", *asked, *at]) == 2
        assert said in capsys.readouterr().err and len(digits.run_ids("digits")) == 1
    assert main(["audit", "--data", "digits", "--folds", "0", *at]) == 2
    assert main(["audit", "--data", "digits", "--fraction", "0.1", *at]) == 0
    told = capsys.readouterr()
    assert "1 run(s) on planted labels in the queue" in told.err and "Label suspicion" in told.out and "Reviewing the first" in told.out
    assert main(["audit", "--data", "digits", "--fraction", "0.1", "--json", *at]) == 0
    told = capsys.readouterr()
    (made,) = json.loads(told.out)
    assert "queue" not in told.err
    original, planted = open_dataset(digits, "digits"), open_dataset(digits, "digits", None, "planted-0.1-0")
    run_id = next(run_id for run_id in digits.run_ids("digits") if run_id.endswith(made["group"].rsplit("-", 1)[1]))
    from learnability.store.scores import load_run_scores

    ids = load_run_scores(digits, "digits", run_id)[0]["sample_id"].to_numpy()
    assert made["samples"] == 100 and made["planted"] == (original.labels_N != planted.labels_N)[ids].sum() > 0
    assert len(made["metrics"]["aum"]["found"]) == 101 and made["metrics"]["aum"]["found"][-1] == made["planted"]


def test_a_draw_is_told_until_it_is_judged(own_many, capsys):  # noqa: F811
    at = ["--cache", str(own_many.root)]
    assert main(["audit", "--data", "digits", "--draw", "5", "--json", *at]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["number"] == 1 and len(first["keys"]) == 5
    assert main(["audit", "--data", "digits", "--draw", "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out) == first, "what was drawn is judged first"
    assert main(["review", "--data", "digits", "--verdict", "keep", "--keys", *first["keys"], *at]) == 0
    capsys.readouterr()
    assert main(["audit", "--data", "digits", "--draw", "7", *at]) == 0
    told = capsys.readouterr()
    assert "5 are judged: 0 wrong" in told.err and "7 of 1,433 samples" in told.out
    made = random_audit.random_audit(review.read_log(own_many, "digits"), open_dataset(own_many, "digits"))
    keys = [key for key, _ in identities(open_dataset(own_many, "digits")).samples(made.sample_ids)]
    assert made.number == 2 and not set(keys) & set(first["keys"]) and " ".join(keys) in told.out


@pytest.mark.skipif(os.name != "posix", reason="the cache of a checkout")
def test_a_queued_paper_trains_later(digits, capsys, monkeypatch):
    from learnability.jobs import queue
    from learnability.jobs.processes import Process

    queue.write(digits, lambda connection: queue.set_worker(connection, "cpu", Process.of(os.getpid())))  # none is started
    at = ["--cache", str(digits.root)]
    assert main(["paper", "--data", "digits", "--epochs", "2", "--seeds", "2", "--device", "cpu", "--queue", *at]) == 0
    assert "without --queue writes the report" in capsys.readouterr().out
    assert len(Cache.at(digits.root).run_ids("digits")) == 6
