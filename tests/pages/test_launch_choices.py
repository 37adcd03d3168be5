"""The launch form offers what is built in, registered or taken from a library before, and features that are whole."""

import dataclasses
import os

import numpy as np

from learnability import jobs
from learnability.config import ARCHITECTURES, RunConfig
from learnability.jobs import queue as job_queue
from learnability.jobs.processes import Process
from learnability.store.architectures import Registered, register
from learnability.store.datasets import open_dataset
from learnability.store.features import FeatureWriter, declare
from learnability.store.runs import create_run
from tests.store.test_features import BACKBONE
from tests.ui import made_cache
from ui import roots


def test_a_preparation_asked_for_is_told_how_it_ended(empty, tmp_path, monkeypatch, open_page):
    monkeypatch.setenv(roots.VARIABLE, str(tmp_path))
    cache, folder = made_cache.Cache(empty), tmp_path / "photos"
    folder.mkdir()
    job_queue.write(cache, lambda connection: job_queue.set_worker(connection, "prepare", Process.of(os.getpid())))  # none is started
    app = open_page("overview")
    app.session_state["prepare-open"] = True
    app.run().sidebar.text_input(key="prepare-source").set_value("photos").run()
    app.sidebar.button(key="prepare").click().run()
    assert "Preparing in the background. The data set appears here." in [one.value for one in app.sidebar.caption]
    (job,) = job_queue.read(cache, job_queue.jobs)
    for code, note, told in ((2, "folder photos has one class", "Not prepared:"), (0, "data set photos is ready", "Prepared:")):
        ended = {"state": "ended", "code": code, "note": note}
        job_queue.write(cache, lambda connection, ended=ended: job_queue.change(connection, job.key, **ended))
        assert not app.run().exception
        assert told in [one.value for one in (*app.sidebar.warning, *app.sidebar.success)] and note in [t.value for t in app.sidebar.text]


def opened(open_page):
    app = open_page("overview")
    app.session_state["launch-open"] = True
    app.run()
    app.sidebar.selectbox(key="launch-preset").select("Own choice").run()
    assert not app.exception
    return app


def estimate(app) -> str:
    return next(text.value for text in app.sidebar.text if " run" in text.value and "on disk" in text.value)


def test_architectures_of_ones_own_are_offered_and_nothing_can_be_typed(no_run, open_page):
    register(no_run, Registered("mine", "mynets:build"))
    for arch in ("timm:resnet10t", "os.path:join"):
        create_run(no_run, RunConfig(data="digits", fingerprint="0" * 64, arch=arch))
    app = opened(open_page)
    choice = app.sidebar.multiselect(key="launch-archs")
    assert choice.options == [*ARCHITECTURES, "mine", "timm:resnet10t"] and choice.value == list(ARCHITECTURES)
    assert not choice.proto.accept_new_options
    assert [box.key for box in app.sidebar.text_input if "arch" in (box.key or "")] == []
    choice.set_value(["mine", "timm:resnet10t"]).run()
    assert estimate(app).startswith("2 runs")
    assert "launch-start" not in [box.key for box in app.sidebar.selectbox]


def test_features_that_are_whole_are_a_start_for_heads(no_run, open_page):
    fingerprint8 = no_run.current("digits")
    one = declare(no_run, "digits", fingerprint8, BACKBONE)
    assert "launch-start" not in [box.key for box in opened(open_page).sidebar.selectbox], "they are not made yet"
    with FeatureWriter.opened(no_run, "digits", fingerprint8, one, 1797) as writer:
        writer.append(np.zeros((1797, 3), np.float16), {"pictures": {"prepared": 1797}})
        writer.finish({"mean": [0.0] * 3, "std": [1.0] * 3})
    app = opened(open_page)
    start = app.sidebar.selectbox(key="launch-start")
    assert start.options == ["from scratch", one.name] and app.sidebar.multiselect(key="launch-archs").options == list(ARCHITECTURES)
    start.select(one.name).run()
    assert not app.exception
    heads = app.sidebar.multiselect(key="launch-heads")
    assert (heads.options, heads.value) == (["linear", "mlp"], ["linear"])
    assert estimate(app).startswith("1 run,")
    app.sidebar.selectbox(key="launch-start").select("from scratch").run()
    assert not app.exception and estimate(app).startswith("3 runs,")


def test_duplicate_of_what_the_form_cannot_say_asks_for_all_of_it(no_run, open_page, monkeypatch):
    """A fold held out, for the next seed. Only the training itself is left out."""
    opened = open_dataset(no_run, "digits")
    config = RunConfig(data="digits", fingerprint=opened.fingerprint, arch="resnet20", folds=3, fold=1, epochs=2)
    create_run(no_run, config)
    asked = []
    monkeypatch.setattr(
        jobs, "launch", lambda cache, configs, device, **_more: [(one.run_id, asked.append(one) is None) for one in configs]
    )
    app = open_page("runs", job=config.run_id)
    app.button(key="job-duplicate").click().run()
    assert not app.exception
    assert asked == [dataclasses.replace(config, seed=1)]
    assert any(asked[0].run_id in text.value for text in app.sidebar.text)


def test_runs_side_by_side_come_to_the_queue_as_chosen(no_run, open_page, monkeypatch):
    asked = []
    monkeypatch.setattr(jobs, "device_choices", lambda: ["cpu"])
    monkeypatch.setattr(jobs, "launch", lambda _cache, configs, device, together: asked.append((device, together)) or [])
    app = opened(open_page)
    app.sidebar.number_input(key="launch-together").set_value(3).run()
    app.sidebar.button(key="launch").click().run()
    assert not app.exception and asked == [("cpu", 3)]
