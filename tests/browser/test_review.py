"""The review in a real browser: by keyboard, in two tabs, over a reload, to the files that leave it."""

import io
import re
import shutil

import pyarrow.parquet as pq
import pytest

from learnability import review
from learnability.store.datasets import open_dataset
from learnability.store.identity import identities
from learnability.store.paths import Cache
from tests.browser.conftest import serving

SHOWN = "[class*='st-key-keep-queue-']:not([data-retained])"  # Streamlit keeps an element that leaves, hidden, for a while
KEYS = "KDX12"


@pytest.fixture
def reviewing(many_root, tmp_path):
    """(address, cache) of a dashboard whose cache may be changed."""
    root = tmp_path / "cache"
    shutil.copytree(many_root, root)
    with serving(root, root.parent / "server.log") as address:
        yield address, Cache(root)


def shown(page) -> int:
    """The sample that the queue shows."""
    return int(re.search(r"st-key-keep-queue-(\d+)", page.locator(SHOWN).first.get_attribute("class"))[1])


def gone(page, sample_id: int) -> None:
    """Waits until the next sample stands alone, from its first button to the last that KEYS press: a key without a button does nothing."""
    page.wait_for_function(
        """([shown, old]) => {
          const of = (kind) => [...document.querySelectorAll(shown.replace("keep", kind))]
            .map((element) => /queue-([0-9]+)/.exec(element.className)[1])
          const [keep, take] = [of("keep"), of("relabel-2")]
          return keep.length === 1 && take.length === 1 && keep[0] === take[0] && keep[0] !== old
        }""",
        arg=[SHOWN, str(sample_id)],
        timeout=60_000,
    )


def back(page, sample_id: int) -> None:
    page.locator(f".st-key-keep-queue-{sample_id}:not([data-retained])").wait_for(timeout=60_000)


def decided(page) -> str:
    return page.locator("[data-testid=stMetric]").filter(has_text="Decided").locator("[data-testid=stMetricValue]").inner_text()


def test_twenty_reviews_by_keyboard_reach_the_exported_files(reviewing, watched):
    address, cache = reviewing
    seen = watched()
    page = seen.page
    seen.open(f"{address}/review")
    page.locator(SHOWN).first.wait_for(timeout=60_000)
    walked = []
    for i in range(20):
        sample_id = shown(page)
        walked.append((sample_id, KEYS[i % 5]))
        page.keyboard.press(KEYS[i % 5].lower())
        gone(page, sample_id)
        assert len(review.read_log(cache, "digits").actions) == i + 1, "on disk before the next picture stands"
    assert decided(page) == "20"

    last, _ = walked.pop()
    page.keyboard.press("u")
    back(page, last)
    page.keyboard.press("ArrowRight")
    gone(page, last)
    page.keyboard.press("ArrowLeft")
    back(page, last)
    box = page.locator(f".st-key-class-queue-{last} input")
    box.click()
    page.keyboard.type("kdx scribble 12")
    seen.still()
    assert shown(page) == last and decided(page) == "19", "no key decides while one types"
    page.keyboard.press("Enter")
    gone(page, last)
    page.keyboard.press("x")  # the box has let go of the keyboard
    page.wait_for_function("document.querySelector('[data-testid=stMetricValue]').innerText === '21'", timeout=60_000)

    original = open_dataset(cache, "digits")
    log = review.read_log(cache, "digits")
    by_id = review.resolve(review.state(log), identities(original)).by_id
    assert [action.verdict for action in log.actions[:20]] == [
        {"K": "keep", "D": "drop", "X": "unsure"}.get(k, "relabel") for k in KEYS * 4
    ]
    assert by_id[last].class_name == "kdx scribble 12" and log.actions[20].undo == log.actions[19].id

    page.reload()
    seen.still()
    page.locator(SHOWN).first.wait_for(timeout=60_000)
    assert decided(page) == "21"
    tab = watched().open(f"{address}/review").page
    tab.locator(SHOWN).first.wait_for(timeout=60_000)
    assert decided(tab) == "21" and shown(tab) == shown(page) and shown(tab) not in by_id

    seen.open(f"{address}/review?queue=Export")
    with page.expect_download() as download:
        page.locator(".st-key-download-corrected-labels-parquet button").click()
    table = pq.read_table(io.BytesIO(download.value.path().read_bytes())).to_pylist()
    page.locator(".st-key-make-version button").click()
    page.get_by_text("Label version reviewed-1 holds what is decided now").wait_for(timeout=60_000)
    made = open_dataset(cache, "digits", None, "reviewed-1")
    for row, line in enumerate(table):
        action = by_id.get(row)
        old = line["old_label"]
        new = {"drop": None, "relabel": action.class_name}.get(action.verdict, old) if action else old
        assert (line["verdict"], line["new_label"]) == (action and action.verdict, new)
        if row < original.N:
            assert (made.class_names[made.labels_N[row]] if made.labels_N[row] >= 0 else None) == new
    assert {row for row, line in enumerate(table) if line["verdict"]} == set(by_id) and len(by_id) == 21


def test_keys_pressed_too_fast_never_decide_a_sample_twice(reviewing, watched):
    address, cache = reviewing
    before = len(review.read_log(cache, "digits").actions)
    seen = watched()
    seen.open(f"{address}/review")
    seen.page.locator(SHOWN).first.wait_for(timeout=60_000)
    for _ in range(6):
        seen.page.keyboard.press("k")
    seen.still()
    seen.page.wait_for_timeout(1500)
    samples = [sample for action in review.read_log(cache, "digits").actions[before:] for sample in action.samples]
    assert 1 <= len(samples) == len(set(samples)) <= 6


def test_a_row_of_pictures_is_marked_with_shift_and_decided_at_once(reviewing, watched):
    address, cache = reviewing
    seen = watched()
    page = seen.page
    seen.open(f"{address}/review?queue=By+pair+of+classes&taken=In+any+epoch")
    page.locator(".st-key-pairs-table canvas").first.click(position={"x": 17, "y": 52}, force=True)  # the first line
    page.locator(".several .tile").first.wait_for(timeout=60_000)
    seen.still()
    tiles = page.locator(".several .tile")
    tiles.nth(1).click()
    page.get_by_text("1 sample marked").wait_for(timeout=60_000)
    tiles.nth(4).click(modifiers=["Shift"])
    page.get_by_text("4 samples marked").wait_for(timeout=60_000)
    marked = page.locator(".several .tile[aria-pressed=true]")
    marked.nth(3).wait_for(timeout=60_000)  # the pictures follow the text
    names = [tiles.nth(i).get_attribute("aria-label") for i in range(1, 5)]
    assert [marked.nth(i).get_attribute("aria-label") for i in range(marked.count())] == names
    page.get_by_role("button", name="Drop").click()
    page.get_by_text("Dropped 4 samples").wait_for(timeout=60_000)
    action = review.read_log(cache, "digits").actions[-1]
    rows = identities(open_dataset(cache, "digits")).match(*zip(*action.samples, strict=True)).rows_n
    assert sorted(rows.tolist()) == sorted(int(name.split(",")[0].removeprefix("sample ")) for name in names)
    page.get_by_text("0 samples marked").wait_for(timeout=60_000)

    seen.open(f"{address}/review?queue=Log")
    page.locator("[data-testid=stDataFrame] canvas").first.click(position={"x": 17, "y": 52}, force=True)
    page.get_by_role("button", name="Take back this action").click()
    page.get_by_text("Took back: dropped 4 samples").wait_for(timeout=60_000)
    assert review.read_log(cache, "digits").actions[-1].undo == action.id
