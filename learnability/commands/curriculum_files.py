"""curriculum order, weights, subset: a score as a file for a training loop of one's own."""

from pathlib import Path

import numpy as np

from learnability import curriculum, export
from learnability.commands.arguments import cache_of, command
from learnability.curriculum import ARMS, PRUNING_METHODS
from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.experiments.scores import Scores, candidates, load
from learnability.export import curricula
from learnability.metrics import METRICS
from learnability.store.datasets import open_dataset
from learnability.store.files import write_file
from learnability.store.paths import Cache
from learnability.store.runs import Run
from learnability.store.scores import load_run_scores


def add(actions) -> None:
    own = _parser(
        actions,
        "order",
        order,
        "Write the samples in the order in which they come into play.",
        "--arm easy_first --out order",
    )
    own.add_argument("--arm", choices=ARMS[:3], default="easy_first", help="easy_first, hard_first or random (default easy_first)")
    own.add_argument("--no-balance", action="store_true", help="leave the classes as the scores have them")
    own = _parser(
        actions, "weights", weights, "Write how often to draw each sample, and the weight that keeps the mean unbiased.", "--out weights"
    )
    own.add_argument("--alpha", type=float, default=1.0, help="how strongly difficulty counts; 0: not at all (default 1)")
    own.add_argument("--cap", type=float, default=10.0, help="drawn at most so many times as often as the easiest (default 10)")
    own = _parser(
        actions, "subset", subset, "Write a part of the samples, and a random part of the same size beside it.",
        "--method stratified --keep 0.5 --out subset",
    )  # fmt: skip
    own.add_argument("--method", choices=PRUNING_METHODS, default="stratified", help=f"{', '.join(PRUNING_METHODS)} (default stratified)")
    own.add_argument("--keep", type=float, required=True, metavar="SHARE", help="share of the samples to keep, for example 0.5")
    own.add_argument("--beta", type=float, default=0.0, help="stratified: share of the hardest left out before (default 0)")
    own.add_argument("--no-balance", action="store_true", help="do not give each class its share")


def _parser(actions, name: str, run, summary: str, example: str):
    own = command(actions, name, run, summary, f"  python -m learnability curriculum {name} --data digits {example}.parquet")
    own.add_argument("--data", required=True, metavar="NAME", help="the data set")
    own.add_argument("--metric", default="learnability", metavar="METRIC", help="the score (default learnability)")
    own.add_argument("--easy-is", choices=("high", "low"), help="its easy end, for a metric without one of its own")
    own.add_argument(
        "--scores", metavar="GROUP",
        help="group or run whose scores to take (default: on the original labels, of most samples the group with most seeds)",
    )  # fmt: skip
    own.add_argument("--seed", type=int, default=0, help="of ties and of random choices (default 0)")
    own.add_argument("--out", required=True, metavar="FILE", type=Path, help="a .parquet or .csv file, by key and hash")
    return own


def order(args) -> int:
    opened, scores, ids_n = _scored(args)
    made = curriculum.order(
        scores.score_n, _easy_end(args), args.arm, seed=args.seed, labels_N=opened.labels_N[ids_n], balance=not args.no_balance,
        never_learned_N=scores.never_n, sample_ids_N=ids_n,
    )  # fmt: skip
    _write(args.out, curricula.order_table(opened, made, _by_id(opened, scores, ids_n)))
    print(f"{args.out}: {len(made.in_play()):,} samples, {args.arm} by {args.metric} of {_said(opened, scores, ids_n)}")
    return 0


def weights(args) -> int:
    opened, scores, ids_n = _scored(args)
    if args.metric == "learnability":
        difficulty_n = 1 - scores.score_n
    else:
        score_n = scores.score_n if scores.never_n is None else np.where(scores.never_n, np.inf, scores.score_n)  # never learned is hardest
        difficulty_n = curriculum.rank_difficulty(score_n, _easy_end(args))
    found = curriculum.importance(difficulty_n, min(run.looks for run in scores.runs), args.alpha, args.cap)
    _write(args.out, curricula.weights_table(opened, ids_n, found))
    print(
        f"{args.out}: {len(ids_n):,} samples by {args.metric} of {_said(opened, scores, ids_n)}; the draw concentrates on "
        f"{found.in_play:,.0f} of them, "
        f"{found.effective_fraction:.0%} of a draw is effective"
    )
    if found.warning:
        print(f"warning: {found.warning}")
    return 0


