"""What a run is, in one frozen object, and the names of the architectures; read without torch."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable

from learnability.errors import ConfigError, InputError

FORMAT = 1

ARCHITECTURES = {
    "resnet20": "learnability.training.architectures:resnet20",
    "vgg16": "learnability.training.architectures:vgg16",
    "mobilenet": "learnability.training.architectures:mobilenet",
}
HEADS = {  # small networks on the features of a frozen backbone: with `start` alone
    "linear": "learnability.training.heads:linear",
    "mlp": "learnability.training.heads:mlp",
}
LIBRARIES = ("torchvision", "timm")  # `<library>:<name>` is an architecture too
LEARNING_RATE = {"vgg16": 0.05}
DEFAULT_LEARNING_RATE = 0.1

RECORD_MODES = ("train", "eval")
ORIGINS = ("recorder", "imported")  # of runs that this engine did not train
PRECISIONS = ("auto", "fp32", "bf16")
AUGMENTS = ("auto", "none", "flip", "crop-flip")
SCHEDULES = ("cosine", "step", "constant")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ARCH = re.compile(r"(?=.{1,100}\Z)(?!.*-s\d+(f\d+)?\Z)[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*(:[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*)?")
_PLANTED = re.compile(r"planted-(0\.\d{1,6})-(\d{1,9})")


def checked_name(name: str, what: str) -> str:
    """`name` itself, if it holds only letters, digits, `-`, `_` (1..64, not beginning with `-` or `_`)."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{what} {name!r}: expected 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit, "
            f"for example 'cats-2024'. Choose another name."
        )
    return name


def checked_arch(arch: str) -> str:
    """`arch` itself, if it is spelled like an architecture: a name, `torchvision:NAME`, `timm:NAME` or `package.module:function`."""
    spelled = f"one of {', '.join(ARCHITECTURES)}, a registered name, torchvision:NAME, timm:NAME or package.module:function"
    _expect(isinstance(arch, str) and _ARCH.fullmatch(arch), "architecture", arch, spelled)
    return arch


def planted(version: str) -> tuple[float, int] | None:
    """(fraction, seed) of a label version `planted-<fraction>-<seed>`, or None for any other."""
    match = _PLANTED.fullmatch(version)
    return (float(match[1]), int(match[2])) if match else None


