"""Whether agreement and scores can be trusted: what overview, compare and gallery say of it."""

import dataclasses
import itertools
import json
import os
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import streamlit as st
from sklearn.metrics import cohen_kappa_score

from learnability import jobs, review
from learnability.__main__ import main
from learnability.jobs import queue as job_queue
from learnability.jobs.processes import Process
from learnability.store.datasets import ensure_labels, open_dataset
from learnability.store.identity import identities
from learnability.store.runs import create_run, load_recording, load_runs
from learnability.training import train
from tests.pages.test_pages import fine, group, said, warned
from tests.training.toy import OWN, make_toy
from tests.ui import made_cache
from ui import comparable, data, disagreements, enough, matrix, reliability, reviews, scored, state, trust


@pytest.fixture(scope="module")
def seeds_root(tmp_path_factory):
    """digits: three seeds of two networks, one of a third, and runs that were made otherwise."""
    cache = made_cache.digits(tmp_path_factory.mktemp("seeds"))
    ensure_labels(cache, "digits", cache.current("digits"), "planted-0.05-0")
    made_cache.add_run(cache, "resnet20", 0, labels="planted-0.05-0")
    made_cache.add_run(cache, "vgg16", 0, epochs=8, looks=8, record="eval")
    for arch, count in (("resnet20", 3), ("vgg16", 3), ("mobilenet", 1)):
        for seed in range(count):
            made_cache.add_run(cache, arch, seed)
    return cache.root


@pytest.fixture
def seeds(seeds_root, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(seeds_root))
    st.cache_resource.clear()
    return made_cache.Cache(seeds_root)


def ids_of(cache) -> dict[str, str]:
    """What these runs are for -> their group."""
    found = {}
    for run in load_runs(cache, "digits"):
        config = run.config
        kind = "planted" if config.labels != "original" else "short" if config.epochs == 8 else config.arch
        found[kind] = run.group
    return found


def of(cache, id: str, metric: str = "learnability"):
    members = [run for run in load_runs(cache, "digits") if run.group == id]
    return scored.series("digits", id, members, metric)


def table(app) -> dict:
    """What the table of groups was given to draw."""
    (found,) = [element.proto for element in app.get("bidi_component") if element.proto.component_name == "matrix"]
    return json.loads(found.json)


# the table of groups


