"""An engine that takes a tenth of a second to start: real runs, locks, commits, resumes; numbers out of a hat instead of a network."""

import concurrent.futures
import os

import misdeeds
import numpy as np

from learnability.recording import SIGNALS
from learnability.store.writer import RunWriter
from learnability.training.stopping import stop_on_signals

ENVIRONMENT = {"torch": "none", "device": "cpu", "device_name": "none", "cpu": "none", "threads": 1, "layout": "nchw", "precision": "fp32"}
STEPS = 2  # an epoch


def train(config, cache, device, threads, progress, stop, restart, pictures=None):
    """As learnability.training.run.train."""
    step, ids = misdeeds.Step(config.arch), np.arange(config.subset)
    with stop_on_signals(stop) as asked:
        with RunWriter.open(cache, config, ids, ids % 10, ids >= 0, 10, ENVIRONMENT, restart) as writer:
            try:
                return _epochs(config, writer, step, asked, progress)
            except BaseException as error:
                writer.finish("failed", f"{type(error).__name__}: {error}")
                raise


def train_together(configs, cache, device, threads, progress, stop, restart, pictures=None):
    """As learnability.training.run.train_together: a thread each."""
    with stop_on_signals(stop) as asked, concurrent.futures.ThreadPoolExecutor(len(configs)) as sides:
        at_work = [sides.submit(train, config, cache, device, threads, progress(config), asked, restart) for config in configs]
    return [one.exception() or one.result() for one in at_work]


def _epochs(config, writer, step, asked, progress):
    for epoch in range(writer.done_epochs, config.epochs):
        for number in range(STEPS):
            if asked.asked or writer.stop_asked:
                return writer.finish("stopped", "asked to stop")
            done = epoch * STEPS + number
            writer.progress(
                phase="train", epoch=epoch, epochs=config.epochs, step=done, steps=config.epochs * STEPS, step_s=0.03, eta_s=1.0
            )
            progress(done, config.epochs * STEPS, phase="train")
            step()
        line = {"epoch": epoch, "step": (epoch + 1) * STEPS, "seconds": 0.1, "accuracy": 0.1, "process": os.getpid()}
        checkpoint = ({"weight": np.full(3, epoch + 1, np.float32)}, {"epoch": epoch + 1}) if epoch % 3 == 2 else None
        writer.commit(_signals(config, epoch), [line], checkpoint)
    writer.write_scores()
    return writer.finish("done")


def _signals(config, epoch):
    draw = np.random.default_rng([config.seed, epoch])
    values = {name: draw.random((config.subset, 1)).astype(np.float16) for name in SIGNALS}
    values["prediction"] = draw.integers(0, 10, (config.subset, 1))
    return values
