"""Reviews: a log that loses nothing, and the labels made of it."""

import io
import json
import os
import shlex
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learnability import review
from learnability.__main__ import main
from learnability.config import RunConfig
from learnability.errors import DiskFull, InputError, NewerFormat, NotFound
from learnability.prepare import prepare
from learnability.review.log import Action, _line
from learnability.store.datasets import label_versions, open_dataset, write_label_version
from learnability.store.identity import identities
from learnability.store.paths import Cache
from learnability.store.scores import load_scores
from learnability.store.writer import RunWriter
from tests.test_audits import recorded as recorded_hits

A, B, C = ("a.png", "11"), ("b.png", "22"), ("c.png", "33")
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "**md** $x$",
    "\u202egnp.exe",
    "line\nbreak",
    "..",
    "=cmd()",
    "%{x}",
    "con",
    "-rf /",
    "é" * 200,
    "\0",
]


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache")


def now(cache: Cache, name: str = "toy") -> review.State:
    return review.state(review.read_log(cache, name))


def held(cache: Cache) -> dict:
    return {key: action.verdict for (key, _), action in now(cache).verdicts.items()}


# the log


def test_the_last_action_that_was_not_undone_holds(cache):
    assert held(cache) == {} and review.log_length(cache, "toy") == 0
    first = review.decide(cache, "toy", [A, B, A], "keep", by="me", why="looks right")
    second = review.decide(cache, "toy", [B, C], "relabel", class_name="dog", by="you")
    third = review.decide(cache, "toy", [A], "drop", by="me")
    assert first.samples == (A, B)
    assert held(cache) == {"a.png": "drop", "b.png": "relabel", "c.png": "relabel"}
    review.undo(cache, "toy", second.id, by="me", why="a slip")
    assert held(cache) == {"a.png": "drop", "b.png": "keep"}
    review.undo(cache, "toy", first.id, by="me")
    assert held(cache) == {"a.png": "drop"}
    log = review.read_log(cache, "toy")
    assert [action.verdict or "undo" for action in log.actions] == ["keep", "relabel", "drop", "undo", "undo"]
    assert log.undone.keys() == {first.id, second.id} and log.holding == [third]
    assert (log.actions[0].by, log.actions[0].why, log.actions[3].why) == ("me", "looks right", "a slip")
    assert log.length == review.log_length(cache, "toy") > 0 and log.problems == ()


def test_tags_leave_verdicts_alone(cache):
    review.decide(cache, "toy", [A], "drop", by="me")
    added = review.tag(cache, "toy", [A, B], add=["blurry", "night"], by="me")
    review.tag(cache, "toy", [A], remove=["night"], add=["seen"], by="me")
    assert now(cache).tags == {A: ("blurry", "seen"), B: ("blurry", "night")} and now(cache).tag_names == ["blurry", "night", "seen"]
    assert held(cache) == {"a.png": "drop"}
    review.undo(cache, "toy", added.id, by="me")
    assert now(cache).tags == {A: ("seen",)} and held(cache) == {"a.png": "drop"}