def test_the_table_has_every_pair_with_its_ceiling_and_seeds_on_the_diagonal(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"]))
    shown = table(app)
    assert [tuple(name) for name in shown["names"]] == [("resnet20", "3 seeds"), ("vgg16", "3 seeds"), ("mobilenet", "1 seed")]
    cells = shown["cells"]
    a, b = of(seeds, ids["resnet20"]), of(seeds, ids["vgg16"])
    pairs = [np.corrcoef(x, y)[0, 1] for x in a.score_RN for y in b.score_RN]
    assert cells[0][1]["value"] == cells[1][0]["value"] == f"{np.mean(pairs):.2f}"
    own = [np.corrcoef(a.score_RN[i], a.score_RN[j])[0, 1] for i, j in ((0, 1), (0, 2), (1, 2))]
    assert cells[0][0]["value"] == f"{np.mean(own):.2f}" and "two of its seeds" in cells[0][0]["lines"]
    assert "% of 0." in cells[0][1]["lines"][1] and "1,438 samples" in cells[0][1]["told"]
    assert cells[2][2]["value"] == "unknown" and "Train a second one" in cells[2][2]["told"]
    assert "ceiling unknown" in cells[0][2]["lines"]
    assert [cell["here"] for row in cells for cell in row] == [False, True] + [False] * 7
    assert "Unknown for mobilenet" in said(app)


def test_spearman_is_a_switch_and_the_numbers_are_a_table_too(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"], kind="Spearman"))
    assert not warned(app)
    several = [of(seeds, ids[name]) for name in ("resnet20", "vgg16", "mobilenet")]
    assert (
        table(app)["cells"][0][1]["value"]
        == f"{trust.between(*sorted(several[:2], key=lambda one: one.id), 'spearman').cross.single_run:.2f}"
    )
    names = [trust.title(one, several) for one in several]
    cells = [
        [trust.within(one, "pearson") if one is other else trust.between(one, other, "pearson") for other in several] for one in several
    ]
    rows = matrix.rows(several, names, cells).to_pylist()
    assert len(rows) == 6 and all(row["Samples"] == 1438 for row in rows)
    pair = next(row for row in rows if {row["A"], row["B"]} == {"resnet20", "vgg16"})
    assert pair["low"] < pair["Agree at"] < pair["high"] and pair["Agree at"] / pair["Ceiling"] == pytest.approx(
        pair["Of ceiling"], abs=1e-3
    )
    assert next(row for row in rows if row["A"] == row["B"] == "mobilenet")["Agree at"] is None


def test_it_says_whether_they_err_on_the_same_samples(seeds, open_page):
    ids = ids_of(seeds)
    hits = {
        arch: [(one.prediction_NE[:, -1] == one.labels_N) for run in load_runs(seeds, "digits") if run.group == ids[arch]
               for one in [load_recording(seeds, "digits", run.id)]]
        for arch in ("resnet20", "vgg16", "mobilenet")
    }  # fmt: skip
    between = np.mean([cohen_kappa_score(a, b) for a in hits["resnet20"] for b in hits["vgg16"]])
    of_a = np.mean([cohen_kappa_score(a, b) for a, b in itertools.combinations(hits["resnet20"], 2)])
    text = said(fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"])))
    assert (
        f"After epoch 12 they err on the same samples at **kappa {between:.2f}** [" in text and f"two seeds of A {of_a:.2f}, of B" in text
    )
    alone = np.mean([cohen_kappa_score(hits["mobilenet"][0], b) for b in hits["vgg16"]])
    text = said(fine(open_page("compare", a=ids["mobilenet"], b=ids["vgg16"], metric="Mean loss")))
    assert f"**kappa {alone:.2f}** [" in text and "two seeds of B" in text
    one = next(run.id for run in load_runs(seeds, "digits") if run.group == ids["vgg16"])
    assert "kappa" not in said(fine(open_page("compare", a=ids["vgg16"], b=one))), "they share a run"


def test_a_cell_chooses_a_and_b(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"], plain="true"))
    app.button(key="matrix-2-1").click().run()
    fine(app)
    assert (app.sidebar.selectbox(key="a").value, app.sidebar.selectbox(key="b").value) == (ids["mobilenet"], ids["vgg16"])
    app.button(key="matrix-1-1").click().run()
    assert (fine(app).sidebar.selectbox(key="a").value, app.sidebar.selectbox(key="b").value) == (ids["vgg16"], None)


@pytest.mark.parametrize("picked", [None, "x", [0], [0, 9], [-1, 0], [0.5, 1], ["0", "1"]])
def test_a_cell_that_is_not_there_chooses_nothing(picked, seeds):
    matrix.choose([of(seeds, ids_of(seeds)["vgg16"])], picked)


def test_one_group_alone_has_a_page_too(no_run, open_page):
    made_cache.add_run(no_run, "resnet20", 0)
    app = fine(open_page("compare"))
    text = said(app)
    assert table(app)["cells"][0][0]["value"] == "unknown"
    assert "Whether a second training would agree is unknown" in text
    assert app.button(key=f"more-enough-{group(no_run, 'resnet20')}").label == "Train one more seed of resnet20"


def test_what_is_queued_already_is_not_proposed(no_run, open_page):
    made_cache.add_run(no_run, "resnet20", 0)
    made_cache.add_run(no_run, "mobilenet", 0, looks=0, state=None)
    for page, told in (("compare", "Not finished yet:\nmobilenet-s0"), ("overview", "mobilenet-s0: not finished yet.")):
        text = said(fine(open_page(page)))
        assert told.splitlines()[-1] in text.splitlines() and "--arch vgg16" not in text, page


# what may not be compared, and what differs


def test_planted_and_real_labels_are_never_mixed(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["planted"]))
    text = said(app)
    assert "A and B cannot be compared" in text and "original" in text and "planted-0.05-0" in text and "same label version" in text
    assert "Hard for whom?" not in text and not app.get("plotly_chart")
    fine(open_page("gallery", a=ids["resnet20"], b=ids["planted"]))


def test_what_differs_stands_there_with_both_values(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["short"]))
    (warning,) = warned(app)
    for told in ("A and B were not made alike", "**Epochs**: A `12 epochs`, B `8 epochs`", "**Mode**: A `train`, B `eval`", "**Recipe**"):
        assert told in warning
    assert "epochs 12 and 8" in warning
    assert any("≠ epochs, mode, recipe" in line for row in table(app)["cells"] for cell in row for line in cell["lines"])


def test_without_a_sample_in_common_there_is_no_number(seeds):
    a = of(seeds, ids_of(seeds)["resnet20"])
    b = of(seeds, ids_of(seeds)["vgg16"])
    half = [
        dataclasses.replace(one, sample_ids_N=one.sample_ids_N[rows], labels_N=one.labels_N[rows], score_RN=one.score_RN[:, rows])
        for one, rows in ((a, slice(None, 700)), (b, slice(700, None)))
    ]
    assert "no sample in common" in comparable.compared(*half).refused
    assert comparable.compared(a, half[1]).differs[-1].what == "Samples"
    assert "738" in comparable.compared(a, half[1]).differs[-1].so


def test_two_versions_of_a_data_set_are_refused(seeds):
    a, b = (of(seeds, ids_of(seeds)[name]) for name in ("resnet20", "vgg16"))
    config = dataclasses.replace(b.config, fingerprint="f" * 64)
    other = dataclasses.replace(b, runs=(dataclasses.replace(b.runs[0], config=config),))
    assert "two versions" in comparable.compared(a, other).refused


# enough, and the card


def test_enough_says_what_more_would_give(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["mobilenet"]))
    text = said(app)
    found = trust.enough(of(seeds, ids["resnet20"]))
    r = found.reliability[-1]
    assert found.looks == (1, 2, 3, 5, 8, 12) and r == pytest.approx(trust.within(of(seeds, ids["resnet20"])).reliabilities[0].value)
    assert f"resnet20: two seeds agree at {r:.2f}. The mean of 3 is reliable to {3 * r / (1 + 2 * r):.2f}" in text
    assert "mobilenet: unknown with one seed" in text
    app.button(key=f"more-enough-{ids['mobilenet']}").click().run()
    fine(app)
    assert app.sidebar.selectbox(key="launch-preset").value == "Own choice"
    assert app.sidebar.number_input(key="launch-first").value == 1 and app.sidebar.multiselect(key="launch-archs").value == ["mobilenet"]
    assert "agree at" in said(app) and "reach 0.95" in said(app)


def test_the_last_epoch_is_no_mark_of_enough(seeds):
    found = trust.enough(of(seeds, ids_of(seeds)["vgg16"]))
    assert found.enough == 12 and enough.marked(found) is None, "every score agrees with its own end"
    assert enough.marked(dataclasses.replace(found, enough=5)) == 5
    one = dataclasses.replace(found, S=1, settled=12)
    assert enough.marked(one) is None and enough.marked(dataclasses.replace(one, settled=8)) == 8


def test_a_group_beside_itself_is_told_not_to_be_compared(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["resnet20"]))
    assert [button.key for button in app.button if button.key.startswith("more-enough-")] == [f"more-enough-{ids['resnet20']}"]


