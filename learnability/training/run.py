"""RunConfig -> everything meets -> committed recording."""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from learnability.config import RunConfig
from learnability.errors import ConfigError, LearnabilityError, NotFound, OutOfMemory, StoreError
from learnability.store.files import read_json
from learnability.store.paths import Cache
from learnability.store.runs import Head, load_run
from learnability.store.writer import RunWriter
from learnability.training import architectures, devices
from learnability.training.batches import Images, batches, channel_statistics, order, plain_batches, views
from learnability.training.checkpoint import restore, snapshot
from learnability.training.commits import CommitPolicy, Commits
from learnability.training.environment import described
from learnability.training.loop import evaluate, learning_rates, sgd, train_epoch
from learnability.training.material import Material, gathered
from learnability.training.probe import fastest_way
from learnability.training.recorder import Recorder
from learnability.training.stopping import Dropped, Pace, Stop, stop_on_signals
from learnability.training.ways import Forward, Way, fixed

EVAL_BATCH = 256


def train(
    config: RunConfig,
    cache: Cache | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[..., None] | None = None,
    stop: Stop | None = None,
    restart: bool = False,
    policy: CommitPolicy = CommitPolicy(),
    own_architectures: dict[str, str] | None = None,
) -> Head:
    """Trains one run to its end, or on from where it stands, and returns its HEAD: state done or stopped.

    cache     where data set and run lie; by default the cache of this checkout
    device    auto, cpu, cuda, cuda:<i> or mps
    threads   CPU threads; by default all cores, in a resume those of before
    progress  called now and then: progress(images done, images in all, epoch=..., phase=...)
    stop      a Stop that somebody may ask; SIGTERM, SIGINT and a file `stop` in the run folder ask it too
    restart   begin again from epoch 0 where the checkpoint is damaged

    A run that is done is left alone. Raises TrainingError (NonFinite, OutOfMemory), StoreError, ConfigError; where the
    run had begun, HEAD then says `failed` and why.
    """
    cache = cache if isinstance(cache, Cache) else Cache.at(cache)
    _refuse_unavailable(config)
    if (head := _head(cache, config)) is not None and head.state == "done" and not restart:
        return head
    where = devices.resolve(device)
    builder = architectures.builder_of(config.arch, own_architectures)
    material = gathered(cache, config)
    stored = _stored_environment(cache, config)
    threads = threads or stored.get("threads") or devices.usable_cores()
    with devices.numerics(threads, config.deterministic), stop_on_signals(stop) as asked:
        network = architectures.build(config.arch, material.class_count, material.images.shape[3], config.seed, own_architectures)
        _refuse_batch_of_one(config, network, material)
        training = _Training(config, material, network, where, asked, policy, progress)
        environment = training.settle(cache, stored, builder, threads)
        opened = RunWriter.open(
            cache, config, material.ids_N, material.labels_N, material.trained_N, material.class_count, environment, restart=restart
        )
        with opened as writer, _ending(writer, config, where):
            return training.run(writer)


