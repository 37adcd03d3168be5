"""A page that somebody works in while a run really trains, and sessions beside each other, on one server of their own."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from learnability.prepare import prepare
from learnability.store.runs import load_runs
from tests.browser.conftest import ROOT, VIEW, Watched, group, serving
from tests.browser.test_walk import inside, means
from tests.ui.made_cache import Cache

AREA = "-0.05,-0.05;0.55,-0.05;0.55,0.55;-0.05,0.55"
EPOCHS = 4


@pytest.fixture(scope="module")
def own(many_root, tmp_path_factory):
    """(address, cache) of a fresh server whose cache may be changed."""
    root = tmp_path_factory.mktemp("own") / "cache"
    shutil.copytree(many_root, root)
    with serving(root, root.parent / "server.log") as address:
        yield address, Cache(root)


def test_a_cold_link_restores_the_view_and_a_run_that_trains_leaves_it_alone(own, watched):
    """The first request that this server gets is the link."""
    address, cache = own
    seen = watched()
    page = seen.page
    a, b = group(cache.root, "resnet20"), group(cache.root, "vgg16")
    recipe = a.rsplit("-", 1)[1]
    seen.open(f"{address}/compare?data=digits&recipe={recipe}&a={a}&b={b}&in={AREA}")
    page.get_by_text("samples selected").first.wait_for(timeout=60_000)
    seen.still()
    expected = inside(AREA, means(cache.root, "resnet20"), means(cache.root, "vgg16"))
    assert seen.selected() == len(expected) > 10
    assert set(seen.tile_ids("selected")) <= set(expected)
    assert page.locator("[data-testid=stMain] [data-testid=stAlert]").count() == 0
    page.get_by_role("button", name="Save selection").click()
    box = page.get_by_role("textbox", name="Name")
    box.click()
    page.keyboard.type("half a na")

    command = [sys.executable, "-m", "learnability", "train", "--cache", str(cache.root), "--data", "digits", "--arch", "resnet20"]
    command += ["--epochs", str(EPOCHS), "--subset", "200", "--precision", "fp32", "--threads", "1"]
    with open(cache.root.parent / "train.log", "wb") as log:
        training = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"})
        page.get_by_role("button", name=re.compile(r"Show \d+ new epochs?")).wait_for(timeout=120_000)
        assert box.input_value() == "half a na" and box.evaluate("box => box === document.activeElement"), "what is typed stays"
        page.keyboard.type("me")
        assert box.input_value() == "half a name"
        assert seen.selected() == len(expected)
        assert training.wait(120) == 0, (cache.root.parent / "train.log").read_text()

    page.keyboard.press("Escape")
    page.locator(".st-key-selected .tile").nth(3).click()
    page.locator(".st-key-details-selected").get_by_text(f"sample {seen.tile_ids('selected')[3]:,}  ·").wait_for(timeout=30_000)
    page.get_by_role("button", name=re.compile(f"Show {EPOCHS} new epochs")).click()
    page.get_by_role("button", name=re.compile(r"Show \d+ new epochs?")).wait_for(state="detached", timeout=60_000)
    seen.still()
    assert seen.selected() == len(expected), "the area is applied to what is here now"
    (new,) = [run for run in load_runs(cache, "digits") if run.config.subset == 200]
    assert new.looks == EPOCHS and new.state == "done"


def test_a_filter_begins_at_the_first_sheet_and_is_let_go_again(own, watched):
    address, cache = own
    seen = watched()
    page = seen.page

    def shown(said: str) -> None:
        page.locator("[data-testid=stMain]").get_by_text(f"Shown: {said}.").first.wait_for(timeout=30_000)

    def choose(box: str, option: str) -> str:
        page.get_by_role("combobox", name=box, exact=True).click()
        page.get_by_role("option", name=option, exact=True).click()
        return seen.still().page.url

    seen.open(f"{address}/gallery?a={group(cache.root, 'vgg16')}&sheet=3")
    shown("201 to 300")
    assert "sheet" not in choose("Class", "3")
    shown("1 to 100")
    page.locator("[data-testid=stPagination]").get_by_text("2", exact=True).click()
    page.wait_for_url("**sheet=2**")
    assert "sheet" not in choose("Score", "Mean loss")
    shown("1 to 100")

    page.get_by_role("button", name="Save this list").click()
    page.get_by_role("textbox", name="Name").fill("threes")
    page.get_by_role("textbox", name="Name").press("Enter")
    page.locator(".st-key-save-list button:enabled").click()
    page.get_by_text("The gallery shows them under Selection.").wait_for(timeout=30_000)
    page.get_by_role("heading", name="Gallery").click()
    page.locator("[data-testid=stPopoverBody]").wait_for(state="detached", timeout=30_000)
    assert "selection=threes" in choose("Selection", "threes"), "it can be chosen at once"
    for way_out in ("Show all samples", "Clear the filters"):
        if way_out == "Clear the filters":
            assert "selection=threes" in choose("Selection", "threes") and "reviewed=Dropped" in choose("Review", "Dropped")
        page.get_by_role("button", name=way_out).click()
        page.get_by_text("Saved selection threes").wait_for(state="detached", timeout=30_000)
        assert "selection" not in seen.still().page.url


def test_two_sessions_do_not_meet(own, chromium):
    """Other runs, other lists, other pictures; but a verdict given in one is seen in the other."""
    address, cache = own
    one, other = (Watched(chromium.new_page(**VIEW)) for _ in range(2))  # two people, two browsers
    one.open(f"{address}/gallery?a={group(cache.root, 'resnet20')}&which=Middle")
    other.open(f"{address}/gallery?a={group(cache.root, 'vgg16')}&which=Easiest")
    for seen in (one, other):
        seen.page.locator(".tile").nth(99).wait_for(timeout=30_000)
    lists = one.tile_ids(), other.tile_ids()
    assert lists[0] != lists[1] and list(map(len, lists)) == [100, 100]
    one.page.locator(".tile").nth(2).click()
    other.page.locator(".tile").nth(9).click()
    for seen, sample_id in ((one, lists[0][2]), (other, lists[1][9])):
        seen.page.locator(".st-key-details-gallery").get_by_text(f"sample {sample_id:,}  ·").wait_for(timeout=30_000)
    one.page.locator(".st-key-details-gallery").get_by_role("button", name=re.compile("^Drop")).click()
    one.page.get_by_text("Dropped sample").or_(one.page.get_by_text("Dropped 1 sample")).first.wait_for(timeout=30_000)
    other.page.get_by_role("link", name="Review").click()
    other.page.get_by_text("Decided").first.wait_for(timeout=30_000)
    other.still()
    assert other.page.locator("[data-testid=stMetricValue]").first.inner_text() == "1"
    assert (one.tile_ids(), "which=Middle" in one.page.url) == (lists[0], True)
    for seen in (one, other):
        seen.page.close()
        assert not seen.wrong, seen.wrong


@pytest.mark.soak
def test_twenty_sessions_at_once(own, chromium):
    """Each on its own run and list; all click in the same moment, and each sees its own sample."""
    address, cache = own
    runs = [run.id for run in load_runs(cache, "digits") if run.looks]
    people = [Watched(chromium.new_page(**VIEW)) for _ in range(20)]
    for i, seen in enumerate(people):
        which = ("Hardest", "Easiest", "Middle")[i % 3]
        seen.page.goto(f"{address}/gallery?a={runs[i % len(runs)]}&which={which}", wait_until="commit")
        seen.page.locator(".tile").nth(99).wait_for(timeout=120_000)  # one by one: twenty browsers that start are work for two cores
    chosen = [(seen, seen.tile_ids()[i]) for i, seen in enumerate(people)]
    for i, seen in enumerate(people):
        seen.page.locator(".tile").nth(i).click()
    for seen, sample_id in chosen:
        seen.page.locator(".st-key-details-gallery").get_by_text(f"sample {sample_id:,}  ·").wait_for(timeout=120_000)
        assert seen.page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert len(np.unique([sample_id for _, sample_id in chosen])) > 10
    for seen in people:
        seen.page.close()
        assert not seen.wrong, seen.wrong


def test_a_data_set_that_appears_is_what_its_button_shows(own, watched, tmp_path):
    address, cache = own
    seen = watched()
    page = seen.open(f"{address}/runs").page
    for name in ("cats", "dogs"):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (10, 20, ord(name[0]))).save(tmp_path / "zoo" / name / "0.png")
    prepare(cache, str(tmp_path / "zoo"), name="zoo")
    page.get_by_role("button", name="Show the new data set").click(timeout=30_000)
    page.get_by_text("No run yet").wait_for(timeout=30_000)
    assert seen.still().page.get_by_role("combobox", name="Data set", exact=True).input_value() == "zoo"
