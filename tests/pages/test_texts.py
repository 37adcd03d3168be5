"""Every page of a data set without pictures: a recorder's captions stand in their place, and an imported score is a score as any other."""

import shutil

import pytest

from learnability import load_runs
from tests.ui import made_texts
from tests.ui.made_texts import HOSTILE, LOOKS


@pytest.fixture(scope="session")
def texts_root(tmp_path_factory):
    return made_texts.reviews(tmp_path_factory.mktemp("texts") / "cache").root


@pytest.fixture
def texts(texts_root, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(texts_root))
    return texts_root


def shown(app) -> str:
    assert not app.exception, [one.value for one in app.exception]
    assert not app.error
    return "\n".join(str(one.value) for one in [*app.text, *app.caption, *app.markdown])


def test_the_sample_and_the_review_show_the_text_as_it_is(texts, open_page):
    for page, query in (("sample", {"id": "0"}), ("review", {})):
        app = open_page(page, **query)
        shown(app)
        assert HOSTILE in [one.value for one in app.text], page


def test_the_hardest_sentence_is_a_tile_with_its_text(texts, open_page):
    app = open_page("gallery", plain="true")
    said = [one.value for one in app.text]
    assert HOSTILE in said and said.index(HOSTILE) < next(i for i, one in enumerate(said) if one.startswith("sentence number"))


@pytest.mark.parametrize("page", ["overview", "gallery", "compare", "curriculum", "sample"])
def test_an_imported_score_is_a_choice_on_every_page(texts, open_page, page):
    more = {"sample": {"id": "59"}, "curriculum": {"batch": "8"}}.get(page, {})  # 8: a batch of 128 is more than there is
    app = open_page(page, metric="human_entropy (imported)", **more)
    said = shown(app)
    assert app.selectbox(key="metric").value == "reviews/human_entropy"
    assert "How much people disagreed." in said
    if page == "gallery":
        assert "the samples themselves · imported, the same for every run" in said and "hardest first" in said
    if page == "curriculum":
        assert "This cannot be measured:" in [one.value for one in app.warning]
        assert "human_entropy (imported) comes from elsewhere" in said and "Choose a score of the network in the sidebar" in said
        assert app.button(key="keep-order").label == "Keep", "the page goes on below"
    if page == "sample":
        assert "human_entropy (imported)" in str(app.table[-1].value)


def test_a_damaged_imported_score_is_said_and_costs_itself_alone(texts_root, tmp_path, monkeypatch, open_page):
    shutil.copytree(texts_root, tmp_path / "cache")
    path = tmp_path / "cache" / "imported" / "reviews" / "human_entropy.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    monkeypatch.setenv("LEARNABILITY_CACHE", str(tmp_path / "cache"))
    app = open_page("gallery")
    assert "human_entropy.parquet is damaged" in shown(app)
    assert "human_entropy (imported)" not in app.selectbox(key="metric").options


def test_learnability_is_compared_with_an_imported_score(texts, open_page):
    groups = {run.config.arch: run.group for run in load_runs("reviews", cache=texts)}
    app = open_page("compare", a=groups["bert"], b=groups["lstm"], metric_b="human_entropy (imported)")
    said = shown(app)
    assert app.selectbox(key="metric_b").value == "reviews/human_entropy"
    assert "the samples themselves" in said


def test_recorded_runs_offer_no_stop_and_no_resume_and_tell_only_what_is_known(texts, open_page):
    app = open_page("runs")
    shown(app)
    assert not {"Resume", "Stop"} & {one.label for one in app.button}
    asked, ran = (frame.value for frame in app.dataframe[-2:])
    told = dict(asked.to_numpy())
    assert told["batch_size"] == told["lr"] == "not known" and told["epochs"] == str(LOOKS) and told["origin"] == "recorder"
    assert ran.columns[0] == "Ran with" and "lr" not in set(ran["Ran with"])
