"""The curriculum page: what it says first, what each control does, and files that work in a loop of one's own."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability import curriculum as engine
from learnability import export
from learnability.errors import InputError
from learnability.export import curricula
from learnability.store import files
from learnability.store.datasets import open_dataset
from tests.pages.test_pages import fine, group, said
from tests.ui import made_cache
from ui import curriculum, curriculum_export, data


def test_without_a_data_set_or_a_run_it_says_what_to_do(empty, open_page):
    assert "python -m learnability prepare digits" in said(fine(open_page("curriculum")))


def test_without_a_run(no_run, open_page):
    assert "No run yet" in said(fine(open_page("curriculum")))


def test_one_run_is_enough_and_a_null_result_is_told_first(no_run, open_page):
    made_cache.add_run(no_run, "resnet20", 0)
    app = fine(open_page("curriculum"))
    assert "null result is the likeliest outcome" in app.main.markdown[0].value
    assert "In 144 updates (12 epochs)" in said(app) and "128" in said(app)
    assert not {button.key for button in app.button if button.key and "measure" in button.key}


def axes(app) -> list[str]:
    found = []
    for chart in app.get("plotly_chart"):
        layout = json.loads(chart.proto.spec)["layout"]
        found += [layout[axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    return found


def test_controls_and_charts_with_many_runs(many, open_page):
    app = fine(open_page("curriculum", a=group(many, "resnet20"), pacing="root", start="0.1", full="0.5", step="40"))
    assert not app.warning and app.slider(key="step").value == 40 and app.slider(key="start").value == 0.1
    assert "update of the training, 0 to 143" in axes(app) and "samples in play" in axes(app)
    assert any(title.startswith("place in the order (1 = easiest") for title in axes(app))
    expected = engine.pool_size(engine.Pacing(name="root", a=0.5, b=0.1), 36, 1438, 144) // 128 * 128
    text = said(app)
    assert f"At update 40: **{expected:,} (" in text
    fine(app.segmented_control(key="order").set_value("standard").run())
    assert "1,438 (100.0 %)" in said(app) and "no pacing" in said(app)
    fine(app.number_input(key="epochs").set_value(2).run())
    assert app.slider(key="step").value == 23, "the step stays within the shorter training"


@pytest.mark.parametrize("name", curriculum.SHAPES)
def test_every_pacing_has_its_own_parameters(name, many, open_page):
    app = fine(open_page("curriculum", pacing=name))
    keys = {element.key for kind in ("slider", "number_input") for element in app.get(kind)}
    for field in engine.Pacing(name=name).parameters:
        assert curriculum.FIELDS[field][0] in keys


def test_every_order_and_every_score(many, open_page):
    for arm in engine.ARMS:
        fine(open_page("curriculum", order=arm, metric="Forgetting events"))
    app = fine(open_page("curriculum", metric="variability"))
    assert app.selectbox(key="direction").value == "higher = easier"


def test_links_that_ask_in_vain_are_told(many, open_page):
    for query in ({"order": "worst"}, {"pacing": "warp"}, {"start": "7"}, {"step": "99999"}, {"batch": "x"}):
        assert fine(open_page("curriculum", **query)).warning, query


def test_a_batch_larger_than_the_data_is_told(many, open_page):
    app = fine(open_page("curriculum", batch="5000"))
    assert any("do not fit" in warning.value for warning in app.warning) and "expected 1 to 1438" in said(app)


def test_an_order_is_kept_by_key_and_hash(own_many, open_page):
    app = fine(open_page("curriculum", order="hard_first"))
    for name in ("../x", "hard-1", "hard-1"):
        app.text_input(key="order-name").set_value(name).run()
        fine(app.button(key="keep-order").click().run())
        assert ("Kept as hard-1" in said(app)) != ("Not done" in said(app))
    path = own_many.order("digits", "hard-1")
    table, metadata = files.read_table(path), files.table_metadata(path)
    original = open_dataset(own_many, "digits")
    assert table.column_names == ["place", "key", "hash", "sample_id", "class", "score"] and table.num_rows == 1438
    ids = table["sample_id"].to_pylist()
    assert table["key"].to_pylist() == [original.keys[i] for i in ids] and table["hash"].to_pylist() == [original.hashes[i] for i in ids]
    assert metadata["order"] == "hard_first" and metadata["balanced"] == "True" and metadata["pacing"] == "linear,a=0.8,b=0.2"
    assert metadata["labels"] == "original" and metadata["fingerprint"] == original.fingerprint


def test_the_warning_below_a_third(many, open_page):
    app = fine(open_page("curriculum"))
    fine(app.segmented_control(key="take").set_value("Subset").run())
    app.selectbox(key="prune").select("hard").run()
    fine(app.slider(key="prune-keep").set_value(20).run())
    assert any("has done worse than a random subset" in warning.value for warning in app.warning)
    fine(app.selectbox(key="prune").select("random").run())
    assert not app.warning and "288 (20.0 %)" in said(app)
    fine(app.segmented_control(key="take").set_value("Weights").run())
    assert {"Samples in play", "Effective sample size"} <= {metric.label for metric in app.metric}


# the lines that people copy


@pytest.fixture
def plan(many):
    """An easy-first curriculum for two seeds of one network."""
    runs = [run for run in data.all_runs("digits") if run.id.startswith("resnet20")]
    made = data.series("digits", runs[0].group, runs, "learnability")
    return curriculum.plan(made, "easy_first", True, "high", "linear,a=0.8,b=0.2", 100, 2, 3)


def run_lines(template: str, plan, table, tmp_path, monkeypatch, **own) -> dict:
    """Runs the lines as they stand on the page, in a folder with the exported file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exported.parquet").write_bytes(export.table_file(table, "parquet"))
    own |= {"__name__": "copied"}
    exec(curriculum_export.lines(template, "exported.parquet", plan, data.dataset("digits")), own)
    return own