def test_the_form_advises_epochs_and_seeds_by_ordinary_runs(own_many, open_page, monkeypatch):
    """Four seeds on planted labels and three under a curriculum would be the largest groups, and tell nothing of an ordinary run."""
    ids = {arch: group(own_many, arch) for arch in ("resnet20", "vgg16")}
    ensure_labels(own_many, "digits", own_many.current("digits"), "planted-0.05-0")
    for seed in range(4):
        made_cache.add_run(own_many, "resnet20", seed, labels="planted-0.05-0")
    for seed in range(3):
        made_cache.add_run(own_many, "resnet20", seed, curriculum="hard_first-0123abcd:linear,a=0.8,b=0.2")
    for seed in range(3):
        made_cache.add_run(own_many, "mobilenet", seed, epochs=8, looks=8)
    app = open_page("overview", a=ids["vgg16"], recipe=ids["vgg16"].rsplit("-", 1)[1])
    app.session_state["launch-open"] = True
    (told,) = [text.value for text in fine(app.run()).sidebar.text if "Two seeds of" in text.value]
    made = of(own_many, ids[re.match(r"Two seeds of (resnet20|vgg16) over 12 epochs agree at", told)[1]])
    found = trust.enough(made)
    assert f"agree at {found.reliability[-1]:.2f}:" in told and "reach 0.95" in told
    assert found.enough == 12 and told.endswith("Seeds agree still better from epoch to epoch: more than 12 may help.")
    monkeypatch.setattr(trust, "enough", lambda made: dataclasses.replace(found, enough=5))
    assert "After 5 epochs they agree as far as after all 12, within 0.01: that many are enough" in said(fine(app.run()))
    falling = dataclasses.replace(found, reliability=(0.2, 0.6, 0.8, 0.87, 0.81, 0.62))
    monkeypatch.setattr(trust, "enough", lambda made: falling)
    text = said(fine(app.run()))
    assert "Seeds agreed best after 5 epochs, less since." in text and "may help" not in text
    told = enough.epochs_sentence(falling, "vgg16")
    assert told.startswith("vgg16: seeds agreed best after 5 epochs (0.87), less since; after all 12 at 0.62. An early score says")
    assert enough.epochs_sentence(found, "vgg16").endswith("More may help.")
    single = dataclasses.replace(found, looks=(1,), reliability=(0.7,), enough=1)
    assert enough.epochs_sentence(single, "vgg16") == "vgg16: two seeds agree after 1 epoch at 0.70. More may help."


