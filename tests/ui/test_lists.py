"""Orders, means over runs, words and saved selections, on real caches."""

import dataclasses

import numpy as np
import pytest

from learnability.agreement import NOT_TOLD
from learnability.config import train_command
from learnability.store import files
from learnability.store.datasets import open_dataset
from learnability.store.runs import load_runs
from tests.ui import made_cache
from ui import data, listing, matrix, numbers, order, pictures, scored, series, state, trust, words


@pytest.fixture
def runs(many):
    return load_runs(many, "digits")


def made_of(runs, arch: str, metric: str = "learnability") -> series.Series:
    members = [run for run in runs if run.config.arch == arch]
    return scored.series("digits", members[0].group, members, metric)


def test_a_group_is_the_mean_of_its_whole_runs(runs):
    both = made_of(runs, "resnet20")
    singles = [scored.series("digits", run.id, [run], "learnability") for run in runs if run.config.arch == "resnet20"]
    np.testing.assert_allclose(both.score_N, np.mean([one.score_N for one in singles], 0))
    assert both.name == "resnet20, mean of 2 seeds" and both.looks == (12, 12) and both.left_out is None
    unfinished = made_of(runs, "mobilenet")
    assert unfinished.seeds == 1 and "mobilenet-s1 (7 epochs)" in unfinished.left_out


def test_cells_hold_every_value_of_the_score(runs):
    both = made_of(runs, "resnet20")
    assert both.cells.exact and both.cells.count == 2 * 12 + 1
    np.testing.assert_allclose(both.cells.middles[both.cells.index(both.score_N)], both.score_N, atol=1e-6)
    assert made_of(runs, "resnet20", "forgetting_events").cells.exact
    assert not made_of(runs, "resnet20", "aum").cells.exact


def test_orders(runs):
    made, aum = made_of(runs, "resnet20"), made_of(runs, "resnet20", "aum")
    hardest = order.order(made, "hardest", aum, None)
    assert (np.diff(made.score_N[hardest]) >= 0).all()
    tied = hardest[made.score_N[hardest] == made.score_N[hardest[0]]]
    assert (np.diff(aum.of(made.sample_ids_N[tied])) >= 0).all(), "ties: the smaller margin is harder"
    assert (np.diff(made.score_N[order.order(made, "easiest", aum, None)]) <= 0).all()
    middle = made.score_N[order.order(made, "middle", aum, None)][:20]
    assert np.abs(middle - np.median(made.score_N)).max() < 0.05
    within = order.order(made, "within", aum, None)
    assert sorted(made.labels_N[within[:10]]) == list(range(10)) and sorted(within) == list(range(len(within)))
    assert order.cut_in_tie(made, hardest, 0, 3).startswith("The last 3 shown are from")


def test_forgetting_puts_the_never_learned_last_of_all(runs):
    made, never = made_of(runs, "resnet20", "forgetting_events"), made_of(runs, "resnet20", "never_learned")
    first = order.order(made, "hardest", None, never)[:5]
    assert (never.of(made.sample_ids_N[first]) >= 0.5).all(), "never learned by most of the runs"


def test_quadrants_partition_and_agree_with_the_scores(runs):
    a, b = made_of(runs, "resnet20"), made_of(runs, "vgg16")
    placed, ids = numbers.placed(a, b, False)
    assert len(ids) == 1438 and np.bincount(placed.quadrant_N, minlength=5).sum() == 1438
    hard = ids[placed.quadrant_N == 0]
    assert (a.of(hard) < 0.5).all() and (b.of(hard) < 0.5).all()


def test_numbers_of_a_pair(runs):
    a, b = made_of(runs, "resnet20"), made_of(runs, "vgg16")
    told = numbers.measured(a, b)
    assert told.N == 1438 and told.plain["pearson"].value == pytest.approx(np.corrcoef(a.score_N, b.score_N)[0, 1])
    assert told.pearson.verdict and told.pearson.ceiling > told.pearson.single_run
    same = numbers.measured(a, a)
    assert same.pearson is None and same.plain["pearson"].value == pytest.approx(1)
    easier = numbers.measured(a, made_of(runs, "vgg16", "mean_loss"))
    assert easier.plain["spearman"].value > 0, "both turned so that higher is easier"


