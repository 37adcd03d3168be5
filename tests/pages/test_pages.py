"""Every page with nothing, with one run, with many, with a run at work and with a damaged one; links that are wrong."""

import dataclasses
import gc
import json
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import ui.process
from learnability.prepare import prepare
from learnability.store import files
from learnability.store.runs import load_run, write_head
from tests.ui import made_cache
from ui import data, recorded

PAGES = ("overview", "compare", "gallery", "review", "curriculum", "runs", "sample")


def said(app) -> str:
    """All the text on a page, main part and sidebar."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "text", "code", "warning", "info", "error")
    return "\n".join(str(element.value) for part in (app.main, app.sidebar) for kind in kinds for element in part.get(kind))


def warned(app) -> list[str]:
    """Warnings, but for the one that a run stands still: the tests' caches hold such a run."""
    return [element.value for element in app.warning if "interrupted" not in element.value]


def fine(app):
    assert not app.exception, app.exception[0].message
    assert not app.error, [element.value for element in app.error]
    return app


def group(cache, arch: str) -> str:
    return next(f"{arch}-{run_id.rsplit('-', 1)[1]}" for run_id in cache.run_ids("digits") if run_id.startswith(arch))


@pytest.mark.parametrize("page", PAGES)
def test_without_a_data_set_every_page_gives_the_two_commands(page, empty, open_page):
    text = said(fine(open_page(page)))
    assert "python -m learnability prepare digits" in text
    assert "python -m learnability train --data digits --arch resnet20 vgg16 mobilenet" in text


@pytest.mark.parametrize("page", PAGES)
def test_without_a_run_every_page_gives_the_command(page, no_run, open_page):
    text = said(fine(open_page(page)))
    assert "python -m learnability train --data digits" in text
    assert "No run yet" in text


@pytest.mark.parametrize("page", PAGES)
def test_one_run_is_enough(page, no_run, open_page):
    config = made_cache.add_run(no_run, "resnet20", 0)
    app = fine(open_page(page))
    text = said(app)
    assert "resnet20, one seed" in text and config.recipe in text
    if page == "compare":
        assert f"--arch {config.arch} --epochs 12 --seeds 2" in text, "the second seed must get the same recipe"
    if page == "overview":
        assert "Unknown with one seed" in text
        app.button(key=f"more-next-{config.group_id}").click().run()
        form = fine(app).sidebar
        assert form.number_input(key="launch-first").value == 1 and form.multiselect(key="launch-archs").value == ["resnet20"]
        assert form.number_input(key="launch-epochs").value == 12, "the second seed must get the same recipe"


@pytest.mark.parametrize("page", PAGES)
def test_many_runs(page, many, open_page):
    app = fine(open_page(page, a=group(many, "resnet20"), b=group(many, "vgg16")))
    assert app.sidebar.selectbox(key="b").value == group(many, "vgg16")
    assert not warned(app)


def test_a_run_without_an_epoch_tells_its_state(no_run, open_page):
    made_cache.add_run(no_run, "vgg16", 0, looks=0, state=None)
    for page in PAGES:
        text = said(fine(open_page(page)))
        if page != "runs":
            assert "No epoch is finished yet" in text and "0 of 12 epochs" in text


@pytest.mark.parametrize("page", ["compare", "gallery", "curriculum"])
def test_a_run_whose_first_scores_are_still_to_be_written_lacks_no_signal(no_run, open_page, page):
    config = made_cache.add_run(no_run, "resnet20", 0, looks=3, state=None)
    (no_run.run_folder("digits", config.run_id) / "scores.parquet").unlink()
    app = fine(open_page(page))
    assert "The first scores are not written yet" in said(app) and "lacks a signal" not in " ".join(w.value for w in app.warning)


def test_a_run_at_work_says_how_far_it_is(no_run, open_page):
    made_cache.add_run(no_run, "vgg16", 0, looks=7, state=None)
    for page in ("overview", "gallery", "sample"):
        text = said(fine(open_page(page)))
        assert "7 of 12 epochs so far" in text and "They will change" in text