def test_an_undo_that_cannot_be_changes_nothing(cache):
    action = review.decide(cache, "toy", [A], "keep", by="me")
    undone = review.undo(cache, "toy", action.id, by="me")
    path = cache.reviews("toy")
    before = path.read_bytes()
    for target, error, text in (
        ("0" * 12, NotFound, "no action '000000000000' in the log of 'toy'. See: python -m learnability review"),
        (action.id, InputError, f"was taken back already, by {undone.id}"),
        (undone.id, InputError, "is an undo, of"),
    ):
        with pytest.raises(error, match=text):
            review.undo(cache, "toy", target, by="me")
        assert path.read_bytes() == before
    with pytest.raises(NotFound):
        review.undo(cache, "never-reviewed", action.id, by="me")
    assert not cache.reviews("never-reviewed").exists()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"verdict": "maybe"}, "expected one of keep, relabel, drop, unsure"),
        ({"verdict": "relabel"}, "expected a class with relabel"),
        ({"verdict": "keep", "class_name": "dog"}, "expected a class with relabel, and with it alone"),
        ({"verdict": "relabel", "class_name": "  "}, "expected 1 to 200 characters, not only spaces"),
        ({"verdict": "relabel", "class_name": "x" * 201}, "expected 1 to 200 characters"),
        ({"verdict": "relabel", "class_name": "\udcff"}, "text that UTF-8 can hold"),
        ({"verdict": "keep", "by": ""}, "by '': expected 1 to 200"),
        ({"verdict": "keep", "samples": []}, "no samples: expected at least one"),
    ],
)
def test_what_cannot_be_decided_is_refused(cache, fields, text):
    with pytest.raises(InputError, match=text):
        review.decide(cache, "toy", **{"samples": [A], "by": "me", **fields})
    assert review.log_length(cache, "toy") == 0


def test_any_text_comes_back_exactly(cache):
    samples = [(text, "0f") for text in HOSTILE]
    for text in HOSTILE:
        review.decide(cache, "toy", samples, "relabel", class_name=text, by=text, why=text * 3)
    review.tag(cache, "toy", samples, add=HOSTILE, by="me")
    log = review.read_log(cache, "toy")
    assert [(action.class_name, action.by, action.why) for action in log.actions[:-1]] == [(text, text, text * 3) for text in HOSTILE]
    assert all(action.samples == tuple(samples) for action in log.actions) and log.actions[-1].tags_added == tuple(HOSTILE)
    assert cache.reviews("toy").read_bytes().count(b"\n") == len(HOSTILE) + 1


def test_the_last_line_torn_at_every_byte(cache):
    review.decide(cache, "toy", [A], "keep", by="me")
    path = cache.reviews("toy")
    first = path.read_bytes()
    torn = review.decide(cache, "toy", [B], "relabel", class_name="}{", by="me")
    last = path.read_bytes()[len(first) :]
    for cut in range(len(last) + 1):
        path.write_bytes(first + last[:cut])
        log = review.read_log(cache, "toy")
        whole = cut >= len(last) - 1  # only the line break is missing: nothing of the action is
        assert [action.verdict for action in log.actions] == ["keep", "relabel"][: 1 + whole]
        assert len(log.problems) == (0 < cut < len(last) - 1)
        if cut % 20 == 1 or whole or cut < 3:
            if not whole:
                with pytest.raises(NotFound):
                    review.undo(cache, "toy", torn.id, by="me")
                assert path.read_bytes() == first + last[:cut]
            review.decide(cache, "toy", [C], "drop", by="me")
            after = review.read_log(cache, "toy")
            assert [action.verdict for action in after.actions] == [*(action.verdict for action in log.actions), "drop"]
            assert after.problems == log.problems


def test_a_damaged_byte_costs_its_line_alone(cache):
    for sample in (A, B, C):
        review.decide(cache, "toy", [sample], "relabel", class_name="dog", by="me")
    path = cache.reviews("toy")
    sound = path.read_bytes()
    start, end = sound.index(b"\n") + 1, sound.index(b"\n", sound.index(b"\n") + 1)
    for at in range(start, end):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        log = review.read_log(cache, "toy")
        assert [action.samples for action in log.actions] == [(A,), (C,)]
        assert log.problems and "line 2" in log.problems[0] and "all others stand" in log.problems[0]
    path.write_bytes(sound + bytes(500))
    assert len(review.read_log(cache, "toy").actions) == 3 and len(review.read_log(cache, "toy").problems) == 1
    review.decide(cache, "toy", [A], "drop", by="me")
    assert held(cache) == {"a.png": "drop", "b.png": "relabel", "c.png": "relabel"}