def test_two_seeds_do_not_tell_whether_networks_differ(runs):
    a, b = made_of(runs, "resnet20"), made_of(runs, "vgg16")
    told = numbers.measured(a, b)
    assert told.pearson.verdict == NOT_TOLD and "of that [" in numbers._ceiling(told, a, b)
    assert numbers._ceiling(told, a, b).endswith(f"**{NOT_TOLD[0].upper()}{NOT_TOLD[1:]}.**")
    assert matrix._pair_sentence(trust.between(a, b, "pearson")).endswith(f"]: **{NOT_TOLD}**.")


def test_one_seed_a_side_has_no_ceiling(runs):
    single = [scored.series("digits", run.id, [run], "learnability") for run in runs if run.config.seed == 0]
    told = numbers.measured(single[0], single[1])
    assert "one seed" in told.pearson.reason and np.isnan(told.pearson.ceiling)


def test_taken_for_counts_the_votes_of_the_runs(many, runs):
    now = state.State("digits", runs[0].recipe, runs[0].group, None, "learnability")
    made = made_of(runs, "resnet20")
    consensus = made_of(runs, "resnet20", "consensus_prediction")
    ids = np.arange(200)
    found = listing.taken_for(now, runs, made, ids)
    for sample_id in range(200):
        votes = [int(vote) for vote in consensus.score_RN[:, sample_id] if vote >= 0]
        assert found[sample_id] == (max(sorted(set(votes)), key=votes.count) if votes else -1)


def test_a_saved_selection_comes_back_whatever_the_scores(own_many):
    opened = open_dataset(own_many, "digits")
    data.save_selection(opened, "odd-ones", np.array([5, 3, 700]), "for a test")
    found, missing = data.selection("odd-ones", opened)
    assert found.tolist() == [3, 5, 700] and missing == 0 and data.selection_names("digits") == ["odd-ones"]
    path = own_many.selection("digits", "odd-ones")
    content = files.read_json(path)
    content["samples"][0]["hash"] = "0" * 32  # another picture under the same key
    files.write_json(path, content)
    found, missing = data.selection("odd-ones", opened)
    assert len(found) == 2 and missing == 1


def test_pictures_are_enlarged_by_whole_numbers(many):
    opened = open_dataset(many, "digits")
    large, scale = pictures.enlarged(opened, 0, 320)
    assert scale == 10 and large.shape == (320, 320, 3)
    np.testing.assert_array_equal(large[::10, ::10, 0], opened.images[0][:, :, 0])
    made = pictures.sheet(opened, tuple(range(25)))
    assert made.url.startswith("data:image/png;base64,") and (made.columns, made.width, made.scale) == (10, 32, 3)


def test_the_command_repeats_the_recipe(own_many):
    from learnability.__main__ import parser

    config = made_cache.add_run(own_many, "vgg16", 3, epochs=5, record="eval", weight_decay=1e-3)
    said = train_command(config, ["resnet20"], seeds=2)
    args = parser().parse_args(said.split()[3:])
    assert (args.epochs, args.record, args.weight_decay, args.seeds, args.arch) == (5, "eval", 1e-3, 2, ["resnet20"])
    assert train_command(dataclasses.replace(config, momentum=0.5), ["resnet20"]) is None


def test_numbers_in_words():
    assert words.number(float("nan")) == "not seen"
    assert words.number(3.0, "first_learned") == "3" and words.number(0.5, "learnability") == "0.50"
    assert words.share(0, 0) == "0" and words.count(1, "sample") == "1 sample" and words.count(2000, "sample") == "2,000 samples"
    assert all(words.axis(metric) for metric in words.choosable()) and set(words.UNITS) >= set(words.choosable())


def test_copies_stand_side_by_side_those_under_two_labels_first():
    images = np.array([5, 7, 5, 9, 7, 3, 9, 3, 7])
    labels = np.array([0, 1, 0, 2, 1, 4, 0, -1, 1])
    assert order.copies(images, labels).tolist() == [3, 6, 0, 2, 1, 4, 8], "of 3 and 3 one was dropped: no copy is left"
    assert order.copies(np.arange(4), np.zeros(4, int)).tolist() == order.copies(np.zeros(0, int), np.zeros(0, int)).tolist() == []
