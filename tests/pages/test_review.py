"""The review page with nothing, without a run, with one and with many: decide, take back, export, retrain, compare."""

import io
import os
import re
import time

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from learnability import review, selections
from learnability.jobs import queue as job_queue
from learnability.jobs.processes import Process
from learnability.store.datasets import label_versions, open_dataset
from learnability.store.identity import identities
from tests.pages.test_pages import fine, group, said
from tests.ui import made_cache
from ui import review_export, review_queue, review_verdicts, reviews

PARTS = ("One by one", "By pair of classes", "Log", "Export", "Before and after")


def current(app) -> int:
    """The sample that the queue shows."""
    return next(int(button.key.rsplit("-", 1)[1]) for button in app.button if button.key and button.key.startswith("keep-queue-"))


def press(app, verdict: str):
    return fine(app.button(key=f"{verdict}-queue-{current(app)}").click().run())


def actions(cache) -> list:
    return list(review.read_log(cache, "digits").actions)


def metrics(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_without_a_data_set_it_says_how_to_get_one(empty, open_page):
    assert "python -m learnability prepare digits" in said(fine(open_page("review")))


@pytest.mark.parametrize("part", PARTS)
def test_without_a_run_every_part_says_what_to_do(part, no_run, open_page):
    app = fine(open_page("review", queue=part))
    text = said(app)
    if part in ("One by one", "By pair of classes"):
        assert "python -m learnability train --data digits" in text
    elif part == "Log":
        assert "Nothing decided yet" in text
        fine(app.button(key="to-queue").click().run())
        assert "No suspicious labels yet" in said(app)
    elif part == "Export":
        assert "Corrected labels" in text and "--make-labels" in text and "1,797 rows, test samples among them." in text
    else:
        assert "Nothing to compare yet" in text


def test_rows_without_test_samples_are_not_said_to_hold_some(tmp_path, monkeypatch, open_page):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(made_cache.hostile(tmp_path / "cache").root))
    assert "40 rows." in said(fine(open_page("review", queue="Export")))


def test_one_run_is_enough_for_the_whole_way(no_run, open_page):
    """Decide, go on, skip, take back; the log, the files and the label version hold exactly that."""
    made_cache.add_run(no_run, "resnet20", 0)
    app = fine(open_page("review"))
    original = open_dataset(no_run, "digits")
    version = identities(original)
    assert metrics(app)["Left"] == "1,438" and metrics(app)["Decided"] == "0"

    first = current(app)
    press(app, "keep")
    second = current(app)
    assert second != first and metrics(app) == {"Decided": "1", "Left": "1,437", "Real errors": "0 of the last 1"}
    press(app, "drop")
    third = current(app)
    app.text_input(key="review_by").set_value("Ada").run()
    app.text_input(key="review_why").set_value("a smudge").run()
    fine(app.button(key=f"relabel-1-queue-{third}").click().run())
    fourth = current(app)
    other = original.class_names[(original.labels_N[fourth] + 1) % 10]
    fine(app.selectbox(key=f"class-queue-{fourth}").select(other).run())
    review.decide(no_run, "digits", version.samples([700]), "relabel", class_name="scribble", by="the shell")
    fifth = current(app)
    fine(app.button(key=next(b.key for b in app.button if b.key.startswith("after-"))).click().run())
    assert current(app) != fifth
    fine(app.button(key=f"before-{fifth}").click().run())
    press(app, "unsure")
    assert metrics(app)["Decided"] == "6" and metrics(app)["Real errors"] == "4 of the last 6"

    log = [action for action in actions(no_run) if action.by != "the shell"]
    assert [action.verdict for action in log] == ["keep", "drop", "relabel", "relabel", "unsure"]
    assert [action.samples for action in log] == [tuple(version.samples([i])) for i in (first, second, third, fourth, fifth)]
    assert [(action.by, action.why) for action in log[2:]] == [("Ada", "a smudge")] * 3
    assert log[3].class_name == other and log[2].class_name in original.class_names

    fine(app.button(key=f"undo-queue-{current(app)}").click().run())
    assert current(app) == fifth, "what was taken back is shown again"
    assert metrics(app)["Decided"] == "5"

    table = reviews.corrected(original, False)
    csv = pyarrow.csv.read_csv(io.BytesIO(_file(table, "csv")))
    assert table.num_rows == 1797 and csv.num_rows == 1797
    assert pq.read_table(io.BytesIO(_file(table, "parquet"))).equals(table)
    changed = {line["key"]: line for line in reviews.corrected(original, True).to_pylist()}
    keys = [original.keys[i] for i in (first, second, third, fourth, 700)]
    assert set(changed) == set(keys)
    assert [changed[key]["new_label"] for key in keys] == [changed[keys[0]]["old_label"], None, log[2].class_name, other, "scribble"]

    app.segmented_control(key="queue").set_value("Export").run()
    fine(app.button(key="make-version").click().run())
    assert label_versions(no_run, "digits") == ["original", "reviewed-1"]
    made = open_dataset(no_run, "digits", None, "reviewed-1")
    assert made.class_names == (*original.class_names, "scribble")
    expected = original.labels_N.copy()
    number = original.class_names.index
    expected[second], expected[third], expected[fourth], expected[700] = -1, number(log[2].class_name), number(other), original.K
    assert np.array_equal(made.labels_N, expected)


