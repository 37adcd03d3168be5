"""How long, how much, and what fits into a time; from what earlier runs took."""

import json

import pytest

from learnability import jobs
from learnability.config import RunConfig
from learnability.errors import InputError, NotFound
from learnability.jobs import costs
from learnability.store.files import write_json
from learnability.store.runs import Head, create_run, write_head


def trained(place, arch: str, seconds: float, seed: int = 0, device: str = "cpu", **fields) -> RunConfig:
    """A run whose epochs took so long, as its files tell it."""
    config = place.config(arch, seed=seed, **({"epochs": 3, "subset": 100} | fields))
    create_run(place.cache, config)
    folder = place.cache.run_folder("digits", config.run_id)
    looks = [{"epoch": epoch, "seconds": seconds * (9 if epoch == 0 else 1)} for epoch in range(3)]
    (folder / "looks.jsonl").write_text("".join(json.dumps(look) + "\n" for look in looks))
    write_json(folder / "environment.json", {"format": 1, "device": device, "cpu": f"{costs._processor()} (AVX512)"})
    write_head(folder, Head(state="done", looks=3, epochs=3, rows=100, class_count=10, crc={}))
    return config


def test_without_an_earlier_run_the_time_is_unknown_and_the_disk_is_not(place):
    told = jobs.estimate(place.cache, [place.config("resnet20", seed=seed) for seed in range(3)], "cpu")
    assert (told.runs, told.seconds, told.basis) == (3, None, "unknown until the first epoch")
    assert 3 * 2e6 < told.bytes < 3 * 5e6
    assert jobs.estimate(place.cache, [], "cpu").bytes == 0


def test_the_time_rests_on_earlier_runs_of_this_device(place):
    trained(place, "resnet20", 1.0)
    trained(place, "resnet20", 3.0, seed=1)
    trained(place, "resnet20", 50.0, seed=2, device="cuda")
    told = jobs.estimate(place.cache, [place.config("resnet20", epochs=10, subset=200)], "cpu")
    assert told.basis == "from 2 earlier runs here"
    assert told.seconds == pytest.approx(costs.START_S + 10 * 200 * 2.0 / 100)
    longer = jobs.estimate(place.cache, [place.config("resnet20", epochs=10, subset=200, record="eval")], "cpu")
    assert longer.seconds > told.seconds
    both = jobs.estimate(place.cache, [place.config("resnet20", epochs=10), place.config("vgg16", epochs=10)], "cpu")
    assert both.basis == "from 2 earlier runs here; vgg16 inferred from other networks"
    other = jobs.estimate(place.cache, [place.config("mine:network", epochs=10)], "cpu")
    assert "inferred" in other.basis
    assert other.bytes > 50e6
    folds = jobs.estimate(place.cache, [place.config("resnet20", epochs=10, subset=200, folds=4, fold=0)], "cpu")
    assert folds.seconds == pytest.approx(costs.START_S + 0.75 * 10 * 200 * 2.0 / 100)


def test_a_measured_network_of_ones_own_tells_its_disk_too(place):
    trained(place, "mine", 1.0)
    assert jobs.estimate(place.cache, [place.config("mine", seed=5)], "cpu").bytes < 1e6


def test_runs_of_another_processor_and_damaged_ones_are_left_out(place):
    config = trained(place, "resnet20", 1.0)
    write_json(place.cache.run_folder("digits", config.run_id) / "environment.json", {"format": 1, "device": "cpu", "cpu": "Z80"})
    other = trained(place, "resnet20", 1.0, seed=1)
    (place.cache.run_folder("digits", other.run_id) / "looks.jsonl").write_text("{")
    assert jobs.estimate(place.cache, [place.config("resnet20")], "cpu").seconds is None


