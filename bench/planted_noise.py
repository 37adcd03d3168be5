"""Do the scores find wrong labels? AUROC of every metric for the samples whose labels were planted wrong.

    python -m learnability train --data cifar10 --arch resnet20 --epochs 15 --label-noise 0.05
    python -m bench.planted_noise --data cifar10

One row a metric, one column a run with planted labels. 0.5 is chance; the hard end of a metric counts as suspicious.
"""

import argparse

import numpy as np
from sklearn.metrics import roc_auc_score

from learnability.config import planted
from learnability.metrics import METRICS
from learnability.store.datasets import open_dataset
from learnability.store.paths import Cache
from learnability.store.runs import load_runs
from learnability.store.scores import load_run_scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="data set with runs on planted labels")
    parser.add_argument("--cache", help="the cache folder")
    args = parser.parse_args()
    cache = Cache.at(args.cache)
    runs = [run for run in load_runs(cache, args.data) if run.looks and not run.problem and planted(run.config.labels)]
    if not runs:
        raise SystemExit(f"{args.data} has no run on planted labels: train one with --label-noise 0.05")
    columns = {}
    for run in runs:
        original = open_dataset(cache, args.data, run.config.fingerprint[:8])
        changed_N = open_dataset(cache, args.data, run.config.fingerprint[:8], run.config.labels).labels_N != original.labels_N
        table, looks = load_run_scores(cache, args.data, run.id)
        wrong_n = changed_N[table["sample_id"].to_numpy()]
        found = {name: auroc(table[name].to_numpy(zero_copy_only=False), wrong_n, METRICS[name].easy_is) for name in METRICS}
        columns[f"{run.label}, {run.config.labels}, {looks} epochs, {wrong_n.sum()} of {len(wrong_n)} wrong"] = found
    print("| metric | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name in METRICS:
        if METRICS[name].easy_is in ("high", "low"):
            print(f"| {name} | " + " | ".join(f"{found[name]:.3f}" for found in columns.values()) + " |")


def auroc(score_n: np.ndarray, wrong_n: np.ndarray, easy_is: str) -> float:
    """Area under the ROC curve of "hard" as a sign of "wrong"; NaN for a metric without an easy end."""
    if easy_is not in ("high", "low"):
        return float("nan")
    return float(roc_auc_score(wrong_n, -score_n.astype(float) if easy_is == "high" else score_n.astype(float)))


if __name__ == "__main__":
    main()