def _file(table, kind: str) -> bytes:
    from learnability import export

    return export.table_file(table, kind)


def test_a_second_tab_and_a_reload_see_what_was_decided(no_run, open_page):
    made_cache.add_run(no_run, "resnet20", 0)
    one, other = fine(open_page("review")), fine(open_page("review"))
    shown = current(one)
    press(one, "keep")
    assert current(other) == shown, "nothing is pulled away"
    fine(other.run())
    assert current(other) == current(one) != shown
    assert metrics(fine(open_page("review")))["Decided"] == "1"
    for key in (f"undo-queue-{current(other)}",):  # in a fresh session Undo takes back the last action under the same name
        fine(other.button(key=key).click().run())
    assert current(other) == shown and len(actions(no_run)) == 2


def test_a_press_that_comes_twice_or_late_decides_nothing(no_run):
    opened = open_dataset(no_run, "digits")
    one, other, both = (review_verdicts.Target(ids=ids, key="here", marked=len(ids) > 1) for ids in ((5,), (6,), (5, 6)))
    one.draw()
    for verdict in ("keep", "keep", "drop", "drop"):
        review_verdicts.give(opened, one, verdict)
    assert [action.verdict for action in actions(no_run)] == ["keep", "drop"]
    other.draw()
    review_verdicts.give(opened, one, "keep")  # the button of the sample before, still on its way out
    assert len(actions(no_run)) == 2
    both.draw()
    for _ in range(2):
        review_verdicts.give(opened, both, "drop")
    assert [len(action.samples) for action in actions(no_run)] == [1, 1, 2]


def test_the_queue_goes_by_suspicion_over_all_classes(many, open_page):
    app = fine(open_page("review", a=group(many, "resnet20")))
    found = review.group_scores(many, "digits", group(many, "resnet20"), ("suspicion", "aum"))
    rows = review.queue(found.mean_N("suspicion"), found.mean_N("aum"), found.sample_ids_N, np.zeros(len(found.sample_ids_N), bool))
    assert current(app) == found.sample_ids_N[rows[0]]
    texts = said(app)
    assert "% of looks" in texts and "of 12 are labelled" in texts and "higher = more suspicious" in texts


def test_a_pair_is_decided_together_and_taken_back_together(own_many, open_page):
    app = fine(open_page("review", queue="By pair of classes", a=group(own_many, "resnet20"), b=group(own_many, "vgg16")))
    title = app.selectbox(key="pair").options[0]
    fine(app.selectbox(key="pair").select(title).run())
    label, wrong = title.split(" → ")
    table = app.dataframe[0].value
    assert (table["Label"][0], table["Taken for"][0]) == (label, wrong) and (np.diff(table["Samples"]) <= 0).all()
    fine(next(button for button in app.button if button.label.startswith("Mark all")).click().run())
    fine(next(button for button in app.button if button.key and button.key.startswith("proposed-")).click().run())
    (action,) = actions(own_many)
    assert (action.verdict, action.class_name, len(action.samples)) == ("relabel", wrong, table["Samples"][0])
    original = open_dataset(own_many, "digits")
    rows = identities(original).match(*zip(*action.samples, strict=True)).rows_n
    assert {original.class_names[k] for k in original.labels_N[rows]} == {label}
    assert app.dataframe[0].value["Left"][0] == 0
    app.segmented_control(key="queue").set_value("Log").run()
    fine(app.selectbox(key="action").select(action.id).run())
    fine(app.button(key=f"take-back-{action.id}").click().run())
    assert "taken back" in set(app.dataframe[0].value["State"]) and len(review.state(review.read_log(own_many, "digits")).verdicts) == 0


def test_a_class_is_merged_into_another(own_many, open_page):
    app = fine(open_page("review", queue="By pair of classes"))
    fine(app.selectbox(key="merge-from").select("1").run())
    fine(app.selectbox(key="merge-into").select("7").run())
    fine(app.button(key="merge").click().run())
    (action,) = actions(own_many)
    assert (action.verdict, action.class_name, len(action.samples)) == ("relabel", "7", 182)