class _Training:
    """One run at work: its network, images, recorder, and the epochs."""

    def __init__(self, config: RunConfig, material: Material, network: nn.Module, device: torch.device, stop: Stop, policy, progress):
        self.config, self.material, self.network, self.device = config, material, network, device
        self.stop, self.policy, self.progress = stop, policy, progress
        self.augment = config.augment_of(material.images.shape[3])
        self.trained_rows = np.flatnonzero(material.trained_N)
        self.seen_rows = np.flatnonzero(~material.trained_N) if config.record == "train" else np.arange(len(material.ids_N))
        self.epoch_steps = math.ceil(len(self.trained_rows) / config.batch_size)
        self.shown: dict = {}

    def settle(self, cache: Cache, stored: dict, builder: Callable, threads: int) -> dict:
        """Puts images and network on the device in the way that was or is now chosen; returns the environment."""
        config, material = self.config, self.material
        mean, std = (stored["mean"], stored["std"]) if stored else channel_statistics(material.images)
        way = None
        if stored and stored["device"] == self.device.type:
            way = Way(stored["precision"], stored["layout"], stored["compiled"])
        elif config.precision != "auto":
            way = fixed(config.precision, self.device)
        layout = "channels_last" if way is None else way.layout
        self.images = Images(material.images, material.ids_N, mean, std, self.device, layout)
        self.labels = torch.from_numpy(material.labels_N).to(self.device)
        if way is None:
            way = self._probed(cache, threads)
            self.images.layout = way.layout
        self.test_images = None
        if len(material.test_ids):
            self.test_images = Images(material.test_images, material.test_ids, mean, std, self.device, way.layout)
            self.test_labels = torch.from_numpy(material.test_labels_T[material.test_ids]).to(self.device)
        self.way = way
        self.network = way.prepared(self.network, self.device)
        self.forward = Forward(self.network, way, self.device, config.batch_size)
        return described(config, self.network, builder, self.device, threads, way, mean, std, self.augment)

    def _probed(self, cache: Cache, threads: int) -> Way:
        config, (H, W, C) = self.config, self.material.images.shape[1:]
        self._show(0, "probe")
        key = " ".join(
            map(
                str,
                (
                    config.arch,
                    f"{H}x{W}x{C}",
                    self.material.class_count,
                    config.batch_size,
                    torch.__version__,
                    devices.device_name(self.device),
                    threads,
                ),
            )
        )
        _, images, labels = next(self._batches(0))
        steps = config.epochs * self.epoch_steps
        network = self.network.to(self.device)
        return fastest_way(
            network, images, labels, self.device, steps=steps, key=key, file=cache.probes, goes_on=lambda: not self.stop.asked
        )

    def _batches(self, epoch: int) -> Iterator:
        """The training batches of an epoch: order and views are functions of (seed, epoch)."""
        config, ids_N = self.config, self.material.ids_N
        order_n = self.trained_rows[order(config.seed, epoch, ids_N[self.trained_rows])]
        return batches(self.images, self.labels, order_n, views(config.seed, epoch, ids_N, self.augment), config.batch_size)

    def run(self, writer: RunWriter) -> Head:
        """All epochs from the checkpoint on, then the end."""
        config, policy = self.config, self.policy
        optimizer = sgd(self.network, config, self.device)
        if (saved := writer.load_checkpoint()) is not None:
            restore(self.network, optimizer, saved[0])
        recorder = Recorder(len(self.material.ids_N), self.material.class_count, self.device)
        commits = Commits(writer, policy)
        plan = {
            "train": self.epoch_steps,
            "eval": math.ceil(len(self.seen_rows) / EVAL_BATCH),
            "test": math.ceil(len(self.material.test_ids) / EVAL_BATCH),
            "features": math.ceil(len(self.material.ids_N) / EVAL_BATCH),
        }
        pace = Pace(
            lambda: self.stop.asked or writer.stop_asked, lambda **told: self._tell(writer, **told), plan, config.epochs,
            poll_s=policy.poll_s, tell_s=policy.tell_s, grace_s=policy.grace_s,
        )  # fmt: skip
        try:
            for epoch in range(writer.done_epochs, config.epochs):
                if pace.poll():
                    raise Dropped
                commits.add(epoch, *self._epoch(epoch, optimizer, recorder, pace))
            commits.flush()
            self._finish(writer, pace)
        except (Dropped, KeyboardInterrupt):
            commits.flush()
            return self._ended(writer, pace, "stopped", "asked to stop")
        return self._ended(writer, pace, "done")

    def _ended(self, writer: RunWriter, pace: Pace, state: str, reason: str | None = None) -> Head:
        head = writer.finish(state, reason)
        pace.epoch = writer.done_epochs
        pace.tell(state)
        return head

    def _epoch(self, epoch: int, optimizer: torch.optim.SGD, recorder: Recorder, pace: Pace) -> tuple[dict, dict, dict]:
        """One epoch: its signals, its line in looks.jsonl, and the state after it."""
        config = self.config
        start, pace.epoch = time.monotonic(), epoch
        if self.way.compiled and pace.first:
            pace.tell("compile")
        in_training = recorder if config.record == "train" else None
        rates = learning_rates(config, config.epochs * self.epoch_steps)
        watched = pace.through("train", self._batches(epoch))
        step = train_epoch(self.network, self.forward, optimizer, watched, rates, epoch * self.epoch_steps, in_training)
        devices.synchronize(self.device)
        trained = time.monotonic()
        if len(self.seen_rows):
            passed = plain_batches(self.images, self.labels, EVAL_BATCH, self.seen_rows)
            evaluate(self.network, self.forward, pace.through("eval", passed), recorder)
        test_accuracy = None
        if self.test_images is not None:
            passed = plain_batches(self.test_images, self.test_labels, EVAL_BATCH)
            test_accuracy = evaluate(self.network, self.forward, pace.through("test", passed))
        look = recorder.end_look(epoch, self.material.trained_N)
        self.shown = {"accuracy": f"{look.accuracy:.3f}"}
        line = {
            "epoch": epoch,
            "step": step,
            "loss": look.loss,
            "accuracy": look.accuracy,
            "test_accuracy": test_accuracy,
            "learning_rate": rates(step - 1),
            "seconds": round(time.monotonic() - start, 3),
            "images_per_second": round(len(self.trained_rows) / (trained - start), 1),
            "clamped": look.clamped,
        }
        return look.signals, line, snapshot(self.network, optimizer)

    def _finish(self, writer: RunWriter, pace: Pace) -> None:
        """The layer before the logits of every row, and what the network thinks of the rows it never trained on."""
        head = architectures.head_of(self.network)
        if head is None:
            return
        rows, held_out_N = len(self.material.ids_N), ~self.material.trained_N
        features_Nd = np.zeros((rows, head.in_features), np.float16)
        probabilities_NK = np.full((rows, self.material.class_count), np.nan, np.float16)
        seen: list[torch.Tensor] = []
        hook = head.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].detach()))
        self.network.eval()
        try:
            with torch.no_grad():
                for rows_B, images, _ in pace.through("features", plain_batches(self.images, self.labels, EVAL_BATCH)):
                    logits = self.forward(images)
                    at = rows_B.cpu().numpy()
                    features_Nd[at] = seen.pop().flatten(1).float().clamp(-65504, 65504).cpu().numpy()
                    probabilities_NK[at] = logits.softmax(1).cpu().numpy()
        finally:
            hook.remove()
        writer.write_features(features_Nd)
        if held_out_N.any():
            probabilities_NK[~held_out_N] = np.nan
            writer.write_heldout(probabilities_NK)

    def _tell(self, writer: RunWriter, **told) -> None:
        step_s = told["step_s"]
        speed = None if not step_s else round(min(self.config.batch_size, len(self.trained_rows)) / step_s, 1)
        writer.progress(images_per_second=speed, **told)
        self._show(told["step"], told["phase"], told["epoch"])

    def _show(self, step: int, phase: str, epoch: int = 0) -> None:
        if self.progress is not None:
            images, whole = len(self.trained_rows), divmod(step, self.epoch_steps)
            done = whole[0] * images + min(whole[1] * self.config.batch_size, images)
            self.progress(
                done,
                self.config.epochs * images,
                epoch=f"{min(epoch + 1, self.config.epochs)}/{self.config.epochs}",
                phase=phase,
                **self.shown,
            )


