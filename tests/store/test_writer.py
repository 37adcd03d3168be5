"""The promises of the store: kills, full disks, resumes, damage, readers."""

import errno
import itertools
import json
import os
import shutil
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from learnability.errors import DamagedFile, DiskFull, Locked, NewerFormat, NotFound, NotReproduced, StoreError
from learnability.recording import SIGNALS
from learnability.store.files import LEFTOVER
from learnability.store.locks import hold, is_held, run_lock
from learnability.store.runs import create_run, load_looks, load_recording, load_run, load_runs, load_trajectory, read_head, signal_file
from learnability.store.scores import load_run_scores, scored_looks
from tests.store.conftest import ENVIRONMENT, Faults, Known, die, in_child


def same(known: Known, looks: int) -> None:
    """The store opens, every checksum holds, and it stands at `looks` looks with the right values."""
    run = load_run(known.cache, "toy", known.config.run_id)
    assert run.problem is None
    assert run.looks == looks
    if looks:
        recording = load_recording(known.cache, "toy", known.config.run_id, verify=True)
        for name, values_NE in known.expected(looks).items():
            assert np.array_equal(getattr(recording, f"{name}_NE"), values_NE), name
        assert [look["epoch"] for look in load_looks(known.cache, "toy", known.config.run_id)] == list(range(looks))


def bytes_of(known: Known) -> dict[str, bytes]:
    files = [*(known.folder / "signals").iterdir(), known.folder / "looks.jsonl", known.folder / "rows.parquet"]
    return {file.name: file.read_bytes() for file in files if not file.name.startswith(LEFTOVER)}


@pytest.fixture
def twin(known, tmp_path) -> dict[str, bytes]:
    """The bytes of the same run, trained without interruption."""
    other = Known(type(known.cache).at(tmp_path / "twin"))
    other.train()
    return bytes_of(other)


def at_three_looks(known: Known) -> None:
    known.train(until=3, checkpoint_every=2)  # three looks, checkpoint after two


ACTIONS = {
    "begin": (lambda known: None, lambda known: known.open().__enter__(), (0,)),
    "first commit": (lambda known: None, lambda known: known.train(until=1), (0, 1)),
    "resume": (at_three_looks, lambda known: known.open().__enter__(), (2, 3)),
    "resume and commit": (at_three_looks, lambda known: known.train(until=3), (2, 3)),
    "commits to the end": (at_three_looks, lambda known: known.train(checkpoint_every=2), (2, 3, 4, 5, 6)),
}


STEPS = [5, pytest.param(1, marks=pytest.mark.soak)]  # of the file operations every fifth one, in the soak every one


def prepared(known: Known, action: str, tmp_path):
    """The cache before `action`, kept aside, and the action itself."""
    before, act, allowed = ACTIONS[action]
    before(known)
    known.cache.root.mkdir(exist_ok=True)
    kept = tmp_path / "before"
    shutil.copytree(known.cache.root, kept)

    def back():
        shutil.rmtree(known.cache.root)
        shutil.copytree(kept, known.cache.root)

    return act, allowed, back


def operations_of(known, act, back) -> int:
    with pytest.MonkeyPatch.context() as patch:
        counted = Faults(patch)
        act(known)
    back()
    return counted.done


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_kill_between_any_two_file_operations(known, twin, tmp_path, action, step):
    act, allowed, back = prepared(known, action, tmp_path)
    for at in range(0, operations_of(known, act, back), step):

        def killed(at=at):
            with pytest.MonkeyPatch.context() as patch:
                Faults(patch, at, die)
                act(known)

        assert os.WTERMSIG(in_child(killed)) == 9
        created = known.folder.exists()
        if created:
            looks = load_run(known.cache, "toy", known.config.run_id).looks
            assert looks in allowed
            same(known, looks)
        known.train()
        same(known, known.E)
        assert bytes_of(known) == twin
        assert not [entry for entry in known.folder.rglob(f"{LEFTOVER}*")]
        back()


def refuse(number):
    def act(name, real, *args, **kwargs):
        raise OSError(number, os.strerror(number))

    return act


