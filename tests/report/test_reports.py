"""The two reports: what they say, that their numbers are those of the commands, and that texts from the data stay texts."""

import html
import json
import re
import shutil

import numpy as np
import pytest

from learnability import review
from learnability.__main__ import main
from learnability.report import page
from learnability.report.agreement import measured
from learnability.report.colleague import colleague_report
from learnability.report.paper import PUBLISHED, paper_report
from learnability.report.study import open_study, real_recipe
from learnability.review import random_audit
from learnability.store.datasets import ensure_labels, open_dataset
from learnability.store.identity import identities
from learnability.store.scores import load_scores, recipes
from tests.test_audits import recorded
from tests.ui import made_cache
from tests.ui.conftest import many_root, own_many  # noqa: F401


def words_of(content: str) -> str:
    """What a reader sees: no scripts, no styles, no tags."""
    content = re.sub(r"<(script|style)[^>]*>.*?</\1>", " ", content, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", content))


def held(content: str, name: str = "figures") -> dict:
    """The figures that the file keeps for programs."""
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', content, re.DOTALL)[1])


@pytest.fixture(scope="module")
def many_paper(many_root, tmp_path_factory):  # noqa: F811
    cache = made_cache.Cache(tmp_path_factory.mktemp("whole") / "cache")
    shutil.copytree(many_root, cache.root, ignore=shutil.ignore_patterns("mobilenet-s1-*"))  # the unfinished one
    return cache, paper_report(cache, "digits", real_recipe(cache, "digits"), "the command", replicates=200)


def test_texts_are_escaped_where_they_enter():
    assert page.tag("p", "<b>&\"'", class_='"x') == '<p class="&quot;x">&lt;b&gt;&amp;&quot;&#x27;</p>'
    assert page.tag("p", page.tag("b", 1), None) == "<p><b>1</b></p>"
    assert page.table(["a<"], [["</td>", None]]).count("<td>") == 2
    block = page.data_block("x", {"text": "</script><script>alert(1)</script>&"})
    assert block.count("<script") == 1 and json.loads(block[block.index(">") + 1 : -9])["text"] == "</script><script>alert(1)</script>&"


def test_the_file_is_whole_and_allows_no_request(many_paper):
    _, content = many_paper
    assert content.startswith("<!doctype html>") and content.count("plotly.js v") == 1 and len(content) < 8e6
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', content)[1])
    assert policy.startswith("default-src 'none'; img-src data:") and "unsafe-inline" not in policy.split("script-src")[1]
    assert not re.findall(r"<(?:link|iframe|object|embed|base|form)\b", content)
    assert all(url.startswith("data:image/") for url in re.findall(r'<img src="([^"]*)"', content))


def test_numbers_of_the_paper_are_those_of_the_agreement_command(many_paper, capsys):
    cache, content = many_paper
    recipe = real_recipe(cache, "digits")
    assert main(["agreement", "--data", "digits", "--recipe", recipe, "--replicates", "200", "--json", "--cache", str(cache.root)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [command.split(" --")[-1] for command in told.pop("to_train")] == ["first-seed 1"], "of mobilenet, which has one seed"
    assert held(content) == told == measured(load_scores(cache, "digits", "learnability", recipe), 200, cache=cache)
    text = words_of(content)
    pearson = told["agreement"]["pearson"]
    for cross in pearson["crosses"]:
        assert f"{cross['single_run']:.3f}" in text and f"{cross['seed_mean']:.3f}" in text
        low, high = (cross["single_run_interval"][end] for end in ("low", "high"))
        assert f"[{low:.3f}, {high:.3f}]" in text
        published = PUBLISHED[frozenset((cross["a"], cross["b"]))]
        row = next(line for line in re.findall(r"<tr>(.*?)</tr>", content) if f"{cross['a']} and {cross['b']}" in line)
        assert f"{published[0]:.3f} ({published[1]:.3f})" in row and f"{cross['single_run']:.3f}" in row
    for pair in told["pairs"]:
        kappa, seeds = pair["errors"]["between"]["kappa"], [pair["errors"][f"of_{side}"] for side in "ab"]
        told_of_seeds = ", ".join(f"{one['kappa']:.3f}" for one in seeds if one)
        assert f"{kappa:.3f} ({told_of_seeds})" in text
    assert f"{next(own['value'] for own in pearson['reliabilities'] if own['group'] == 'resnet20'):.3f}" in text
    for said in ("conditions unknown", "What the paper does not state", "formula of learnability not known", "seeds of each architecture"):
        assert said in re.sub(r"\s+", " ", text)


def test_one_seed_has_no_ceiling(own_many):  # noqa: F811
    """Four looks are another recipe, with a single run."""
    config = made_cache.add_run(own_many, "vgg16", 0, epochs=4, looks=4)
    made_cache.add_run(own_many, "resnet20", 0, epochs=4, looks=4)
    text = words_of(paper_report(own_many, "digits", config.recipe, "x", replicates=50))
    assert "ceiling unknown: one seed per architecture" in text and "A second seed tells" in text


def test_a_colleague_reads_suspects_decisions_and_audits(own_many):  # noqa: F811
    opened = open_dataset(own_many, "digits")
    known = identities(opened)
    before = words_of(colleague_report(own_many, "digits", replicates=50))
    assert "Not counted: mobilenet-s1 (7 of 12 epochs)" in before
    assert "Nothing is decided yet" in before and "No random sample" in before and "not tried with planted ones" in before
    review.decide(own_many, "digits", known.samples([5]), "relabel", class_name="scribble", by="Ada")
    review.decide(own_many, "digits", known.samples([6]), "drop", by="Ada")
    random_audit.draw_random_audit(own_many, "digits", by="Ada", count=10)
    drawn = random_audit.random_audit(review.read_log(own_many, "digits"), opened)
    review.decide(own_many, "digits", known.samples(drawn.sample_ids), "keep", by="Ada")
    content = colleague_report(own_many, "digits", replicates=50)
    text = re.sub(r"\s+", " ", words_of(content))
    name = opened.class_names[opened.labels_N[5]]
    assert f"{name} → scribble" in text and f"{opened.class_names[opened.labels_N[6]]} → dropped" in text and "by Ada" in text
    assert "2 labels were wrong" in text and "12 Labels decided" in text
    assert all(line in text for line in random_audit.told(random_audit.random_audit(review.read_log(own_many, "digits"), opened)))
    study = open_study(own_many, "digits", "learnability", real_recipe(own_many, "digits"))
    suspicion_N, aum_N = study.column("suspicion").mean(0), study.column("aum").mean(0)
    ids_N = study.table.sample_ids_N
    decided = review.resolve(review.state(review.read_log(own_many, "digits")), known).codes[ids_N] > 0
    first = [int(ids_N[row]) for row in review.queue(suspicion_N, aum_N, ids_N, decided)[:48]]
    shown = [int(number) for number in re.findall(r'alt="sample (\d+): label', content)]
    assert shown == first and not {5, 6} & set(shown)
    assert held(content)["metric"] == "learnability"


def test_planted_scores_are_never_taken_for_real_ones(own_many):  # noqa: F811
    real = real_recipe(own_many, "digits")
    ensure_labels(own_many, "digits", None, "planted-0.02-0")
    config = made_cache.add_run(own_many, "resnet20", 0, labels="planted-0.02-0")
    assert config.recipe != real and real_recipe(own_many, "digits") == real
    assert recipes(own_many, "digits") == [real, config.recipe], "what is shown unasked is real"
    content = colleague_report(own_many, "digits", replicates=50)
    assert held(content)["recipe"] == real
    assert "28 of 1,438 labels planted wrong (planted-0.02-0)" in words_of(content)


def test_an_audit_that_planted_nothing_is_left_out(own_many):  # noqa: F811
    ensure_labels(own_many, "digits", None, "planted-0.0001-0")
    made_cache.add_run(own_many, "resnet20", 0, labels="planted-0.0001-0")
    content = words_of(colleague_report(own_many, "digits", replicates=50))
    assert "labels planted wrong" not in content and "not tried with planted ones" in content


def test_a_report_of_held_out_runs_is_held_out(digits):
    """What was trained on is always right, what was held out is missed by every fifth sample: in-sample nothing would be suspicious."""
    N = open_dataset(digits, "digits").N
    for seed, fold in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0)):
        missed_N = (np.arange(N) % 2 == fold) & (np.arange(N) % 5 == 0)
        config = recorded(digits, np.repeat(~missed_N[:, None], 2, 1), seed=seed, folds=2, fold=fold)
        told = (digits.run_folder("digits", config.run_id) / "looks.jsonl").read_text().splitlines()
        told = [json.dumps({**json.loads(line), "accuracy": 0.5 + 0.2 * fold, "seconds": 30.0}) for line in told]
        (digits.run_folder("digits", config.run_id) / "looks.jsonl").write_text("\n".join(told) + "\n")
    study = open_study(digits, "digits", "learnability", config.recipe)
    assert list(study.table.columns) == ["resnet20-s0", "resnet20-s1"] and study.left_out == ("resnet20-s2 (1 of 2 folds)",)
    np.testing.assert_array_equal(study.column("learnability"), study.score_RN)
    for metric in ("suspicion", "consensus_share"):
        expected = load_scores(digits, "digits", metric, config.recipe).columns
        np.testing.assert_array_equal(study.column(metric), [expected[name] for name in study.table.columns])
    assert study.accuracies("resnet20") == [(pytest.approx(0.6), None)] * 2
    assert study.minutes() == pytest.approx(4.0), "two looks of half a minute in each of four runs"
    content = colleague_report(digits, "digits", config.recipe, replicates=20)
    shown = [int(number) for number in re.findall(r'alt="sample (\d+): label', content)]
    assert len(shown) == 48 and all(number % 5 == 0 for number in shown)
    assert "held out in 2 folds" in words_of(content)


def test_a_report_says_that_a_fold_is_missing(digits):
    hits_NE = np.ones((open_dataset(digits, "digits").N, 2), bool)
    config = recorded(digits, hits_NE, folds=3, fold=1)
    assert "the samples of 2 of 3 folds, which have no scores yet" in words_of(colleague_report(digits, "digits", config.recipe, 20))


def test_without_a_run_there_is_still_a_report(digits):
    text = words_of(colleague_report(digits, "digits"))
    assert "No run yet" in text and "The smallest class has" in text and "suspicion comes from training" in text


def test_hostile_names_stay_texts(tmp_path):
    cache = made_cache.hostile(tmp_path / "hostile")
    review.decide(cache, "hostile", identities(open_dataset(cache, "hostile")).samples([0]), "relabel",
                  class_name="</span><script>alert(9)</script>", by="<b onclick=alert(8)>", why="x")  # fmt: skip
    for content in (
        colleague_report(cache, "hostile", replicates=20),
        paper_report(cache, "hostile", real_recipe(cache, "hostile"), "<i>"),
    ):
        scripts = re.findall(r"<script[^>]*>", content)
        assert content.count("</script>") == len(scripts) and "<script>alert" not in content
        assert not re.search(r"<(?:img src=x|svg onload|b onclick|i>)", content)
    assert "</span><script>alert(9)</script>" in words_of(colleague_report(cache, "hostile", replicates=20))