def _refuse_unavailable(config: RunConfig) -> None:
    for field, default in (("curriculum", None), ("start", None), ("devices", 1)):
        if getattr(config, field) != default:
            raise ConfigError(f"{field} {getattr(config, field)!r}: not available in this version. Leave it at {default!r}.")


def _refuse_batch_of_one(config: RunConfig, network: nn.Module, material: Material) -> None:
    """A last batch of one sample is kept; a network whose batch norm sees a single value there cannot train on it."""
    count = int(material.trained_N.sum())
    if count % config.batch_size != 1:
        return
    trial = copy.deepcopy(network).train()
    H, W, C = material.images.shape[1:]
    try:
        trial(torch.zeros(1, C, H, W))
    except ValueError as error:
        raise ConfigError(
            f"{count} samples in batches of {config.batch_size} leave a last batch of one, which {config.arch} cannot train on ({error}). "
            f"Choose another batch size, for example {config.batch_size - 1 if config.batch_size > 2 else 3}."
        ) from error


def _head(cache: Cache, config: RunConfig) -> Head | None:
    try:
        run = load_run(cache, config.data, config.run_id)
    except NotFound:
        return None
    return None if run.problem else run.head


def _stored_environment(cache: Cache, config: RunConfig) -> dict:
    """What the first trainer of this run wrote, {} before it."""
    try:
        return read_json(cache.run_folder(config.data, config.run_id) / "environment.json")
    except NotFound:
        return {}


@contextlib.contextmanager
def _ending(writer: RunWriter, config: RunConfig, device: torch.device) -> Iterator[None]:
    """Whatever ends a run early stands in HEAD.json, in words."""
    try:
        yield
    except BaseException as error:
        state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(StoreError):
            writer.finish(state, _reason(error, config, device))
        if devices.out_of_memory(error):
            raise OutOfMemory(_reason(error, config, device)) from error
        raise


def _reason(error: BaseException, config: RunConfig, device: torch.device) -> str:
    if devices.out_of_memory(error):
        smaller = max(config.batch_size // 2, 2)
        return (
            f"{device.type.upper()} out of memory at batch size {config.batch_size}; what was committed is kept. Launch a run with "
            f"--batch-size {smaller} (another recipe), or free memory on the device and resume."
        )
    if isinstance(error, KeyboardInterrupt):
        return "asked to stop"
    if isinstance(error, LearnabilityError):
        return str(error)
    return f"{type(error).__name__}: {error}"