def test_the_unfinished_seed_is_left_out_of_the_mean(many, open_page):
    text = said(fine(open_page("overview", a=group(many, "mobilenet"))))
    assert "mobilenet, one seed" in text and "Not in the mean: mobilenet-s1 (7 epochs)" in text


def test_a_damaged_run_is_one_card_and_all_else_works(own_many, open_page):
    config = made_cache.add_run(own_many, "resnet20", 5)
    made_cache.damage(own_many, config)
    for page in PAGES:
        app = fine(open_page(page, b=group(own_many, "vgg16")))
        text = said(app)
        assert text.count("Run damaged") == 1 and "loss.f2 is damaged" in text
        assert page == "runs" or "resnet20, mean of 2 seeds" in text


def test_damaged_scores_of_the_run_itself(own_many, open_page):
    run_id = next(run_id for run_id in own_many.run_ids("digits") if run_id.startswith("vgg16-s0"))
    path = own_many.run_folder("digits", run_id) / "scores.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    app = fine(open_page("overview", a=run_id))
    assert "The scores of this run cannot be read" in said(app) and "scores.parquet" in said(app)
    assert "Not in the mean: vgg16-s0 (damaged)" in said(fine(open_page("overview", a=group(own_many, "vgg16"))))


def test_a_changed_score_is_shown_at_once(own_many, open_page):
    app = fine(open_page("overview", a=group(own_many, "vgg16")))
    before = said(app)
    paths = [
        own_many.run_folder("digits", run_id) / "scores.parquet" for run_id in own_many.run_ids("digits") if run_id.startswith("vgg16")
    ]
    never = np.logical_and.reduce([files.read_table(path)["learnability"].to_numpy() == 0 for path in paths]).argmax()
    for path in paths:
        table, metadata = files.read_table(path).replace_schema_metadata(None), files.table_metadata(path)
        learnability_N = table["learnability"].to_numpy().copy()
        learnability_N[never] = 1.0
        table = table.set_column(table.column_names.index("learnability"), "learnability", pa.array(learnability_N))
        crc = {name: zlib.crc32(np.ascontiguousarray(table[name].to_numpy())) for name in table.column_names}
        files.write_table(path, table, metadata | {"crc32": json.dumps(crc)})
    assert said(fine(app.run())) != before


def test_a_run_that_goes_away_is_no_error(own_many, open_page):
    import shutil

    app = fine(open_page("gallery", a=group(own_many, "vgg16")))
    for run_id in [run_id for run_id in own_many.run_ids("digits") if run_id.startswith("vgg16")]:
        shutil.rmtree(own_many.run_folder("digits", run_id))
    fine(app.run())


@pytest.mark.parametrize(
    "query",
    [
        {"data": "../../etc/passwd"}, {"data": "nothing\0here"}, {"recipe": "ffffffff"}, {"a": "~/secrets"}, {"a": "%2e%2e%2f"},
        {"b": "C:\\x"},
        {"metric": "<script>alert(1)</script>"}, {"metric": "x" * 100_000}, {"surprise": "1"}, {"a": "resnet20-s0-00000000"},
    ],
)  # fmt: skip
def test_what_a_link_asks_in_vain_is_said(query, many, open_page):
    app = fine(open_page("overview", **query))
    (warning,) = warned(app)
    (name,) = query
    assert name in warning or "no page knows" in warning
    assert str(many.root) not in said(app), "a page tells no path of this machine"
    fine(app.run())
    assert not warned(app), "said once"


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("gallery", {"which": "Worst"}), ("gallery", {"class": "no such class"}), ("gallery", {"wrong": "-1"}),
        ("gallery", {"sheet": "9999"}), ("gallery", {"sheet": "abc"}), ("compare", {"view": "Lines"}),
        ("compare", {"metric_b": "vibes"}), ("compare", {"in": "1,2;nan,4;x"}),
    ],
)  # fmt: skip
def test_the_pages_own_parameters_too(page, query, many, open_page):
    app = fine(open_page(page, b=group(many, "vgg16"), **query))
    assert warned(app), f"{query} vanished without a word"