def test_a_newer_format_is_refused_and_a_foreign_line_reported(cache):
    path = cache.reviews("toy")
    review.decide(cache, "toy", [A], "keep", by="me")
    sound = path.read_bytes()
    number_as_id = b'{"format": 1, "id": 5, "samples": [["a", "b"]], "verdict": "keep", "by": "", "why": "", "when": ""}'
    for odd in (b"[]", b"1],[2", b'{"format": 1}', number_as_id):
        path.write_bytes(_signed(odd) + sound)
        assert len(review.read_log(cache, "toy").actions) == 1 and len(review.read_log(cache, "toy").problems) == 1
    path.write_bytes(sound + sound)
    assert len(review.read_log(cache, "toy").actions) == 1 and "repeats an action" in review.read_log(cache, "toy").problems[0]
    path.write_bytes(_signed(b'{"format": 2, "id": "x"}') + sound)
    with pytest.raises(NewerFormat, match="format 2; this version reads up to 1"):
        review.read_log(cache, "toy")


def _signed(body: bytes) -> bytes:
    return body[:-1] + b',"crc32":%d}\n' % zlib.crc32(body)


def test_a_disk_that_refuses_leaves_the_log_as_it_was(cache, monkeypatch):
    review.decide(cache, "toy", [A], "keep", by="me")
    before = cache.reviews("toy").read_bytes()
    for name in ("write", "fsync"):
        with monkeypatch.context() as patch:
            real = getattr(os, name)

            def full(descriptor, *data, real=real):
                if "reviews" not in os.readlink(f"/proc/self/fd/{descriptor}"):
                    return real(descriptor, *data)
                if data:
                    real(descriptor, bytes(data[0])[:10])
                raise OSError(28, "No space left on device")

            patch.setattr(os, name, full)
            with pytest.raises(DiskFull, match="disk full"):
                review.decide(cache, "toy", [B], "drop", by="me")
        assert cache.reviews("toy").read_bytes() == before
    review.decide(cache, "toy", [B], "drop", by="me")
    assert held(cache) == {"a.png": "keep", "b.png": "drop"}


WRITER = """
import sys
from pathlib import Path
from learnability import review
from learnability.store.paths import Cache
for i in range(int(sys.argv[3])):
    made = review.decide(Cache(Path(sys.argv[1])), "toy", [(f"{sys.argv[2]}-{i}", "0f")], "keep", by=sys.argv[2])
    print(made.id, flush=True)
"""


def writer(cache: Cache, name: str, count: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(cache.root), name, str(count)], stdout=subprocess.PIPE, text=True)


def test_two_processes_append_at_once_and_a_third_is_killed(cache):
    both = [writer(cache, name, 60) for name in ("left", "right")]
    killed = writer(cache, "killed", 100_000)
    told = [killed.stdout.readline().strip() for _ in range(10)]
    killed.kill()
    told += killed.stdout.read().split()
    ids = [process.communicate()[0].split() for process in both]
    killed.wait()
    log = review.read_log(cache, "toy")
    for name, own in (("left", ids[0]), ("right", ids[1])):
        assert [action.id for action in log.actions if action.by == name] == own and len(own) == 60
    by_killed = [action.id for action in log.actions if action.by == "killed"]
    assert by_killed[: len(told)] == told and len(by_killed) <= len(told) + 1  # what returned is there
    assert len(log.problems) <= 1
    review.undo(cache, "toy", told[-1], by="me")


def filled(cache: Cache, count: int) -> None:
    """A log of `count` actions, one sample each."""
    path = cache.reviews("toy")
    path.parent.mkdir(parents=True)
    verdicts = [{"verdict": verdict, "class_name": "dog" if verdict == "relabel" else None} for verdict in review.VERDICTS]
    samples = [(f"train/n{i:08d}.jpg", f"{i:032x}") for i in range(count)]
    actions = (Action(id=f"{i:012x}", samples=(samples[i],), by="me", when="2026-01-01", **verdicts[i % 4]) for i in range(count))
    path.write_bytes(b"".join(map(_line, actions)))


