"""What goes wrong in a step of training; FAULT_AT says in which (0 by default), FAULT_FILE names a file. Without PyTorch."""

import os
import signal
import subprocess
import sys
import time


def hangs():
    """A read that never returns."""
    with open(os.environ["FAULT_FILE"], "rb") as pipe:
        pipe.read()


def deaf():
    """Does not hear SIGTERM, never comes to its stop file, and has a child in a session of its own."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    while True:
        time.sleep(0.1)


def exits():
    """Ends the process as a script would."""
    sys.exit(0)


def missing():
    """Needs a module that is not installed."""
    import a_module_that_nobody_has  # noqa: F401


def chatty():
    """Prints without end."""
    print("the beginning")
    for _ in range(60):
        print("x" * 99_999)
        time.sleep(0.02)
    print("the end", flush=True)


def dies():
    """Has a fault in native code."""
    os.kill(os.getpid(), signal.SIGSEGV)


class Step:
    """Counts steps, and does its misdeed in the one that FAULT_AT names; `steady` does none, and takes its time.

    None begins before the file is there that FAULT_GATE names, if it names one.
    """

    def __init__(self, name: str):
        self.misdeed, self.done = globals().get(name, lambda: None), 0
        if name == "missing":  # where it is built, before any step
            self.misdeed()
        self.seconds = float(os.environ.get("FAULT_SECONDS", "0.03")) if name == "steady" else 0.0
        self.gate = os.environ.get("FAULT_GATE")

    def __call__(self) -> None:
        while self.gate and not os.path.exists(self.gate):
            time.sleep(0.02)
        time.sleep(self.seconds)
        if self.done == int(os.environ.get("FAULT_AT", "0")):
            self.misdeed()
        self.done += 1


NAMES = ("hangs", "deaf", "exits", "missing", "chatty", "dies", "steady")
