"""The queue on a real Ray cluster: a head and two nodes with one CPU each, all on this machine."""

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from learnability import jobs
from learnability.__main__ import main
from learnability.cluster import worker as cluster_worker
from learnability.cluster.place import Lost
from learnability.cluster.worker import ClusterWorker
from learnability.errors import InputError
from learnability.jobs import devices, queue
from learnability.jobs.processes import Process
from learnability.jobs.timeouts import Timeouts
from learnability.store.architectures import Registered, register
from learnability.store.locks import hold
from learnability.store.runs import create_run
from tests.jobs.conftest import started_for, until
from tests.jobs.test_trainings import LONG, undisturbed

LOOPBACK = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # the second: 127.0.0.1 stays 127.0.0.1
NODE = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
SOON = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 3}  # a dead node shows
ASKED = ["--data", "digits", "--epochs", "10", "--subset", "64", "--batch-size", "32", "--precision", "fp32"]


@pytest.fixture(scope="module")
def ray():
    return pytest.importorskip("ray", reason="Ray cannot be imported: pip install -r requirements-cluster.txt")


@pytest.fixture(scope="module")
def head(ray):
    """The head of a cluster that lends nothing itself."""
    from ray import cluster_utils

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets lie in it: their paths must be short
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LOOPBACK.items():
            patch.setenv(name, value)
        patch.setenv("RAY_TMPDIR", folder)
        Path(folder, "ray").mkdir()  # Ray notes the newest cluster there, and a fresh machine has no such folder
        lent = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder, "_system_config": SOON}
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=NODE | lent)
        yield cluster
        cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes(head, place):
    """Starts nodes with the environment of the moment, two with one CPU each unless said otherwise: [node, ...]."""
    started = []

    def start(count=2, **lent):
        started.extend(head.add_node(**NODE, **({"num_cpus": 1} | lent)) for _ in range(count))
        return started

    yield start
    for node in started:
        with contextlib.suppress(Exception):
            head.remove_node(node, allow_graceful=False)


@pytest.fixture
def shell(place, capsys):
    def call(*arguments: str) -> str:
        capsys.readouterr()
        code = main([*arguments, "--cache", str(place.cache.root)])
        told = capsys.readouterr()
        assert code == 0, told.out + told.err
        return told.out

    return call


@pytest.fixture(scope="module")
def real_twin(digits_cache, tmp_path_factory):
    return undisturbed(digits_cache, tmp_path_factory.mktemp("real twin"), "torch")


def finished(place, lane: str, run_id: str) -> jobs.JobState:
    try:
        until(lambda: place.state(run_id).state == "done", 120)
    except AssertionError:
        told = jobs.log_tail(place.cache, "digits", run_id), jobs.worker_log(place.cache, lane)
        raise AssertionError(f"{place.state(run_id)}\n{told[0]}\n{told[1]}") from None
    return place.state(run_id)


def node_of(nodes: list, pid: int):
    """The node whose raylet started, at whatever remove, this process."""
    above = {parent.pid for parent in psutil.Process(pid).parents()}
    return next(node for node in nodes if {one.process.pid for one in node.all_processes["raylet"]} & above)