def test_of_many_undos_of_one_action_one_is_taken(cache):
    filled(cache, 1000)

    def attempt(_) -> bool:
        try:
            return bool(review.undo(cache, "toy", f"{7:012x}", by="me"))
        except InputError:
            return False

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(6))) == 1
    log = review.read_log(cache, "toy")
    assert len(log.actions) == 1001 and not log.problems


def test_ten_thousand_actions_are_read_at_once(cache):
    filled(cache, 10_000)
    took = []
    for _ in range(5):
        started = time.process_time()
        log = review.read_log(cache, "toy")
        took.append(time.process_time() - started)
    assert len(log.actions) == 10_000 and not log.problems
    assert min(took) < 0.25  # 0.05 s on a machine with nothing else to do


# on a data set version


def picture(colour: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32), colour, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_decisions_follow_unchanged_samples_into_the_next_version(cache, tmp_path):
    source = tmp_path / "photos"
    for i, place in enumerate(("cat/b", "cat/c", "cat/d", "dog/a", "dog/b")):
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / f"{place}.png").write_bytes(picture(10 * i))
    prepare(cache, f"folder:{source}", name="toy", workers=1)
    old = open_dataset(cache, "toy")
    samples = identities(old).samples(range(5))
    for sample in samples:
        review.decide(cache, "toy", [sample], "drop", by="me")
    review.tag(cache, "toy", samples[:2], add=["seen"], by="me")
    (source / "cat/a.png").write_bytes(picture(200))  # every row moves by one
    (source / "cat/c.png").write_bytes(picture(201))
    (source / "dog/b.png").unlink()
    prepare(cache, f"folder:{source}", name="toy", workers=1)
    new = open_dataset(cache, "toy")
    assert new.fingerprint != old.fingerprint and new.keys == ["cat/a.png", "cat/b.png", "cat/c.png", "cat/d.png", "dog/a.png"]
    found = review.resolve(now(cache), identities(new))
    assert found.decided_n.tolist() == [1, 3, 4] and found.codes.tolist() == [0, 3, 0, 3, 3]
    assert found.changed == (samples[1],) and found.gone == (samples[4],) and found.tags == {1: ("seen",)}
    review.decide(cache, "toy", identities(new).samples([2]), "keep", by="me")
    again = review.resolve(now(cache), identities(new))
    assert again.changed == () and again.codes.tolist() == [0, 3, 1, 3, 3]
    there = review.resolve(now(cache), identities(old))
    assert there.codes.tolist() == [3, 3, 3, 3, 3]
    table = again.to_arrow().to_pylist()
    assert [(row["sample_id"], row["verdict"], row["tags"]) for row in table][:2] == [(1, "drop", ["seen"]), (2, "keep", [])]


def test_a_reviewed_label_version_holds_the_decisions(digits):
    original = open_dataset(digits, "digits")
    own = identities(original)
    with pytest.raises(InputError, match="changes no label yet"):
        review.label_version_from_reviews(digits, "digits")
    review.decide(digits, "digits", own.samples([1, 2]), "relabel", class_name="zero or six", by="me")
    review.decide(digits, "digits", own.samples([3]), "relabel", class_name="7", by="me")
    dropped = review.decide(digits, "digits", own.samples([4, original.N]), "drop", by="me")
    review.decide(digits, "digits", own.samples([5]), "keep", by="me")
    review.decide(digits, "digits", own.samples([6]), "unsure", by="me")
    review.tag(digits, "digits", own.samples([7]), add=["x"], by="me")
    assert review.label_version_from_reviews(digits, "digits") == "reviewed-1"
    made = open_dataset(digits, "digits", labels="reviewed-1")
    assert made.class_names == (*original.class_names, "zero or six")
    expected = original.labels_N.copy()
    expected[[1, 2, 3, 4]] = [10, 10, 7, -1]
    assert np.array_equal(made.labels_N, expected)
    assert made.test_labels_T[0] == -1 and np.array_equal(made.test_labels_T[1:], original.test_labels_T[1:])
    assert review.label_version_from_reviews(digits, "digits") == "reviewed-1"
    review.undo(digits, "digits", dropped.id, by="me")
    assert review.label_version_from_reviews(digits, "digits") == "reviewed-2"
    review.decide(digits, "digits", own.samples([4, original.N]), "drop", by="me")
    assert review.label_version_from_reviews(digits, "digits") == "reviewed-1"
    assert label_versions(digits, "digits") == ["original", "reviewed-1", "reviewed-2"]
    assert np.array_equal(open_dataset(digits, "digits").labels_N, original.labels_N)


