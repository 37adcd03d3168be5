"""Which runs an experiment takes: equal updates, scores of other seeds, the same launch twice."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

from learnability import experiments, jobs
from learnability.config import RunConfig
from learnability.curriculum import ARMS, Pacing, order, parse_curriculum
from learnability.errors import ConfigError, InputError, NotFound
from learnability.experiments import Design, launch, propose
from learnability.experiments import scores as score_runs
from learnability.experiments.scores import candidates
from learnability.imports import keep, read_plain
from learnability.jobs import devices, queue
from learnability.jobs.processes import Process
from learnability.store.datasets import open_dataset
from learnability.store.files import read_table, table_metadata
from learnability.store.runs import load_run
from learnability.store.scores import load_run_scores
from tests.ui import made_cache

SHORT = (("epochs", 2),)


def design(**fields) -> Design:
    return Design(**{"data": "digits", "seeds": 2, "recipe": SHORT} | fields)


def files(cache) -> set:
    return {str(path) for path in cache.root.rglob("*") if path.is_file()}


def test_four_arms_seed_by_seed_that_differ_in_nothing_but_order_and_seed(scored):
    before = files(scored)
    found = propose(scored, design(seeds=3))
    assert files(scored) == before, "a proposal changes nothing"
    assert [(config.seed, parse_curriculum(config.curriculum).name) for config in found.configs] == [
        (seed, arm) for seed in (2, 3, 4) for arm in ARMS
    ]
    assert len({dataclasses.replace(config, seed=0, curriculum=None) for config in found.configs}) == 1
    assert {config.record for config in found.configs} == {"eval"} and len({config.recipe for config in found.configs}) == 4
    assert (found.samples, found.updates, found.scores.seeds, found.first_seed) == (1438, 24, [0, 1], 2)
    assert found.estimate.runs == 12 and found.estimate.bytes > 12e6 and "rarely decide" in " ".join(found.notes)
    assert {config.recipe for config in found.configs}.isdisjoint(run.recipe for run in found.scores.runs), "apart from ordinary runs"
    assert propose(scored, design(seeds=5)).notes == ()


def test_the_orders_are_those_of_the_mean_score(scored):
    found = propose(scored, design())
    opened = open_dataset(scored, "digits")
    runs = [run for run in scored.run_ids("digits") if run.startswith("resnet20")]
    (looks,) = {load_run(scored, "digits", run).looks for run in runs}
    hits_N = sum(np.rint(load_run_scores(scored, "digits", run)[0]["learnability"].to_numpy().astype(float) * looks) for run in runs)
    score_N = hits_N / (looks * len(runs))
    assert np.array_equal(found.scores.score_n, score_N), "means that are equal in whole epochs are ties"
    for arm in ("easy_first", "hard_first"):
        assert found.orders[arm].ids_N.tolist() == order(score_N, "high", arm, labels_N=opened.labels_N).ids_N.tolist()
    plain = propose(scored, design(balance=False))
    assert plain.orders["easy_first"].ids_N.tolist() == order(score_N, "high", balance=False).ids_N.tolist()
    assert plain.key != found.key and plain.id != found.id


def test_without_class_balancing_the_control_has_none_either(scored):
    even, plain = propose(scored, design()), propose(scored, design(balance=False))
    texts = [config.curriculum.partition(":")[0] for config in plain.configs[:4]]
    assert texts == [f"easy_first-{plain.key}", f"hard_first-{plain.key}", "random-unbalanced", "random"]
    assert plain.key.startswith("unbalanced-")
    assert [config.curriculum.partition(":")[0] for config in even.configs[2:4]] == ["random", "random"] and len(even.key) == 8
    for found in (even, plain):
        launch(scored, found)
    for found, shuffle in ((even, "random"), (plain, "random-unbalanced")):
        one = experiments.experiment(scored, "digits", found.id)
        assert {run.config.curriculum for run in one.runs["random"].values()} == {f"{shuffle}:linear,a=0.8,b=0.2"}
        assert one.balanced == (found is even) and list(one.runs["standard"]) == [2, 3], "ordinary training is the same in both"


def test_never_learned_samples_are_hardest_by_forgetting(scored):
    found = propose(scored, design(metric="forgetting_events", balance=False))
    never = np.flatnonzero(found.scores.never_n)
    assert len(never), "the made runs hold samples that are never learned"
    assert set(found.orders["easy_first"].ids_N[-len(never) :].tolist()) == set(never.tolist())
    assert set(found.orders["hard_first"].ids_N[: len(never)].tolist()) == set(never.tolist())


def test_a_launch_saves_the_orders_and_queues_each_run_once(scored):
    found = propose(scored, design())
    first = launch(scored, found)
    assert len(first.new) == 8 and first.said == "8 queued"
    assert {run.id for run in experiments.experiment(scored, "digits").all_runs} == set(first.new)
    for config in found.configs:
        assert load_run(scored, "digits", config.run_id).config == config
    path = scored.order("digits", f"easy_first-{found.key}")
    told, table = table_metadata(path), read_table(path)
    assert table["sample_id"].to_pylist() == found.orders["easy_first"].ids_N.tolist()
    assert (told["score"], told["score_seeds"], told["samples"], told["balanced"]) == ("learnability", "0, 1", "1438", "True")
    assert float(told["score_seconds"]) > 10, "what the scores cost stands beside them"
    again = propose(scored, design())
    assert (again.id, again.new, again.estimate.runs) == (found.id, (), 0)
    assert launch(scored, again).there == first.new, "asked twice, nothing runs twice"
    more = launch(scored, propose(scored, design(seeds=3)))
    assert len(more.new) == 4 and set(more.there) == set(first.new)


def test_the_same_design_keeps_its_scores_when_others_are_trained_meanwhile(scored):
    (later,) = [scored.run_folder("digits", run) for run in scored.run_ids("digits") if run.startswith("resnet20-s1")]
    aside = later.rename(scored.root / "aside")
    found = propose(scored, design())
    first = launch(scored, found)
    aside.rename(later)
    made_cache.add_run(scored, "resnet20", 5, epochs=9, looks=9)
    again = propose(scored, design())
    assert (again.id, again.key, again.new) == (found.id, found.key, ()) and again.scores.seeds == [0]
    assert "--scores resnet20-" in " ".join(again.notes) and launch(scored, again).there == first.new
    assert propose(scored, design(metric="aum")).scores.seeds == [0, 1], "another design takes the best there are"


def test_what_goes_on_does_so_on_the_device_that_is_named(scored):
    run_id = launch(scored, propose(scored, design()), threads=1).new[0]
    assert jobs.stop(scored, "digits", run_id)
    queue.write(scored, lambda connection: queue.set_worker(connection, devices.lane("cuda:7"), Process.of(os.getpid())))
    assert launch(scored, propose(scored, design()), "cuda:7", 2).resumed == (run_id,)
    job = queue.read(scored, lambda connection: queue.job(connection, ("digits", run_id)))
    assert (job.lane, job.threads) == (devices.lane("cuda:7"), 2)


def test_a_network_that_nobody_knows_is_refused_before_anything_is_made(scored):
    before = scored.run_ids("digits")
    with pytest.raises(ConfigError, match="'resnet21': expected one of resnet20.*Choose one"):
        launch(scored, propose(scored, design(arch="resnet21")))
    assert scored.run_ids("digits") == before


def test_what_was_stopped_goes_on_with_the_same_launch(scored):
    found = propose(scored, design())
    run_id = launch(scored, found).new[0]
    assert jobs.stop(scored, "digits", run_id)
    assert jobs.state(scored, "digits", run_id).state == "stopped"
    assert launch(scored, propose(scored, design())).resumed == (run_id,)
    assert jobs.state(scored, "digits", run_id).state == "queued"


def test_seeds_that_made_the_scores_are_not_evaluated(scored):
    with pytest.raises(InputError, match=r"seeds \[1\].*--first-seed 2"):
        propose(scored, design(first_seed=1))
    assert propose(scored, design(first_seed=7)).configs[0].seed == 7


def test_without_scores_on_these_labels_and_samples_they_are_trained_first(scored):
    for fields in ({"labels": "planted-0.2-0"}, {"subset": 300}, {"arch": "mobilenet", "subset": 300}):
        found = propose(scored, design(**fields, score_seeds=2))
        assert not found.complete and found.id is None and "First 2 runs for the scores (seeds 0, 1)" in found.said
        assert found.later.runs == 8 and found.later.bytes > found.estimate.bytes, "what the arms will cost is known before"
        config = found.configs[0]
        assert (config.curriculum, config.record, config.epochs) == (None, "train", 2)
        assert (config.labels, config.subset) == (fields.get("labels", "original"), fields.get("subset"))
    launched = launch(scored, propose(scored, design(labels="planted-0.2-0")))
    assert len(launched.new) == 2
    labels_N = open_dataset(scored, "digits", None, "planted-0.2-0").labels_N
    assert (labels_N != open_dataset(scored, "digits").labels_N).sum() == 287
    with pytest.raises(InputError, match=r"seeds \[0, 1\].*--first-seed 2"):
        propose(scored, design(subset=300, first_seed=0))


def test_scores_that_are_still_trained_are_waited_for(scored):
    launched = launch(scored, propose(scored, design(subset=300)))
    shutil.rmtree(scored.run_folder("digits", launched.new[0]))
    made_cache.add_run(scored, "resnet20", 0, subset=300, looks=2, epochs=2)
    found = propose(scored, design(subset=300))
    assert not found.complete and found.new == () and [config.run_id for config in found.configs] == list(launched.new)
    shutil.rmtree(scored.run_folder("digits", launched.new[1]))
    assert propose(scored, design(subset=300)).scores.seeds == [0], "nobody trains a second one"


def test_the_scores_of_a_subset_are_those_of_networks_that_saw_no_more(scored):
    made_cache.add_run(scored, "resnet20", 0, subset=300)
    found = propose(scored, design(subset=300))
    assert found.scores.runs[0].config.subset == 300 and found.samples == 300
    whole = next(run.group for run in propose(scored, design()).scores.runs)
    named = propose(scored, design(subset=300, scores=whole))
    assert "knows more than these do" in " ".join(named.notes)
    other = next(group for group in scored.run_ids("digits") if group.startswith("vgg16-s0"))
    assert "scores are those of vgg16" in " ".join(propose(scored, design(scores=other)).notes)


def test_an_import_of_a_part_makes_no_order_for_the_whole(scored, tmp_path):
    opened = open_dataset(scored, "digits")
    lines = [f"{opened.keys[i]},{epoch},{opened.labels_N[i]},0" for i in range(5) for epoch in range(40)]
    (tmp_path / "few.csv").write_text("\n".join(["key,epoch,label,prediction", *lines]))
    whole = candidates(scored, "digits", opened.fingerprint)
    chosen = score_runs.found(whole, "resnet20", None, "original", opened.N)
    for seed in range(9):
        keep(scored, "digits", "resnet20", read_plain(tmp_path / "few.csv"), seed=seed)
    now = candidates(scored, "digits", opened.fingerprint)
    assert chosen is not None and score_runs.found(now, "resnet20", None, "original", opened.N) == chosen


def test_runs_under_a_curriculum_and_unfinished_ones_make_no_order(scored):
    (unfinished,) = [run for run in scored.run_ids("digits") if run.startswith("mobilenet-s1")]
    with pytest.raises(NotFound, match="no finished ordinary runs.*there is"):
        propose(scored, design(scores=unfinished))
    launched = launch(scored, propose(scored, design()))
    with pytest.raises(NotFound, match="no finished ordinary runs"):
        propose(scored, design(scores=launched.new[0]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arms": ("easy_first", "standard")}, "arms .*random always"),
        ({"arms": ("random", "standard")}, "easy_first or hard_first"),
        ({"seeds": 0}, "seeds 0: expected a count"),
        ({"metric": "luck"}, "luck.*learnability"),
        ({"metric": "variability"}, "easy end None: expected 'high' or 'low'"),
        ({"pacing": Pacing(name="full")}, "pacing 'full'.*all arms are the same"),
        ({"recipe": (("record", "train"),)}, "recipe fields"),
        ({"recipe": (("batch_size", 2000),)}, "batch size 2000: expected at most 1438"),
        ({"subset": 300, "recipe": (("batch_size", 2000),)}, "batch size 2000: expected at most 300"),
        ({"labels": "mine"}, "no label version 'mine'"),
        ({"subset": 1}, "subset 1: expected"),
    ],
)
def test_what_cannot_be_is_refused_in_words(scored, fields, message):
    with pytest.raises((InputError, NotFound), match=message):
        propose(scored, design(**fields))


def test_without_test_samples_arms_cannot_be_compared(tmp_path):
    cache = made_cache.hostile(tmp_path / "cache")
    with pytest.raises(InputError, match="no test samples.*--test 0.2"):
        propose(cache, Design(data="hostile"))


def test_standard_is_a_recipe_of_its_own_beside_ordinary_training(scored):
    found = propose(scored, design())
    standard = next(config for config in found.configs if parse_curriculum(config.curriculum).name == "standard")
    plain = RunConfig(**{**standard.to_json(), "curriculum": None})
    assert standard.recipe != plain.recipe and standard.curriculum == "random:full"
