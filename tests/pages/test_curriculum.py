"""The curriculum page: what it says first, what each control does, and files that work in a loop of one's own."""

import json
import os
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability import curriculum as engine
from learnability import experiments, export, jobs
from learnability.__main__ import parser
from learnability.commands.curriculum import design_of
from learnability.errors import InputError
from learnability.experiments import background
from learnability.export import curricula
from learnability.jobs import devices, queue
from learnability.jobs.processes import Process
from learnability.store import files
from learnability.store.datasets import open_dataset
from learnability.store.runs import load_config
from learnability.store.scores import load_scores
from tests.experiments.looks_written import written
from tests.jobs.conftest import until
from tests.pages.test_pages import fine, group, said
from tests.ui import made_cache
from ui import curriculum, curriculum_export, data, scored


def test_without_a_data_set_or_a_run_it_says_what_to_do(empty, open_page):
    assert "python -m learnability prepare digits" in said(fine(open_page("curriculum")))


def test_without_a_run(no_run, open_page):
    assert "No run yet" in said(fine(open_page("curriculum")))


def test_one_run_is_enough_and_a_null_result_is_told_first(no_run, open_page):
    made_cache.add_run(no_run, "resnet20", 0)
    app = fine(open_page("curriculum"))
    assert "null result is the likeliest outcome" in app.main.markdown[0].value
    assert "In 144 updates (12 epochs)" in said(app) and "128" in said(app)
    (button,) = [button for button in app.button if button.key == "measure-launch"]
    assert button.label == "Launch 12 runs" and not button.disabled and "Nothing was measured" in said(app)


def test_a_curriculum_is_as_long_as_the_run_was_asked_to_train(no_run, open_page):
    """Also after its first epoch; what nobody changed follows another A, what somebody chose stays."""
    made_cache.add_run(no_run, "resnet20", 0, looks=1, state=None)
    other = made_cache.add_run(no_run, "vgg16", 0, epochs=8, looks=8)
    app = fine(open_page("curriculum", recipe=made_cache.add_run(no_run, "resnet20", 1).recipe))
    assert "(12 epochs)" in said(app)
    fine(app.sidebar.selectbox(key="recipe").set_value(other.recipe).run())
    assert "(8 epochs)" in said(app) and app.number_input(key="epochs").value == 8
    fine(app.number_input(key="epochs").set_value(3).run())
    fine(app.sidebar.selectbox(key="recipe").set_value(app.sidebar.selectbox(key="recipe").options[0]).run())
    assert app.number_input(key="epochs").value == 3


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


def test_a_training_of_one_update_has_no_slider(many, open_page):
    app = fine(open_page("curriculum", epochs="1", batch="1438"))
    assert "one update" in said(app) and not [slider for slider in app.slider if slider.label == "Update"]


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


# measured


@pytest.fixture
def waiting(own_many):
    """The cache of six runs, whose queue starts nothing."""
    queue.write(own_many, lambda connection: queue.set_worker(connection, devices.lane("auto"), Process.of(os.getpid())))
    return own_many


def in_order(block):
    """Elements of a page from top to bottom."""
    for child in block.children.values():
        yield from in_order(child) if hasattr(child, "children") else [child]


def shown_charts(app) -> list[str]:
    return [title for title in axes(app) if "test samples" in title or "percentage points" in title]


def test_the_note_and_the_cost_stand_before_the_button_and_a_press_launches_once(waiting, open_page):
    app = fine(open_page("curriculum", a=group(waiting, "resnet20"), epochs="2"))
    text, elements = said(app), list(in_order(app.main))
    note = next(i for i, one in enumerate(elements) if "likeliest outcome is no difference" in str(getattr(one, "value", "")))
    button = next(i for i, one in enumerate(elements) if getattr(one, "key", None) == "measure-launch")
    assert note < button and "12 new runs, " in text and "MB on disk (unknown until the first epoch)" in text
    assert "seeds 2 to 4, 24 updates each on 1,438 samples" in text and "Scores: seeds 0, 1 of resnet20" in text
    assert not shown_charts(app)
    fine(app.button(key="measure-launch").click().run())
    assert "Runs: 12 queued" in said(app) and app.button(key="measure-launch").disabled
    assert len(experiments.experiment(waiting, "digits").all_runs) == 12
    assert shown_charts(app) == [
        "accuracy on test samples, % (higher = better)",
        "difference, percentage points (above 0: the first did better)",
    ]
    assert "no seed has finished both arms" in said(app)
    again = fine(open_page("curriculum", a=group(waiting, "resnet20"), epochs="2"))
    assert "12 runs there already" in said(again) and again.button(key="measure-launch").disabled


