"""export: corrected labels, a corrected image folder, scores with the source's own columns."""

import dataclasses
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from learnability import export, review
from learnability.commands.arguments import Bar, cache_of, command, print_json
from learnability.datasets import Dataset
from learnability.errors import InputError
from learnability.metrics import FIRST, METRICS
from learnability.prepare.choice import FITS, Plan
from learnability.prepare.pool import Pool
from learnability.store.datasets import open_dataset
from learnability.store.files import write_file
from learnability.store.identity import identities
from learnability.store.runs import load_runs
from learnability.store.scores import load_scores

ELSEWHERE = ("huggingface", "fiftyone", "cleanlab")
OF = {  # which exports an option is for
    "labels": ("labels", "folder"),
    "changed": ("labels",),
    "images": ("folder",),
    "copy": ("folder",),
    "metric": ("scores", "huggingface", "fiftyone"),
    "arch": ("cleanlab",),
    "recipe": ("scores", *ELSEWHERE),
}
FIFTYONE = 'Next: fiftyone.Dataset.from_dir("{}", dataset_type=fiftyone.types.FiftyOneImageClassificationDataset)'


def add(commands) -> None:
    own = command(
        commands,
        "export",
        run,
        "Write what leaves the cache: corrected labels, a corrected image folder, scores, or what other tools read.",
        "  python -m learnability export labels --data digits --out corrected.csv\n"
        "  python -m learnability export labels --data digits --changed --out changes.parquet\n"
        "  python -m learnability export folder --data photos --out photos-corrected\n"
        "  python -m learnability export scores --data photos --metric learnability suspicion --out scores.parquet\n"
        "  python -m learnability export huggingface --data photos --out photos-scored\n"
        "  python -m learnability export fiftyone --data photos --out photos-fiftyone\n"
        "  python -m learnability export cleanlab --data photos --arch resnet20 --out photos-cleanlab\n"
        "cleanlab needs runs with --folds: their held-out probabilities, and the labels.\n"
        "In CSV a cell that begins with = + - @ gets a leading apostrophe; Parquet is exact.\n"
        "A corrected folder holds hard links to the source's own files where it can: do not edit its images in place, or use --copy.",
    )
    own.add_argument("what", choices=("labels", "folder", "scores", *ELSEWHERE), help="what to write")
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--out", metavar="PATH", type=Path, required=True, help="labels, scores: a .parquet or .csv file; else a new folder")
    own.add_argument("--labels", metavar="VERSION", help="labels, folder: a label version (default: what the review says now)")
    own.add_argument("--changed", action="store_true", help="labels: only samples with a verdict, a tag or another label")
    own.add_argument("--images", metavar="FOLDER", type=Path, help="folder: where the source's images lie now, if they were moved")
    own.add_argument("--copy", action="store_true", help="folder: copies instead of hard links")
    own.add_argument("--metric", nargs="+", action="extend", metavar="METRIC", help=f"for scores: some of {', '.join(METRICS)}")
    own.add_argument("--arch", metavar="NAME", help="cleanlab: whose held-out probabilities (default: those of the newest runs with folds)")
    own.add_argument("--recipe", metavar="KEY", help="for scores: recipe key, or all (default: the newest with scores)")
    own.add_argument("--json", action="store_true", help="for programs: what was written")


def run(args) -> int:
    cache = cache_of(args)
    for option, kinds in OF.items():
        if getattr(args, option) and args.what not in kinds:
            raise InputError(f"--{option} with export {args.what}: expected with {', '.join(kinds)} alone. Leave it out.")
    if args.what in ELSEWHERE:
        return _elsewhere(args, cache)
    original = open_dataset(cache, args.data)
    if args.what == "scores":
        found = {metric: load_scores(cache, args.data, metric, args.recipe) for metric in dict.fromkeys(args.metric or FIRST)}
        runs = [run for table in found.values() for run in table.runs.values()]
        config = runs[0].config
        return _written(args, export.scores_table(open_dataset(cache, args.data, config.fingerprint[:8], config.labels), found))
    labels, class_names, decisions = _corrected(args, cache, original)
    if args.what == "labels":
        table = export.corrected_labels(original, labels, class_names, decisions)
        return _written(args, table.filter(_touched(table)) if args.changed else table)
    return _folder(args, original, labels, class_names)


def _elsewhere(args, cache) -> int:
    if args.what == "cleanlab":
        return _cleanlab(args, cache)
    found = {metric: load_scores(cache, args.data, metric, args.recipe) for metric in dict.fromkeys(args.metric or FIRST)}
    config = next(run.config for table in found.values() for run in table.runs.values())
    dataset = open_dataset(cache, args.data, config.fingerprint[:8], config.labels)
    write = {"huggingface": export.hugging_face, "fiftyone": export.fiftyone}[args.what]
    scores, bar = export.score_columns(found, dataset.N), Bar(f"export {args.what}", "sample")
    try:
        written = write(dataset, scores, args.out, bar)
    finally:
        bar.close()
    if args.json:
        print_json({"folder": str(args.out), "samples": written, "scores": list(scores)})
        return 0
    print(f"{args.out}: {written:,} samples with {', '.join(scores)}")
    print({"huggingface": f'Next: datasets.load_dataset("{args.out}")', "fiftyone": FIFTYONE.format(args.out)}[args.what])
    return 0


