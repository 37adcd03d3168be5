"""RecordSamples: a callback that records what a classifier trained by Transformers' Trainer says of every train sample.

    arguments = TrainingArguments(..., remove_unused_columns=False)
    trainer = Trainer(model, arguments, train_dataset=learnability.with_ids(train), callbacks=[RecordSamples("my-texts", "my-bert")])

Works for models that take `labels` and return `logits` of shape (B, K): text, images, audio.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

from learnability.errors import InputError
from learnability.integrations import ranks
from learnability.integrations.ids import SAMPLE_ID
from learnability.integrations.recorder import FORMAT, Recorder

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise InputError("Transformers is not installed: expected the package transformers. Install it: pip install transformers") from error

FILE = "learnability.safetensors"  # beside the trainer's own files in its checkpoint-<step> folders


class RecordSamples(TrainerCallback):
    """Records each training step's logits, one look an epoch; where it stands goes into the trainer's checkpoints.

    data, name and further arguments are those of learnability.Recorder, among them keys, labels, class_names and captions.
    """

    def __init__(self, data: str, name: str, **recorder):
        self.given = {"data": data, "name": name, **recorder}
        self.recorder: Recorder | None = None
        self._ids = self._labels = None
        self._hooks: list = []

    def on_train_begin(self, args, state, control, model=None, **kwargs) -> None:
        if args.remove_unused_columns:
            raise InputError(f"remove_unused_columns is on and drops {SAMPLE_ID}: give TrainingArguments(remove_unused_columns=False).")
        if args.n_gpu > 1:
            raise InputError(f"{args.n_gpu} GPUs in one process: expected one process a GPU. Start it with torchrun.")
        self._unhook()  # of a training that was interrupted: Trainer tells nobody of that
        whole = args.max_steps <= 0 and float(args.num_train_epochs).is_integer()
        self.recorder = Recorder(**{"looks": int(args.num_train_epochs) if whole else None, **self.given})
        if state.global_step:
            self._go_on(Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE, whole=float(state.epoch or 0.5).is_integer())
        self._hooks = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True),
        ]

    def _before(self, model, inputs, named: Mapping) -> tuple:
        named = dict(named)
        self._ids, self._labels = named.pop(SAMPLE_ID, None), named.get("labels")
        if model.training and (self._ids is None or self._labels is None):
            missing = SAMPLE_ID if self._ids is None else "labels"
            raise InputError(
                f"a training batch without {missing}: it has {', '.join(named)}. Give train_dataset=learnability.with_ids(...), of dicts "
                "with labels, and no label smoothing."
            )
        return inputs, named

    def _after(self, model, inputs, named, output) -> None:
        if model.training and torch.is_grad_enabled():
            logits = output["logits"] if isinstance(output, Mapping) else output.logits
            self.recorder.update(self._ids, logits, self._labels)

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        self.recorder.end_look()

    def on_save(self, args, state, control, **kwargs) -> None:
        told = self.recorder.state_dict()
        if ranks.rank() == 0:
            noted = {"noted": told["noted"].numpy(), "looks": np.array(told["looks"])}
            path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
            safetensors.numpy.save_file(noted, path, {"run": told["run"] or ""})

    def _go_on(self, path: Path, whole: bool) -> None:
        """Goes on from a checkpoint; one made at the last step of an epoch comes before that epoch's end, which nobody tells again."""
        if not path.is_file():
            raise InputError(
                f"{path} is missing, so the recording cannot go on from this checkpoint: expected one that was saved with this callback. "
                "Begin anew under another seed or name."
            )
        data = path.read_bytes()
        found, header = safetensors.numpy.load(data), safetensors.safe_open(str(path), "numpy").metadata()
        told = {"run": header["run"] or None, "looks": int(found["looks"]), "noted": torch.from_numpy(found["noted"])}
        self.recorder.load_state_dict({"format": FORMAT, **told})
        if whole and found["noted"].shape[1]:
            self.recorder.end_look()

    def on_train_end(self, args, state, control, **kwargs) -> None:
        self._unhook()
        self.recorder.close()

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