def test_retraining_queues_the_same_runs_on_the_reviewed_labels(own_many, open_page):
    job_queue.write(own_many, lambda connection: job_queue.set_worker(connection, "cpu", Process.of(os.getpid())))  # none is started
    original = open_dataset(own_many, "digits")
    review.decide(own_many, "digits", identities(original).samples([5, 6]), "drop", by="me")
    app = fine(open_page("review", queue="Export", a=group(own_many, "resnet20")))
    fine(app.button(key="make-version").click().run())
    assert app.selectbox(key="version").value == "reviewed-1"
    text = said(app)
    assert "2 runs of resnet20 on reviewed-1" in text
    assert "train --data digits --arch resnet20 --epochs 12 --labels reviewed-1 --seeds 2" in text
    before = set(own_many.run_ids("digits"))
    fine(app.button(key="retrain").click().run())
    new = set(own_many.run_ids("digits")) - before
    assert sorted(run_id.split("-")[1] for run_id in new) == ["s0", "s1"]
    assert "retrain" not in {button.key for button in app.button}, "there is nothing left to start"


def test_before_and_after_by_sample_and_class(own_many, open_page):
    original = open_dataset(own_many, "digits")
    wrong = [int(i) for i in np.flatnonzero(original.labels_N == 3)[:6]]
    review.decide(own_many, "digits", identities(original).samples(wrong), "relabel", class_name="8", by="me")
    version = review.label_version_from_reviews(own_many, "digits")
    made_cache.add_run(own_many, "resnet20", 0, labels=version)
    app = fine(open_page("review", queue="Before and after", a=group(own_many, "resnet20")))
    text = said(app)
    assert "6 samples have a new label" in text and "0 were dropped" in text
    table = app.dataframe[0].value.set_index("Class")
    assert table["Size after"]["3"] == table["Size before"]["3"] - 6 and table["Size after"]["8"] == table["Size before"]["8"] + 6
    assert "resnet20" in app.selectbox(key="twins").value
    made_cache.add_run(own_many, "resnet20", 1, labels=version, looks=3, state=None)
    text = said(fine(app.run()))
    assert "resnet20-s1 on reviewed-1: running, 3 of 12 epochs" in text and "allow it by name" not in text


def test_the_corrected_folder_goes_into_the_cache_alone(own_many, open_page):
    app = fine(open_page("review", queue="Export"))
    for name in ("../outside", "/etc/x", "a/b", "~", "..", "a\0b"):
        app.text_input(key="export-name").set_value(name).run()
        fine(app.button(key="export-folder").click().run())
        assert "Not done" in said(app) and not (own_many.root / "exports").exists(), name


def test_the_corrected_folder_is_written_beside_the_dashboard(own_many):
    opened = open_dataset(own_many, "digits")
    review.decide(own_many, "digits", identities(opened).samples([0]), "drop", by="me")
    review.decide(own_many, "digits", identities(opened).samples([1]), "relabel", class_name="a new one", by="me")
    review_export.write_folder(opened, "fixed")
    folder, log = own_many.export("digits", "fixed"), own_many.export_log("digits", "fixed")
    until = time.monotonic() + 120
    while not folder.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert folder.exists(), log.read_text()
    assert len(list((folder / "images").rglob("*.png"))) == 1796
    assert len(list((folder / "images" / "train" / "a new one").iterdir())) == 1


def test_links_that_ask_in_vain_are_told(many, open_page):
    for query in (
        {"queue": "Nothing"},
        {"queue": "By pair of classes", "pair": "no → such"},
        {"queue": "By pair of classes", "taken": "often"},
    ):
        assert fine(open_page("review", **query)).warning, query
    app = fine(open_page("review", selection="nothing"))
    assert app.warning or "All samples are shown" in said(app)


def test_an_area_of_the_pair_plot_or_a_selection_is_reviewed_alone(own_many, open_page):
    area = "-0.1,-0.1;0.4,-0.1;0.4,0.4;-0.1,0.4"
    pair = {"a": group(own_many, "resnet20"), "b": group(own_many, "vgg16"), "in": area}
    count = re.search(r"Inside the area .*: (\d+) samples", said(fine(open_page("gallery", **pair))))[1]
    app = fine(open_page("review", **pair))
    assert f"1 of {count}" in said(app) and int(count) < 1000
    fine(app.button(key="drop-in").click().run())
    assert "1 of 1,438" in said(app)
    selections.save(own_many, open_dataset(own_many, "digits"), "three", np.array([3, 4, 5]), "by hand")
    app = fine(open_page("review", selection="three"))
    assert "1 of 3" in said(app) and app.selectbox(key="selection").value == "three"
    for _ in range(3):
        press(app, "keep")
    assert "Every sample of this list is decided" in said(app)
    fine(app.button(key="to-export").click().run())
    assert "Corrected labels" in said(app)


