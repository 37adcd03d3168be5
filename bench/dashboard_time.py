"""How long does somebody wait in the dashboard? A real server and a real Chromium, with a clock inside the page.

    python -m bench.dashboard_time                                                      50,000 samples
    python -m bench.dashboard_time --samples 1281167 --classes 1000 --side 16
    python -m bench.dashboard_time --cache FOLDER                                       one that bench.made_cache made before

A wait begins at the time stamp of the mouse's or key's own event and ends with the first frame in which what was asked for stands and
the script rests. "First page" begins with the navigation, in a browser with a profile as a person has one: what it compiled once it keeps.
Drawing, the network stack and the browser's own work are in it; server and browser share the machine. Memory is RssAnon of the
server, read ten times a second. Prints one markdown table.
"""

import argparse
import contextlib
import os
import platform
import re
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from playwright.sync_api import TimeoutError, sync_playwright

from bench import made_cache
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from tests.browser.conftest import ARGUMENTS, VIEW, start_server

LARGE = 200_000  # samples from which on the second column of targets counts
TARGETS = {  # row -> ms at 50,000 samples, ms at 1.28 M
    "first page, warm server and browser": (2000, 2000),
    "change of page": (500, 1000),
    "lasso in the counts": (300, 800),
    "click on a tile": (300, 800),
    "filter by class": (300, 800),
    "next sheet of the gallery": (300, 800),
}
MEMORY = 400  # MB
PLAIN = [argument for argument in ARGUMENTS if "swiftshader" not in argument]  # WebGL without a GPU slows all drawing; not needed here
PATIENCE = 120_000  # ms; then the measurement is given up
CLOCK = """
window.clock = {
  still: () => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning"
    && !document.querySelector("[data-testid=stSkeleton], [data-stale=true]"),
  said: () => document.querySelector("[data-testid=stMain]")?.innerText ?? "",
  title: () => document.querySelector("[data-testid=stMain] h1")?.innerText,
  tiles: () => [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")].filter((one) => one.checkVisibility())
    .reduce((n, one) => n + (one.shadowRoot?.querySelectorAll(".tile .picture").length ?? 0), 0),
  watch(from, ready) {
    clock.took = null
    const look = () => { if (from() !== null && ready()) clock.took = performance.now() - from(); else requestAnimationFrame(look) }
    requestAnimationFrame(look)
  },
  after(kind, ready) {
    let from = null
    addEventListener(kind, (event) => { from = event.timeStamp }, { capture: true, once: true })
    clock.watch(() => from, ready)
  },
}
"""


class Person:
    """One page of a browser, and how long it kept its user waiting."""

    def __init__(self, context, address: str):
        self.page, self.address, self.errors = context.new_page(), address, []
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def begin(self, path: str, ready: str) -> None:
        self.page.add_init_script(CLOCK + f"clock.watch(() => 0, () => clock.still() && ({ready}))")
        self.page.goto(self.address + path, wait_until="commit")

    def took(self) -> float:
        """Milliseconds of the wait that was begun last."""
        try:
            return self.page.wait_for_function("() => window.clock?.took", polling=20).json_value()
        except TimeoutError as error:
            raise SystemExit(f"{self.page.url} did not answer within {PATIENCE / 1000:.0f} s. It says:\n{self.said()}") from error

    def wait(self, kind: str, ready: str, act) -> float:
        self.arm(kind, ready)
        act()
        return self.took()

    def arm(self, kind: str, ready: str) -> None:
        self.page.evaluate(f"() => clock.after('{kind}', () => clock.still() && ({ready}))")

    def said(self) -> str:
        return self.page.evaluate("() => clock.said()")

    def rest(self) -> None:
        self.page.wait_for_function("() => clock.still()")
        self.page.wait_for_timeout(250)

    def failed(self) -> list[str]:
        shown = self.page.locator("[data-testid=stException], [data-testid=stAlertContentError]").all_inner_texts()
        return self.errors + shown


PAGES = {  # title -> what stands when the page does
    "Overview": "clock.title() === 'made-up' && clock.tiles() >= 24",
    "Compare": "clock.title() === 'Compare' && document.querySelector('.heatmaplayer image')",
    "Gallery": "clock.title() === 'Gallery' && clock.tiles() === 100",
    "Review": "clock.title() === 'Review' && clock.said().includes('It is rather')",
    "Curriculum": "clock.title() === 'Curriculum' && document.querySelector('.js-plotly-plot .plot-container')",
    "Runs": "clock.title() === 'Runs' && clock.said().includes('One run')",
}


def change_pages(person: Person, rounds: int) -> dict[str, list[float]]:
    """Round the menu; the first round, in which the browser loads what a page needs, does not count."""
    took: dict[str, list[float]] = {name: [] for name in PAGES}
    for turn in range(rounds + 1):
        for name in [*list(PAGES)[1:], "Overview"]:
            link = person.page.get_by_role("link", name=name, exact=True)
            waited = person.wait("click", PAGES[name], link.click)
            person.rest()
            if turn:
                took[name].append(waited)
    return took