def test_results_with_intervals_costs_and_words(waiting, open_page):
    app = fine(open_page("curriculum", epochs="2"))
    fine(app.button(key="measure-launch").click().run())
    for run in experiments.experiment(waiting, "digits").all_runs:
        written(waiting, run.config, [0.4, 0.9 + 0.001 * run.config.seed])
    app = fine(open_page("curriculum", epochs="2", experiment=experiments.experiment(waiting, "digits").id))
    text = said(app)
    assert not app.warning, "a link to an experiment is understood"
    assert "The order (easy_first - random): +0.00 points after the last update, 95 % interval" in text
    assert "no difference is shown" in text and "min of training" in text and "not tuned for each" in text
    table = app.dataframe[-1].value
    assert table["Arm"].tolist() == list(engine.ARMS) and table["Seeds done"].tolist() == ["3 of 3"] * 4
    assert table["Test accuracy, %"][0].startswith("90.30 ± 0.25")
    assert table["Times shown, first to last tenth"][3] == "2.0 to 2.0"
    fine(app.number_input(key="measure-target").set_value(95.0).run())
    assert app.dataframe[-1].value["Updates to 95.0 %"].tolist() == ["reached by 0 of 3"] * 4


@pytest.fixture
def in_background(waiting):
    """The cache whose queue starts nothing; a process that a page begins ends with the test."""
    yield waiting
    for process in begun(waiting):
        process.send(signal.SIGKILL)


def begun(cache) -> list[Process]:
    """The processes that wait for scores, as noted beside their logs."""
    return [Process(**files.read_json(note)["process"]) for note in cache.logs.glob("curriculum-*.json")]


def finished(cache, config) -> None:
    """A queued run, as a trainer leaves it."""
    fields = {field: value for field, value in config.to_json().items() if field in ("epochs", "batch_size", "subset", "labels")}
    made_cache.add_run(cache, config.arch, config.seed, looks=config.epochs, **fields)
    queue.write(cache, lambda connection: queue.forget(connection, (config.data, config.run_id)))


@pytest.mark.parametrize(
    "setting", ["Both", *(pytest.param(alone, marks=pytest.mark.soak) for alone in ("20 % of the samples", "20 % wrong labels"))]
)
def test_little_data_and_wrong_labels_are_one_click(setting, in_background, open_page):
    app = fine(open_page("curriculum", epochs="2", batch="32"))
    fine(app.segmented_control(key="measure-setting").set_value(setting).run())
    assert app.button(key="measure-launch").label == "Train scores, then arms" and "First 2 runs for the scores" in said(app)
    assert "2 new runs, " in said(app) and " for the scores; then 12 runs, " in said(app), "all that the press costs stands before it"
    before = set(in_background.run_ids("digits"))
    fine(app.button(key="measure-launch").click().run())
    assert "The runs for the scores, then the arms: begun" in said(app) and app.button(key="measure-launch").disabled
    until(lambda: len(in_background.run_ids("digits")) == len(before) + 2, 60)
    fine(app.run())
    scores = [load_config(in_background, "digits", run_id) for run_id in sorted(set(in_background.run_ids("digits")) - before)]
    expected = ("original" if "samples" in setting else "planted-0.2-0", None if "labels" in setting else 288)
    assert [(one.labels, one.subset, one.curriculum) for one in scores] == [(*expected, None)] * 2
    assert "Waiting for the scores: 2 runs to go, 0 of 4 epochs done" in said(app) and app.button(key="measure-launch").disabled
    (process,) = begun(in_background)
    design = designed(in_background)
    assert process.alive and not background.begin(in_background, design), "the same design is never at work twice"
    anew = fine(open_page("curriculum", a=group(in_background, "vgg16")))
    assert "At work in the background, scores first, then arms: resnet20 on" in said(anew) and "At work in" not in said(app)
    finished(in_background, scores[0])
    fine(app.run())
    assert "1 run to go, 2 of 4 epochs done" in said(app), "one seed of two makes no order yet"
    finished(in_background, scores[1])
    until(lambda: len(in_background.run_ids("digits")) == len(before) + 14, 60)
    arms = experiments.experiment(in_background, "digits").all_runs
    assert len(arms) == 12 and {(run.config.labels, run.config.subset) for run in arms} == {expected}
    fine(app.run())
    assert app.button(key="measure-launch").label == "Launched already" and "Waiting" not in said(app)


def queued(cache) -> list[str]:
    return sorted(one.name for one in jobs.states(cache, "digits") if one.state == "queued")