class Seen:
    """A data set of one's own that notes which samples were asked for."""

    def __init__(self, opened):
        self.opened, self.rows = opened, []

    def __len__(self):
        return self.opened.N

    def __getitem__(self, row):
        import torch

        self.rows.append(row)
        return torch.from_numpy(self.opened.images[row].astype(np.float32).reshape(-1)), torch.tensor(self.opened.labels_N[row])


def test_the_lines_for_an_order_give_the_batches_of_the_page(plan, tmp_path, monkeypatch):
    opened = data.dataset("digits")
    seen = Seen(opened)
    table = curricula.order_table(opened, plan.order, curriculum.scores_by_id(opened, plan.made))
    run_lines(curriculum_export.ORDER_LINES, plan, table, tmp_path, monkeypatch, dataset=seen)
    assert seen.rows == np.concatenate([plan.schedule.batch(t) for t in range(plan.T)]).tolist()
    assert seen.rows[:60] == plan.drawn(0, 60)[0].tolist(), "what the page draws is what is trained on"


def test_the_lines_for_weights(plan, tmp_path, monkeypatch):
    import torch

    opened = data.dataset("digits")
    seen, found = Seen(opened), engine.importance(curriculum_export.difficulty(plan), 12)
    table = curricula.weights_table(opened, plan.made.sample_ids_N, found)
    own = run_lines(curriculum_export.WEIGHT_LINES, plan, table, tmp_path, monkeypatch, dataset=seen, model=torch.nn.Linear(1024, 10))
    assert len(seen.rows) == opened.N and torch.isfinite(own["loss"])
    hard = found.p_N > np.median(found.p_N)
    assert np.mean(hard[seen.rows]) > 1.2 * hard.mean(), "hard samples come more often"


def test_the_lines_for_a_subset(plan, tmp_path, monkeypatch):
    opened = data.dataset("digits")
    seen, kept = Seen(opened), engine.prune(plan.made.score_N, "high", 300, "stratified", labels_N=plan.made.labels_N, balance=True)
    table = curricula.subset_table(opened, kept, curriculum.scores_by_id(opened, plan.made))
    run_lines(curriculum_export.SUBSET_LINES, plan, table, tmp_path, monkeypatch, dataset=seen)
    assert sorted(seen.rows) == kept.tolist()
    assert pq.read_table(tmp_path / "exported.parquet").column_names == ["key", "hash", "sample_id", "class", "score"]


def test_an_order_of_the_same_name_is_refused(own_many):
    opened = data.dataset("digits")
    table = curricula.subset_table(opened, np.arange(3), np.zeros(opened.N))
    curricula.save_order(own_many, "digits", "mine", table, {})
    with pytest.raises(InputError, match="exists already and never changes"):
        curricula.save_order(own_many, "digits", "mine", table, {})
