"""Every page of a data set without pictures: a recorder's captions stand in their place, and an imported score is a score as any other."""

import numpy as np
import pytest

from learnability import Recorder, load_runs
from learnability.store import imported
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache

N, LOOKS = 60, 5
HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ :material/bug_report:"


@pytest.fixture(scope="session")
def texts_root(tmp_path_factory):
    """Sixty sentences, two networks with two seeds each, the first sentence never learned; human_entropy for all but five."""
    root = tmp_path_factory.mktemp("texts") / "cache"
    labels = np.arange(N) % 3
    captions = [HOSTILE if i == 0 else f"sentence number {i} about {'abc'[i % 3]}, " + "and so on " * (i % 30) for i in range(N)]
    for name in ("bert", "lstm"):
        for seed in (0, 1):
            rng = np.random.default_rng([seed, len(name), ord(name[0])])
            recorder = Recorder("reviews", name, [f"r{i:02d}" for i in range(N)], labels, ["a", "b", "c"], LOOKS, seed, captions, root)
            for look in range(LOOKS):
                logits = rng.normal(0, 1, (N, 3)) + (0.6 * look) * np.eye(3)[labels]
                logits[0] = [-3, 2, 0]
                recorder.update(range(N), logits, labels)
                recorder.end_look()
    cache = Cache(root)
    score = np.where(np.arange(N) < 5, np.nan, np.linspace(0, 1, N))
    told = {"high_is": "hard", "sentence": "How much people disagreed."}
    imported.save(cache, open_dataset(cache, "reviews"), "human_entropy", np.arange(N), {imported.SCORE: score}, **told)
    return root


@pytest.fixture
def texts(texts_root, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(texts_root))
    return Cache(texts_root)


def shown(app) -> str:
    assert not app.exception, [one.value for one in app.exception]
    return "\n".join(str(one.value) for one in [*app.text, *app.caption, *app.markdown])


@pytest.mark.parametrize("page", ["overview", "gallery", "compare", "sample", "curriculum", "review", "runs"])
def test_every_page_opens_without_a_picture(texts, open_page, page):
    app = open_page(page, **({"id": "0"} if page == "sample" else {}))
    said = shown(app)
    assert not app.error
    if page in ("sample", "review"):
        assert HOSTILE in [one.value for one in app.text], "the text, as it is, in its own box"
    if page == "runs":
        assert "own loop" in said or "done" in str(app.dataframe[0].value)


def test_the_hardest_sentence_is_a_tile_with_its_text(texts, open_page):
    app = open_page("gallery", plain="true")
    said = [one.value for one in app.text]
    assert HOSTILE in said and said.index(HOSTILE) < next(i for i, one in enumerate(said) if one.startswith("sentence number"))


@pytest.mark.parametrize("page", ["overview", "gallery", "compare", "curriculum", "sample"])
def test_an_imported_score_is_a_choice_on_every_page(texts, open_page, page):
    more = {"id": "59"} if page == "sample" else {}
    app = open_page(page, metric="human_entropy (imported)", **more)
    said = shown(app)
    assert app.selectbox(key="metric").value == "reviews/human_entropy"
    assert "How much people disagreed." in said
    if page == "gallery":
        assert "the samples themselves" in said and "hardest first" in said
    if page == "sample":
        assert "human_entropy (imported)" in str(app.table[-1].value)


def test_learnability_is_compared_with_an_imported_score(texts, open_page):
    groups = {run.config.arch: run.group for run in load_runs("reviews", cache=texts.root)}
    app = open_page("compare", a=groups["bert"], b=groups["lstm"], metric_b="human_entropy (imported)")
    said = shown(app)
    assert app.selectbox(key="metric_b").value == "reviews/human_entropy"
    assert "the samples themselves" in said


def test_recorded_runs_offer_no_stop_and_no_resume(texts, open_page):
    app = open_page("runs")
    labels = [one.label for one in app.button]
    assert not {"Resume", "Stop"} & set(labels), labels


def test_what_is_not_known_of_a_recorded_run_is_not_told(texts, open_page):
    table = open_page("runs").dataframe[-1].value.set_index("Field")
    told = dict(zip(table.index, table.iloc[:, 0], strict=True))
    assert told["batch_size"] == told["lr"] == "not known" and told["epochs"] == str(LOOKS) and told["origin"] == "recorder"