@pytest.mark.parametrize(
    "text", ["", "1", "1,2", "1,2;3,4", "a,b;c,d;e,f", "1e400,0;1,1;0,1", "nan,nan;0,0;1,1", ";".join(["0,0"] * 61), "|" * 50]
)
def test_an_area_that_cannot_be_read_shows_all_samples(text, many, open_page):
    app = fine(open_page("gallery", b=group(many, "vgg16"), **{"in": text}))
    assert "All samples are shown" in said(app) and "1,438 samples" in said(app)


def test_an_area_restricts_the_gallery(many, open_page):
    app = fine(open_page("gallery", b=group(many, "vgg16"), **{"in": "-0.1,-0.1;0.5,-0.1;0.5,0.5;-0.1,0.5"}))
    text = said(app)
    assert "Inside the area drawn" in text and "1,438 samples, ordered" not in text


@pytest.mark.parametrize("name", ["nothing", "../../../etc/passwd", "a/b", "\0", "~", "x" * 300])
def test_a_selection_that_is_not_there(name, many, open_page):
    app = fine(open_page("gallery", selection=name))
    assert "All samples are shown" in said(app)
    assert "root:" not in said(app)


@pytest.mark.parametrize("wanted", ["99999", "-1", "1438"])
def test_an_unknown_sample_is_never_another_one(wanted, many, open_page):
    app = fine(open_page("sample", id=wanted))
    assert any("No sample" in element.value and "0 to 1,437" in element.value for element in app.warning)
    assert "Nearest neighbours" not in said(app)


def test_a_nearest_neighbour_is_opened_from_the_page_of_a_sample(many, open_page):
    app = fine(open_page("sample", id="7"))
    run = next(run for run in data.all_runs("digits") if run.label == "resnet20-s0")
    near = int(recorded.nearest(run, data.dataset("digits"), 7)[0][0])
    app.session_state["picked"] = {"neighbours": near}
    fine(fine(app.run()).button(key="go-neighbours").click().run())
    assert f"Sample {near:,}" in said(app) and app.number_input(key="id").value == near


def test_nearest_neighbours_come_with_the_end_of_a_run(no_run, open_page):
    """The features of a run come after its last scores: what was kept of those may not hide them."""
    config = made_cache.add_run(no_run, "resnet20", 0)
    done = load_run(no_run, "digits", config.run_id).head
    write_head(no_run.run_folder("digits", config.run_id), dataclasses.replace(done, state="running"))
    assert "appear when a run is done" in said(fine(open_page("sample", id="7")))
    write_head(no_run.run_folder("digits", config.run_id), done)
    assert "are labelled" in said(fine(open_page("sample", id="7")))


def test_rejected_files_are_listed_with_their_reasons(empty, tmp_path, open_page):
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (len(name) * 40, 10, ord(name[0]))).save(tmp_path / "pets" / name / "0.png")
    (tmp_path / "pets" / "dogs" / "broken.png").write_bytes(b"no picture")
    prepare(made_cache.Cache(empty), str(tmp_path / "pets"), name="pets")
    app = fine(open_page("overview"))
    assert [one.label for one in app.main.expander] == ["1 rejected file, each with its reason"] and not app.dataframe
    app.session_state["rejects-open"] = True
    (table,) = [frame.value for frame in fine(app.run()).dataframe]
    assert table.loc[0, "File"] == "dogs/broken.png" and table.loc[0, "Reason"]


def test_a_link_to_a_group_alone_opens_its_recipe(no_run, open_page):
    """The address bar leaves out a recipe that was the newest; it still opens the same page when a newer one has come."""
    first = made_cache.add_run(no_run, "resnet20", 0)
    newer = made_cache.add_run(no_run, "resnet20", 0, epochs=8, looks=8)
    for config, wanted in ((first, {"a": first.group_id}), (first, {"a": first.run_id}), (newer, {"a": newer.group_id})):
        app = fine(open_page("overview", **wanted))
        for _ in range(2):
            chosen = [app.sidebar.selectbox(key=key).value for key in ("recipe", "a")]
            assert not warned(app) and chosen == [config.recipe, wanted["a"]]
            fine(app.run())


