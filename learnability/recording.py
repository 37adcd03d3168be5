"""What a run noted of its samples at every look."""

import dataclasses
import functools

import numpy as np

from learnability.errors import InputError

SIGNALS = ("prediction", "loss", "margin", "el2n", "entropy")
RECORDS = ("train", "eval", "unknown")


def storage_dtype(signal: str, class_count: int) -> np.dtype:
    """dtype a signal is stored in: predictions u1 up to 255 classes and u2 above, all else float16.

    The largest value of the prediction's type marks "not seen" in imports without a loss; no class has it.
    """
    if signal == "prediction":
        return np.dtype("u1" if class_count <= 255 else "<u2")
    return np.dtype("<f2")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """The signals of N samples at E looks. Shapes and invariants are checked here, once.

    labels_N        (N,) labels as used in training, 0..K-1
    sample_ids_N    (N,) rows of the data set version, rising
    class_count     K
    prediction_NE   (N, E) argmax of the logits, lowest class on a tie, or None
    loss_NE         (N, E) cross-entropy of the label in nats, NaN where not seen, or None
    margin_NE       (N, E) logit of the label minus the largest other logit, or None
    el2n_NE         (N, E) Euclidean norm of softmax minus one-hot, 0..sqrt 2, or None
    entropy_NE      (N, E) entropy of the softmax in nats, 0..ln K, or None
    trained_N       (N,) bool, which rows the run was trained on; default all
    looks           E dicts: epoch, step and scalars of each look
    record          "train", "eval" or "unknown" (imported)
    epochs          looks the recipe asks for (E when whole); `el2n_early` uses it
    """

    labels_N: np.ndarray
    class_count: int
    sample_ids_N: np.ndarray | None = None
    prediction_NE: np.ndarray | None = None
    loss_NE: np.ndarray | None = None
    margin_NE: np.ndarray | None = None
    el2n_NE: np.ndarray | None = None
    entropy_NE: np.ndarray | None = None
    trained_N: np.ndarray | None = None
    looks: tuple = ()
    record: str = "unknown"
    epochs: int | None = None

    def __post_init__(self):
        labels_N = np.asarray(self.labels_N)
        _expect(labels_N.ndim == 1 and labels_N.dtype.kind in "iu", "labels_N", labels_N, "a whole-number array (N,)")
        object.__setattr__(self, "labels_N", labels_N)
        N = len(labels_N)
        object.__setattr__(self, "sample_ids_N", np.arange(N) if self.sample_ids_N is None else np.asarray(self.sample_ids_N))
        _expect(self.sample_ids_N.shape == (N,), "sample_ids_N", self.sample_ids_N, f"shape ({N},)")
        _expect((self.sample_ids_N[1:] > self.sample_ids_N[:-1]).all(), "sample_ids_N", self.sample_ids_N, "rising sample ids, none twice")
        object.__setattr__(self, "trained_N", np.ones(N, bool) if self.trained_N is None else np.asarray(self.trained_N))
        _expect(self.trained_N.shape == (N,) and self.trained_N.dtype == bool, "trained_N", self.trained_N, f"bool ({N},)")
        present = {name: getattr(self, f"{name}_NE") for name in SIGNALS if getattr(self, f"{name}_NE") is not None}
        if not present:
            raise InputError("a recording without any signal: expected at least one of " + ", ".join(SIGNALS) + ".")
        shapes = {signal.shape for signal in present.values()}
        _expect(
            len(shapes) == 1 and next(iter(shapes))[:1] == (N,) and len(next(iter(shapes))) == 2, "signals", shapes, f"one shape ({N}, E)"
        )
        _expect(
            N == 0 or (labels_N.min() >= 0 and labels_N.max() < self.class_count), "labels_N", labels_N, f"labels 0..{self.class_count - 1}"
        )
        if self.prediction_NE is not None:
            _expect(self.prediction_NE.dtype.kind in "iu", "prediction_NE", self.prediction_NE, "whole numbers, the classes predicted")
        _expect(self.record in RECORDS, "record", self.record, f"one of {', '.join(RECORDS)}")
        if self.epochs is None:
            object.__setattr__(self, "epochs", self.E)
        if self.looks:
            _expect(len(self.looks) == self.E, "looks", len(self.looks), f"{self.E}, one a look")

    @property
    def N(self) -> int:
        return len(self.labels_N)

    @property
    def E(self) -> int:
        return next(iter(self.signals.values())).shape[1]

    @property
    def K(self) -> int:
        return self.class_count

    @property
    def signals(self) -> dict[str, np.ndarray]:
        """The signals there are, by name."""
        return {name: getattr(self, f"{name}_NE") for name in SIGNALS if getattr(self, f"{name}_NE") is not None}

    def rows(self, rows: slice | np.ndarray) -> "Recording":
        """The recording of some of its rows: a slice (nothing is copied), rising row numbers or a bool mask."""
        signals = {f"{name}_NE": signal[rows] for name, signal in self.signals.items()}
        parts = {name: getattr(self, name)[rows] for name in ("labels_N", "sample_ids_N", "trained_N")}
        return dataclasses.replace(self, **signals, **parts)

    @functools.cached_property
    def seen_NE(self) -> np.ndarray:
        """(N, E) bool: which samples were seen at which look. Unseen is a mark, never a miss."""
        if self.loss_NE is not None:
            return ~np.isnan(self.loss_NE)
        if self.prediction_NE is not None:
            return self.prediction_NE != np.iinfo(self.prediction_NE.dtype).max
        return ~np.isnan(next(iter(self.signals.values())))

    @functools.cached_property
    def hits_NE(self) -> np.ndarray:
        """(N, E) bool: prediction equals label at a look that saw the sample. InputError without `prediction`."""
        _expect(self.prediction_NE is not None, "prediction_NE", self.prediction_NE, "the classes predicted, which hits are made of")
        return (self.prediction_NE == self.labels_N[:, None]) & self.seen_NE


def _expect(good, what: str, got, expected: str) -> None:
    if not good:
        shape = f"{got.dtype} {got.shape}" if isinstance(got, np.ndarray) else repr(got)
        raise InputError(f"{what}: expected {expected}, got {shape}.")