def subset(args) -> int:
    opened, scores, ids_n = _scored(args)
    if not 0 < args.keep < 1:
        raise InputError(f"--keep {args.keep}: expected a share between 0 and 1, for example 0.5.")
    keep = max(1, round(args.keep * len(ids_n)))
    told = {
        "seed": args.seed, "labels_N": opened.labels_N[ids_n], "balance": not args.no_balance, "sample_ids_N": ids_n,
        "never_learned_N": scores.never_n,
    }  # fmt: skip
    kept = curriculum.prune(scores.score_n, _easy_end(args), keep, args.method, beta=args.beta, **told)
    score_of = _by_id(opened, scores, ids_n)
    _write(args.out, curricula.subset_table(opened, kept, score_of))
    print(f"{args.out}: {len(kept):,} of {len(ids_n):,} samples, {args.method} by {args.metric} of {_said(opened, scores, ids_n)}")
    if args.method != "random":
        beside = args.out.with_stem(f"{args.out.stem}-random")
        _write(beside, curricula.subset_table(opened, curriculum.prune(scores.score_n, _easy_end(args), keep, "random", **told), score_of))
        print(f"{beside}: as many at random, the line to beat at equal updates")
    if warning := curriculum.pruning_warning(args.method, keep, len(ids_n)):
        print(f"warning: {warning}")
    return 0


def _scored(args) -> tuple[Dataset, Scores, np.ndarray]:
    """(data set with the labels of the scores, the scores, their sample ids)."""
    cache = cache_of(args)
    if args.metric not in METRICS:
        raise InputError(f"metric {args.metric!r}: expected one of {', '.join(METRICS)}.")
    id, runs = _chosen(cache, args)
    config = runs[0].config
    opened = open_dataset(cache, args.data, config.fingerprint[:8], config.labels)
    held = _ids(cache, runs)
    ids_n = held[opened.labels_N[held] >= 0]
    return opened, load(cache, id, runs, args.metric, ids_n), ids_n


def _ids(cache: Cache, runs: list[Run]) -> np.ndarray:
    """Sample ids that every one of these runs has a score for."""
    found = [load_run_scores(cache, run.data, run.id, ["sample_id"])[0]["sample_id"].to_numpy() for run in runs]
    ids_n = found[0]
    for more in found[1:]:
        ids_n = np.intersect1d(ids_n, more)
    return ids_n


def _chosen(cache: Cache, args) -> tuple[str, list[Run]]:
    groups = candidates(cache, args.data, open_dataset(cache, args.data).fingerprint)
    if not groups:
        raise InputError(
            f"data set {args.data!r} has no finished run to take scores from. Train first: "
            f"python -m learnability train --data {args.data} --arch resnet20"
        )
    if args.scores is None:
        own = {id: runs for id, runs in groups.items() if runs[0].config.labels == "original"}
        if not own:
            raise InputError(
                f"data set {args.data!r} has no finished run on its original labels. Train one, or name another by --scores: "
                f"{', '.join(groups)}."
            )
        whole = {id: runs for id, runs in own.items() if runs[0].config.subset is None} or own
        most = max(runs[0].head.rows for runs in whole.values())  # an import may hold a part, too
        id = max((id for id in whole if whole[id][0].head.rows == most), key=lambda id: (len(own[id]), own[id][0].looks, id))
        return id, own[id]
    runs = groups.get(args.scores) or [run for own in groups.values() for run in own if run.id == args.scores]
    if not runs:
        raise InputError(f"--scores {args.scores!r}: expected a group or run of {', '.join(groups)}.")
    return args.scores, runs


def _said(opened: Dataset, scores: Scores, ids_n: np.ndarray) -> str:
    """Whose scores they are, and of what, where that is not the whole data set as it is labelled."""
    config = scores.runs[0].config
    labels = "" if config.labels == "original" else f", labels {config.labels}"
    part = "" if len(ids_n) == opened.N else f", {len(ids_n):,} of {opened.N:,} train samples"
    return f"{scores.said}{labels}{part}"


def _easy_end(args) -> str:
    end = args.easy_is or METRICS[args.metric].easy_is
    if end == "neither":
        raise InputError(f"metric {args.metric!r} has no easy end of its own: expected --easy-is high or --easy-is low.")
    return end


def _by_id(opened: Dataset, scores: Scores, ids_n: np.ndarray) -> np.ndarray:
    score_of = np.full(opened.N, np.nan)
    score_of[ids_n] = scores.score_n
    return score_of


def _write(out: Path, table) -> None:
    kind = out.suffix.removeprefix(".")
    if kind not in export.FORMATS:
        raise InputError(f"--out {out}: expected a name that ends in .parquet or .csv.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.absolute().parent} does not exist. Make it first.")
    write_file(out.absolute(), export.table_file(table, kind))