def test_a_class_is_merged_and_taken_back_as_one_action(digits):
    original = open_dataset(digits, "digits")
    own = identities(original)
    ones = np.flatnonzero(np.concatenate([original.labels_N, original.test_labels_T]) == 1)
    review.decide(digits, "digits", own.samples(ones[:1]), "drop", by="me")
    review.decide(digits, "digits", own.samples(ones[1:2]), "relabel", class_name="2", by="me")
    moved = review.decide(
        digits, "digits", own.samples([int(np.flatnonzero(original.labels_N == 9)[0])]), "relabel", class_name="1", by="me"
    )
    action = review.merge_class(digits, "digits", "1", "stroke", by="me")
    assert set(action.samples) == {*own.samples(ones[2:]), *moved.samples} and action.class_name == "stroke"
    labels, names = review.reviewed_labels(review.resolve(now(digits, "digits"), own), original)
    assert names == (*original.class_names, "stroke") and not (labels == 1).any() and (labels == 10).sum() == len(ones) - 1
    assert review.class_choices(now(digits, "digits"), original.class_names)[-1] == "stroke"
    for wrong in (("1", "7"), ("nothing like it", "7"), ("7", "7")):
        with pytest.raises(InputError, match="expected two classes, the first with samples"):
            review.merge_class(digits, "digits", *wrong, by="me")
    review.undo(digits, "digits", action.id, by="me")
    labels, _ = review.reviewed_labels(review.resolve(now(digits, "digits"), own), original)
    assert (labels == 1).sum() == len(ones) - 1


def test_progress_counts_real_errors_among_the_last(digits):
    original = open_dataset(digits, "digits")
    own = identities(original)
    names = original.class_names

    def progress(last=100):
        return review.progress(review.resolve(now(digits, "digits"), own), original, last)

    assert progress() == review.Progress(
        decided=0, left=original.N, verdicts={"keep": 0, "relabel": 0, "drop": 0, "unsure": 0}, last=0, errors=0
    )
    review.decide(digits, "digits", own.samples(range(5)), "drop", by="me")
    review.decide(digits, "digits", own.samples([5]), "relabel", class_name=names[(original.labels_N[5] + 1) % 10], by="me")
    review.decide(digits, "digits", own.samples([6]), "relabel", class_name=names[original.labels_N[6]], by="me")  # its own class: no error
    review.decide(digits, "digits", own.samples([0, original.N + 3]), "keep", by="me")
    found = progress()
    assert (found.decided, found.left, found.last, found.errors) == (7, original.N - 7, 7, 5)
    assert found.verdicts == {"keep": 1, "relabel": 2, "drop": 4, "unsure": 0}
    assert (progress(3).last, progress(3).errors) == (3, 1)


# what to look at


def test_the_queue_by_eye():
    suspicion = np.array([0.5, 0.9, np.nan, 0.5, 0.5, 0.7])
    aum = np.array([1.0, 0.0, 0.0, -1.0, 1.0, 0.0])
    ids = np.array([10, 11, 12, 13, 14, 15])
    assert review.queue(suspicion, aum, ids, np.zeros(6, bool)).tolist() == [1, 5, 3, 0, 4, 2]
    assert review.queue(suspicion, aum, ids, np.array([0, 1, 0, 1, 0, 0], bool)).tolist() == [5, 0, 4, 2]