def planted_name(fraction: float, seed: int = 0) -> str:
    """Name of the label version in which `fraction` (0 < f < 1) of the train samples carry a wrong label."""
    if not 0 < fraction < 1:
        raise ConfigError(f"label noise {fraction!r}: expected a fraction between 0 and 1, for example 0.05.")
    text = f"{fraction:.6f}".rstrip("0")
    if text == "0.":
        raise ConfigError(f"label noise {fraction!r}: expected at least 0.000001.")
    return f"planted-{text}-{seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training: one architecture, one seed, one recipe, one data set version, one label version.

    `lr=None` and `augment="auto"` stand for the default of the architecture and of the images, so that several
    architectures share one recipe. What changes no recipe (device, threads, name, note) is not here.
    """

    data: str  # name of the data set
    fingerprint: str  # sha256 of the data set version, 64 hex digits
    arch: str
    seed: int = 0
    labels: str = "original"  # label version
    epochs: int | None = 30  # None: as many looks as its owner's loop gives; only with an origin
    batch_size: int = 128
    lr: float | None = None  # peak learning rate; None: 0.1, VGG-16 0.05
    momentum: float = 0.9  # Nesterov
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup: float = 0.1  # share of all updates with a linearly rising learning rate
    augment: str = "auto"  # auto: crop-flip for RGB, none for grey
    subset: int | None = None  # number of train samples, class-stratified; None: all
    record: str = "train"
    precision: str = "auto"
    deterministic: bool = False  # concerns CUDA; the CPU always is
    curriculum: str | None = None  # an order and its pacing; None: shuffled epochs
    start: str | None = None  # set of features of a frozen backbone that a head is trained on; None: from scratch
    folds: int | None = None  # held-out folds; None: trained on every row
    fold: int | None = None  # which of them this run holds out; not part of the recipe
    devices: int = 1  # data-parallel devices of one run
    origin: str | None = None  # who trained it: None this engine, "recorder" its owner's loop, "imported" read from files

    def __post_init__(self):
        checked_name(self.data, "data set")
        _expect(re.fullmatch(r"[0-9a-f]{64}", self.fingerprint), "fingerprint", self.fingerprint, "64 hex digits")
        checked_arch(self.arch)
        _expect(_whole(self.seed, 0, 2**31 - 1), "seed", self.seed, "a whole number from 0 to 2147483647")
        checked_name(self.labels.replace(".", "_"), "label version")
        _expect(self.origin in (None, *ORIGINS), "origin", self.origin, f"one of {', '.join(ORIGINS)}, or none")
        endless = self.epochs is None and self.origin is not None
        _expect(endless or _whole(self.epochs, 1, 100_000), "epochs", self.epochs, "a whole number from 1 to 100000")
        _expect(_whole(self.batch_size, 2, 1_000_000), "batch size", self.batch_size, "a whole number of at least 2")
        _expect(self.lr is None or 0 < self.lr < 1e3, "learning rate", self.lr, "a number above 0, for example 0.1")
        _expect(0 <= self.momentum < 1, "momentum", self.momentum, "a number from 0 to below 1")
        _expect(0 <= self.weight_decay < 1, "weight decay", self.weight_decay, "a number from 0 to below 1")
        _expect(self.schedule in SCHEDULES, "schedule", self.schedule, f"one of {', '.join(SCHEDULES)}")
        _expect(0 <= self.warmup < 1, "warm-up", self.warmup, "a share from 0 to below 1")
        _expect(self.augment in AUGMENTS, "augmentation", self.augment, f"one of {', '.join(AUGMENTS)}")
        _expect(self.subset is None or _whole(self.subset, 2, 2**40), "subset", self.subset, "a whole number of at least 2")
        modes = RECORD_MODES if self.origin is None else (*RECORD_MODES, "unknown")
        _expect(self.record in modes, "record", self.record, f"one of {', '.join(modes)}")
        _expect(self.precision in PRECISIONS, "precision", self.precision, f"one of {', '.join(PRECISIONS)}")
        self._check_start()
        _expect(self.folds is None or _whole(self.folds, 2, 100), "folds", self.folds, "a whole number from 2 to 100")
        _expect((self.fold is None) == (self.folds is None), "fold", self.fold, "a fold with folds, none without")
        _expect(self.fold is None or _whole(self.fold, 0, self.folds - 1), "fold", self.fold, "0 .. folds - 1")
        _expect(self.devices == 1 or _whole(self.devices, 1, 1024), "devices", self.devices, "a whole number from 1")

    def _check_start(self) -> None:
        if self.start is None:
            _expect(
                self.origin is not None or self.arch not in HEADS,
                "architecture",
                self.arch,
                "a start beside it, as a head is trained on features (--start)",
            )
            return
        checked_name(self.start, "start")
        _expect(self.arch in HEADS, "architecture", self.arch, f"{' or '.join(HEADS)} on the features of {self.start}")
        _expect(self.augment in ("auto", "none"), "augmentation", self.augment, "auto or none: features are of the image as it is")
        _expect(self.precision in ("auto", "fp32"), "precision", self.precision, "auto or fp32: a head on features is small")
        _expect(self.devices == 1, "devices", self.devices, "1: a head on features trains in seconds on one device")

    @property
    def recipe(self) -> str:
        """Recipe key, 8 hex digits: equal for runs that differ only in architecture, seed and fold."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("data", "fingerprint", "labels", "arch", "seed", "fold") and getattr(self, field.name) != field.default
        }
        fields |= {"format": FORMAT, "dataset": self.fingerprint, "labels": self.labels}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def run_id(self) -> str:
        """`<arch>-s<seed>-<recipe key>`, with `f<fold>` after the seed where folds are held out."""
        fold = "" if self.fold is None else f"f{self.fold}"
        return f"{file_name(self.arch)}-s{self.seed}{fold}-{self.recipe}"

    @property
    def group_id(self) -> str:
        """`<arch>-<recipe key>`: the runs that differ only in seed."""
        return f"{file_name(self.arch)}-{self.recipe}"

    @property
    def peak_lr(self) -> float:
        return LEARNING_RATE.get(self.arch, DEFAULT_LEARNING_RATE) if self.lr is None else self.lr

    def augment_of(self, channels: int) -> str:
        """The augmentation used on images of 1 (grey) or 3 (RGB) channels."""
        if self.start is not None:
            return "none"
        return self.augment if self.augment != "auto" else "crop-flip" if channels == 3 else "none"

    def to_json(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict) -> "RunConfig":
        """The config that `to_json` wrote; a field this version does not know is refused by name."""
        unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ConfigError(f"config has fields this version does not know: {', '.join(unknown)}. Update learnability.")
        return cls(**fields)


