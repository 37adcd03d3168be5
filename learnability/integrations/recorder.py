"""Recorder: records anybody's training, in a few lines.

recorder = learnability.Recorder("my-photos", "my-net", looks=epochs)
for epoch in range(epochs):
    for ids, images, labels in loader:         # learnability.with_ids(dataset) yields the ids
        logits = network(images)
        ...                                    # loss, backward, step
        recorder.update(ids, logits, labels)   # the logits of the update itself
    recorder.end_look()
"""

import os
import sys
import weakref
from collections.abc import Sequence

import numpy as np
import torch

from learnability.config import RunConfig, checked_name
from learnability.errors import InputError, LearnabilityError, TrainingError
from learnability.integrations import ranks
from learnability.integrations.clock import Clock
from learnability.integrations.notes import TOO_MANY, Look, Notes, checked_batch, look_of
from learnability.integrations.opened import OpenRun
from learnability.prepare.keyed import Keyed, keyed
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.training.commits import CommitPolicy

FORMAT = 1
POLICY = CommitPolicy(checkpoint_s=float("inf"))  # the checkpoint is the owner's


class Recorder:
    """Notes what a network says of every sample at every look, as a run of its own in the cache: scores and pages as for any other.

    data         the data set: a prepared one, or the name of one to be made of keys, labels, class names and captions
    name         what the run is called, where other runs have their architecture
    keys         names of the samples, none twice, so that id i means keys[i]; a count for row numbers; None for the train samples of
                 the prepared data set, in its order
    labels       class of each sample, or the name of a label version; by default those of the data set, or those of the first look
    class_names  in the numbering of logits and labels; where the data set counts otherwise, they are translated
    looks        how many there will be, where that is known: the run is then done by itself
    seed         which repetition it is: runs that differ in it alone form a group
    captions     a text a sample, shown where there is no picture
    cache        the cache folder; by default that of this checkout, or ./cache
    record       "train": logits of the updates; "eval": logits of a pass over the plain train samples

    Under torch.distributed every rank makes one and calls end_look; rank 0 writes.
    """

    def __init__(
        self,
        data: str,
        name: str,
        keys: Sequence[str] | int | None = None,
        labels: Sequence[int] | np.ndarray | str | None = None,
        class_names: Sequence[str] | None = None,
        looks: int | None = None,
        seed: int = 0,
        captions: Sequence[str] | None = None,
        cache: str | os.PathLike | Cache | None = None,
        *,
        record: str = "train",
        policy: CommitPolicy = POLICY,
    ):
        self.data, self.name = checked_name(data, "data set"), checked_name(name, "name")
        self.cache = cache if isinstance(cache, Cache) else Cache.at(cache)
        self.keys = keys if keys is None or isinstance(keys, int) else list(keys)
        self.labels = labels if labels is None or isinstance(labels, str) else _array(labels)
        self.class_names = None if class_names is None else [str(one) for one in class_names]
        self.captions = None if captions is None else list(captions)
        self.expected, self.seed, self.record, self.policy = looks, seed, record, policy
        self._config("0" * 64, "original")  # says what is wrong with the names and numbers given
        self.looks = 0  # ended so far
        self.ended = False
        self._notes, self._clock, self._steps, self._told = Notes(), Clock(), 0, False
        self._placed: Keyed | None = None
        self._run: OpenRun | None = None
        self._begin_at: int | None = None  # looks of the checkpoint that this start goes on from
        self._id_of_key: dict[str, int] | None = None
        self._class_count = None if class_names is None else len(self.class_names)
        if ranks.rank() == 0:
            self._place()

    def update(self, ids, logits, labels) -> None:
        """Notes a batch: ids (B,) row numbers or keys, logits (B, K) before the step, labels (B,) class numbers. Tensors or arrays."""
        if self.ended:
            self._tell_once(f"the run {self.name!r} has ended: nothing more is recorded.")
            return
        with self._clock.inside(logits):
            logits, labels = checked_batch(logits, labels)
            self._check_classes(logits.shape[1])
            ids = self._numbers(ids)
            if ids.is_floating_point():
                raise InputError(f"ids of {ids.dtype}: expected whole numbers, the rows of the samples, or their keys.")
            if ids.shape != labels.shape:
                raise InputError(f"{len(ids)} ids for {len(logits)} rows of logits: expected one each.")
            if self._run is None and ranks.rank() == 0:
                self._place()
                self._open()
            self._notes.add(ids, logits, labels)
            self._steps += 1
            self._watch()

    def end_look(self, **scalars: float) -> None:
        """Ends the look: what was noted goes to the cache. `scalars`, such as test_accuracy=0.91, stand beside it.

        NonFinite and InputError say what is wrong with what was noted; the run has then failed, and what was committed is kept.
        """
        if self.ended:
            return
        with self._clock.inside():
            found = ranks.gathered(*self._notes.taken())
            try:
                if found is not None:
                    self._commit(*found, scalars)
            except BaseException as error:
                ranks.agreed(False)
                self._end("failed", str(error) if isinstance(error, LearnabilityError) else f"{type(error).__name__}: {error}")
                raise
            good = ranks.agreed(True)
        if not good:
            self.ended = True
            raise TrainingError(f"rank 0 could not record look {self.looks}; its own error says why.")
        self.looks += 1
        if self.looks == self.expected:
            self.close()

    def close(self, reason: str | None = None) -> None:
        """Ends the run: done, or stopped where looks are missing or a reason is given. Prints what recording has cost."""
        if reason is None and self.expected is not None and self.looks < self.expected:
            reason = f"closed after {self.looks} of {self.expected} looks"
        self._end("stopped" if reason else "done", reason)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
        else:
            self._end("stopped" if kind is KeyboardInterrupt else "failed", f"{kind.__name__}: {error}")

    def state_dict(self) -> dict:
        """Where the recording stands, for your own checkpoint: what it names is on disk when this returns."""
        if self._run is not None and not self.ended:
            self._run.commits.settle()
        ids_n, packed = self._notes.arrays()
        noted = np.concatenate([ids_n[:, None].view(np.int32).reshape(-1, 2).T, packed])
        return {"format": FORMAT, "run": self.run_id, "looks": self.looks, "noted": torch.from_numpy(noted)}

    def load_state_dict(self, state: dict) -> None:
        """Goes on from a checkpoint: looks after it are dropped and recorded again. Call it before the first update."""
        if state.get("format") != FORMAT:
            raise InputError(f"recorder state of format {state.get('format')!r}: expected {FORMAT}. Update learnability.")
        if self._run is not None or self.looks or self._notes.count:
            raise InputError("load_state_dict after the first update: expected it before. Load the checkpoint when the recorder is made.")
        if None not in (self.run_id, state["run"]) and state["run"] != self.run_id:
            raise InputError(
                f"the checkpoint belongs to run {state['run']}, this recorder to {self.run_id}: expected the same data set, name, seed and "
                "looks. Make the recorder as it was made then."
            )
        self.looks = self._begin_at = int(state["looks"])
        noted = state["noted"].cpu().numpy()[:, : None if ranks.rank() == 0 else 0]  # the checkpoint is that of rank 0
        self._notes.put(np.ascontiguousarray(noted[:2].T).view(np.int64)[:, 0], np.ascontiguousarray(noted[2:]))
        self.ended = self.looks == self.expected
        if ranks.rank() == 0 and not self.ended:
            self._open()

    @property
    def run_id(self) -> str | None:
        """The run in the cache; None until its samples are known, and at other ranks than 0."""
        if self._placed is None:
            return None
        return self._config(self._placed.dataset.fingerprint, self._placed.labels).run_id

    @property
    def overhead(self) -> float:
        """The share of the time since the first update that recording took."""
        return self._clock.share

    def _config(self, fingerprint: str, labels: str) -> RunConfig:
        return RunConfig(
            data=self.data, fingerprint=fingerprint, arch=self.name, seed=self.seed, labels=labels, epochs=self.expected,
            record=self.record, origin="recorder",
        )  # fmt: skip

    def _place(self) -> None:
        """Which samples these are, once that can be told."""
        if self._placed is None:
            parts = (self.data, self.keys, self.labels, self.class_names, self.captions, self._class_count)
            self._placed = keyed(self.cache, *parts, source=f"recorder {self.name}")
        if self._placed is not None and self._class_count is None:
            self._class_count = len(self._placed.class_of_K)

    def _open(self) -> None:
        if self._run is None and self._placed is not None:
            config = self._config(self._placed.dataset.fingerprint, self._placed.labels)
            self._run = OpenRun(self.cache, config, self._placed, self._clock, self.policy, self._begin_at)
            weakref.finalize(self, self._run.leave)

    def _end(self, state: str, reason: str | None) -> None:
        self.ended = True
        if self._run is not None:
            self._run.end(state, reason)

    def _numbers(self, ids) -> torch.Tensor:
        """ids as numbers: where the first is a text, all are keys."""
        if isinstance(ids, torch.Tensor):
            return ids
        if len(ids) and isinstance(ids[0], str):
            if self._id_of_key is None:
                keys = self.keys if isinstance(self.keys, list) else open_dataset(self.cache, self.data).keys
                self._id_of_key = {key: i for i, key in enumerate(keys)}
            try:
                return torch.tensor([self._id_of_key[key] for key in ids])
            except KeyError as error:
                raise InputError(f"key {error.args[0]!r}: expected one of the {len(self._id_of_key):,} keys of this recorder.") from None
        return torch.as_tensor(np.asarray(ids))

    def _check_classes(self, got: int) -> None:
        if self._class_count is None:
            self._class_count = got
        if self._class_count != got:
            raise InputError(f"logits of {got} classes: expected {self._class_count}, those of data set {self.data!r} or class_names.")

    def _watch(self) -> None:
        """Tells now and then that it is at work, and notices a look that nobody ends."""
        samples = len(self._placed.row_of_M) if self._placed is not None else self._notes.count
        if self._notes.count > TOO_MANY * samples + 10_000:
            raise InputError(f"{self._notes.count:,} notes of {samples:,} samples in one look: call recorder.end_look() once an epoch.")
        if self._run is not None and self._clock.every(2.0):
            rate = self._clock.rate(self._notes.count)
            self._run.writer.progress(phase="own loop", epoch=self.looks, step=self._steps, images_per_second=rate)

    def _commit(self, ids_n: np.ndarray, packed: np.ndarray, scalars: dict) -> None:
        if self._placed is None:
            self.labels = self._labels_of(ids_n, packed)
            self._place()
        self._open()
        look = self._look(ids_n, packed)
        gaps, seconds = len(look.labels_N) - look.seen, self._clock.lap()
        if look.duplicates or gaps:
            self._tell_once(
                f"look {self.looks}: {look.duplicates:,} times a sample was seen again (the last time counts), {gaps:,} of "
                f"{len(look.labels_N):,} samples were not seen (marked, no misses). The end says how many in all."
            )
        line = {
            "epoch": self.looks, "step": self._steps, "loss": look.loss, "accuracy": look.accuracy, "test_accuracy": None,
            "seconds": round(seconds, 3), "images_per_second": round(len(ids_n) / max(seconds, 1e-9), 1), "clamped": look.clamped,
            "duplicates": look.duplicates, "gaps": gaps, **{key: float(value) for key, value in scalars.items()},
        }  # fmt: skip
        self._run.add(self.looks, look, line)

    def _look(self, ids_n: np.ndarray, packed: np.ndarray) -> Look:
        """What was noted, row by row in the data set's numbering; InputError where ids or labels are not those of this run."""
        placed = self._placed
        M, K = len(placed.row_of_M), len(placed.class_of_K)
        if (odd := ids_n[(ids_n < 0) | (ids_n >= M)]).size:
            raise InputError(f"{odd.size:,} ids are none of this recorder, the first is {odd[0]}: expected 0 to {M - 1}, or keys.")
        rows_n = placed.row_of_M[ids_n]
        held_n = rows_n >= 0
        rows_n, packed = rows_n[held_n], packed[:, held_n].copy()
        if (odd := packed[1][(packed[1] < 0) | (packed[1] >= K)]).size:
            raise InputError(f"{odd.size:,} labels are no class, the first is {odd[0]}: expected 0 to {K - 1}. Leave such samples out.")
        packed[:2] = placed.class_of_K[packed[:2]]
        look = look_of(rows_n, packed, len(placed.sample_ids_N), placed.dataset.K, self.looks)
        wrong = np.flatnonzero((look.labels_N >= 0) & (look.labels_N != placed.labels_N))
        if wrong.size:
            at = wrong[0]
            raise InputError(
                f"{wrong.size:,} labels of look {self.looks} are not those of the run (label version {placed.labels!r} of data set "
                f"{self.data!r}), the first: {placed.dataset.keys[placed.sample_ids_N[at]]!r} is {look.labels_N[at]}, expected "
                f"{placed.labels_N[at]}. Give labels=... as you train on them, and class_names in your numbering."
            )
        return look

    def _labels_of(self, ids_n: np.ndarray, packed: np.ndarray) -> np.ndarray:
        """The labels of a data set that is made of the first look."""
        count = self.keys if isinstance(self.keys, int) else len(self.keys)
        inside = (ids_n >= 0) & (ids_n < count)
        labels_M = np.full(count, -1, np.int64)
        labels_M[ids_n[inside]] = packed[1][inside]
        if (unknown := np.flatnonzero(labels_M < 0)).size:
            raise InputError(f"{unknown.size:,} of {count:,} samples were not seen at the first look: expected a label each. Give labels.")
        return labels_M

    def _tell_once(self, said: str) -> None:
        if not self._told:
            self._told = True
            print(f"learnability: {said}", file=sys.stderr)


def _array(labels) -> np.ndarray:
    return labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else np.asarray(labels)