def test_the_most_frequent_wrong_class_of_several_runs_by_eye():
    classes = np.array([[2, 3, -1, np.nan, np.nan, 5], [2, 4, 1, np.nan, -1, 4], [7, 4, -1, np.nan, -1, 3]])
    shares = np.array([[0.3, 0.9, 0.0, np.nan, np.nan, 0.4], [0.3, 0.3, 0.1, np.nan, 0.0, 0.4], [0.5, 0.3, 0.0, np.nan, 0.0, 0.4]])
    assert review.wrong_class(classes, shares).tolist() == [2, 3, 1, -1, -1, 3]
    assert review.wrong_class(classes[:1], shares[:1]).tolist() == [2, 3, -1, -1, -1, 5]


def test_pairs_of_classes_by_eye():
    labels = np.array([0, 0, 0, 1, 1, 2, -1])
    wrong = np.array([1, 1, 2, 0, -1, 1, 1])
    decided = np.array([1, 0, 0, 0, 0, 0, 0], bool)
    found = review.pairs(labels, wrong, decided).to_pylist()
    assert found == [
        {"label": 0, "wrong": 1, "count": 2, "left": 1, "size": 3},
        {"label": 0, "wrong": 2, "count": 1, "left": 1, "size": 3},
        {"label": 1, "wrong": 0, "count": 1, "left": 1, "size": 2},
        {"label": 2, "wrong": 1, "count": 1, "left": 1, "size": 1},
    ]
    assert review.pairs(labels, wrong, decided, among_N=labels == 2).to_pylist() == found[3:]
    assert review.pairs(labels[:0], wrong[:0], decided[:0]).num_rows == 0


# before and after


def recorded(cache: Cache, labels: str, seed: int, easier: float) -> RunConfig:
    """A run of known hits: sample i is right in the first i % 5 of 4 looks or, under `easier`, in more of them."""
    dataset = open_dataset(cache, "digits", labels=labels)
    ids_N = np.flatnonzero(dataset.labels_N >= 0)
    labels_N = dataset.labels_N[ids_N]
    config = RunConfig(data="digits", fingerprint=dataset.fingerprint, arch="resnet20", seed=seed, labels=labels, epochs=4)
    hits_NE = (np.arange(4) >= 4 - (ids_N % 5)[:, None]) | (np.random.default_rng(seed).random((len(ids_N), 4)) < easier)
    values = {"prediction": np.where(hits_NE, labels_N[:, None], (labels_N[:, None] + 1) % dataset.K)}
    values |= {name: np.where(hits_NE, 0.1, 2.0) for name in ("loss", "margin", "el2n", "entropy")}
    values["margin"] = np.where(hits_NE, 1.0, -1.0)
    with RunWriter.open(cache, config, ids_N, labels_N, ids_N >= 0, dataset.K, {"made": "for a test"}) as writing:
        writing.commit(values, [{"epoch": e + 1, "step": e} for e in range(4)])
        writing.write_scores()
        writing.finish("done")
    return config