@pytest.mark.parametrize("count", [3, pytest.param(9, marks=pytest.mark.soak)])
def test_runs_queue_over_two_places_and_are_stopped_and_resumed_there(head, nodes, place, shell, monkeypatch, tmp_path, count):
    monkeypatch.setenv("FAULT_SECONDS", "0.1")
    monkeypatch.setenv("FAULT_GATE", str(tmp_path / "go"))  # Ray may take longer to start a place than a run takes
    nodes()
    lane = devices.cluster(head.address)
    register(place.cache, Registered("steady", "misdeeds:steady"))
    told = shell("train", *ASKED, "--arch", "steady", "--seeds", str(count), "--queue", "--cluster", head.address)
    assert told.count(": queued") == count
    runs = [f"steady-s{seed}-{place.cache.run_ids('digits')[0].rsplit('-', 1)[1]}" for seed in range(count)]
    seen, waited = set(), set()

    def watched(found):
        states = [place.state(run_id) for run_id in runs]
        seen.add(sum(one.at_work for one in states))
        waited.update(one.reason for one in states if one.state == "queued")
        assert all(one.device == lane and not one.interrupted for one in states)
        return found({one.name: one for one in states})

    until(lambda: watched(lambda states: max(seen) == 2 and waited), 120)
    (tmp_path / "go").touch()
    until(lambda: watched(lambda states: states[runs[0]].looks >= 1), 60)
    assert shell("stop", runs[0]) == f"{runs[0]}: asked to stop\n"
    until(lambda: watched(lambda states: states[runs[0]].state == "stopped"), 30)
    assert shell("resume", runs[0]) == f"{runs[0]}: queued\n"
    until(lambda: watched(lambda states: all(one.state == "done" for one in states.values())), 200)
    assert max(seen) == 2, "one run a CPU, and two CPUs"
    assert "waits for CPUs of the cluster" in waited
    begun = sorted(runs, key=lambda run_id: place.job(run_id).begun)
    assert begun == [*runs[1:], runs[0]], "in the order of the queue, the resumed one last"
    assert place.head(runs[0]).generation == 1
    until(lambda: place.job(runs[0]).state == "ended")
    assert "MB freed" in shell("delete", runs[0], "--yes")


@pytest.mark.soak
def test_a_run_whose_node_dies_goes_on_elsewhere_and_is_byte_equal(head, nodes, real_place, real_twin, monkeypatch):
    monkeypatch.setenv("FAULT_SECONDS", "0.08")
    place, both = real_place, nodes()
    lane = devices.cluster(head.address)
    run_id = jobs.launch(place.cache, [place.config(**LONG)], lane, threads=1)[0][0]
    until(lambda: place.state(run_id).looks >= 1, 120)
    told = place.state(run_id)
    assert (told.state, told.device) == ("running", lane)
    assert told.reason.startswith("on ")
    assert place.job(run_id).process is None, "processes of other machines mean nothing here"
    trainer = Process.of(told.pid)
    dead = node_of(both, told.pid)
    head.remove_node(dead, allow_graceful=False)
    both.remove(dead)
    until(lambda: not trainer.alive, 20)
    finished(place, lane, run_id)
    assert place.recording(run_id) == real_twin
    assert place.head(run_id).generation == 1
    assert "was lost" in jobs.log_tail(place.cache, "digits", run_id)


@pytest.mark.soak
def test_runs_end_with_a_killed_worker_and_the_next_one_goes_on(head, nodes, place, shell):
    nodes(1)
    lane = devices.cluster(head.address)
    run_id = jobs.launch(place.cache, [place.config(epochs=12)], lane)[0][0]
    until(lambda: place.state(run_id).looks >= 1, 60)
    trainer = Process.of(place.state(run_id).pid)
    assert place.worker(lane).send(signal.SIGKILL)
    until(lambda: not trainer.alive, 30)
    assert place.until(run_id, "crashed", seconds=10).interrupted
    assert shell("resume", "--all") == f"{run_id}: queued\n"
    assert finished(place, lane, run_id).looks == 12


@pytest.mark.soak
def test_a_run_has_a_gpu_of_its_own_where_there_are_gpus(head, nodes, place):
    """The node only says that it has two: the light engine asks for none."""
    nodes(1, num_cpus=8, num_gpus=2)
    lane = devices.cluster(head.address)
    runs = [run_id for run_id, _ in jobs.launch(place.cache, [place.config(seed=seed, epochs=2000) for seed in range(3)], lane)]
    until(lambda: sum(place.state(run_id).looks > 0 for run_id in runs) == 2, 60)
    until(lambda: "waits for a GPU of the cluster" in (place.state(run_id).reason or "" for run_id in runs))
    trainers = [Process.of(state.pid) for state in map(place.state, runs) if state.at_work]
    assert {trainer.environment("CUDA_VISIBLE_DEVICES") for trainer in trainers} == {"0", "1"}
    assert all("--device cuda" in jobs.log_tail(place.cache, "digits", state.name) for state in map(place.state, runs) if state.at_work)
    jobs.stop_all(place.cache)
    until(lambda: all(place.state(run_id).state == "stopped" for run_id in runs), 30)