def lassos(person: Person, repeats: int) -> list[float]:
    """Areas of different places and sizes, drawn with the mouse in the counts of the compare page."""
    rng, took = np.random.Generator(np.random.Philox(21)), []
    person.page.get_by_role("link", name="Compare", exact=True).click()
    person.page.wait_for_selector(".heatmaplayer image")
    person.rest()
    for _ in range(repeats):
        plot = person.page.locator(".js-plotly-plot:has(.heatmaplayer image) .nsewdrag").first
        plot.evaluate("(plot) => plot.scrollIntoView({ block: 'center' })")
        box = plot.bounding_box()
        angle = np.sort(rng.uniform(0, 2 * np.pi, 14))
        middle, radius = rng.uniform(0.35, 0.65, 2), rng.uniform(0.15, 0.34, 14)
        xs, ys = middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle)
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in zip(xs, ys, strict=True)]
        person.page.mouse.move(*places[0])
        person.page.mouse.down()
        for place in [*places[1:], places[0]]:
            person.page.mouse.move(*place, steps=2)
        ready = "/[\\d,]+ samples? selected/.test(clock.said()) && clock.tiles() > 0"
        took.append(person.wait("pointerup", ready, person.page.mouse.up))
        person.page.get_by_role("button", name="Clear", exact=True).click()  # what begins inside an area would move that area
        person.page.get_by_text("Nothing is selected.").wait_for()
        person.page.wait_for_selector(".heatmaplayer image")
        person.rest()
    return took


def to_gallery(person: Person) -> None:
    person.page.get_by_role("link", name="Gallery", exact=True).click()
    person.page.wait_for_function(f"() => clock.still() && ({PAGES['Gallery']})")
    person.rest()


def tile(person: Person, number: int) -> tuple[str, callable]:
    """(when the sample of a tile stands beside the grid, the click on it)."""
    one = person.page.locator(".tile").nth(number)
    sample_id = int(one.get_attribute("aria-label").split(",")[0].removeprefix("sample "))
    return f"document.querySelector('.st-key-details-gallery')?.innerText.includes('sample {sample_id:,}  ·')", one.click


def clicks(person: Person, repeats: int) -> list[float]:
    took = []
    for number in range(1, repeats + 1):
        took.append(person.wait("click", *tile(person, 3 * number % 40)))
        person.rest()
    return took


def sheets(person: Person, repeats: int) -> list[float]:
    """Forward through the gallery."""
    took = []
    for number in range(2, repeats + 2):
        ready = f"clock.said().includes('Shown: {100 * number - 99:,} to {100 * number:,}') && clock.tiles() === 100"
        turn = person.page.get_by_role("button", name=re.compile("next", re.IGNORECASE)).first
        took.append(person.wait("click", ready, turn.click))
        person.rest()
    return took


def filters(person: Person, repeats: int, classes: int) -> list[float]:
    """One class after another, typed into the box and taken with Enter."""
    took, box = [], person.page.get_by_label("Class", exact=True)
    for number in range(repeats):
        name = f"class {number * 7 % classes:04d}"
        box.click()
        box.fill(name)
        person.page.wait_for_timeout(150)
        line = person.said().split(" samples, ordered")[0].rsplit("\n", 1)[-1]
        ready = f"!clock.said().includes({line + ' samples, ordered'!r}) && clock.tiles() > 0"
        took.append(person.wait("keydown", ready, lambda: person.page.keyboard.press("Enter")))
        person.rest()
    return took


def many_at_once(browser, address: str, runs: list[str], count: int) -> tuple[list[float], list[float], list[str]]:
    """`count` sessions on different runs, opened in turn and kept open, then one click in each at once: (ms to open, of the click, errors).

    Not opened at once: twenty pages that compile and draw on two cores measure the browser alone.
    """
    contexts = [browser.new_context(**VIEW) for _ in range(count)]
    people = [Person(context, address) for context in contexts]
    ready = "clock.title() === 'Gallery' && clock.tiles() === 100"
    opened = []
    for i, person in enumerate(people):
        person.begin(f"/gallery?a={runs[i % len(runs)]}&which={('Hardest', 'Easiest', 'Middle')[i % 3]}", ready)
        opened.append(person.took())
    acts = [tile(person, 5 + i) for i, person in enumerate(people)]
    for person, (ready, _) in zip(people, acts, strict=True):
        person.arm("click", ready)
    for _, click in acts:
        click()
    clicked = [person.took() for person in people]
    errors = [error for person in people for error in person.failed()]
    for context in contexts:
        context.close()
    return opened, clicked, errors