def test_before_and_after_are_joined_by_identity(digits):
    original = open_dataset(digits, "digits")
    own = identities(original)
    review.decide(digits, "digits", own.samples([5, 10]), "drop", by="me")
    review.decide(digits, "digits", own.samples([15]), "relabel", class_name="new", by="me")
    version = review.label_version_from_reviews(digits, "digits")
    before = [recorded(digits, "original", seed, 0.0) for seed in (0, 1)]
    after = recorded(digits, version, 0, 0.5)
    old = review.group_scores(digits, "digits", before[0].group_id, ["learnability", "suspicion"])
    new = review.group_scores(digits, "digits", after.run_id, ["learnability"])
    assert (len(old.runs), len(new.runs), len(new.sample_ids_N)) == (2, 1, original.N - 2)
    assert np.allclose(old.mean_N("learnability"), (np.arange(original.N) % 5) / 4)
    found = review.before_after(old, new, "learnability")
    assert found.counts == {"same label": original.N - 3, "relabelled": 1, "only before": 2, "only after": 0}
    rows = found.samples.to_pylist()
    assert [row["key"] for row in rows] == list(original.keys)
    assert (
        rows[5]["label_after"] is None
        and np.isnan(rows[5]["score_after"])
        and rows[5]["label_before"] == original.class_names[original.labels_N[5]]
    )
    assert rows[15]["label_after"] == "new" and rows[15]["status"] == "relabelled"
    ids, scores = new.sample_ids_N, new.mean_N("learnability")
    assert np.array_equal(np.array([rows[i]["score_after"] for i in ids]), scores)
    assert rows[7]["change"] == pytest.approx(scores[np.flatnonzero(ids == 7)[0]] - 2 / 4)
    classes = {row["class"]: row for row in found.classes.to_pylist()}
    assert classes["new"]["size_before"] == 0 and classes["new"]["size_after"] == 1 and np.isnan(classes["new"]["change"])
    threes = np.flatnonzero((original.labels_N == 3) & np.isin(np.arange(original.N), ids) & (np.arange(original.N) != 15))
    assert classes["3"]["kept"] == len(threes) and classes["3"]["kept_before"] == pytest.approx((threes % 5 / 4).mean())
    assert classes["3"]["kept_after"] == pytest.approx(scores[np.searchsorted(ids, threes)].mean())
    back = review.before_after(new, old, "learnability")
    assert back.counts["only after"] == 2 and back.samples["key"][-1].as_py() == original.keys[10]
    write_label_version(digits, "digits", None, "planted-0.05-0", np.concatenate([original.labels_N, original.test_labels_T]))
    planted = recorded(digits, "planted-0.05-0", 0, 0.0)
    with pytest.raises(InputError, match="never mix"):
        review.before_after(old, review.group_scores(digits, "digits", planted.run_id, ["learnability"]), "learnability")
    with pytest.raises(NotFound, match="groups with committed looks: resnet20-"):
        review.group_scores(digits, "digits", "vgg16-00000000", ["learnability"])


def memorised(cache: Cache, labels: str = "original", seeds: int = 2) -> RunConfig:
    """Held-out runs, two folds a seed: what was trained on is always right, what was held out is missed by every fifth sample."""
    for seed in range(seeds):
        for fold in range(2):
            N = open_dataset(cache, "digits").N
            missed_N = (np.arange(N) % 2 == fold) & (np.arange(N) % 5 == seed)
            config = recorded_hits(cache, np.repeat(~missed_N[:, None], 3, 1), labels=labels, seed=seed, folds=2, fold=fold)
    return config


def test_held_out_groups_are_scored_by_the_runs_that_never_saw_the_sample(digits):
    config = memorised(digits)
    found = review.group_scores(digits, "digits", config.group_id, ["learnability", "suspicion", "consensus_share"])
    N = open_dataset(digits, "digits").N
    score_RN = found.scores["learnability"]
    assert score_RN.tolist() == [[float(i % 5 != seed) for i in range(N)] for seed in (0, 1)] and len(found.runs) == 4
    for metric in ("learnability", "suspicion"):
        expected = load_scores(digits, "digits", metric, config.recipe).columns
        np.testing.assert_array_equal(found.scores[metric], list(expected.values()))
    alone = review.group_scores(digits, "digits", config.run_id, ["learnability"]).scores["learnability"]
    assert np.isnan(alone[0, 0::2]).all() and not np.isnan(alone[0, 1::2]).any(), "one fold says nothing of what it trained on"


def test_before_and_after_of_held_out_runs_are_held_out(digits):
    opened = open_dataset(digits, "digits")
    other = opened.class_names[(opened.labels_N[15] + 1) % 10]
    review.decide(digits, "digits", identities(opened).samples([15]), "relabel", class_name=other, by="me")
    version = review.label_version_from_reviews(digits, "digits")
    sides = [
        review.group_scores(digits, "digits", memorised(digits, labels, 1).group_id, ["learnability"]) for labels in ("original", version)
    ]
    assert review.before_after(*sides, "learnability").samples["score_before"].to_pylist()[:6] == [0, 1, 1, 1, 1, 0]
    ordinary = review.group_scores(digits, "digits", recorded_hits(digits, np.ones((opened.N, 3), bool)).group_id, ["learnability"])
    with pytest.raises(InputError, match="recording mode.*held-out"):
        review.before_after(ordinary, sides[1], "learnability")