def _cleanlab(args, cache) -> int:
    runs = [run for run in load_runs(cache, args.data) if run.config and run.config.folds and run.state == "done" and not run.problem]
    runs = [run for run in runs if args.recipe in (None, run.recipe) and args.arch in (None, run.config.arch)]
    if args.arch is not None and not runs:
        recipe = f" of recipe {args.recipe}" if args.recipe else ""
        raise InputError(
            f"--arch {args.arch}: expected an architecture with finished runs with folds{recipe}. "
            f"Train them: python -m learnability train --data {args.data} --arch {args.arch} --folds 5"
        )
    newest = max(runs, key=lambda run: (cache.run_folder(run.data, run.id) / "config.json").stat().st_mtime_ns, default=None)
    runs = [run for run in runs if run.group == newest.group]
    labels = newest.config.labels if newest else "original"
    dataset = open_dataset(cache, args.data, newest and newest.config.fingerprint[:8], labels)
    count, left_out = export.cleanlab(cache, dataset, runs, args.out)
    if args.json:
        print_json({"folder": str(args.out), "samples": count, "left_out": left_out, "runs": [run.id for run in runs]})
        return 0
    print(f"{args.out}: held-out probabilities of {count:,} samples, the mean of {len(runs)} runs of {newest.group}")
    if left_out:
        print(f"left out: {left_out:,} samples that no finished fold has held out")
    print('Next: cleanlab.filter.find_label_issues(np.load("labels.npy"), np.load("pred_probs.npy"))')
    return 0


def _corrected(args, cache, original: Dataset) -> tuple[np.ndarray, tuple[str, ...], pa.Table]:
    resolved = review.resolve(review.state(review.read_log(cache, args.data)), identities(original))
    if args.labels is None:
        return *review.reviewed_labels(resolved, original), resolved.to_arrow()
    version = open_dataset(cache, args.data, None, args.labels)
    return np.concatenate([version.labels_N, version.test_labels_T]), tuple(version.class_names), resolved.to_arrow()


def _touched(table: pa.Table) -> pa.Array:
    same = pc.fill_null(pc.equal(table["old_label"], table["new_label"]), False)
    return pc.or_(
        pc.invert(same), pc.or_(pc.is_valid(table["verdict"]), pc.fill_null(pc.greater(pc.list_value_length(table["tags"]), 0), False))
    )


def _written(args, table: pa.Table) -> int:
    kind, out = args.out.suffix.removeprefix("."), args.out.absolute()
    if kind not in export.FORMATS:
        raise InputError(f"--out {args.out}: expected a name that ends in .parquet or .csv.")
    if not out.parent.is_dir():
        raise InputError(f"--out {args.out}: the folder {out.parent} does not exist. Make it first.")
    write_file(out, export.table_file(table, kind))
    if args.json:
        print_json({"file": str(out), "rows": table.num_rows, "columns": table.column_names})
    else:
        print(f"{args.out}: {table.num_rows:,} samples; {', '.join(table.column_names)}")
    return 0


def _folder(args, original: Dataset, labels: np.ndarray, class_names: tuple[str, ...]) -> int:
    if args.images is not None and not args.images.is_dir():
        raise InputError(f"--images {args.images}: expected the folder that the data set was prepared from, got none there.")
    bar = Bar("export", "image")
    try:
        own = {"originals": export.Originals(original, args.images), "hashes_of": _hashes_of(original.info)}
        done = export.corrected_folder(original, labels, class_names, args.out, **own, copy=args.copy, progress=bar)
    finally:
        bar.close()
    if args.json:
        print_json(dataclasses.asdict(done))
        return 0
    made = ", ".join(f"{count:,} {kind}" for kind, count in done.made.items() if count)
    print(f"{done.images}: {done.files:,} images ({made}), {done.dropped:,} dropped; what stands where: {done.folder / 'manifest.csv'}")
    if done.missing or done.changed:
        print(f"{done.missing:,} source files are gone and {done.changed:,} have changed since: those were written from the cache.")
    for warning in done.warnings:
        print(f"note: {warning}")
    fit = original.info["fit"] if original.info["fit"] in FITS else "crop"
    place = shlex.quote(f"folder:{done.images}")
    print(f"Next: python -m learnability prepare {place} --name {args.data[:54]}-corrected --size {original.H} --fit {fit}")
    return 0


def _hashes_of(info: dict):
    """paths -> the hash that each file would be prepared with; None for one that would be rejected."""
    plan = Plan(size=info["size"], fit=info["fit"], channels=info["C"], thumbnails=bool(info["thumbnails"]))

    def hashes(paths: Iterable[str]) -> Iterator[str | None]:
        with Pool() as pool:
            for answer, _ in pool.map({**plan.job(), "thumbnails": False}, paths):
                yield answer.get("hash")

    return hashes