class Memory(threading.Thread):
    """RssAnon of a process, its largest value; pages of mapped files do not count."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.path, self.most, self.ended = Path(f"/proc/{pid}/status"), 0.0, threading.Event()

    def now(self) -> float:
        """MB."""
        return int(re.search(r"RssAnon:\s+(\d+)", self.path.read_text())[1]) * 1024 / 1e6

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self.most = max(self.most, self.now())


@contextlib.contextmanager
def measured_server(cache: Path, log: Path):
    server, address = start_server(cache, log)
    memory = Memory(server.pid)
    memory.start()
    try:
        yield address, memory
    finally:
        memory.ended.set()
        memory.join()
        server.terminate()
        server.wait(20)
        if "Traceback" in (text := log.read_text()):
            raise SystemExit(f"The server failed:\n{text}")


def measure(cache_root: Path, log: Path, repeats: int, sessions: int, classes: int) -> Iterator[tuple[str, list[float]]]:
    """(row, milliseconds), one after the other; for the memory (row, megabytes at most)."""
    runs = Cache(cache_root).run_ids(made_cache.NAME)
    groups = sorted({f"{run_id.split('-s')[0]}-{run_id.rsplit('-', 1)[1]}" for run_id in runs})
    pair = f"?a={next(id for id in groups if id.startswith('resnet'))}&b={next(id for id in groups if id.startswith('vgg'))}"
    with measured_server(cache_root, log) as (address, memory), sync_playwright() as playwright:
        path = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
        context = playwright.chromium.launch_persistent_context(log.parent / "profile", executable_path=path, args=PLAIN, **VIEW)
        empty = memory.now()
        first = Person(context, address)
        first.begin("/" + pair, PAGES["Overview"])
        yield "first page of a fresh server and browser", [first.took()]
        yield "first page, warm server and browser", [warm_page(context, address, pair) for _ in range(5)]
        took = change_pages(first, max(3, repeats // 5))
        yield "change of page", [one for page in took.values() for one in page]
        yield from ((f"... to {name}", of_page) for name, of_page in took.items())
        yield "lasso in the counts", lassos(first, repeats)
        to_gallery(first)
        yield "click on a tile", clicks(first, repeats)
        yield "next sheet of the gallery", sheets(first, repeats)
        yield "filter by class", filters(first, repeats, classes)
        errors, told = first.failed(), f"{empty:.0f} when started, {memory.now():.0f} after one session"
        yield f"RssAnon of the server, MB: {told}, at most", [memory.most]
        context.close()
        if sessions:
            browser = playwright.chromium.launch(executable_path=path, args=PLAIN)
            opened, clicked, more = many_at_once(browser, address, runs, sessions)
            browser.close()
            errors += more
            yield f"{sessions} sessions opened in turn: gallery", opened
            yield f"{sessions} sessions: click on a tile in all", clicked
            yield f"RssAnon of the server, MB: {memory.now():.0f} after {sessions} sessions, at most", [memory.most]
    if errors:
        raise SystemExit(f"{len(errors)} errors in the pages, the first: {errors[0]}")


def warm_page(context, address: str, pair: str) -> float:
    person = Person(context, address)
    person.begin("/" + pair, PAGES["Overview"])
    took = person.took()
    person.page.close()
    return took


HEADER = "| what | median, ms | p95, ms | slowest, ms | n | target, ms | met |\n|---|---|---|---|---|---|---|"


def line(name: str, took: list[float], samples: int) -> str:
    if name.startswith("RssAnon"):
        return f"| {name} | | | {took[0]:.0f} MB | | {MEMORY} MB | {'yes' if took[0] <= MEMORY else 'no'} |"
    p95 = float(np.quantile(took, 0.95, method="higher"))
    target = TARGETS.get(name, (None, None))[samples >= LARGE]
    met = "" if target is None else "yes" if p95 <= target else "median only" if statistics.median(took) <= target else "no"
    return f"| {name} | {statistics.median(took):.0f} | {p95:.0f} | {max(took):.0f} | {len(took)} | {target or ''} | {met} |"


def conditions(load: float) -> str:
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else []
    libraries = ", ".join(f"{name} {version(name)}" for name in ("streamlit", "plotly", "numpy", "pyarrow", "playwright"))
    return (
        f"{date.today()}; {names[0] if names else platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start; "
        f"Python {platform.python_version()}, {libraries}; Chromium headless, 1400 x 900, drawn in software, without WebGL"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="made by bench.made_cache; default: a new one in a temporary folder")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--side", type=int, default=32, help="pixels of the pictures made")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=20, help="open together at the end; 0 for none")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as top:
        cache = options.cache or made_cache.make(Path(top, "cache"), options.samples, options.classes, options.side).root
        opened, runs = open_dataset(Cache(cache), made_cache.NAME), len(Cache(cache).run_ids(made_cache.NAME))
        about = f"{opened.N:,} samples x {runs} runs, {opened.K:,} classes, pictures of {opened.W} x {opened.H}"
        print(f"{conditions(load)}; {about}\n\n{HEADER}", flush=True)
        for name, took in measure(cache, Path(top, "server.log"), options.repeats, options.sessions, opened.K):
            print(line(name, took, opened.N), flush=True)


if __name__ == "__main__":
    main()
