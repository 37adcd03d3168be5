"""One run at work: its network, images and recorder on the device, its epochs, its end."""

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from learnability.config import RunConfig
from learnability.curriculum import PURPOSES, words
from learnability.errors import ConfigError, LearnabilityError, TrainingError
from learnability.store.runs import Head
from learnability.store.writer import RunWriter
from learnability.training import architectures, devices
from learnability.training.batches import Views, batches, channel_statistics, order, plain_batches, views
from learnability.training.capture import AHEAD, Captured, Update
from learnability.training.checkpoint import State, restore, snapshot
from learnability.training.commits import CommitPolicy, Commits
from learnability.training.curricula import paced_batches
from learnability.training.environment import architecture_digest, described
from learnability.training.foreign import Origin
from learnability.training.images import Images
from learnability.training.loop import evaluate, last_layer, learning_rates, sgd, train_epoch
from learnability.training.material import Material
from learnability.training.probe import fastest_way
from learnability.training.ranks import Ranks, SharedForward
from learnability.training.recorder import Recorder
from learnability.training.stopping import Dropped, Pace, Stop
from learnability.training.trial import Traits
from learnability.training.ways import Forward, Way, fixed

_DRAWING = threading.Lock()
EVAL_BATCH = {"cuda": 2048}  # images of 32 x 32 in a batch of a pass without updates; 256 elsewhere


