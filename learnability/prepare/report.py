"""What is to be said about a version: rejects by kind, duplicates, contradictions, classes. For dataset.json and for the screen."""

import collections
import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

IMBALANCE = 10  # largest class / smallest class from which on it is said


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """What `prepare` made, or found to be there already."""

    name: str
    folder: Path
    info: dict  # dataset.json
    new: bool  # False: exactly this version was there
    rewritten: tuple[str, ...] = ()  # files of that version that were damaged, or rejects that changed
    seconds: float

    @property
    def fingerprint(self) -> str:
        return self.info["fingerprint"]

    @property
    def train(self) -> int:
        return self.info["train"]

    @property
    def test(self) -> int:
        return self.info["test"]

    @property
    def rejects(self) -> int:
        return self.info["rejects"]

    @property
    def warnings(self) -> list[str]:
        return self.info["warnings"]

    def to_json(self) -> dict:
        """Everything, for programs."""
        fields = {"new": self.new, "rewritten": list(self.rewritten), "folder": str(self.folder), "seconds": round(self.seconds, 2)}
        return {**self.info, **fields}

    def summary(self) -> str:
        """A few lines for people."""
        info = self.info
        colours = "grey" if info["C"] == 1 else "RGB"
        samples = f"{info['train']:,} train and {info['test']:,} test samples of {len(info['class_names'])} classes"
        version = f"data set {self.name!r}, version {self.fingerprint[:8]}"
        rate = f" in {self.seconds:.1f} s, {(info['train'] + info['test'] + info['rejects']) / max(self.seconds, 1e-9):,.0f} images/s"
        lines = [f"{version}: {samples}, {info['H']} x {info['W']} {colours}{rate if self.new else ''}"]
        if not self.new:
            lines.append(
                "nothing new: exactly this version was there already"
                + (f"; rewritten: {', '.join(self.rewritten)}" if self.rewritten else "")
            )
        if info["rejects"]:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in info["rejects_by_reason"].items())
            lines.append(f"{info['rejects']:,} rejected: {kinds}. Each with its reason: {self.folder / 'rejects.parquet'}")
        return "\n".join([*lines, *(f"note: {sentence}" for sentence in info["warnings"])])


def rejects_by_reason(reasons: Iterable[str]) -> dict[str, int]:
    """How many rejects of each kind (the words before the colon), most frequent first."""
    return dict(collections.Counter(reason.split(":")[0] for reason in reasons).most_common())


def repeated(hashes: list[str], labels: np.ndarray, train: int) -> dict[str, int]:
    """duplicates: train rows whose image occurs more than once among them. conflicts: images of train rows under more than one
    label. test_in_train: test rows whose image is a train row too.
    """
    as_bytes = np.frombuffer(bytes.fromhex("".join(hashes)), "V16")
    _, group, counts = np.unique(as_bytes[:train], return_inverse=True, return_counts=True)
    pairs = np.unique(np.stack([group, labels[:train]], 1), axis=0)
    _, labels_per_image = np.unique(pairs[:, 0], return_counts=True)
    return {
        "duplicates": int((counts[group] > 1).sum()),
        "conflicts": int((labels_per_image > 1).sum()),
        "test_in_train": int(np.isin(as_bytes[train:], as_bytes[:train]).sum()),
    }


def sentences(labels_N: np.ndarray, class_names: tuple[str, ...], dropped: list[str], found: dict[str, int]) -> list[str]:
    """Warnings about classes and repeated images."""
    said = []
    if dropped:
        said.append(f"{_named(dropped)} had no usable train sample: dropped, the other classes keep their order.")
    counts = np.bincount(labels_N, minlength=len(class_names))
    singles = [name for name, count in zip(class_names, counts, strict=True) if count == 1]
    if singles:
        said.append(f"{_named(singles)} has one sample: nothing else tells a network what it looks like.")
    if counts.max() >= IMBALANCE * counts.min():
        large, small = class_names[int(counts.argmax())], class_names[int(counts.argmin())]
        said.append(
            f"class sizes differ much: {large!r} has {counts.max():,} train samples, {small!r} {counts.min():,}: compare within classes."
        )
    if found["duplicates"]:
        said.append(f"{found['duplicates']:,} train samples are exact duplicates of another one.")
    if found["conflicts"]:
        said.append(f"{_number(found['conflicts'], 'image stands', 'images stand')} under more than one label.")
    if found["test_in_train"]:
        twice = _number(found["test_in_train"], "test sample is a train sample", "test samples are train samples")
        said.append(f"{twice} too: test accuracy flatters.")
    return said


def _number(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _named(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} {'class' if len(names) == 1 else 'classes'} ({shown})"
