"""Small real caches for the tests of the dashboard: real data set files, runs written by the store's own writer.

Only the training is left out: logits are drawn so that near-prototype digits are learned early and odd ones late or never.
"""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from learnability import review, selections
from learnability.config import RunConfig
from learnability.jobs import write_note
from learnability.prepare import prepare
from learnability.store.datasets import open_dataset
from learnability.store.identity import identities
from learnability.store.paths import Cache
from learnability.store.writer import RunWriter

EPOCHS = 12
HOSTILE_CLASSES = ("<img src=x onerror=alert(1)>", "**bold** $x$ %{x} [a](javascript:alert(1))")
HOSTILE_KEY = "=cmd()|'/c calc'!A0 <script>alert(2)</script>"
HOSTILE_TEXT = "<img src=x onerror=alert(4)> ![](http://evil.example/x.png) <script>alert(5)</script> **bold**"
HOSTILE_COLUMN = "<svg onload=alert(3)>"


def digits(root: Path) -> Cache:
    """A cache with the data set digits and no run."""
    cache = Cache(root)
    prepare(cache, "digits")
    return cache


def add_run(
    cache: Cache, arch: str, seed: int, *, data: str = "digits", looks: int = EPOCHS, state: str | None = "done", **fields
) -> RunConfig:
    """One run with `looks` committed looks. `state` None leaves it as a trainer at work does: running."""
    dataset = open_dataset(cache, data)
    config = RunConfig(data=data, fingerprint=dataset.fingerprint, arch=arch, seed=seed, epochs=fields.pop("epochs", EPOCHS), **fields)
    ids_N = np.arange(dataset.N)
    features_Nd = _features(dataset)
    recorded = _signals(features_Nd, dataset.labels_N, dataset.K, config, looks)
    with RunWriter.open(cache, config, ids_N, dataset.labels_N, np.ones(dataset.N, bool), dataset.K, {"made": "for a test"}) as writer:
        hits_NE = recorded["prediction"] == dataset.labels_N[:, None]
        told = [
            {"epoch": e + 1, "step": (e + 1) * 12, "loss": float(recorded["loss"][:, e].mean()), "accuracy": float(hits_NE[:, e].mean()),
             "test_accuracy": float(hits_NE[:, e].mean()) - 0.02, "seconds": 1.5 + 0.1 * seed, "images_per_second": 950.0, "clamped": 0}
            for e in range(looks)
        ]  # fmt: skip
        if looks:
            writer.commit(recorded, told)
            writer.write_scores()
        if state == "done":
            writer.write_features(features_Nd[:, :32])
        if state:
            writer.finish(state, None if state == "done" else "stopped by its user")
    return config


def three_networks(root: Path) -> Cache:
    """digits with three architectures, two seeds of the first two, and one run at its seventh of twelve epochs."""
    cache = digits(root)
    for arch, seed in (("resnet20", 0), ("resnet20", 1), ("vgg16", 0), ("vgg16", 1), ("mobilenet", 0)):
        add_run(cache, arch, seed)
    add_run(cache, "mobilenet", 1, looks=7, state="stopped")
    return cache