def test_the_form_reads_no_large_recordings_for_its_advice(seeds, open_page, monkeypatch):
    app = open_page("overview")
    app.session_state["launch-open"] = True
    monkeypatch.setattr(trust, "QUICK_VALUES", 1000)
    monkeypatch.setattr(trust, "enough", None)
    text = said(fine(app.run()))
    assert "over 12 epochs agree at" in text and "they agree as far" not in text


def test_one_more_seed_fills_the_form_with_the_whole_recipe(no_run, open_page, monkeypatch):
    """A group on all samples is not launched on the few that the form held before, nor on the device."""
    monkeypatch.setattr(jobs, "device_choices", lambda: ["cpu", "auto"])
    config = made_cache.add_run(no_run, "resnet20", 0)
    app = open_page("overview")
    app.session_state["launch-open"] = True
    app.run()
    app.sidebar.selectbox(key="launch-preset").select("Own choice").run()
    app.sidebar.number_input(key="launch-subset").set_value(300).run()
    fine(app.sidebar.selectbox(key="launch-device").set_value("auto").run())
    fine(app.button(key=f"more-card-{config.group_id}").click().run())
    assert app.sidebar.number_input(key="launch-subset").value == 1438 and app.sidebar.selectbox(key="launch-device").value == "cpu"


def test_no_further_seed_is_offered_while_one_is_not_finished(no_run, open_page):
    for seed, asked in ((0, {}), (1, {"looks": 3, "state": None})):
        made_cache.add_run(no_run, "vgg16", seed, **asked)
    app = open_page("overview")
    assert not app.exception and "vgg16-s1: not finished yet." in [text.value for text in app.text]
    assert not [button.key for button in app.button if button.key and button.key.startswith("more-")]


def test_one_button_trains_one_more_seed_of_each(own_many, open_page):
    """Runs of seed max + 1 in the queue, of the recipe shown and no other; pressed again it does not train yet another."""
    for run in load_runs(own_many, "digits"):
        if run.label in ("resnet20-s1", "mobilenet-s1"):
            shutil.rmtree(own_many.run_folder("digits", run.id))
    made_cache.add_run(own_many, "vgg16", 0, epochs=8, looks=8)
    ids = {arch: group(own_many, arch) for arch in ("resnet20", "mobilenet")}
    recipe = ids["mobilenet"].rsplit("-", 1)[1]
    job_queue.write(own_many, lambda connection: job_queue.set_worker(connection, "cpu", Process.of(os.getpid())))  # none is started
    before = set(own_many.run_ids("digits"))
    app = fine(open_page("compare", recipe=recipe, a=ids["resnet20"], b=ids["mobilenet"]))
    fine(app.button(key="more-each").click().run())
    assert set(own_many.run_ids("digits")) - before == {f"resnet20-s1-{recipe}", f"vgg16-s2-{recipe}", f"mobilenet-s1-{recipe}"}
    assert app.button(key="more-each").disabled and "One more seed of each is in the queue or at work" in said(app)


def test_one_more_of_each_is_offered_only_where_a_ceiling_of_ordinary_runs_is_unknown(own_many, open_page):
    for run in load_runs(own_many, "digits"):
        if run.config.arch == "mobilenet":
            shutil.rmtree(own_many.run_folder("digits", run.id))
    ensure_labels(own_many, "digits", own_many.current("digits"), "planted-0.05-0")
    for arch in ("resnet20", "vgg16"):
        config = made_cache.add_run(own_many, arch, 0, labels="planted-0.05-0")
    for recipe in (group(own_many, "resnet20").rsplit("-", 1)[1], config.recipe):
        app = fine(open_page("compare", recipe=recipe))
        assert app.sidebar.selectbox(key="recipe").value == recipe
        assert "more-each" not in [button.key for button in app.button]