class Doomed:
    """Stands in for a place on the cluster whose node dies as soon as a run is at work there: Ray would take minutes for three."""

    host, pid, returncode, given_back = "node-7", 1, None, 0

    def __init__(self, ray, needs):
        self.needs = needs

    def granted(self):
        return True

    def begin(self, *given):
        pass

    def poll(self):
        raise Lost("node node-7 was lost")

    def give_back(self):
        Doomed.given_back += 1


class FewNodes:
    """Stands in for Ray: a cluster of one node with two CPUs."""

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"GPU": 8.0}}]


@pytest.fixture
def doomed(ray, place, monkeypatch):
    """A worker of such a cluster that this process is."""
    monkeypatch.setattr(cluster_worker, "connected", lambda address: FewNodes())
    monkeypatch.setattr(cluster_worker, "Place", Doomed)
    monkeypatch.setattr(Doomed, "given_back", 0)
    lane = devices.cluster("10.0.0.1:6379")
    place.as_worker(lane)
    return ClusterWorker(place.cache, lane, Timeouts.here(), print)


def test_a_run_that_loses_one_place_after_the_other_ends_with_the_reason(place, doomed):
    run_id = jobs.launch(place.cache, [place.config()], doomed.lane)[0][0]
    for begun in range(1, 4):
        doomed.round()
        assert place.state(run_id).state == "running"
        assert "--threads 2" in jobs.log_tail(place.cache, "digits", run_id), "as many as the largest node has"
        doomed._watch(place.job(run_id))
        doomed._written()
        assert Doomed.given_back == begun
    assert place.job(run_id).state == "ended"
    told = place.state(run_id)
    assert told.interrupted
    assert "lost its place on the cluster 3 times without a new look, the last time: node node-7 was lost" in told.reason
    assert jobs.resume(place.cache, "digits", run_id)


def test_a_run_that_was_asked_to_stop_when_its_place_was_lost_is_stopped(place, doomed):
    run_id = jobs.launch(place.cache, [place.config()], doomed.lane)[0][0]
    doomed.round()
    assert jobs.stop(place.cache, "digits", run_id)
    doomed.round()
    assert place.state(run_id).state == "stopped"
    assert not doomed.children


def test_a_run_over_several_devices_is_not_for_a_cluster(ray, place):
    with pytest.raises(InputError, match="over 2 devices: expected one device a run on a cluster"):
        jobs.launch(place.cache, [place.config(devices=2)], devices.cluster("10.0.0.1:6379"))
    assert place.cache.run_ids("digits") == []


def test_the_speed_of_a_cluster_is_that_of_the_runs_it_trained(place, doomed):
    configs = [place.config("resnet20", seed=seed) for seed in range(2)]
    assert jobs.estimate(place.cache, configs, doomed.lane).seconds is None
    assert jobs.presets(place.cache, "digits", doomed.lane)["quick"].configs


def test_a_trainer_on_a_leash_ends_with_whoever_started_it(place):
    config = place.config(epochs=2000)
    create_run(place.cache, config)
    command = [
        sys.executable,
        "-m",
        "learnability",
        "trainer",
        "digits",
        config.run_id,
        "--device",
        "cpu",
        "--cache",
        str(place.cache.root),
    ]
    with hold(place.cache, "device-cpu"):  # of another run, which Ray placed on another node
        trainer = subprocess.Popen([*command, "--device", "cpu", "--scheduled", "--leash"], stdin=subprocess.PIPE, start_new_session=True)
        until(lambda: place.state(config.run_id).looks >= 1)
        trainer.stdin.close()
        assert trainer.wait(10) == -signal.SIGKILL
    assert place.state(config.run_id).state == "crashed"