def short_write(name, real, *args, **kwargs):
    if name in ("write", "pwrite"):
        return real(args[0], args[1][: max(len(args[1]) // 2, 1)], *args[2:])
    return real(*args, **kwargs)


REFUSALS = list(itertools.product((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS), ("first commit", "commits to the end")))
ALWAYS = ((errno.ENOSPC, "commits to the end"), (errno.EIO, "first commit"))  # the others in the soak


@pytest.mark.parametrize(
    ("number", "action"),
    [pytest.param(*one, marks=() if one in ALWAYS else pytest.mark.soak) for one in REFUSALS],
    ids=lambda value: errno.errorcode.get(value, value),
)
@pytest.mark.parametrize("step", STEPS)
def test_a_refusing_disk_at_any_file_operation(known, twin, tmp_path, action, number, step):
    act, allowed, back = prepared(known, action, tmp_path)
    for at in range(0, operations_of(known, act, back), step):
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, at, refuse(number))
            try:
                act(known)
            except StoreError as error:
                assert str(known.cache.root) in str(error)
                assert isinstance(error, DiskFull) == (number in (errno.ENOSPC, errno.EDQUOT))
            else:  # heard by nobody: a folder that is there already, what is not needed any more, the holder's name in a lock
                assert faults.names[at].startswith(("mkdir", "unlink")) or faults.names[at].endswith(".lock")
        if known.folder.exists():
            looks = load_run(known.cache, "toy", known.config.run_id).looks
            assert looks in allowed
            same(known, looks)
        known.train()
        assert bytes_of(known) == twin
        back()


@pytest.mark.parametrize("step", STEPS)
def test_short_writes_are_written_on(known, twin, tmp_path, step):
    for at in range(0, 60, step):
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, at, short_write)
            known.train()
        assert bytes_of(known) == twin
        shutil.rmtree(known.cache.root)


def test_a_failed_fsync_is_not_tried_again_on_its_descriptor(known):
    with pytest.MonkeyPatch.context() as patch:
        synced, real = [], os.fsync

        def fsync(descriptor):
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            if "loss" in synced[-1]:
                raise OSError(errno.EIO, "input/output error")
            return real(descriptor)

        patch.setattr(os, "fsync", fsync)
        with pytest.raises(StoreError, match="input/output error"):
            known.train(until=1)
    assert sum("loss" in name for name in synced) == 1
    same(known, 0)


def test_disk_full_says_how_much_and_where(known):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0}))
        known.N = 400_000
        with known.open():
            pass
        patch.setattr(os, "pwrite", refuse(errno.ENOSPC).__get__("pwrite"))
        with pytest.raises(DiskFull, match=r"needs about 2[12] MB more in .*toy"):
            known.train(until=1)


def test_a_resume_goes_on_from_the_checkpoint_and_ends_with_the_same_bytes(known, twin):
    known.train(until=3, checkpoint_every=2)
    generation = read_head(known.folder).generation
    with known.open() as writer:
        assert writer.done_epochs == 2
        tensors, meta = writer.load_checkpoint()
        assert meta == {"epoch": 2}
        assert np.array_equal(tensors["weight"], np.full(7, 2, np.float32))
    assert read_head(known.folder).generation == generation + 1
    same(known, 2)
    known.train()
    assert bytes_of(known) == twin
    assert sorted(file.name for file in known.folder.glob("checkpoint-*")) == ["checkpoint-6.safetensors"]


def test_a_resumed_look_that_differs_is_refused_in_deterministic_mode(known):
    known.train(until=3, checkpoint_every=2)
    with known.open() as writer:
        changed = known.look(2)
        changed["loss"] = changed["loss"] + np.float16(1)
        with pytest.raises(NotReproduced, match="look 2 .* loss"):
            writer.commit(changed, [{"epoch": 2}])
    known.train()
    same(known, known.E)


def test_a_resume_on_another_device_is_marked_not_bit_exact(known):
    known.train(until=3, checkpoint_every=2)
    with known.open(environment={"threads": 8}) as writer:
        assert not writer.head.exact
        assert "threads 2 then, 8 now" in writer.head.note
        assert writer.environment["threads"] == ENVIRONMENT["threads"]
        changed = known.look(2)
        changed["loss"] = changed["loss"] + np.float16(1)
        writer.commit(changed, [{"epoch": 2}])
    assert not load_run(known.cache, "toy", known.config.run_id).head.exact


def test_a_resume_with_other_rows_labels_or_code_is_refused(known):
    known.train(until=1)
    known.K = 4
    with pytest.raises(StoreError, match="label differ"), known.open():
        pass
    known.K, known.N = 5, 22
    with pytest.raises(StoreError, match="sample_id differ"), known.open():
        pass
    known.N = 23
    with pytest.raises(StoreError, match="other architecture code"), known.open(environment={"architecture": "0000"}):
        pass
    known.train()
    same(known, known.E)


