"""Training from the sidebar: launched, watched, the server killed under it, stopped, resumed, and the same bytes as a run alone."""

import shutil
import time

import pytest

from learnability import jobs
from learnability.store.paths import Cache
from learnability.store.runs import load_recording, load_run
from learnability.training import Stop
from learnability.training.run import train
from tests.browser.conftest import VIEW, Watched, start_server

EPOCHS = 20


def until(true, seconds: float, what: str):
    """What `true()` gives as soon as that is something; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds} s")


def fill(page, label: str, value) -> None:
    box = page.get_by_role("spinbutton", name=label, exact=True)
    box.fill(str(value))
    box.press("Enter")


def choose(page, label: str, option: str) -> None:
    box = page.get_by_role("combobox", name=label, exact=True)
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(300)  # a list that is open closes when its page scrolls
    box.click()
    page.get_by_role("option", name=option, exact=True).click()


@pytest.mark.timeout(560)
def test_three_runs_outlive_the_server_and_a_stopped_one_goes_on_with_the_same_bytes(digits, tmp_path, chromium):
    server, address = start_server(digits.root, tmp_path / "first.log")
    seen = Watched(chromium.new_page(**VIEW))
    page = seen.page
    seen.open(address)
    page.get_by_test_id("stSidebar").get_by_text("Train", exact=True).click()
    seen.still()
    choose(page, "What to train", "Own choice")
    seen.still()
    for arch in ("vgg16", "mobilenet"):
        page.get_by_test_id("stSidebar").get_by_role("button", name=f"Remove {arch}").click()
        seen.still()
    choose(page, "Precision", "fp32")
    seen.still()
    for label, value in (("Seeds", 3), ("Epochs", EPOCHS), ("Samples", 100)):
        fill(page, label, value)
        seen.still()
    seen.still()
    assert page.get_by_text("3 runs,").first.is_visible()
    page.get_by_role("button", name="Launch").dblclick()
    seen.still()
    names = until(lambda: len(found := digits.run_ids("digits")) == 3 and found, 20, "three runs")
    first = names[0]

    until(lambda: load_run(digits, "digits", first).looks >= 2, 90, "the first epochs")
    page.get_by_text(f"of {EPOCHS} epochs").first.wait_for(timeout=30_000)
    seen.page.close()
    assert not seen.wrong
    server.kill()
    server.wait()
    looks = load_run(digits, "digits", first).looks

    server, address = start_server(digits.root, tmp_path / "second.log")
    try:
        again = Watched(chromium.new_page(**VIEW))
        page = again.page
        started = time.monotonic()
        page.goto(f"{address}/runs?job={first}")
        page.get_by_text("resnet20-s0:").first.wait_for(timeout=30_000)
        assert jobs.state(digits, "digits", first).state == "running"
        print(f"found again {time.monotonic() - started:.1f} s after the page was asked for")
        assert load_run(digits, "digits", first).looks >= looks
        again.still()
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("button", name="Stop resnet20-s0").click()
        until(lambda: jobs.state(digits, "digits", first).state == "stopped", 40, "the stop")
        stopped = load_run(digits, "digits", first)
        assert 0 < stopped.looks < EPOCHS
        page.get_by_role("button", name="Resume", exact=True).wait_for(timeout=30_000)
        again.still()
        page.get_by_role("button", name="Resume", exact=True).click()
        until(lambda: jobs.state(digits, "digits", first).state in ("queued", "running", "done"), 60, "the resume")
        for name in names[1:]:
            until(lambda name=name: jobs.stop(digits, "digits", name) or load_run(digits, "digits", name).state == "done", 5, "a stop")
        until(lambda: load_run(digits, "digits", first).looks >= stopped.looks + 2, 120, "more epochs")
        jobs.stop(digits, "digits", first)
        until(lambda: jobs.state(digits, "digits", first).state in ("stopped", "done"), 120, "the second stop")
        again.page.close()
        assert not again.wrong
    finally:
        jobs.stop_all(digits)
        server.terminate()
        server.wait(20)
    assert "Traceback" not in (tmp_path / "second.log").read_text()

    shutil.copytree(digits.datasets, tmp_path / "twin" / "datasets")
    twin, there, stop = Cache(tmp_path / "twin"), load_run(digits, "digits", first), Stop()
    train(there.config, twin, device="cpu", stop=stop, progress=lambda done, _total, **_more: done >= 100 * there.looks and stop.ask())
    expected = load_recording(twin, "digits", first, looks=there.looks).signals
    got = load_recording(digits, "digits", first, verify=True).signals
    assert got.keys() == expected.keys()
    for name, values_NE in got.items():
        assert values_NE.shape == (100, there.looks) and there.looks > stopped.looks
        assert values_NE.tobytes() == expected[name].tobytes(), name
