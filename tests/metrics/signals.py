"""Recordings to test metrics with: the worked example, and drawn ones, made of logits or signal by signal."""

import os

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from learnability.recording import Recording, storage_dtype

EXAMPLES = int(os.environ.get("LEARNABILITY_EXAMPLES", 60))  # drawn recordings a test
SOAK_EXAMPLES = int(os.environ.get("LEARNABILITY_SOAK_EXAMPLES", 5000))
DRAWN = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SOAK = settings(DRAWN, max_examples=SOAK_EXAMPLES, derandomize=False)
GENERATORS = st.integers(0, 2**32).map(np.random.default_rng)  # Hypothesis draws sizes and seeds: a number at a time is far too slow

GOLDEN_LABELS = np.array([0, 1, 2, 0])
GOLDEN = ["100 300 400 500 600", "100 020 210 020 030", "200 300 400 301 302", "120 210 120 210 120"]  # a digit a class
GOLDEN_LOGITS = np.array([[[int(digit) for digit in look] for look in row.split()] for row in GOLDEN], float)


def of_logits(logits_NEK: np.ndarray, labels_N: np.ndarray) -> dict[str, np.ndarray]:
    """The five signals of logits, straight from their definitions, in float64."""
    K = logits_NEK.shape[2]
    label_NEK = np.broadcast_to(np.arange(K) == labels_N[:, None, None], logits_NEK.shape)
    shifted = logits_NEK - logits_NEK.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    p = np.exp(log_p)
    return {
        "prediction": logits_NEK.argmax(axis=2),
        "loss": -log_p[label_NEK].reshape(p.shape[:2]),
        "margin": logits_NEK[label_NEK].reshape(p.shape[:2]) - np.where(label_NEK, -np.inf, logits_NEK).max(axis=2),
        "el2n": np.sqrt(((p - label_NEK) ** 2).sum(axis=2)),
        "entropy": -(p * log_p).sum(axis=2),
    }


def recording_of(logits_NEK: np.ndarray, labels_N: np.ndarray, stored: bool = False, **fields) -> Recording:
    """A recording of these logits; `stored` casts the signals as they are stored on disk."""
    K = logits_NEK.shape[2]
    signals = of_logits(logits_NEK, labels_N)
    if stored:
        signals = {name: signal.astype(storage_dtype(name, K)) for name, signal in signals.items()}
    return Recording(labels_N=labels_N, class_count=K, **{f"{name}_NE": signal for name, signal in signals.items()}, **fields)


def with_signals(recording: Recording, change) -> dict:
    """Keyword arguments: every signal of a recording after `change`."""
    return {f"{name}_NE": change(signal) for name, signal in recording.signals.items()}


@st.composite
def logits_and_labels(draw, classes: st.SearchStrategy = st.integers(2, 5)):
    """(logits_NEK, labels_N): small whole numbers, so that ties are many and sums are exact."""
    N, E, K, rng = draw(st.integers(1, 6)), draw(st.integers(1, 8)), draw(classes), draw(GENERATORS)
    reach = draw(st.sampled_from([1, 3, 9]))
    return rng.integers(-reach, reach + 1, (N, E, K)).astype(float), rng.integers(0, K, N)


@st.composite
def recordings(draw) -> Recording:
    """Any recording that may exist: each signal drawn on its own, in any storage, looks unseen, `loss` absent now and then."""
    N, E, K, rng = draw(st.integers(1, 6)), draw(st.integers(1, 9)), draw(st.integers(2, 5)), draw(GENERATORS)
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    limits = {"loss": (0, 60000), "margin": (-60000, 60000), "el2n": (0, 1.41), "entropy": (0, np.log(K))}
    signals = {name: _values(rng, low, high, (N, E)).astype(dtype) for name, (low, high) in limits.items()}
    signals["prediction"] = rng.integers(0, K, (N, E)).astype(np.uint8)
    unseen_NE = rng.random((N, E)) < draw(st.sampled_from([0, 0.3, 0.8]))
    if draw(st.booleans()):
        signals["loss"][unseen_NE] = np.nan
    else:
        del signals["loss"]
        signals["prediction"][unseen_NE] = 255
    for name in ("margin", "el2n", "entropy"):
        signals[name][unseen_NE] = draw(st.sampled_from([0, 7, np.nan]))
    if draw(st.booleans()):  # look-major memory, as it is read from disk
        signals = {name: np.ascontiguousarray(signal.T).T for name, signal in signals.items()}
    fields = {f"{name}_NE": signal for name, signal in signals.items()}
    return Recording(labels_N=rng.integers(0, K, N), class_count=K, epochs=draw(st.integers(1, 100)), **fields)


def _values(rng: np.random.Generator, low: float, high: float, shape: tuple) -> np.ndarray:
    """Numbers of every size in the range, its ends, zeros and equal ones among them."""
    sizes = rng.choice([1e-7, 1e-4, 1e-2, 1, 100, max(abs(low), high)], shape)
    signs = rng.choice([-1, 1], shape)
    values = np.clip(rng.random(shape) * sizes * signs, low, high)
    return np.where(rng.random(shape) < 0.3, rng.choice([low, high, 0, 1], shape).clip(low, high), values)