def test_a_deep_link_to_a_sample(many, open_page):
    app = fine(open_page("sample", id="7", b=group(many, "vgg16")))
    assert app.number_input(key="id").value == 7
    text = said(app)
    assert "Sample 7" in text and "Nearest neighbours" in text and "are labelled" in text
    assert len(app.get("plotly_chart")) == 3 and len(app.get("bidi_component")) >= 1
    scores = app.table[0].value
    assert {"Learnability", "Label suspicion", "Mean loss"} <= set(scores["Score"])
    assert "E if it never did" in scores.set_index("Score").loc["First learned (epoch)", "What it tells"], "no epoch has that number"
    assert "higher = easier" in set(scores["Direction"])


def test_charts_name_unit_and_direction_of_every_axis(many, open_page):
    app = fine(open_page("compare", b=group(many, "vgg16")))
    spec = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert "(share of epochs predicted right, higher = easier)" in spec["layout"]["xaxis"]["title"]["text"]
    assert "vgg16" in spec["layout"]["yaxis"]["title"]["text"]


def test_the_lasso_chart_stays_the_same_between_runs(many, open_page):
    app = fine(open_page("compare", b=group(many, "vgg16")))
    first = app.get("plotly_chart")[0].proto
    app.run()
    again = app.get("plotly_chart")[0].proto
    assert (first.id, first.spec) == (again.id, again.spec)


def test_short_names_of_scores_work_in_links(many, open_page):
    app = fine(open_page("overview", metric="suspicion"))
    assert app.sidebar.selectbox(key="metric").value == "suspicion" and not warned(app)


def test_quadrants_lead_to_the_gallery(many, open_page):
    app = fine(open_page("compare", b=group(many, "vgg16")))
    app.button(key="quadrant-Hard for both").click().run()
    fine(app)
    assert app.selectbox(key="which").value == "Hard for both"
    assert app.title[0].value == "Gallery"


def test_two_ranges_do_what_a_lasso_does(many, open_page):
    app = fine(open_page("compare", b=group(many, "vgg16")))
    app.slider(key="range-A-learnability").set_value((0.0, 0.5))
    app.slider(key="range-B-learnability").set_value((0.5, 1.0))
    app.button(key="select-ranges").click().run()
    fine(app)
    assert "samples selected" in said(app)
    app.button(key="show-all").click().run()
    fine(app)
    assert app.title[0].value == "Gallery" and "Inside the area drawn" in said(app)


def test_hostile_names_stay_text(tmp_path, monkeypatch, open_page):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    made_cache.hostile(tmp_path / "cache")
    for page, query in (("overview", {}), ("gallery", {}), ("compare", {}), ("sample", {"id": "3"}), ("runs", {})):
        app = fine(open_page(page, **query))
        for kind in ("markdown", "caption", "title", "subheader", "warning", "info"):
            for element in app.get(kind):
                assert "onerror" not in str(element.value) and "**bold**" not in str(element.value), f"{kind} on {page}"
        for chart in app.get("plotly_chart"):
            assert "<img" not in chart.proto.spec and "<script" not in chart.proto.spec
        for chart in app.get("button"):
            assert "onerror" not in chart.label


@pytest.mark.parametrize("spelled", ["true", "1"])
def test_plain_pictures_show_the_same_sheet_as_ordinary_elements(spelled, many, open_page):
    app = fine(open_page("gallery", plain=spelled, which="Easiest"))
    assert app.sidebar.toggle(key="plain").value and not warned(app)
    shown = [button.key for button in app.main.button if button.key.startswith("gallery-")]
    assert len(shown) == 24 and len(app.main.get("image")) == 25, "24 of the sheet, and the one in the panel"
    assert not any(element.proto.component_name == "tiles" for element in app.get("bidi_component"))
    alike = fine(open_page("gallery", which="Easiest"))
    (grid,) = [element.proto for element in alike.get("bidi_component") if element.proto.component_name == "tiles"]
    assert [int(key.removeprefix("gallery-")) for key in shown] == json.loads(grid.json)["ids"][:24]


