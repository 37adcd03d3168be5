"""A large cache to measure the dashboard with: made-up samples and runs, in the real files, by the store's own writers.

    python -m bench.made_cache --cache /tmp/large --samples 1281167 --classes 1000 --side 16

Every sample has a difficulty of its own, every network an opinion of its own on top, every run some luck: misses become rarer from
epoch to epoch, scores of two networks are alike but not equal, and a few labels contradict their picture. What the samples look
like is noise in the colour of their class, the harder the noisier. Nothing is trained.
"""

import argparse
import datetime
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from learnability.config import RunConfig
from learnability.datasets import image_hash
from learnability.prepare.report import repeated
from learnability.prepare.tables import Content, settle
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.writer import RunWriter

NAME = "made-up"
ARCHS = {"resnet20": 1.0, "vgg16": 0.8, "mobilenet": 0.5}  # how fast each learns
CHUNK = 50_000
FEATURES = 64


def make(root: Path, samples: int, classes: int, side: int, *, epochs: int = 30, seeds: int = 2, archs=tuple(ARCHS)) -> Cache:
    """The cache in `root` with one data set and a run of each architecture and seed."""
    cache = Cache(root)
    difficulty_N, labels_N, wrong_N = population(samples, classes)
    data_set(cache, difficulty_N, labels_N, wrong_N, classes, side)
    for arch in archs:
        for seed in range(seeds):
            run(cache, arch, seed, epochs, difficulty_N, wrong_N)
    return cache


