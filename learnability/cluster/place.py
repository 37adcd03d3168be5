"""A place on the cluster: how this worker sees it, and how its node does; and the way to the cluster itself."""

import contextlib
import re
import signal
import socket
import subprocess
from pathlib import Path

from learnability.errors import InputError, LearnabilityError, StoreError
from learnability.jobs import starts
from learnability.jobs.processes import TOKEN, Process, end_family
from learnability.store.paths import Cache

CONNECT_S = 10.0  # for the head to answer
ANSWER_S = 30.0  # for a node to do what takes milliseconds


class Unreachable(InputError):
    """No cluster answers at the address."""


class Gone(StoreError):
    """The cluster answers no more."""


class Lost(Exception):
    """A place is gone: its node died, or Ray ended it."""


def connected(address: str):
    """Ray, connected to the cluster at an address; this machine must be one of its nodes."""
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise Unreachable(f"cluster {address}: Ray is not installed here. Install it: pip install -r requirements-cluster.txt") from None
    path = starts.environment({}).get("PYTHONPATH")  # of a checkout, which the nodes see at the same place
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()  # Ray itself would try for minutes
        ray.init(
            address,
            namespace="learnability",
            runtime_env={"env_vars": {"PYTHONPATH": path}} if path else None,
            logging_level="error",
            log_to_driver=False,
            ignore_reinit_error=True,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise Unreachable(
            f"no Ray cluster at {address} that this machine belongs to ({in_short(error)}). On its head: ray start --head; "
            "here: ray start --address=<head>:6379 --num-cpus=0 --num-gpus=0; then: resume --all"
        ) from error
    return ray


class Place:
    """A place on the cluster, as this worker sees it: asked for, granted by Ray, then at work on one run."""

    def __init__(self, ray, needs: dict[str, int]):
        self.ray, self.needs = ray, needs
        self.actor = ray.remote(**needs, max_restarts=0, max_task_retries=0)(Seat).remote()
        self.first = self.actor.host.remote()
        self.answer = None  # of the last poll
        self.host = self.pid = self.returncode = None

    def granted(self) -> bool:
        """Whether a node has taken it in."""
        if self.host is None and self._ready(self.first):
            self.host = self._got(self.first)
            self.first = self.actor.host.remote()  # asked anew where the node was not to be reached
        return self.host is not None

    def begin(self, *given) -> None:
        """Starts the trainer there. LearnabilityError where the node refuses."""
        with contextlib.suppress(Lost):  # the next look says so
            self.pid = self._got(self.actor.begin.remote(*given))

    def poll(self) -> int | None:
        """The trainer's exit code, None while it is at work. Lost where nobody can say."""
        if self.pid is None:
            raise Lost(f"node {self.host} did not begin it")
        if self.returncode is None:
            if self.answer is None:
                self.answer = self.actor.poll.remote()
            if self._ready(self.answer):
                answer, self.answer = self.answer, None
                self.returncode = self._got(answer)
        return self.returncode

    def ask(self, what: str, *given):
        """What its node does for a run at work, see Seat; None where it cannot be reached now."""
        return self._got(getattr(self.actor, what).remote(*given))

    def give_back(self) -> None:
        """Ends it, and whatever is at work in it."""
        self.ray.kill(self.actor)

    def _ready(self, reference) -> bool:
        return bool(self.ray.wait([reference], timeout=0)[0])

    def _got(self, reference):
        """What a node answers. None where it cannot be reached now: whether it is dead, Ray finds out. Lost where it is."""
        exceptions = self.ray.exceptions
        try:
            return self.ray.get(reference, timeout=ANSWER_S)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, LearnabilityError | OSError):
                raise error.cause from None
            raise
        except exceptions.ActorUnavailableError:
            return None
        except exceptions.GetTimeoutError as error:
            raise Lost(f"node {self.host} did not answer for {ANSWER_S:.0f} s") from error
        except exceptions.RayError as error:
            raise Lost(f"{f'node {self.host}' if self.host else 'its node'} was lost ({in_short(error)})") from error


class Seat:
    """A place on the cluster, as its node sees it: a Ray actor that starts one trainer and tells how it is."""

    def host(self) -> str:
        return socket.gethostname()

    def begin(self, command: list[str], log: str, root: str, token: str) -> int:
        """Starts `python -m learnability ...`; its process id."""
        if not Path(log).parent.is_dir():
            node, folder = socket.gethostname(), Path(log).parent
            raise StoreError(f"node {node} does not see {folder}: expected the cache at {root} on every node, on a shared disk.")
        self.child: subprocess.Popen = starts.spawned(command, Path(log), Cache(Path(root)), {TOKEN: token}, leash=True)
        self.process, self.token = Process.of(self.child.pid), token
        return self.child.pid

    def poll(self) -> int | None:
        """Exit code, None while it is at work; nothing that it started outlives it."""
        code = self.child.poll()
        if code is not None:
            end_family(None, self.token)
        return code

    def send(self, number: int) -> bool:
        return self.process is not None and self.process.send(number)

    def ask_where(self) -> None:
        if self.process is not None and self.process.catches(signal.SIGUSR1):
            self.process.send(signal.SIGUSR1)

    def kill(self) -> int:
        return end_family(self.process, self.token)


def in_short(error: BaseException) -> str:
    """The first line of what Ray says, and the error behind it where a traceback ends with one."""
    lines = [line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"{lines[0]}: {lines[-1]}" if re.match(r"[\w.]+(Error|Exception): ", lines[-1]) and lines[1:] else lines[0]
