"""What compare says of a pair beside its correlation: the hardest both share, the samples at no end, every pair of runs."""

import json

import numpy as np
import pytest

from learnability import agreement
from learnability.store.runs import load_runs
from tests.pages.test_pages import fine, said
from ui import matrix, numbers, scored, words


def of(cache, arch: str, metric: str = "learnability"):
    members = [run for run in load_runs(cache, "digits") if run.config.arch == arch and run.looks == 12]
    return scored.series("digits", members[0].group, members, metric)


@pytest.fixture
def pair(many):
    return of(many, "resnet20"), of(many, "vgg16")


def test_the_hardest_twentieth_and_the_ceiling_without_the_ends(pair):
    a, b = pair
    told = numbers.measured(a, b)
    assert told.hardest == agreement.hardest_overlap(a.score_N, b.score_N, told.N // 20)
    kept_N = agreement.nontrivial(a.score_N, b.score_N)
    groups = [agreement.Group(name=name, rows=rows, seeds=(0, 1)) for name, rows in (("x", (0, 1)), ("y", (2, 3)))]
    expected = agreement.agree(np.concatenate([a.score_RN, b.score_RN])[:, kept_N], groups).crosses[0]
    assert told.nontrivial_ceiling == expected.seed_mean_ceiling and 0 < told.nontrivial.N < told.N


def test_shares_that_are_turned_round_keep_their_ends(many):
    """Consensus share is low for easy samples: always right is 0 there and 1 in learnability, and both are the easy end."""
    a, b = of(many, "resnet20"), of(many, "vgg16", "consensus_share")
    easy_up_N = 1 - b.score_N if words.metric_named("consensus_share").easy_is == "low" else b.score_N
    same_end_N = ((a.score_N == 1) & (easy_up_N == 1)) | ((a.score_N == 0) & (easy_up_N == 0))
    assert (~same_end_N).sum() == numbers.measured(a, b).nontrivial.N


def test_every_pair_of_runs_is_a_dot_where_there_are_few(pair, open_page):
    a, b = pair
    told = numbers.measured(a, b)
    between, *own = numbers._dots(told, a, b)
    assert between[0] == "A and B" and len(between[1]) == 4 and between[2] == told.pearson.ceiling
    assert [(name, len(values)) for name, values, _ in own] == [("seeds of A", 1), ("seeds of B", 1)]
    app = fine(open_page("compare", a=a.id, b=b.id))
    charts = [json.loads(element.proto.spec) for element in app.get("plotly_chart")]
    (dots,) = [chart for chart in charts if "two runs" in str(chart["layout"].get("xaxis", {}).get("title", ""))]
    assert len(dots["data"]) == 4 and "two sets at random would share" in said(app)


def test_the_chosen_groups_stay_in_a_table_that_is_cut(many, open_page, monkeypatch):
    monkeypatch.setattr(matrix, "MOST", 1)
    a, b = of(many, "vgg16"), of(many, "mobilenet")
    app = fine(open_page("compare", a=a.id, b=b.id))
    (found,) = [element.proto for element in app.get("bidi_component") if element.proto.component_name == "matrix"]
    told = found.json
    assert "vgg16" in told and "mobilenet" in told
    assert "pairs of runs" in told and "12 epochs, train" in told