def test_a_budget_takes_epochs_then_seeds_then_less(place):
    for arch, seconds in (("resnet20", 0.1), ("vgg16", 0.4), ("mobilenet", 0.2)):
        trained(place, arch, seconds)
    rows = 1438
    epoch_s = rows * 0.007
    whole = 3 * costs.START_S + 30 * epoch_s

    def plan(seconds: float, **fields):
        return jobs.plan_for_budget(place.cache, "digits", seconds, "cpu", **fields)

    full = plan(whole * 1.01)
    assert (full.archs, full.seeds, full.epochs, full.subset) == (("resnet20", "vgg16", "mobilenet"), 1, 30, None)
    assert full.estimate.seconds == pytest.approx(whole)
    assert full.sentence == "resnet20, vgg16, mobilenet, 30 epochs, one seed each."
    assert [config.arch for config in full.configs] == list(full.archs)
    assert plan(whole * 3.1).seeds == 3
    assert plan(whole * 100).seeds == 5
    fewer = plan(whole * 0.6)
    assert (fewer.seeds, fewer.subset) == (1, None)
    assert 8 <= fewer.epochs < 30
    assert "fewer epochs than 30" in fewer.sentence
    one = plan(costs.START_S + 8.5 * rows * 0.001)
    assert one.archs == ("resnet20",)
    assert "without vgg16, mobilenet, which would not fit" in one.sentence
    least = plan(0.1)
    assert (least.archs, least.epochs, least.subset) == (("resnet20",), 8, None)
    assert "takes longer than asked" in least.sentence
    for seconds in (20, 60, 200, 1000, 5000):
        proposed = plan(seconds)
        assert proposed.estimate.seconds <= seconds or "longer than asked" in proposed.sentence
    with pytest.raises(InputError, match="more than 0"):
        plan(0)


def test_a_subset_is_proposed_where_a_data_set_is_large(place, monkeypatch):
    monkeypatch.setattr(
        costs,
        "info",
        large := lambda *_: {"train": 50_000, "H": 32, "W": 32, "C": 3, "class_names": list("ab"), "fingerprint": place.fingerprint},
    )
    monkeypatch.setattr("learnability.jobs.plans.info", large)
    trained(place, "resnet20", 0.1)
    found = jobs.plan_for_budget(place.cache, "digits", 100.0, "cpu", archs=["resnet20"])
    assert (found.epochs, found.subset) == (8, 11_500)
    assert "11,500 of 50,000 samples" in found.sentence


def test_presets(place):
    found = jobs.presets(place.cache, "digits", "cpu", labels="planted-0.1-0")
    assert list(found) == ["quick", "overnight", "paper"]
    assert {config.labels for plan in found.values() for config in plan.configs} == {"planted-0.1-0"}
    paper = found["paper"]
    assert (len(paper.configs), paper.seeds, len(paper.archs), paper.epochs) == (9, 3, 3, 30)
    assert (found["quick"].archs, found["quick"].seeds) == (paper.archs, 1)
    assert found["quick"].epochs == 8
    assert found["overnight"].epochs == 60
    assert found["quick"].estimate.basis == "unknown until the first epoch"
    with pytest.raises(NotFound):
        jobs.presets(place.cache, "nothing", "cpu")


def test_a_data_set_without_images_has_no_plan(place, monkeypatch):
    plain = {"train": 100, "H": None, "W": None, "C": None, "class_names": ["a", "b"], "fingerprint": place.fingerprint}
    monkeypatch.setattr("learnability.jobs.plans.info", lambda *_: plain)
    with pytest.raises(InputError, match="no images"):
        jobs.presets(place.cache, "digits", "cpu")


def test_speed_of_other_image_sizes_is_scaled(place):
    trained(place, "resnet20", 1.0)
    measured = costs.measured_here(place.cache, "cpu")
    larger = costs.Measured("cpu", tuple(costs._RunSpeed(one.arch, one.image_s, one.pixels // 4) for one in measured.runs))
    assert costs.speed_of(place.cache, larger, "digits", place.fingerprint, "resnet20").image_s == pytest.approx(
        4 * measured.runs[0].image_s
    )
