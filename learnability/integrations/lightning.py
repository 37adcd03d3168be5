"""RecordSamples: a callback that records what a Lightning module says of every train sample.

    train = learnability.with_ids(train)                                   # the batches begin with the ids
    trainer = Trainer(callbacks=[RecordSamples("my-photos", "my-net")], max_epochs=10)

and in the module: `ids, images, labels = batch`. The logits are what its `forward` returned in the training step, or the entry
"logits" of what the training step returns.
"""

from collections.abc import Callable, Mapping

import torch

from learnability.errors import InputError
from learnability.integrations.ids import SAMPLE_ID
from learnability.integrations.recorder import Recorder

try:
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError:
    try:
        from pytorch_lightning.callbacks import Callback
    except ModuleNotFoundError as error:
        raise InputError("Lightning is not installed: expected the package lightning. Install it: pip install 'lightning>=2.5'") from error


def ids_and_labels(batch) -> tuple:
    """(ids, labels) of a batch: first and last of a tuple, `sample_id` and `labels` (or `label`) of a dict."""
    if isinstance(batch, Mapping):
        label = next((name for name in ("labels", "label") if name in batch), None)
        if SAMPLE_ID in batch and label:
            return batch[SAMPLE_ID], batch[label]
    elif isinstance(batch, tuple | list) and len(batch) >= 3:
        return batch[0], batch[-1]
    shape = list(batch) if isinstance(batch, Mapping) else f"{type(batch).__name__} of {len(batch) if hasattr(batch, '__len__') else '?'}"
    raise InputError(
        f"batch {shape}: expected (ids, ..., labels), or a dict with {SAMPLE_ID} and labels. Wrap the train data set with "
        "learnability.with_ids, or give RecordSamples(unpack=...), a function from a batch to (ids, labels)."
    )


class RecordSamples(Callback):
    """Records each training step's logits before its update, one look an epoch; its state goes into Lightning's checkpoints.

    data, name and further arguments are those of learnability.Recorder; `looks` is the trainer's max_epochs where that is given.

    unpack   batch -> (ids, labels), where batches are not (ids, ..., labels)
    layer    name of the submodule whose output is the logits; by default the module itself
    """

    def __init__(self, data: str, name: str, *, unpack: Callable = ids_and_labels, layer: str = "", **recorder):
        super().__init__()
        self.given, self.unpack, self.layer = {"data": data, "name": name, **recorder}, unpack, layer
        self.recorder: Recorder | None = None
        self._state: dict | None = None
        self._epoch: int | None = None  # of the trainer, that the look at work belongs to
        self._outputs: list = []
        self._hook = None

    def on_train_start(self, trainer, pl_module) -> None:
        most = trainer.max_epochs
        self.recorder = Recorder(**{"looks": most if most and most > 0 else None, **self.given})
        if self._state is not None:
            self.recorder.load_state_dict(self._state)
            self._epoch = self._state.get("epoch") if self._state["noted"].shape[1] else None
        layer = pl_module.get_submodule(self.layer) if self.layer else pl_module
        self._hook = layer.register_forward_hook(self._seen)

    def _seen(self, module, inputs, output) -> None:
        if torch.is_grad_enabled():
            self._outputs.append(output)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self._outputs.clear()
        if self._epoch is not None and trainer.current_epoch > self._epoch:
            self._end_look()  # from a checkpoint of an epoch's last step, whose end Lightning does not tell again

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        ids, labels = self.unpack(batch)
        self._epoch = trainer.current_epoch
        self.recorder.update(ids, self._logits(outputs), labels)
        self._outputs.clear()

    def _logits(self, outputs) -> torch.Tensor:
        if isinstance(outputs, Mapping) and "logits" in outputs:
            return outputs["logits"]
        if len(self._outputs) != 1:
            raise InputError(
                f"forward ran {len(self._outputs)} times in the training step: expected once, so that its output is the logits. Return "
                '{"loss": loss, "logits": logits} from training_step, or name the submodule with RecordSamples(layer="...").'
            )
        output = self._outputs[0]
        return getattr(output, "logits", output)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self._end_look()

    def _end_look(self) -> None:
        self._epoch = None
        self.recorder.end_look()

    def on_train_end(self, trainer, pl_module) -> None:
        self._leave()
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(self, trainer, pl_module, exception) -> None:
        self._leave()
        if self.recorder is not None:
            self.recorder.__exit__(type(exception), exception, None)

    def _leave(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self._outputs.clear()

    def state_dict(self) -> dict:
        return {} if self.recorder is None else {**self.recorder.state_dict(), "epoch": self._epoch}

    def load_state_dict(self, state_dict: dict) -> None:
        self._state = state_dict or None