def test_a_damaged_checkpoint_leaves_the_recording_and_offers_a_restart(known, twin):
    known.train(until=3)
    (checkpoint,) = known.folder.glob("checkpoint-*")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"\xff")
    with pytest.raises(DamagedFile, match=r"checkpoint-3.*--restart"), known.open():
        pass
    same(known, 3)
    with known.open(restart=True) as writer:
        assert writer.done_epochs == 0
        wrong = known.look(5)
        with pytest.raises(NotReproduced):
            writer.commit(wrong, [{"epoch": 0}])
    known.train()
    assert bytes_of(known) == twin


def test_the_second_writer_is_refused_by_name(known):
    with known.open() as writer:
        assert is_held(known.cache, run_lock("toy", known.config.run_id))
        with pytest.raises(Locked, match=f"toy--{known.config.run_id} is in use by process {os.getpid()}"), known.open():
            pass
        known.commit(writer, 0)
    same(known, 1)
    assert not is_held(known.cache, run_lock("toy", known.config.run_id))


def test_the_lock_of_a_killed_holder_is_free(known):
    def holds():
        with hold(known.cache, "cpu"):
            die()

    assert os.WTERMSIG(in_child(holds)) == 9
    assert not is_held(known.cache, "cpu")


def test_a_lock_that_is_given_back_is_free_though_a_forked_child_lives_on(known):
    release, begin = os.pipe()
    with hold(known.cache, "cpu"):
        child = os.fork()
        if child == 0:  # such as a loader's worker that is kept: it has the lock's descriptor too
            os.close(begin)
            os.read(release, 1)
            os._exit(0)
    try:
        assert not is_held(known.cache, "cpu")
    finally:
        os.close(begin)
        os.waitpid(child, 0)
        os.close(release)


def test_a_forked_child_does_not_give_back_its_parents_lock(known):
    held = hold(known.cache, "cpu")
    with held:
        assert in_child(lambda: held.__exit__(None, None, None)) == 0
        assert is_held(known.cache, "cpu")


def test_checkpoints_that_a_kill_left_behind_are_swept_at_the_next_start(known):
    known.train(until=2)
    for epoch in (1, 7):  # killed before the old one went; killed before HEAD named the new one
        (known.folder / f"checkpoint-{epoch}.safetensors").write_bytes(b"left")
    with known.open() as writer:
        assert writer.load_checkpoint() is not None
    assert [path.name for path in known.folder.glob("checkpoint-*")] == ["checkpoint-2.safetensors"]
    known.train()
    same(known, known.E)


@pytest.mark.parametrize("deterministic", [True, False])
def test_scores_of_looks_that_may_come_out_differently_do_not_outlive_them(known, deterministic):
    environment = {"deterministic": deterministic}
    with known.open(environment=environment) as writer:
        for look in range(4):
            known.commit(writer, look, checkpoint=look == 1)
        writer.write_scores()
    with known.open(environment=environment) as writer:
        assert writer.head.looks == 2 and scored_looks(known.cache, "toy", known.config.run_id) == (4 if deterministic else 0)
        writer.write_scores()
    with known.open(environment=environment):
        assert scored_looks(known.cache, "toy", known.config.run_id) == 2, "made of what is kept"


def test_readers_polling_while_a_run_is_written_never_fail(known):
    known.N, known.E = 2000, 30
    problems, seen, stop = [], [], threading.Event()

    def poll():
        last, generation, polls = 0, 0, 0
        while not stop.is_set() or polls < 100:
            polls += 1
            try:
                run = load_run(known.cache, "toy", known.config.run_id)
                assert run.problem is None, run.problem
                if run.head is None:
                    continue
                assert run.looks >= last or run.head.generation > generation
                last, generation = run.looks, run.head.generation
                if run.looks:
                    recording = load_recording(known.cache, "toy", known.config.run_id, verify=True)
                    load_trajectory(known.cache, "toy", known.config.run_id, 7)
                    seen.append(recording.E)
            except NotFound:
                continue
            except Exception as error:  # noqa: BLE001 - any exception at all is the failure looked for
                problems.append(repr(error))
                return

    readers = [threading.Thread(target=poll) for _ in range(3)]
    for reader in readers:
        reader.start()
    known.train(until=13, checkpoint_every=5)
    known.train(until=20, checkpoint_every=5)
    known.train()
    stop.set()
    for reader in readers:
        reader.join()
    assert not problems
    assert len(seen) >= 50
    same(known, 30)