def test_where_no_cluster_answers_the_runs_wait_and_say_why(ray, place, capsys):
    lane = devices.cluster("127.0.0.1:1")
    place.as_worker(lane)
    run_id = jobs.launch(place.cache, [place.config()], lane)[0][0]
    assert main(["worker", "--cluster", "127.0.0.1:1", "--cache", str(place.cache.root)]) == 2
    said = "no Ray cluster at 127.0.0.1:1 that this machine belongs to"
    assert said in capsys.readouterr().err
    assert said in place.state(run_id).reason
    assert jobs.stop(place.cache, "digits", run_id)


def test_a_worker_on_another_machine_is_known_by_its_lock(ray, place):
    lane = devices.cluster("10.0.0.1:6379")
    elsewhere = Process(os.getpid(), "1", "the boot of another machine")
    with hold(place.cache, f"worker-{lane}"):
        run_id = jobs.launch(place.cache, [place.config()], lane)[0][0]
        queue.write(place.cache, lambda connection: queue.set_worker(connection, lane, elsewhere))
        assert place.worker(lane) is None
        assert jobs.status(place.cache).workers == (lane,)
        assert not place.state(run_id).interrupted
        assert not started_for(place.cache), "no second worker"
    assert place.state(run_id).interrupted


def test_a_cluster_is_a_device_where_ray_address_names_one(ray, monkeypatch):
    here = devices.lane("auto")
    for address, found in (("10.0.0.1:6379", "ray:10.0.0.1:6379"), ("auto", "ray:auto"), ("http://10.0.0.1:8265", here), ("", here)):
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert devices.lane("auto") == found
        assert devices.choices()[0] == found
        assert devices.lane("cpu") == "cpu"
    for address in ("nowhere", "ray://10.0.0.1:10001", "a:b", "../x:1"):
        with pytest.raises(InputError, match="expected <host>:<port>"):
            devices.lane(f"ray:{address}")


def test_without_ray_nothing_changes(place, monkeypatch, capsys):
    here, found = devices.lane("auto"), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name, *more))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert devices.lane("auto") == here
    assert not any(map(devices.on_cluster, devices.choices()))
    asked = ["train", *ASKED, "--arch", "resnet20", "--queue", "--cluster", "10.0.0.1:6379", "--cache", str(place.cache.root)]
    assert main(asked) == 2
    assert "Ray is not installed here. Install it: pip install -r requirements-cluster.txt" in capsys.readouterr().err
    assert place.cache.run_ids("digits") == []


def test_ray_is_imported_by_nothing_but_a_worker_of_a_cluster():
    code = (
        "import sys, learnability.__main__, learnability.cluster, ui.data; learnability.__main__.parser(); sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "RAY_ADDRESS": "10.0.0.1:6379"}).returncode == 0


def test_a_cluster_needs_the_queue(place, capsys):
    for more, said in (([], "without --queue"), (["--queue", "--device", "cpu"], "expected one of them")):
        asked = ["train", *ASKED, "--arch", "resnet20", "--cluster", "10.0.0.1:6379", *more, "--cache", str(place.cache.root)]
        assert main(asked) == 2
        assert said in capsys.readouterr().err


@pytest.mark.soak
def test_the_array_job_of_the_page(real_place, tmp_path, monkeypatch):
    place, tasks = real_place, (0, 1, 0)
    page = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    script = re.search(r"```sh\n(#!/bin/bash\n.*?)```", page, re.DOTALL)[1]
    script = script.replace("--epochs 30", "--epochs 1 --subset 64 --precision fp32")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "srun").write_text('#!/bin/sh\nexec "$@"\n')
    (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"] + os.pathsep + os.getcwd())
    variables = {"SHARED": str(place.cache.root), "SLURM_TMPDIR": str(tmp_path)}
    for number, task in enumerate(tasks):
        told = subprocess.run(
            ["bash", "-c", script],
            env={**os.environ, **variables, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_JOB_ID": str(700 + number)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert told.returncode == 0, told.stderr
        outcome = "there" if task in tasks[:number] else "taken"
        assert re.search(f"digits/resnet20-s{task}-[0-9a-f]+: {outcome}", told.stdout)
    assert [place.state(run_id).state for run_id in place.cache.run_ids("digits")] == ["done"] * len(set(tasks))
    assert not list(tmp_path.glob("learnability-*"))