def population(N: int, K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(difficulty, label, class that the picture shows) of each sample; 2 % show another class than their label says."""
    rng = np.random.Generator(np.random.Philox(11))
    share_K = 1 / np.arange(1, K + 1) ** 0.3  # some classes are larger
    labels_N = rng.choice(K, N, p=share_K / share_K.sum())
    labels_N[:K] = np.arange(K)
    shown_N = np.where(rng.random(N) < 0.02, (labels_N + rng.integers(1, K, N)) % K, labels_N)
    difficulty_N = rng.gamma(1.6, 0.9, N) + rng.normal(0, 0.35, K)[labels_N] + 4 * (shown_N != labels_N)
    return difficulty_N.astype(np.float32), labels_N, shown_N


def data_set(cache: Cache, difficulty_N: np.ndarray, labels_N: np.ndarray, shown_N: np.ndarray, K: int, side: int) -> None:
    N, home = len(labels_N), cache.dataset_home(NAME)
    home.mkdir(parents=True, exist_ok=True)
    keys = [f"{label:04d}/{i:08d}.png" for i, label in enumerate(labels_N.tolist())]
    with tempfile.TemporaryDirectory(dir=home.parent) as staged:
        hashes = _images(Path(staged) / "images.npy", difficulty_N, shown_N, K, side)
        info = {
            "name": NAME, "train": N, "test": 0, "H": side, "W": side, "C": 3, "class_names": [f"class {k:04d}" for k in range(K)],
            "fit": "whole", "size": side, "split": "none", "source": "bench.made_cache", "rejects": 0, "rejects_by_reason": {},
            **repeated(hashes, labels_N, N), "warnings": ["Made up for a measurement: no picture here was ever taken."],
            "thumbnails": False, "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        size_N, camera = np.full(N, side, np.int32), pa.table({"camera": pa.array(np.array(["north", "south", "yard"])[np.arange(N) % 3])})
        content = Content(
            keys=keys, hashes=hashes, labels=labels_N, train=N, width=size_N, height=size_N, columns=camera, rejects=[], info=info
        )
        settle(home, Path(staged), content)


def _images(path: Path, difficulty_N: np.ndarray, shown_N: np.ndarray, K: int, side: int) -> list[str]:
    """Writes images.npy, a chunk at a time; the hashes of the pictures."""
    rng = np.random.Generator(np.random.Philox(12))
    colour_K3 = rng.integers(40, 216, (K, 3)).astype(np.int16)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (len(shown_N), side, side, 3))
    hashes = []
    for first in range(0, len(shown_N), CHUNK):
        part = slice(first, min(first + CHUNK, len(shown_N)))
        noise = rng.integers(-64, 65, (part.stop - first, side, side, 3), np.int8)
        strength_n = np.clip(difficulty_N[part] / 6, 0.05, 1)[:, None, None, None]
        drawn = colour_K3[shown_N[part], None, None] + (noise * strength_n).astype(np.int16)
        images[part] = drawn.clip(0, 255)
        hashes += [image_hash(image) for image in images[part]]
    images.flush()
    return hashes


def run(cache: Cache, arch: str, seed: int, epochs: int, difficulty_N: np.ndarray, shown_N: np.ndarray) -> None:
    """One run with all its looks, its scores and its features."""
    dataset = open_dataset(cache, NAME)
    config = RunConfig(data=NAME, fingerprint=dataset.fingerprint, arch=arch, seed=seed, epochs=epochs)
    N, K, labels_N = dataset.N, dataset.K, dataset.labels_N
    number = list(ARCHS).index(arch)
    opinion_N = np.random.Generator(np.random.Philox([13, number])).standard_normal(N, np.float32) * 0.6
    rng = np.random.Generator(np.random.Philox([14, 100 * number + seed]))
    hard_N = difficulty_N + opinion_N + 0.5 * rng.standard_normal(N, np.float32)
    rival_N = np.where(shown_N != labels_N, shown_N, (labels_N + 1 + (np.arange(N) * 7) % (K - 1)) % K)
    made = {"made": "bench.made_cache"}
    with RunWriter.open(cache, config, np.arange(N), labels_N, np.ones(N, bool), K, made) as writer:
        for epoch in range(epochs):
            signals = _look(rng, ARCHS[arch], epoch / epochs, hard_N, labels_N, rival_N, K)
            accuracy = float((signals["prediction"][:, 0] == labels_N).mean())
            told = {"epoch": epoch + 1, "step": (epoch + 1) * (N // 128), "loss": float(signals["loss"].mean()), "accuracy": accuracy,
                    "test_accuracy": None, "seconds": 60.0, "images_per_second": N / 60, "clamped": 0}  # fmt: skip
            writer.commit(signals, [told])
        writer.write_scores()
        writer.write_features(_features(rng, shown_N, K, hard_N))
        writer.finish("done")


def _look(rng, speed: float, part: float, hard_N, labels_N, rival_N, K: int) -> dict[str, np.ndarray]:
    """What one epoch notes: (N, 1) each. The margin decides, the other signals follow from it."""
    margin_N = 1.7 * speed * np.log1p(25 * part) + 0.6 - hard_N + 0.8 * rng.standard_normal(len(hard_N), np.float32)
    any_N = rng.integers(0, K, len(hard_N), np.int32)
    missed_N = np.where((rng.random(len(hard_N), np.float32) < 0.6) | (any_N == labels_N), rival_N, any_N)
    loss_N = np.logaddexp(0, -margin_N)
    signals = {
        "prediction": np.where(margin_N > 0, labels_N, missed_N), "loss": loss_N, "margin": margin_N,
        "el2n": np.sqrt(2) * -np.expm1(-loss_N), "entropy": np.log(2) * np.exp(-np.abs(margin_N)),
    }  # fmt: skip
    return {name: values_N[:, None] for name, values_N in signals.items()}


def _features(rng, shown_N: np.ndarray, K: int, hard_N: np.ndarray) -> np.ndarray:
    centre_Kd = np.random.Generator(np.random.Philox(15)).standard_normal((K, FEATURES), np.float32)
    found_Nd = np.empty((len(shown_N), FEATURES), np.float16)
    for first in range(0, len(shown_N), CHUNK):
        part = slice(first, first + CHUNK)
        noise = rng.standard_normal((len(shown_N[part]), FEATURES), np.float32)
        found_Nd[part] = centre_Kd[shown_N[part]] + 0.3 * (1 + hard_N[part, None].clip(0)) * noise
    return found_Nd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="an empty folder")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    if options.cache.exists() and any(options.cache.iterdir()):
        raise SystemExit(f"{options.cache} is not empty: expected a new folder. Choose another with --cache.")
    started = time.monotonic()
    make(options.cache, options.samples, options.classes, options.side, epochs=options.epochs, seeds=options.seeds)
    size = sum(file.stat().st_size for file in options.cache.rglob("*") if file.is_file())
    print(f"{options.cache}: {options.samples:,} samples, {size / 1e9:.2f} GB, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
