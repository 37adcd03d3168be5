"""A small real cache without pictures: sentences that a Recorder noted, and a score made elsewhere."""

from pathlib import Path

import numpy as np

from learnability import Recorder
from learnability.store import imported
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache

N, LOOKS = 60, 5
HOSTILE = "<img src=x onerror=alert(1)> **bold** $x$ :material/bug_report:"


def reviews(root: Path) -> Cache:
    """Sixty sentences, two networks with two seeds each, the first sentence never learned; human_entropy for all but five."""
    labels = np.arange(N) % 3
    captions = [HOSTILE if i == 0 else f"sentence number {i} about {'abc'[i % 3]}, " + "and so on " * (i % 30) for i in range(N)]
    for name in ("bert", "lstm"):
        for seed in (0, 1):
            rng = np.random.default_rng([seed, len(name), ord(name[0])])
            recorder = Recorder("reviews", name, [f"r{i:02d}" for i in range(N)], labels, ["a", "b", "c"], LOOKS, seed, captions, root)
            for look in range(LOOKS):
                logits = rng.normal(0, 1, (N, 3)) + (0.6 * look) * np.eye(3)[labels]
                logits[0] = [-3, 2, 0]
                recorder.update(range(N), logits, labels)
                recorder.end_look()
    cache = Cache(root)
    score = np.where(np.arange(N) < 5, np.nan, np.linspace(0, 1, N))
    told = {"high_is": "hard", "sentence": "How much people disagreed."}
    imported.save(cache, open_dataset(cache, "reviews"), "human_entropy", np.arange(N), {imported.SCORE: score}, **told)
    return cache