def test_unasked_the_review_reads_ordinary_runs(digits):
    """What was launched last is an audit, a curriculum or held out; the queue stays that of the real runs."""
    hits_NE = np.ones((open_dataset(digits, "digits").N, 3), bool)
    memorised(digits)
    with pytest.raises(NotFound, match="Name one of these with --run.*--arch"):
        review.group_scores(digits, "digits", None, ["suspicion"])
    older = recorded_hits(digits, hits_NE)
    newer = recorded_hits(digits, hits_NE, batch_size=64)
    recorded_hits(digits, hits_NE, labels="planted-0.02-0")
    recorded_hits(digits, hits_NE, curriculum="hard_first-0123abcd:linear,a=0.8,b=0.2")
    memorised(digits, "planted-0.02-0")
    for i, config in enumerate((older, newer)):
        os.utime(digits.run_folder("digits", config.run_id) / "config.json", (i, i))
    assert review.group_scores(digits, "digits", None, ["suspicion"]).id == newer.group_id


# the shell


def shell(capsys, *arguments: str) -> dict:
    assert main(["review", "--data", "digits", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_review_command(digits, capsys, monkeypatch):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(digits.root))
    original = open_dataset(digits, "digits")
    assert shell(capsys)["left"] == original.N
    recorded(digits, "original", 0, 0.0)
    first = shell(capsys, "--top", "4")
    assert [row["sample_id"] for row in first["queue"]] == [0, 5, 10, 15] and len(first["pairs"]) == 4
    assert first["queue"][0]["rather"] == original.class_names[(original.labels_N[0] + 1) % 10]
    made = shell(
        capsys, "--verdict", "relabel", "--class", "odd", "--keys", original.keys[0], original.keys[5], "--by", "ann", "--why", "odd"
    )
    assert (made["samples"], made["class"], made["by"]) == (2, "odd", "ann")
    assert [row["sample_id"] for row in shell(capsys, "--top", "2")["queue"]] == [10, 15]
    assert shell(capsys, "--make-labels") == {"labels": "reviewed-1"}
    assert shell(capsys, "--merge", "3", "8")["class"] == "8"
    assert shell(capsys, "--undo", made["id"])["undo"] == made["id"]
    log = shell(capsys, "--list")["actions"]
    assert [entry["undone"] for entry in log] == [log[2]["id"], None, None]
    for text in (("--list",), ()):
        assert main(["review", "--data", "digits", *text]) == 0
    assert "merged into" in (told := capsys.readouterr().out) and "Most suspicious, undecided:" in told
    for wrong in (
        ["--undo", made["id"]],
        ["--verdict", "keep"],
        ["--keys", "x"],
        ["--verdict", "keep", "--keys", "x"],
        ["--run", "resnet2"],
    ):
        assert main(["review", "--data", "digits", *wrong]) == 2
    assert main(["review", "--data", "nothing"]) == 2
    assert "no sample 'x' in this data set version; keys look like '0000" in capsys.readouterr().err


def test_the_page_of_the_docs_works(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LEARNABILITY_CACHE", str(digits.root))
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[1] / "docs/review.md").read_text()
    commands = page.split("```sh\n")[1].split("```")[0].splitlines()
    for line in commands:
        assert main(shlex.split(line)[3:]) == 0, line
    assert len(commands) == 9 and "reviewed-1" in capsys.readouterr().out
    exec(compile(page.split("```python\n")[1].split("```")[0], "docs/review.md", "exec"), {})
    assert "Progress(decided=" in capsys.readouterr().out