def test_large_recordings_are_read_when_asked(seeds, open_page, monkeypatch):
    monkeypatch.setattr(trust, "MOST_VALUES", 1000)
    app = fine(open_page("compare", a=ids_of(seeds)["resnet20"]))
    assert "Train one more seed" not in " ".join(button.label for button in app.main.button)
    app.button(key="ask-epochs").click().run()
    assert "two seeds agree at" in said(fine(app))


def test_the_card_says_yes_or_what_to_do(seeds, open_page):
    ids = ids_of(seeds)
    made = of(seeds, ids["resnet20"])
    told = reliability.said(made)
    assert told in said(fine(open_page("overview", a=ids["resnet20"])))
    assert told.startswith("**Yes.** Two seeds agree at") and "One more seed would give" in told
    app = fine(open_page("overview", a=ids["mobilenet"]))
    assert "Unknown: one seed" in said(app)
    app.button(key=f"more-card-{ids['mobilenet']}").click().run()
    assert fine(app).sidebar.number_input(key="launch-first").value == 1


def test_a_recipe_that_the_form_cannot_say_is_a_command(own_many, open_page):
    made_cache.add_run(own_many, "vgg16", 0, weight_decay=1e-3)
    id = next(run.group for run in load_runs(own_many, "digits") if run.config.weight_decay == 1e-3)
    app = fine(open_page("overview", recipe=id.rsplit("-", 1)[1], a=id))
    assert "--arch vgg16 --epochs 12 --weight-decay 0.001 --first-seed 1" in said(app)


# hard for every network, hard for one