def test_a_torn_log_is_told_and_the_rest_counts(own_many, open_page):
    review.decide(own_many, "digits", identities(open_dataset(own_many, "digits")).samples([5]), "drop", by="me")
    path = own_many.reviews("digits")
    path.write_bytes(path.read_bytes() + b'{"format": 1, "id": "cut o')
    app = fine(open_page("review", queue="Log"))
    assert "cannot be read" in said(app) and metrics(app)["Decided"] == "1"


def test_verdicts_in_the_gallery_and_on_a_sample(own_many, open_page):
    app = fine(open_page("sample", id="7"))
    fine(app.button(key="drop-sample-7").click().run())
    assert "Review: dropped, by" in said(app)
    fine(app.button(key="undo-sample-7").click().run())
    assert "Not reviewed yet" in said(app)
    app = fine(open_page("gallery"))
    key = next(button.key for button in app.button if button.key and button.key.startswith("keep-gallery-"))
    fine(app.button(key=key).click().run())
    assert "Review: kept" in said(app)
    fine(app.toggle(key="several").set_value(True).run())
    assert app.button(key="keep-gallery-several").disabled
    assert [action.verdict for action in actions(own_many)] == ["drop", None, "keep"]


def test_tags_are_given_beside_verdicts(own_many, open_page):
    original = open_dataset(own_many, "digits")
    review.tag(own_many, "digits", identities(original).samples([7, 8]), add=["blurry", "night"], by="me")
    app = fine(open_page("sample", id="7"))
    box = next(element for element in app.multiselect if element.label == "Tags")
    assert box.value == ["blurry", "night"]
    fine(box.set_value(["night"]).run())
    fine(app.button(key="keep-sample-7").click().run())
    found = review.state(review.read_log(own_many, "digits"))
    assert found.tags[(original.keys[7], original.hashes[7])] == ("night",) and len(found.verdicts) == 1
    assert "Review: kept, by" in said(app) and "Tags: night." in said(app)


def test_hostile_classes_can_be_reviewed_and_stay_text(tmp_path, monkeypatch, open_page):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    cache = made_cache.hostile(tmp_path / "cache")
    before = len(review.read_log(cache, "hostile").actions)
    app = fine(open_page("review"))
    press(app, "keep")
    fine(app.button(key=f"relabel-1-queue-{current(app)}").click().run())
    review.decide(
        cache, "hostile", identities(open_dataset(cache, "hostile")).samples([3]), "relabel", class_name="<b>new</b> $x$", by="<b>me</b>"
    )
    for part in PARTS:
        app = fine(open_page("review", queue=part))
        for kind in ("markdown", "caption", "title", "subheader", "warning", "info", "metric", "button"):
            for element in app.get(kind):
                text = f"{getattr(element, 'value', '')} {getattr(element, 'label', '')} {getattr(element, 'help', '')}"
                assert not {"onerror", "**bold**", "<b>"} & set(text.split()) and "onerror" not in text, (part, kind, text)
    assert [action.verdict for action in review.read_log(cache, "hostile").actions[before:]] == ["keep", "relabel", "relabel"]


# the parts that decide what is shown


def test_proposals_put_the_wrong_class_first_then_what_was_named_then_neighbours():
    named, near = np.array([9, 0, 5, 1, 0]), np.array([0, 2, 0, 0, 0])
    found = review_queue.proposals(0, 3, named, near)
    assert [one.label for one in found] == [3, 2, 1, 4]
    assert [one.said for one in found] == ["7 % of looks", "33 % of looks", "2 neighbours", ""]
    many = review_queue.proposals(0, 50, np.eye(60, dtype=int)[50] * 4, np.zeros(60, int))
    assert [one.label for one in many] == [50], "with many classes only those that something speaks for"
    assert len(review_queue.proposals(0, 1, np.ones(60, int), np.zeros(60, int))) == 9


def test_commands_for_seeds_that_do_not_follow_each_other(many):
    runs = [run for run in _runs(many) if run.id.startswith("vgg16")]
    configs = review_export.on_labels(runs, "reviewed-3")
    assert [config.labels for config in configs] == ["reviewed-3"] * 2 and len(review_export.commands(configs)) == 1
    assert "--first-seed 1" in review_export.commands(configs[1:])[0]


def _runs(cache) -> list:
    from learnability.store.runs import load_runs

    return load_runs(cache, "digits")