def hostile(root: Path) -> Cache:
    """A data set whose class names, keys, columns, notes, log and reviews are attacks on the page."""
    cache, source = Cache(root), root / "hostile.parquet"
    rng = np.random.default_rng(0)
    pictures = []
    for i in range(40):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8) // (1 + i % 2)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    labels = [HOSTILE_CLASSES[i % 2] for i in range(40)]
    root.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": pictures, "label": labels, HOSTILE_COLUMN: [HOSTILE_KEY] * 40}), source)
    prepare(cache, str(source), name="hostile")
    config = add_run(cache, "resnet20", 0, data="hostile")
    add_run(cache, "vgg16", 0, data="hostile")
    write_note(cache, "hostile", config.recipe, note=HOSTILE_TEXT)
    (cache.run_folder("hostile", config.run_id) / "log.txt").write_text(f"{HOSTILE_TEXT}\n</code></pre>{HOSTILE_TEXT}\n")
    samples = identities(open_dataset(cache, "hostile")).samples(range(6))
    review.tag(cache, "hostile", samples[:2], add=[HOSTILE_TEXT[:40]], by=HOSTILE_TEXT[:60], why=HOSTILE_TEXT)
    review.decide(cache, "hostile", samples[2:4], "relabel", class_name=HOSTILE_CLASSES[0] + "2", by=HOSTILE_TEXT[:60], why=HOSTILE_TEXT)
    review.decide(cache, "hostile", samples[4:], "drop", by=HOSTILE_TEXT[:60], why=HOSTILE_TEXT)
    selections.save(cache, open_dataset(cache, "hostile"), "odd", np.arange(5), HOSTILE_TEXT)
    return cache


def damage(cache: Cache, config: RunConfig) -> None:
    """Cuts a signal of a run in the middle."""
    path = next((cache.run_folder(config.data, config.run_id) / "signals").glob("loss.*"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def head_of(cache: Cache, config: RunConfig) -> dict:
    return json.loads((cache.run_folder(config.data, config.run_id) / "HEAD.json").read_text())["head"]


def recipe(config: RunConfig) -> str:
    return dataclasses.replace(config).recipe


def _features(dataset) -> np.ndarray:
    pixels = dataset.images.reshape(dataset.N, -1).astype(np.float32) / 255
    return (pixels - pixels.mean(0)) / (pixels.std() + 1e-6)


def _signals(features_Nd: np.ndarray, labels_N: np.ndarray, K: int, config: RunConfig, looks: int) -> dict[str, np.ndarray]:
    """Logits: likeness to each class's prototype, growing over the epochs, with noise of the sample, the network and the seed."""
    N = len(labels_N)
    of_arch = np.random.default_rng([sum(map(ord, config.arch)), 1])
    of_run = np.random.default_rng([sum(map(ord, config.arch)), 2 + config.seed])
    prototypes = np.stack(
        [features_Nd[labels_N == k].mean(0) if (labels_N == k).any() else np.zeros(features_Nd.shape[1]) for k in range(K)]
    )
    likeness = features_Nd @ prototypes.T / features_Nd.shape[1] * 14
    likeness = likeness - likeness.max(1, keepdims=True)
    likeness += np.random.default_rng(0).normal(0, 0.5, (N, K)) + of_arch.normal(0, 0.55, (N, K)) + of_run.normal(0, 0.45, (N, K))
    odd = np.random.default_rng(4).random(N) < 0.03  # as if labelled wrongly
    likeness[odd, labels_N[odd]] -= 3.0
    strength = {"resnet20": 1.0, "vgg16": 0.9}.get(config.arch, 0.65)
    found = {name: np.zeros((N, looks), np.float32) for name in ("prediction", "loss", "margin", "el2n", "entropy")}
    for e in range(looks):
        logits = likeness * (0.3 + 2.6 * (e + 1) / EPOCHS) * strength + of_run.normal(0, 0.8, (N, K))
        logits[np.arange(N), labels_N] += 0.25 * e * strength
        shifted = logits - logits.max(1, keepdims=True)
        p = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
        rest = logits.copy()
        rest[np.arange(N), labels_N] = -np.inf
        error = p.copy()
        error[np.arange(N), labels_N] -= 1
        found["prediction"][:, e] = logits.argmax(1)
        found["loss"][:, e] = -np.log(np.maximum(p[np.arange(N), labels_N], 1e-30))
        found["margin"][:, e] = logits[np.arange(N), labels_N] - rest.max(1)
        found["el2n"][:, e] = np.linalg.norm(error, axis=1)
        found["entropy"][:, e] = -(p * np.log(np.maximum(p, 1e-30))).sum(1)
    return found
