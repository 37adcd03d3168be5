"""The part of the review page that says how well it finds errors, and the report that a page hands out."""

import os
import re

import numpy as np
import pytest

from learnability import review
from learnability.jobs import queue as job_queue
from learnability.jobs.processes import Process
from learnability.review import planted_audit, random_audit
from learnability.store.datasets import ensure_labels, open_dataset
from learnability.store.identity import identities
from tests.pages.test_pages import fine, group, said
from tests.test_audits import recorded
from tests.ui import made_cache
from ui import colleague

PART = "How well does it find errors?"


@pytest.fixture
def planted(own_many):
    """The cache with six runs, and one on planted labels that misses exactly the planted ones."""
    opened = open_dataset(own_many, "digits")
    ensure_labels(own_many, "digits", None, "planted-0.02-0")
    wrong_N = open_dataset(own_many, "digits", None, "planted-0.02-0").labels_N != opened.labels_N
    return own_many, recorded(own_many, np.repeat(~wrong_N[:, None], 3, 1), labels="planted-0.02-0")


def test_one_button_plants_errors_in_a_run_of_its_own(own_many, open_page):
    job_queue.write(own_many, lambda connection: job_queue.set_worker(connection, "cpu", Process.of(os.getpid())))  # none is started
    app = fine(open_page("review", queue=PART, a=group(own_many, "resnet20")))
    assert "Not tried yet" in said(app) and "1 run of resnet20 on planted-0.02-0: " in said(app)
    before = set(own_many.run_ids("digits"))
    fine(app.button(key="audit-launch").click().run())
    (new,) = set(own_many.run_ids("digits")) - before
    assert new.startswith("resnet20-s0-") and new.rsplit("-", 1)[1] not in {run_id.rsplit("-", 1)[1] for run_id in before}
    assert app.button(key="audit-launch").disabled and "resnet20-s0, planted-0.02-0: queued" in said(app)
    fine(app.toggle(key="audit-held-out").set_value(True).run())
    assert "5 runs of resnet20 on planted-0.02-0: " in said(app)
    fine(app.number_input(key="audit-percent").set_value(10.0).run())
    assert "6 runs of resnet20 on planted-0.1-0: " in said(app)
    assert not app.button(key="audit-launch").disabled


def test_a_share_that_plants_nothing_is_refused_before_it_trains(own_many, open_page):
    config = recorded(own_many, np.ones((1438, 3), bool), subset=100)
    app = fine(open_page("review", queue=PART, a=config.group_id))
    assert not app.button(key="audit-launch").disabled
    fine(app.number_input(key="audit-percent").set_value(0.1).run())
    assert app.button(key="audit-launch").disabled and "plants no wrong label among the 100 samples used" in said(app)


def test_curves_table_and_how_far(planted, open_page):
    cache, config = planted
    app = fine(open_page("review", queue=PART))
    made = planted_audit.planted_audit(cache, "digits", config.group_id)
    assert planted_audit.how_far_told(made, "suspicion", planted_audit.how_far(made.curves["suspicion"].found)) in said(app)
    assert "finds 28 of 28 planted (100 %)" in said(app)
    (chart,) = app.get("plotly_chart")
    for name in ("perfect", "random", "Label suspicion", "Learnability", "Mean loss"):
        assert f'"name":"{name}"' in chart.proto.spec.replace(": ", ":")
    table = next(frame.value for frame in app.dataframe if "Score" in frame.value)
    assert len(table) == len(made.curves) and table["AUROC (chance 0.5)"].is_monotonic_decreasing
    fine(app.number_input(key="audit-least").set_value(28).run())
    assert "Reviewing the first 101 samples" in said(app)
    fine(app.number_input(key="audit-least").set_value(29).run())
    assert "28 planted: too few to say how far to review; it takes at least 29." in said(app)
    table = next(frame.value for frame in app.dataframe if "Score" in frame.value)
    assert "Reviewing the first" not in said(app) and table["Review the first"].isna().all()
    fine(app.multiselect(key="audit-scores").set_value([]).run())
    fine(app.multiselect(key="audit-groups").set_value([]).run())
    assert "Label suspicion" not in said(app)


def test_a_random_draw_is_judged_in_the_queue_in_its_own_order(own_many, open_page):
    app = fine(open_page("review", queue=PART, a=group(own_many, "resnet20")))
    fine(app.button(key="audit-draw").click().run())
    made = random_audit.random_audit(review.read_log(own_many, "digits"), open_dataset(own_many, "digits"))
    assert len(made.sample_ids) == 100 and "none is judged yet" in said(app) and not [b for b in app.button if b.key == "audit-draw"]
    queue = fine(app.button(key="audit-judge").click().run())
    shown = [int(b.key.rsplit("-", 1)[1]) for b in queue.button if b.key and b.key.startswith("keep-queue-")]
    assert shown == [made.sample_ids[0]] and "1 of 100" in said(queue)
    fine(queue.button(key=f"drop-queue-{shown[0]}").click().run())
    known = identities(open_dataset(own_many, "digits"))
    review.decide(own_many, "digits", known.samples(made.sample_ids[1:60]), "keep", by="me")
    app = fine(open_page("review", queue=PART, a=group(own_many, "resnet20")))
    assert "60 are judged: 1 wrong" in said(app) and "1.7 % of all 1,438 (0.1 % to 8.9 %" in said(app)
    review.decide(own_many, "digits", known.samples(made.sample_ids[60:]), "keep", by="me")
    app = fine(open_page("review", queue=PART, a=group(own_many, "resnet20")))
    assert "1.0 % of all 1,438 (0.1 % to 5.4 %" in said(app) and "about 13 labels (0 to 77)" in said(app)
    fine(app.button(key="audit-draw").click().run())
    assert "100 of 1,338 samples that nobody had decided" in said(app)


def test_without_a_run_it_says_so(no_run, open_page):
    app = fine(open_page("review", queue=PART))
    assert "choose a run or group on real labels" in said(app) and "Draw" in str([button.label for button in app.button])
    N = open_dataset(no_run, "digits").N
    recorded(no_run, np.ones((N, 2), bool), record="unknown", origin="imported")
    assert "choose a run or group on real labels, trained here" in said(fine(open_page("review", queue=PART)))
    made_cache.add_run(no_run, "resnet20", 0)
    assert "1 run of resnet20 on planted-0.02-0" in said(fine(open_page("review", queue=PART)))


def test_the_export_hands_out_the_report(own_many, open_page):
    app = fine(open_page("review", queue="Export", a=group(own_many, "resnet20")))
    assert "One page for a colleague" in said(app) and "python -m learnability report --data digits" in said(app)
    content = colleague.report("digits").decode()
    assert content.startswith("<!doctype html>") and re.search(r"digits: labels and learnability", content)