def test_scores_replaced_while_they_are_read_are_those_of_one_file(known, monkeypatch):
    run_id, opened, replaced = known.config.run_id, pq.read_schema, []

    def opened_as_the_engine_writes(*args, **kwargs):
        schema = opened(*args, **kwargs)
        if not replaced:
            replaced.append(True)
            known.commit(writer, 2)
            writer.write_scores()
        return schema

    with known.open() as writer:
        known.commit(writer, 0)
        known.commit(writer, 1)
        writer.write_scores()
        before = load_run_scores(known.cache, "toy", run_id, ["learnability"])
        monkeypatch.setattr(pq, "read_schema", opened_as_the_engine_writes)
        table, looks = load_run_scores(known.cache, "toy", run_id, ["learnability"])
    after = load_run_scores(known.cache, "toy", run_id, ["learnability"])
    assert replaced and after[1] == 3 and not after[0].equals(before[0])
    assert looks == 2 and table.equals(before[0])


def test_twenty_truncations_and_twenty_flipped_bits_are_found(known):
    known.train()
    draw = np.random.default_rng(0)
    victims = [signal_file(known.folder, name, known.K) for name in SIGNALS] + [known.folder / "HEAD.json"]
    kept = {path: path.read_bytes() for path in victims}
    found = 0
    for trial in range(40):
        path = victims[trial % len(victims)]
        data = bytearray(kept[path])
        if trial < 20:
            data = data[: draw.integers(0, len(data))]
        else:
            data[draw.integers(0, len(data))] ^= 1 << draw.integers(0, 8)
        path.write_bytes(data)
        run = load_run(known.cache, "toy", known.config.run_id)
        if run.problem is None:
            with pytest.raises(DamagedFile, match=path.name):
                load_recording(known.cache, "toy", known.config.run_id, verify=True)
        else:
            assert path.name in run.problem
        found += 1
        path.write_bytes(kept[path])
    assert found == 40
    same(known, known.E)


def test_a_zero_filled_signal_is_found_by_its_checksum(known):
    known.train()
    path = signal_file(known.folder, "margin", known.K)
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(DamagedFile, match="margin.*look 0"):
        load_recording(known.cache, "toy", known.config.run_id, verify=True)


def test_a_damaged_run_costs_that_run_alone(known):
    known.train()
    other = Known(known.cache)
    other.__class__ = type(
        "Other",
        (Known,),
        {"config": property(lambda self: Known.config.fget(self).__class__(**{**Known.config.fget(self).to_json(), "seed": 1}))},
    )
    other.train()
    (known.folder / "HEAD.json").write_bytes(b"{}")
    states = {run.config.seed: run.state for run in load_runs(known.cache, "toy")}
    assert states == {0: "damaged", 1: "done"}


def test_a_newer_format_is_refused_with_both_versions(known):
    known.train()
    content = json.loads((known.folder / "config.json").read_text())
    (known.folder / "config.json").write_text(json.dumps({**content, "format": 99}))
    run = load_run(known.cache, "toy", known.config.run_id)
    assert "format 99" in run.problem
    assert "up to 1" in run.problem
    with pytest.raises(NewerFormat):
        load_recording(known.cache, "toy", known.config.run_id)


def test_many_launches_at_once_make_one_run(known):
    outcomes = []
    threads = [threading.Thread(target=lambda: outcomes.append(create_run(known.cache, known.config))) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 99 + [True]
    assert load_run(known.cache, "toy", known.config.run_id).state == "queued"


def test_the_number_of_open_files_stays_flat(known):
    known.train()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(1000):
        load_run(known.cache, "toy", known.config.run_id)
    for _ in range(50):
        load_recording(known.cache, "toy", known.config.run_id, verify=True)
        is_held(known.cache, "cpu")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_trajectory_is_one_row_of_the_recording(known):
    known.train()
    trajectory = load_trajectory(known.cache, "toy", known.config.run_id, 11)
    assert trajectory["label"] == 11 % known.K
    for name, values_NE in known.expected(known.E).items():
        assert np.array_equal(trajectory[name], values_NE[11])
    with pytest.raises(NotFound, match="sample 23"):
        load_trajectory(known.cache, "toy", known.config.run_id, 23)


def test_a_run_deleted_meanwhile_is_not_found(known):
    known.train()
    shutil.rmtree(known.folder)
    with pytest.raises(NotFound, match="not found"):
        load_recording(known.cache, "toy", known.config.run_id)
    with pytest.raises(NotFound, match="not found"):
        load_run(known.cache, "toy", known.config.run_id)


def test_a_look_too_many_or_of_the_wrong_shape_is_our_mistake(known):
    with known.open() as writer:
        wrong = known.look(0)
        wrong["loss"] = wrong["loss"][:-1]
        with pytest.raises(AssertionError):
            writer.commit(wrong, [{"epoch": 0}])
    same(known, 0)