def test_a_plain_picture_can_be_picked_marked_and_opened(many, open_page):
    app = fine(open_page("gallery", plain="true"))
    keys = [button.key for button in app.main.button if button.key.startswith("gallery-")]
    wanted = int(keys[5].removeprefix("gallery-"))
    fine(app.button(key=keys[5]).click().run())
    assert f"sample {wanted:,}  ·" in said(app)
    app.toggle(key="several").set_value(True).run()
    fine(app.button(key=keys[7]).click().run())
    assert app.button(key=keys[7]).label == f"Unmark {keys[7].removeprefix('gallery-')}"
    app.toggle(key="several").set_value(False).run()
    app.button(key=keys[5]).click().run()
    fine(app.button(key="open-gallery").click().run())
    assert app.title[0].value == f"Sample {wanted:,}"
    assert app.sidebar.toggle(key="plain").value, "it stays on from page to page"


def test_a_link_that_asks_for_neither_plain_nor_not_is_told(many, open_page):
    assert any("plain" in warning for warning in warned(fine(open_page("overview", plain="perhaps"))))


def test_what_is_loaded_is_searched_for_garbage_once_and_not_after_every_request(many, open_page, monkeypatch):
    monkeypatch.setattr(ui.process, "_modules", 0)
    app = fine(open_page("gallery").run())
    kept = gc.get_freeze_count()
    assert kept > 50_000
    for _ in range(3):
        app.run()
    assert gc.get_freeze_count() <= kept, "what a request makes is not kept"


def test_runs_side_by_side_tell_what_they_ran_with(own_many, open_page):
    """Two runs that were asked for the same may have run on another device, in another way, with other versions."""
    first, second = [run_id for run_id in own_many.run_ids("digits") if run_id.startswith("resnet20")][:2]
    for run_id, threads in ((first, 1), (second, 2)):
        files.write_json(own_many.run_folder("digits", run_id) / "environment.json", {"torch": "2.15.0", "threads": threads, "mean": [0.3]})
    app = fine(open_page("runs"))
    fine(app.selectbox(key="config-first").set_value(first).run())
    told = {frame.value.columns[0]: frame.value for frame in app.dataframe}
    assert dict(told["Ran with"].to_numpy()) == {"lr": "0.1", "torch": "2.15.0", "threads": "1"}
    fine(app.selectbox(key="config-second").set_value(second).run())
    fine(app.toggle(key="config-only").set_value(True).run())
    told = {frame.value.columns[0]: frame.value for frame in app.dataframe}
    assert told["Ran with"].to_numpy().tolist() == [["threads", "1", "2"]]
    assert told["Asked for"].to_numpy().tolist() == [["seed", "0", "1"]]
    fine(app.selectbox(key="config-second").set_value(first).run())
    assert "Asked for: the same." in said(app) and "Ran with: the same." in said(app)


def test_exact_copies_are_one_click_from_the_overview(tmp_path, monkeypatch, open_page):
    """Two pictures stand twice, one of them under two labels: these come first."""
    for folder, name, like in [("cat", "a", 0), ("cat", "b", 1), ("cat", "c", 1), ("dog", "d", 0), ("dog", "e", 2), ("dog", "f", 3)]:
        pixels = np.random.Generator(np.random.PCG64(like)).integers(0, 256, (32, 32, 3), np.uint8)
        (tmp_path / "pets" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "pets" / folder / f"{name}.png")
    cache = made_cache.Cache(tmp_path / "cache")
    prepare(cache, f"folder:{tmp_path / 'pets'}", name="pets", size=32)
    monkeypatch.setenv("LEARNABILITY_CACHE", str(cache.root))
    made_cache.add_run(cache, "resnet20", 0, data="pets")
    app = fine(open_page("overview"))
    assert "1 image stands under more than one label" in said(app) and app.button(key="show-copies").label == "Show the exact copies"
    app = fine(open_page("gallery", which="Exact copies"))
    assert "4 samples, each with its exact copies beside it, pictures under more than one label first. Shown: 1 to 4." in said(app)
