"""Real worker processes: order, limits, and what becomes of a file that kills them."""

import json
import os

import numpy as np
import psutil
import pytest

from learnability.datasets import image_hash
from learnability.errors import StoreError
from learnability.prepare import pool as pools
from learnability.prepare.pool import Pool, Worker
from learnability.prepare.worker import Limits
from learnability.sources.source import Reject
from tests.sources.odd_files import encoded, huge_png, picture

JOB = {"do": "decode", "size": 32, "fit": "crop", "channels": 3, "thumbnails": False, "needed": 0}
# A worker whose decoder dies of some files: each file says how.
DEADLY = """
import json, os, signal, sys
paths, position, limits = map(json.loads, sys.argv[1:])
sys.path[:] = paths
from learnability.prepare import worker
real = worker.decoded
def decoded(data, needed):
    if data.startswith(b"KILL"):
        os.kill(os.getpid(), int(data[4:]))
    if data.startswith(b"ERROR"):
        raise RuntimeError("no rule catches this")
    if data.startswith(b"ONCE"):
        path = data[4:].decode()
        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(7)
        data = open(path + ".png", "rb").read()
    return real(data, needed)
worker.decoded = decoded
worker.main(position, worker.Limits(**limits))
"""


def good(count: int) -> list[bytes]:
    return [encoded(picture(i), "PNG") for i in range(count)]


def test_answers_come_in_order_and_only_some_are_held():
    files = good(8)
    drawn = []

    def payloads():
        for i in range(400):
            drawn.append(i)
            yield Reject("none") if i % 7 == 3 else files[i % 8]

    with Pool(2) as pool:
        for i, (answer, blobs) in enumerate(pool.map(JOB, payloads())):
            assert len(drawn) - i <= 3 * 2 * pools.CHUNK + pools.CHUNK, "the source ran ahead"
            if i % 7 == 3:
                assert answer == {"reject": "none"}
            else:
                pixels = np.frombuffer(blobs[0], np.uint8).reshape(32, 32, 3)
                assert answer["hash"] == image_hash(pixels) and (answer["width"], answer["height"]) == (40, 30)
        assert i == 399
        workers = [worker.process.pid for worker in pool._all]
    assert not any(psutil.pid_exists(pid) for pid in workers)


def test_a_file_that_kills_its_worker_is_rejected_and_its_neighbours_are_not(monkeypatch, tmp_path):
    monkeypatch.setattr(pools, "_BOOT", DEADLY)
    files = good(40)
    (tmp_path / "once.png").write_bytes(files[0])
    deadly = {3: b"KILL11", 4: b"KILL6", 17: b"ERROR", 30: b"KILL9", 39: b"KILL11", 20: b"ONCE" + os.fsencode(tmp_path / "once")}
    with Pool(1) as pool:
        answers = [answer for answer, _ in pool.map(JOB, [deadly.get(i, files[i]) for i in range(40)])]
    reasons = {i: answer["reject"] for i, answer in enumerate(answers) if "reject" in answer}
    names = {3: "SIGSEGV", 4: "SIGABRT", 17: "exit code 1", 30: "SIGKILL", 39: "SIGSEGV"}
    assert reasons == {i: f"crashed the decoder: {name}" for i, name in names.items()}


def test_too_slow_is_rejected():
    files = good(3)
    slow = encoded(picture(4, 4500, 4500), "JPEG", progressive=True)
    with Pool(1, Limits(seconds=0.15)) as pool:
        answers = [answer for answer, _ in pool.map(JOB, [files[0], slow, files[1]])]
    assert answers[1] == {"reject": "too slow: more than 0.15 s of computing"}
    assert "hash" in answers[0] and "hash" in answers[2]


def test_no_end_is_rejected(monkeypatch):
    monkeypatch.setattr(pools, "_BOOT", DEADLY.replace("os.kill(os.getpid(), int(data[4:]))", "__import__('time').sleep(60)"))
    with Pool(1, Limits(patience=0.3)) as pool:
        answers = [answer for answer, _ in pool.map(JOB, [*good(1), b"KILL"])]
    assert "hash" in answers[0] and answers[1] == {"reject": "too slow: no end after 0.3 s"}


def test_too_much_memory_is_rejected():
    with Pool(1, Limits(memory=24 << 20)) as pool:
        answers = [answer for answer, _ in pool.map(JOB, [*good(1), huge_png(7000, 7000), *good(1)])]
    assert answers[1]["reject"].startswith("too much memory")
    assert "hash" in answers[0] and "hash" in answers[2]


def test_the_largest_image_allowed_is_decoded_within_the_limits():
    with Pool(1) as pool:
        (answer, _), *_ = pool.map({**JOB, "thumbnails": True}, [huge_png(7000, 7000)])
    assert answer["width"] == 7000 and "hash" in answer


def test_only_regular_files_are_opened(tmp_path):
    target = tmp_path / "good.png"
    target.write_bytes(good(1)[0])
    (tmp_path / "link.png").symlink_to(target)
    os.mkfifo(tmp_path / "fifo.png")
    names = ["good.png", "link.png", "fifo.png", "gone.png", "."]
    with Pool(1) as pool:
        answers = [answer for answer, _ in pool.map(JOB, [str(tmp_path / name) for name in names])]
    assert "hash" in answers[0]
    assert [answer["reject"].split(":")[0] for answer in answers[1:]] == ["unreadable", "no regular file", "unreadable", "no regular file"]


def test_a_worker_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr(pools, "_BOOT", "raise SystemExit('no decoder here')")
    with Pool(1) as pool, pytest.raises(StoreError, match="no decoder here"):
        list(pool.map(JOB, good(1)))


@pytest.mark.parametrize(
    "answer", [[], [{}], [{"width": 1, "height": 1, "grey": True, "hash": "0" * 32}], [{"width": "1", "height": 1, "grey": 1}]]
)
def test_an_answer_of_the_wrong_shape_is_no_answer(monkeypatch, answer):
    """What a worker says is checked: one that answers nonsense is treated as dead."""
    nonsense = "from learnability.prepare.worker import send, receive\nimport sys\n"
    boot = "import json, sys\nsys.path[:] = json.loads(sys.argv[1])\n" + nonsense
    boot += "send(sys.stdout.buffer, {}, [])\nreceive(sys.stdin.buffer)\nsend(sys.stdout.buffer, {'answers': json.loads(ANSWER)}, [])\n"
    monkeypatch.setattr(pools, "_BOOT", boot.replace("ANSWER", repr(json.dumps(answer))))
    with Pool(1) as pool:
        (answer, _), *_ = pool.map(JOB, good(1))
    assert answer["reject"].startswith("crashed the decoder")


def test_leaving_early_ends_the_workers():
    with Pool(2) as pool:
        next(pool.map(JOB, good(300)))
        pids = [worker.process.pid for worker in pool._all]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_limits_travel_as_json():
    assert json.loads(json.dumps({"memory": Limits().memory}))["memory"] < 10**9
    assert Worker(Limits()).process is None