def designed(cache) -> experiments.Design:
    """What the page asks for, from the one note there is of it."""
    (note,) = cache.logs.glob("curriculum-*.json")
    (text,) = [line for line in note.with_suffix(".txt").read_text().splitlines() if "learnability curriculum run" in line]
    args = parser().parse_args(text.partition("learnability ")[2].split())
    return design_of(args)


def test_a_score_run_that_is_stopped_is_told_and_goes_on_with_a_press(in_background, open_page):
    app = fine(open_page("curriculum", epochs="2", batch="32"))
    fine(app.segmented_control(key="measure-setting").set_value("20 % wrong labels").run())
    fine(app.button(key="measure-launch").click().run())
    (process,) = begun(in_background)
    first, second = until(lambda: len(found := queued(in_background)) == 2 and found, 60)
    jobs.stop(in_background, "digits", first)
    assert "1 ended early: unless it is resumed, the arms are not queued" in said(fine(app.run()))
    jobs.stop(in_background, "digits", second)
    until(lambda: not process.alive, 60)
    fine(app.run())
    assert any("has ended without them" in warning.value for warning in app.warning) and "-s0-" in said(app) and ": stopped" in said(app)
    assert app.button(key="measure-launch").label == "Train scores, then arms" and not app.button(key="measure-launch").disabled
    fine(app.button(key="measure-launch").click().run())
    (again,) = begun(in_background)
    assert again.alive and again != process
    until(lambda: queued(in_background) == [first, second], 60)
    assert "Waiting for the scores: 2 runs to go" in said(fine(app.run()))


def test_fewer_arms_and_a_standard_plan(waiting, open_page):
    app = fine(open_page("curriculum", order="standard", epochs="2"))
    assert "Pacing linear,a=0.8,b=0.2" in said(app), "ordinary training has no pacing of its own to measure"
    fine(app.pills(key="measure-arms").set_value([]).run())
    assert "easy_first, random: " in said(app), "random is always drawn"
    fine(app.number_input(key="measure-seeds").set_value(1).run())
    assert app.button(key="measure-launch").label == "Launch 2 runs" and "too few for an interval" in said(app)
    fine(app.number_input(key="batch").set_value(1438).run())
    fine(app.button(key="measure-launch").click().run())
    assert "2 queued" in said(app)


def test_stopped_runs_go_on_from_the_page(waiting, open_page):
    app = fine(open_page("curriculum", epochs="2"))
    fine(app.button(key="measure-launch").click().run())
    jobs.stop_all(waiting)
    app = fine(open_page("curriculum", epochs="2"))
    assert app.button(key="measure-launch").label == "Go on with 12 runs"
    fine(app.button(key="measure-launch").click().run())
    assert "Runs: 12 go on" in said(app)


def test_never_learned_samples_stand_last_by_forgetting(many, open_page):
    runs = [run for run in data.all_runs("digits") if run.id.startswith("resnet20")]
    made, never = (scored.series("digits", runs[0].group, runs, metric) for metric in ("forgetting_events", "never_learned"))
    found = curriculum.plan(made, "easy_first", False, "low", "linear", 100, 2, 3, never)
    hopeless = never.sample_ids_N[never.score_N == 1]
    assert len(hopeless) and set(found.order.ids_N[-len(hopeless) :].tolist()) == set(hopeless.tolist())
    fine(open_page("curriculum", metric="Forgetting events"))


def test_runs_under_a_curriculum_are_named_and_never_shown_unasked(own_many, open_page):
    ordinary = load_scores(own_many, "digits").recipe
    config = made_cache.add_run(own_many, "resnet20", 5, record="eval", curriculum="hard_first-0123abcd:linear,a=0.8,b=0.2")
    assert load_scores(own_many, "digits").recipe == ordinary != config.recipe, "launched last, and yet not the default"
    app = fine(open_page("overview"))
    assert app.selectbox(key="recipe").value == ordinary
    for page in ("overview", "gallery", "compare"):
        app = fine(open_page(page, recipe=config.recipe, a=config.run_id))
        assert "under a curriculum: hard_first (linear,a=0.8,b=0.2)" in " ".join(one.value for one in app.sidebar.caption), page
        assert "curriculum hard_first" in said(app), page


# the lines that people copy


@pytest.fixture
def plan(many):
    """An easy-first curriculum for two seeds of one network."""
    runs = [run for run in data.all_runs("digits") if run.id.startswith("resnet20")]
    made = scored.series("digits", runs[0].group, runs, "learnability")
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
    with pytest.raises(InputError, match="a run's own shuffle"):
        curricula.save_order(own_many, "digits", "random", table, {})