def test_hard_for_whom_leads_to_the_gallery(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"]))
    several, names = trust.everyone(data_state(ids["resnet20"]), data.all_runs("digits"))
    hard, hard_ids = trust.hard_for(tuple(several), tuple(names))
    assert names == ["resnet20", "vgg16", "mobilenet"] and not any(hard.testable), "mobilenet has a single run"
    n = hard.counts["every network"]
    assert n > 20 and f"{n:,}" in [metric.value for metric in app.main.metric]
    app.button(key="hard-every network").click().run()
    fine(app)
    assert app.title[0].value == "Gallery" and app.selectbox(key="hard").value == "every network"
    assert f"{n:,} samples, ordered" in said(app)
    missed = np.stack([made.of(hard_ids[hard.rows("every network")]) for made in several])
    assert (missed < 0.5).all()


def test_very_many_samples_are_tested_together_when_asked(seeds, open_page, monkeypatch):
    ids = ids_of(seeds)
    monkeypatch.setattr(trust, "MOST_TESTED", 1000)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"]))
    assert "Among all 3 networks" not in said(app)
    app.button(key="ask-all").click().run()
    assert "Among all 3 networks" in said(fine(app))


def data_state(a: str) -> state.State:
    return state.State("digits", a.rsplit("-", 1)[1], a, None, "learnability")


def test_single_seeds_claim_nothing_for_one_alone(no_run, open_page):
    for arch in ("resnet20", "vgg16"):
        made_cache.add_run(no_run, arch, 0)
    app = fine(open_page("gallery", hard="only vgg16"))
    text = said(app)
    assert "It takes a second seed of resnet20 and of vgg16" in text and "No sample fits these filters" in " ".join(warned(app))
    app.button(key="clear").click().run()
    assert fine(app).selectbox(key="hard").value is None and "1,438 samples" in said(app)
    assert "hard" not in " ".join(warned(fine(open_page("gallery", hard="every network"))))


def test_a_group_that_is_not_there_is_said(seeds, open_page):
    assert any("hard" in warning for warning in warned(fine(open_page("gallery", hard="only me"))))


def test_the_shell_has_the_same_column(seeds, tmp_path, capsys):
    ids, out = ids_of(seeds), tmp_path / "scores.parquet"
    recipe = ids["resnet20"].rsplit("-", 1)[1]
    at = ["scores", "--data", "digits", "--cache", str(seeds.root), "--recipe", recipe]
    assert main([*at, "--hard-for", "--out", str(out)]) == 0
    column = pq.read_table(out)["hard_for"].to_pylist()
    several, names = trust.everyone(data_state(ids["resnet20"]), data.all_runs("digits"))
    assert column.count("every network") == trust.hard_for(tuple(several), tuple(names))[0].counts["every network"]
    assert not any(place.startswith("only") for place in column)
    assert "a second run of mobilenet would differ is unknown. It takes a second seed of mobilenet." in capsys.readouterr().err
    assert main([*at, "--metric", "aum", "--hard-for"]) == 2
    assert "expected learnability, got aum. Leave out --metric." in capsys.readouterr().err


# disagreements and the gallery's review filter


def test_the_largest_disagreements_stand_on_the_page(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"], plain="true"))
    a, b = of(seeds, ids["resnet20"]), of(seeds, ids["vgg16"])
    wanted = disagreements.furthest(a, b, 12)
    gaps = np.abs(a.score_N - b.score_N)
    assert gaps[wanted].min() >= np.sort(gaps)[-12] and (np.diff(gaps[wanted]) <= 0).all()
    assert [button.key for button in app.main.button if button.key.startswith("furthest-")] == [f"furthest-{i}" for i in wanted]
    by_rank = disagreements.furthest(a, of(seeds, ids["vgg16"], "mean_loss"), 5)
    assert len(by_rank) == 5


def test_the_gallery_by_what_the_review_decided(own_many, open_page):
    opened = open_dataset(own_many, "digits")
    named = identities(opened)
    for verdict, ids in (("keep", [3, 4]), ("relabel", [5]), ("drop", [6, 7, 8]), ("unsure", [9])):
        more = {"class_name": "3"} if verdict == "relabel" else {}
        review.decide(own_many, "digits", named.samples(ids), verdict, by="me", why="", **more)
    app = fine(open_page("gallery", reviewed="Dropped", plain="true"))
    assert not warned(app) and "3 samples, ordered" in said(app)
    assert sorted(button.key for button in app.main.button if button.key.startswith("gallery-")) == [f"gallery-{i}" for i in (6, 7, 8)]
    for status, count in (("Undecided", "1,431 samples"), ("Kept", "2 samples"), ("Relabelled", "1 sample"), ("Unsure", "1 sample")):
        app.selectbox(key="reviewed").set_value(status).run()
        assert f"{count}, ordered" in said(fine(app))
    assert [option for option in app.selectbox(key="reviewed").options] == list(reviews.STATUS)


def test_points_are_coloured_by_what_one_wants_to_know(seeds, open_page):
    ids = ids_of(seeds)
    app = fine(open_page("compare", a=ids["resnet20"], b=ids["vgg16"], view="Points", colour="Label status"))
    assert not warned(app) and [trace["name"] for trace in points(app)] == ["undecided"]
    app.selectbox(key="colour").set_value("Class").run()
    assert [trace["name"] for trace in points(fine(app))] == [str(k) for k in range(10)]
    app.selectbox(key="colour").set_value("Most often taken for, by A").run()
    assert "always right" in [trace["name"] for trace in points(fine(app))]
    app.selectbox(key="colour").set_value("Another score of A").run()
    app.selectbox(key="score").set_value("aum").run()
    (trace,) = points(fine(app))
    assert "logits" in trace["marker"]["colorbar"]["title"]["text"]
    app.selectbox(key="colour").set_value("A column of the source").run()
    app.selectbox(key="column").set_value("width").run()
    (trace,) = points(fine(app))
    assert trace["marker"]["colorbar"]["title"]["text"] == "width"


def points(app) -> list[dict]:
    """The traces of the plot with one dot a sample."""
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    return next(spec["data"] for spec in specs if any(trace.get("hoverinfo") == "skip" for trace in spec["data"]))


# held-out scores


def test_a_group_of_folds_is_a_group_like_any_other(tmp_path, monkeypatch, open_page):
    toy = make_toy(tmp_path / "cache")
    monkeypatch.setenv("LEARNABILITY_CACHE", str(toy.cache.root))
    for seed, fold in ((0, 0), (0, 1), (1, 0), (1, 1)):
        config = toy.config(seed=seed, folds=2, fold=fold, epochs=2)
        create_run(toy.cache, config)
        train(config, toy.cache, "cpu", threads=1, own_architectures=OWN)
    text = said(fine(open_page("overview")))
    assert "tiny, mean of 2 seeds, held-out" in text and "held-out: each sample scored by networks that never trained on it" in text
    assert "70 samples" in text and "Can these scores be trusted yet?" in text
    shown = table(fine(open_page("compare")))
    assert shown["names"] == [["tiny", "2 seeds"]] and shown["cells"][0][0]["value"] != "unknown"
    app = fine(open_page("sample", id="3"))
    strips = [json.loads(chart.proto.spec)["data"][0] for chart in app.get("plotly_chart")]
    (rows,) = [trace["y"] for trace in strips if trace["type"] == "heatmap"]
    assert len(rows) == 2, "of the four runs the two that held the sample out"
    assert "Nearest neighbours" in said(app)