class Session:
    """A run between `settle`, which chooses how it is run, and the HEAD that `run` leaves."""

    def __init__(
        self,
        config: RunConfig,
        material: Material,
        device: torch.device,
        stop: Stop,
        policy: CommitPolicy,
        progress: Callable[..., None] | None,
        eager: bool = False,
        *,
        network: nn.Module,
        origin: Origin,
        traits: Traits = Traits(),
        ranks: Ranks = Ranks(),
    ):
        self.config, self.material, self.network, self.device, self.ranks = config, material, network, device, ranks
        self.eager = eager or ranks.count > 1
        self.origin, self.traits = origin, traits
        self.stop, self.policy, self.progress = stop, policy, progress
        self.augment = config.augment_of(material.images.shape[3])
        self.trained_rows = np.flatnonzero(material.trained_N)
        self.epoch_steps = math.ceil(len(self.trained_rows) / config.batch_size)
        self.passed_rows = np.arange(len(material.ids_N)) if config.record == "eval" else np.flatnonzero(~material.trained_N)
        self.eval_batch = self._eval_batch(*material.images.shape[1:3])
        self.side_by_side = 1  # runs on the device, this one among them
        self.drawn: tuple[int, tuple] | None = None
        self.last_accuracy: float | None = None

    def _eval_batch(self, height: int, width: int) -> int:
        """Images in a batch of a pass without updates: of larger ones fewer, so that it needs no more memory than an update."""
        most = EVAL_BATCH.get(self.device.type, 256)
        return min(most, max(self.config.batch_size // self.ranks.count, most * 32 * 32 // (height * width)))

    @property
    def may_capture(self) -> bool:
        """Whether updates may run as CUDA graphs: every epoch then has batches of the same sizes."""
        return self.device.type == "cuda" and self.material.schedule is None and not self.eager and self.traits.ours

    def settle(self, stored: dict, threads: int, probes: Path) -> dict:
        """Images and network on the device, in the way chosen before (`stored`) or now; returns the environment."""
        config, material = self.config, self.material
        mean, std = (stored["mean"], stored["std"]) if stored else self.ranks.told(lambda: channel_statistics(material.images))
        way = None
        if stored and stored["device"] == self.device.type:
            way = Way(stored["precision"], stored["layout"], stored["compiled"], stored.get("captured", False), stored.get("gemm", False))
        elif config.precision != "auto":
            way = self._named_way(config.precision)
        elif self.traits.draws:  # two ways of it cannot be compared number by number
            way = self._named_way("fp32")
        largest = max(config.batch_size, self.eval_batch)
        layout, budget = fixed("fp32", self.device).layout, self.ranks.budget(self.device)
        self.images = Images(material.images, material.ids_N, mean, std, self.device, layout, largest, budget)
        self.labels = torch.from_numpy(material.labels_N).to(self.device)
        if way is None:
            way = Way(**self.ranks.told(lambda: dataclasses.asdict(self._probed(threads, probes))))
            if self.eager:
                way = dataclasses.replace(way, compiled=False)
        self.images.layout = way.layout
        if len(material.test_ids):
            self.test_images = Images(material.test_images, material.test_ids, mean, std, self.device, way.layout, largest, budget)
            self.test_labels = torch.from_numpy(material.test_labels_T[material.test_ids]).to(self.device)
        self.way, self.network = way, way.prepared(self.network, self.device)
        self.forward = Forward(self.network, way, self.device, config.batch_size)
        return described(config, self.network, self.origin, self.device, threads, way, mean, std, self.augment)

    def _named_way(self, precision: str) -> Way:
        """The one uncompiled way of a precision, in the layout that this network takes."""
        if precision == "bf16" and self.traits.head is None:
            raise ConfigError(
                f"precision 'bf16' with {self.config.arch}: no one linear layer makes its logits, so they would be rounded to 8 bits. "
                "Use --precision fp32."
            )
        way = fixed(precision, self.device, self.may_capture and isinstance(self.network, architectures.Network))
        return way if self.traits.layout == "channels_last" else dataclasses.replace(way, layout="nchw")

    def begin(self, writer: RunWriter) -> None:
        """Everything as the checkpoint has it. After this nothing concerns the device as a whole, only this run's own stream."""
        self.optimizer = sgd(self.network, self.config, self.device)
        if (saved := writer.load_checkpoint()) is not None:
            restore(self.network, self.optimizer, saved[0])
        if self.ranks.count > 1:
            self.forward = SharedForward(self.forward, self.ranks, self.traits.whole)
        self.recorder = Recorder(len(self.material.ids_N), self.material.class_count, self.device)
        self.replayed = None
        if self.way.captured and self.may_capture:
            writer.progress(phase="compile", epoch=writer.done_epochs, epochs=self.config.epochs)
            self.replayed = self._captured()
        devices.synchronize(self.device)

    def run(self, writer: RunWriter) -> Head:
        """All epochs from where `begin` found it, then the end: done, or stopped where somebody asked."""
        config, policy = self.config, self.policy
        commits = Commits(writer, policy)
        pace = self.ranks.pace(
            self.stop,
            lambda: writer.stop_asked,
            lambda **told: self._tell(writer, **told),
            self._plan(),
            config.epochs,
            poll_s=policy.poll_s,
            tell_s=policy.tell_s,
            grace_s=policy.grace_s,
        )
        try:
            self._gather(writer, pace)
            for epoch in range(writer.done_epochs, config.epochs):
                if pace.poll():
                    raise Dropped
                ended = self._epoch(epoch, pace)
                if ended is not None:
                    commits.add(epoch, *ended)
            commits.flush()
            if self.ranks.first:
                self._keep_last_layer(writer, pace)
        except (Dropped, KeyboardInterrupt):
            commits.flush()
            return self._ended(writer, pace, "stopped", "asked to stop")
        except (TrainingError, RuntimeError):
            with contextlib.suppress(LearnabilityError, RuntimeError):  # the error at hand is the one to tell
                commits.settle()
                commits.flush()
            raise
        return self._ended(writer, pace, "done")

    def _gather(self, writer: RunWriter, pace: Pace) -> None:
        """What has to be made before the first epoch, with the run open; of images nothing."""

    def _epoch(self, epoch: int, pace: Pace) -> tuple[dict, dict, State] | None:
        """One epoch: its signals, its line in looks.jsonl, and the state after it; None where another rank has them."""
        config, recorder, start = self.config, self.recorder, time.monotonic()
        pace.epoch = epoch
        if self.way.compiled and pace.first:
            pace.tell("compile")
        rates = learning_rates(config, config.epochs * self.epoch_steps)
        if self.replayed is not None:
            step = self._replay_epoch(epoch, rates, pace)
        else:
            watched = pace.through("train", self._batches(epoch))
            if self.ranks.count > 1:
                watched = self.forward.weighted(watched, self._sizes(epoch))
            in_update = recorder if config.record == "train" else None
            with self._seeded(epoch, pace):
                step = train_epoch(self.network, self.forward, self.optimizer, watched, rates, epoch * self.epoch_steps, in_update)
        devices.synchronize(self.device)
        trained = time.monotonic()
        self.ranks.same_statistics(self.network)
        if len(self.passed_rows):
            passed = self._plain_batches(self.images, self.labels, self.passed_rows)
            evaluate(self.network, self.forward, pace.through("eval", passed), recorder)
        test_accuracy = None
        if len(self.material.test_ids):
            passed = self._plain_batches(self.test_images, self.test_labels)
            share = evaluate(self.network, self.forward, pace.through("test", passed))
            test_accuracy = self.ranks.hits(share, len(self.material.test_ids))
        self.ranks.gather(recorder)
        if not self.ranks.first:
            return None
        look = recorder.end_look(epoch, self.material.trained_N)
        self.last_accuracy = look.accuracy
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
        if self.side_by_side > 1:
            line["side_by_side"] = self.side_by_side
        return look.signals, line, snapshot(self.network, self.optimizer)

    @contextlib.contextmanager
    def _seeded(self, epoch: int, pace: Pace) -> Iterator[None]:
        """What a network draws by itself (dropout) is a function of (seed, epoch). Runs that draw take turns, as the generator is one."""
        if self.traits.ours:
            yield
            return
        word = int(words(self.config.seed, PURPOSES["dropout"], epoch, self.ranks.rank + 1)[-1] >> np.uint64(1))
        with _DRAWING:
            if self.side_by_side > 1 and pace.poll():  # asked to stop while another had its turn: of this epoch nothing is done
                raise Dropped
            with devices.seeded(self.device, word):
                yield

    def _batches(self, epoch: int) -> Iterator:
        """The training batches of an epoch, or of several ranks this one's share of them."""
        config, place = self.config, (self.ranks.rank, self.ranks.count)
        if self.material.schedule is not None:
            return paced_batches(self.images, self.labels, self.material.schedule, config.seed, self.augment, epoch, *place)
        return batches(self.images, self.labels, *self._drawn(epoch), config.batch_size, *place)

    def _plain_batches(self, images: Images, labels: torch.Tensor, rows: np.ndarray | None = None) -> Iterator:
        """Batches of a pass without an update, of several ranks this one's share of them."""
        return plain_batches(images, labels, self.eval_batch * self.ranks.count, rows, self.ranks.rank, self.ranks.count)

    def _sizes(self, epoch: int) -> list[int]:
        """How many samples each batch of an epoch has, over all ranks."""
        if self.material.schedule is not None:
            return [self.material.schedule.size(epoch * self.epoch_steps + number) for number in range(self.epoch_steps)]
        count, size = len(self.trained_rows), self.config.batch_size
        return [min(size, count - first) for first in range(0, count, size)]

    def _drawn(self, epoch: int) -> tuple[np.ndarray, Views]:
        """Order and views of an epoch: functions of (seed, epoch)."""
        seed, ids_N = self.config.seed, self.material.ids_N
        return self.trained_rows[order(seed, epoch, ids_N[self.trained_rows])], views(seed, epoch, ids_N, self.augment)

    def _captured(self) -> Captured:
        """The updates of this run as CUDA graphs."""
        config, in_update = self.config, self.recorder if self.config.record == "train" else None
        self.network.train()
        update = Update(
            self.network, self.forward, self.optimizer, self.images, self.labels, in_update, len(self.trained_rows), config.batch_size
        )
        return Captured(update)

    def _replay_epoch(self, epoch: int, rates: Callable[[int], float], pace: Pace) -> int:
        """One epoch by graphs. What the next one needs is drawn while the device is still at work on this one."""
        update, first = self.replayed.update, epoch * self.epoch_steps
        if self.drawn is None or self.drawn[0] != epoch:
            self.drawn = epoch, self._drawn(epoch)
        self.network.train()
        update.begin(*self.drawn[1], [rates(first + number) for number in range(self.epoch_steps)])
        for number, size in enumerate(pace.through("train", update.sizes)):
            update.places.ready(number)
            self.replayed(size)
            if number % AHEAD == AHEAD - 1:
                devices.synchronize(self.device)
        if epoch + 1 < self.config.epochs:
            self.drawn = epoch + 1, self._drawn(epoch + 1)
        return first + self.epoch_steps

    def _plan(self) -> dict[str, int]:
        """Batches of each phase of an epoch, and of the last pass."""
        shared, alone = self.eval_batch * self.ranks.count, self.eval_batch
        return {
            "train": self.epoch_steps,
            "eval": math.ceil(len(self.passed_rows) / shared),
            "test": math.ceil(len(self.material.test_ids) / shared),
            "features": math.ceil(len(self.material.ids_N) / alone),
        }

    def _probed(self, threads: int, probes: Path) -> Way:
        """The fastest way here, tried on the first batch of the first epoch."""
        self._show(0, "probe", 0)
        config, shape = self.config, "x".join(map(str, self.material.images.shape[1:]))
        parts = (
            config.arch if self.traits.ours else f"{config.arch} {architecture_digest(self.network, self.origin.function)}",
            shape,
            self.material.class_count,
            math.ceil(config.batch_size / self.ranks.count),
            torch.__version__,
            devices.device_name(self.device),
            threads,
        )
        _, images, labels = next(self._batches(0))
        return fastest_way(
            self.network.to(self.device),
            images,
            labels,
            self.device,
            steps=config.epochs * self.epoch_steps,
            key=" ".join(map(str, parts)),
            file=probes,
            captured=self.may_capture,
            allowed=self._allowed,
            goes_on=lambda: not self.stop.asked,
        )

    def _allowed(self, way: Way) -> bool:
        """Whether a way may be tried: bfloat16 only where the logits stay float32, channels_last only where it works."""
        rounds = way.precision == "bf16" and self.traits.head is None
        if way.compiled and self.ranks.count > 1:
            return False
        return not rounds and (self.traits.layout == "channels_last" or way.layout == "nchw")

    def _keep_last_layer(self, writer: RunWriter, pace: Pace) -> None:
        """The layer before the logits of every row, and what the network thinks of the rows it never trained on."""
        head, trained_N = architectures.head_of(self.network), self.material.trained_N
        if head is None and self.config.folds is None:
            return
        passed = plain_batches(self.images, self.labels, self.eval_batch)
        asked = self.material.class_count if self.config.folds is not None else 0  # of a million rows they would take gigabytes
        features_Nd, probabilities_NK = last_layer(
            self.network, head, self.forward, pace.through("features", passed), len(trained_N), asked
        )
        if features_Nd.shape[1]:
            writer.write_features(features_Nd)
        if self.config.folds is not None:
            probabilities_NK[trained_N] = np.nan
            writer.write_heldout(probabilities_NK)

    def _ended(self, writer: RunWriter, pace: Pace, state: str, reason: str | None = None) -> Head:
        head = writer.finish(state, reason)
        pace.epoch = writer.done_epochs
        pace.tell(state)
        return head

    def _tell(self, writer: RunWriter, **told) -> None:
        step_s = told["step_s"]
        speed = len(self.trained_rows) / self.epoch_steps / step_s if step_s else None
        writer.progress(images_per_second=speed and round(speed, 1), **told)
        self._show(told["step"], told["phase"], told["epoch"])

    def _show(self, step: int, phase: str, epoch: int) -> None:
        if self.progress is None:
            return
        images, epochs = len(self.trained_rows), self.config.epochs
        whole, rest = divmod(step, self.epoch_steps)
        shown = {} if self.last_accuracy is None else {"accuracy": f"{self.last_accuracy:.3f}"}
        done = whole * images + min(rest * self.config.batch_size, images)
        self.progress(done, epochs * images, epoch=f"{min(epoch + 1, epochs)}/{epochs}", phase=phase, **shown)
