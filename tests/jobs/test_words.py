"""Why a job ended, in words; its log; the names and notes of recipes."""

import os
import shutil
from collections import namedtuple

import pytest

from learnability import jobs
from learnability.config import RunConfig
from learnability.errors import DamagedFile, InputError, NewerFormat
from learnability.jobs import logs, reasons
from learnability.store.paths import Cache

CONFIG = RunConfig(data="digits", fingerprint="ab" * 32, arch="resnet20", batch_size=64)


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (-9, "", r"signal 9 \(SIGKILL\): likely the system was out of memory"),
        (-11, "", r"signal 11 \(SIGSEGV\).*native code"),
        (-15, "", r"signal 15 \(SIGTERM\): somebody ended it"),
        (-64, "", r"signal 64 \(.*\): the log may say more"),
        (-63, "", "signal 63 .*unknown"),
        (1, "\nlearnability trainer: NaN in epoch 3; lower it.\n", "^NaN in epoch 3; lower it.$"),
        (1, "Traceback\nModuleNotFoundError: No module named 'timm'", "import error: No module named 'timm'.*resume"),
        (1, "Traceback\nImportError: cannot import name 'x'", "import error: cannot import"),
        (1, "MemoryError", r"out of memory \(RAM\): an array"),
        (1, "numpy._core._exceptions._ArrayMemoryError: Unable to allocate", "_?ArrayMemoryError|out of memory|exit code"),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "GPU out of memory at batch size 64.*batch size 32"),
        (1, "RuntimeError: MPS backend out of memory", "MPS out of memory at batch size 64"),
        (1, "ZeroDivisionError: division by zero", "^ZeroDivisionError: division by zero. The log"),
        (1, "KeyboardInterrupt", "^KeyboardInterrupt. The log"),
        (3, "something else", "exit code 3"),
        (0, "all is well", "ended itself early"),
        (None, "all is well", "without a word"),
        (None, "ValueError: x", "ValueError: x"),
    ],
)
def test_reasons(code, words, said, tmp_path):
    import re

    assert re.search(said, reasons.of_end(code, words, CONFIG, tmp_path)), reasons.of_end(code, words, CONFIG, tmp_path)


def test_bare_exceptions_in_a_head_are_put_into_words():
    assert reasons.plain(None) is None
    assert reasons.plain("asked to stop") == "asked to stop"
    assert reasons.plain("SystemExit: 3") == "ended itself early (sys.exit 3). The log shows where."
    assert reasons.plain("ModuleNotFoundError: No module named 'timm'").startswith("import error: No module named 'timm'. Install")
    assert reasons.plain("CPU out of memory at batch size 32; what was").startswith("CPU out of memory")


def test_a_full_disk_is_the_reason_before_all_others(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9, 2_000_000))
    assert reasons.of_end(1, "", CONFIG, tmp_path).startswith(f"disk full: 2 MB left in {tmp_path}. Make space")
    assert "disk full" in reasons.of_end(-9, "", CONFIG, tmp_path)
    assert "disk full" in reasons.of_crash(False, tmp_path)


def test_reasons_without_a_config_or_a_disk(tmp_path):
    assert reasons.of_end(1, "CUDA out of memory", None, tmp_path).startswith("GPU out of memory. Free")
    assert reasons.disk_full(tmp_path / "gone") is None
    assert "restarted" in reasons.of_crash(True, tmp_path)


def test_a_tail_is_plain_text(tmp_path):
    path = tmp_path / "log.txt"
    assert logs.tail(path) == ""
    path.write_bytes(b"one\r\n\x1b[31mtwo\x1b[0m\n 10%|#   \r 90%|####\r\nbell\x07 \xff tab\there\n\n\n")
    assert logs.tail(path) == "one\ntwo\n 90%|####\nbell \N{REPLACEMENT CHARACTER} tab\there"
    assert logs.tail(path, 1).startswith("bell")
    path.write_text("\n".join(map(str, range(100_000))))
    assert logs.tail(path, 3) == "99997\n99998\n99999"


def test_a_log_is_cut_in_the_middle_while_somebody_appends(tmp_path):
    path = tmp_path / "log.txt"
    descriptor = logs.open_log(path)
    os.write(descriptor, b"begin\n" + b"x" * 5000 + b"\nend\n")
    assert not logs.cut(path, 6000)
    assert logs.cut(path, 1000)
    assert path.stat().st_size == 1000
    os.write(descriptor, b"and on\n")
    os.close(descriptor)
    data = path.read_bytes()
    assert data.startswith(b"begin\n")
    assert data.endswith(b"x\nend\nand on\n")
    assert b"bytes left out" in data
    assert not logs.cut(tmp_path / "gone")
    logs.note(path, "a line of ours")
    assert logs.tail(path, 1) == "a line of ours"
    logs.note(tmp_path / "no" / "folder", "lost, without a sound")


def test_recipes_have_names_and_notes(tmp_path):
    cache = Cache(tmp_path)
    assert jobs.notes(cache, "digits") == {}
    jobs.write_note(cache, "digits", "4f1c2a9b", name="first-try", note="with <b>all</b> defaults")
    jobs.write_note(cache, "digits", "resnet20-4f1c2a9b", note="a group")
    assert jobs.notes(cache, "digits") == {
        "4f1c2a9b": {"name": "first-try", "note": "with <b>all</b> defaults"},
        "resnet20-4f1c2a9b": {"name": "", "note": "a group"},
    }
    jobs.write_note(cache, "digits", "4f1c2a9b", name="")
    assert jobs.notes(cache, "digits")["4f1c2a9b"] == {"name": "", "note": "with <b>all</b> defaults"}
    assert jobs.notes(cache, "other") == {}


def test_notes_that_cannot_be(tmp_path):
    cache = Cache(tmp_path)
    jobs.write_note(cache, "digits", "4f1c2a9b", name="mine")
    with pytest.raises(InputError, match="taken by 4f1c2a9b"):
        jobs.write_note(cache, "digits", "00000000", name="mine")
    with pytest.raises(InputError, match="letters, digits"):
        jobs.write_note(cache, "digits", "4f1c2a9b", name="<script>")
    with pytest.raises(InputError, match="at most 2000"):
        jobs.write_note(cache, "digits", "4f1c2a9b", note="x" * 2001)
    cache.recipes.write_text('{"format": 9}')
    with pytest.raises(NewerFormat):
        jobs.notes(cache, "digits")
    cache.recipes.write_text("{")
    with pytest.raises(DamagedFile, match="recipes.json"):
        jobs.notes(cache, "digits")