def study(
    data: str, fingerprint: str, channels: int, rows: int, archs: list[str], seeds: int = 1, first_seed: int = 0, **fields
) -> list[RunConfig]:
    """One config for every architecture and seed, seed by seed, so that a study cut short is still balanced.

    `seeds` is a count, from `first_seed` on. A value that equals the default of these images or this architecture is
    written as the default, so that saying it aloud makes no other recipe.
    """
    _expect(archs and len(set(archs)) == len(archs), "architectures", archs, "at least one, none twice")
    _expect(_whole(seeds, 1, 10_000), "seeds", seeds, "a count of at least 1")
    folds = fields.get("folds")
    used = min(fields.get("subset") or rows, rows)
    _expect(folds is None or not _whole(folds, 2, 100) or folds <= used, "folds", folds, f"at most {used}, the samples there are")
    start = fields.get("start")
    if fields.get("augment") == RunConfig(data=data, fingerprint=fingerprint, arch=archs[0], start=start).augment_of(channels):
        fields["augment"] = "auto"
    if fields.get("subset") is not None and fields["subset"] >= rows:
        fields["subset"] = None
    configs = []
    for seed in range(first_seed, first_seed + seeds):
        for arch in archs:
            lr = fields.get("lr")
            own = {**fields, "lr": None if lr == LEARNING_RATE.get(arch, DEFAULT_LEARNING_RATE) else lr}
            for fold in range(folds) if folds else [None]:
                configs.append(RunConfig(data=data, fingerprint=fingerprint, arch=arch, seed=seed, fold=fold, **own))
    return configs


def side_by_side(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """The same, those of one architecture behind one another: side by side they end at about the same time."""
    configs = list(configs)
    archs = list(dict.fromkeys(config.arch for config in configs))
    return sorted(configs, key=lambda config: archs.index(config.arch))


FLAGS = ("epochs", "subset", "record", "labels", "precision", "augment", "batch_size", "lr", "weight_decay", "schedule", "folds", "start")


def train_command(config: RunConfig, archs: list[str], *, seeds: int = 1, first_seed: int = 0) -> str | None:
    """The command that trains `archs` with this config's recipe; None for a recipe that the shell cannot spell."""
    fields = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    other = {name for name in fields if fields[name] is not dataclasses.MISSING and getattr(config, name) != fields[name]}
    if other - set(FLAGS) - {"arch", "seed", "fold", "deterministic"}:
        return None
    if config.start is not None:  # heads alone train on features
        archs = [arch if arch in HEADS else next(head for head in HEADS if head != config.arch) for arch in archs]
    parts = [f"python -m learnability train --data {config.data} --arch {' '.join(archs)}"]
    parts += [f"--{name.replace('_', '-')} {getattr(config, name)}" for name in FLAGS if name in other]
    parts += ["--deterministic"] * config.deterministic
    parts += [f"--seeds {seeds}"] * (seeds > 1) + [f"--first-seed {first_seed}"] * (first_seed > 0)
    return " ".join(parts)


def file_name(arch: str) -> str:
    """An architecture's name as part of a run id: `:` becomes `@`, which no name holds, so that two names stay two."""
    return arch.replace(":", "@")


def _whole(value, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _expect(good, what: str, got, expected: str) -> None:
    if not good:
        raise ConfigError(f"{what} {got!r}: expected {expected}.")
