"""audit: how well the scores find wrong labels here, and what share of the labels is wrong."""

import shlex
import sys
import time

from learnability import jobs, review
from learnability.commands.arguments import Bar, cache_of, command, print_json, table, user
from learnability.config import RunConfig
from learnability.errors import InputError, TrainingError
from learnability.metrics import METRICS
from learnability.review import planted_audit, random_audit
from learnability.store.datasets import open_dataset
from learnability.store.identity import identities
from learnability.store.paths import Cache
from learnability.store.runs import load_runs
from learnability.store.scores import is_trial, recipes


def add(commands) -> None:
    own = command(
        commands,
        "audit",
        run,
        "Plant wrong labels in a run of its own and count how many of them each score finds; or draw samples at random to be judged.",
        "  python -m learnability audit --data digits\n"
        "  python -m learnability audit --data digits --arch vgg16 --fraction 0.05 --folds 5\n"
        "  python -m learnability audit --data digits --draw\n"
        "The planted run is trained like the newest one on the data set's own labels, in the background; Ctrl-C leaves it there. Its\n"
        "scores are never mixed with real ones. Judge what is drawn in the dashboard, or with the command review.",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--fraction", type=float, default=planted_audit.FRACTION, help="share of labels to plant wrong (default 0.02)")
    own.add_argument("--arch", metavar="NAME", help="architecture (default: the one with most runs)")
    own.add_argument("--recipe", metavar="KEY", help="train as in this recipe (default: the newest on labels that were not planted)")
    own.add_argument("--seeds", type=int, default=1, metavar="S", help="seeds (default 1)")
    own.add_argument("--folds", type=int, metavar="F", help="held-out scores too: F more runs a seed, each on the samples of the others")
    own.add_argument("--least", type=float, default=planted_audit.LEAST, metavar="X", help="stop where the last 100 held fewer (default 5)")
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    own.add_argument("--queue", action="store_true", help="put the runs into the queue and return; the same command shows the result")
    own.add_argument("--draw", type=int, nargs="?", const=random_audit.COUNT, metavar="N", help="instead: draw N samples (default 100)")
    own.add_argument("--json", action="store_true", help="for programs: every number, the curves included")


def run(args) -> int:
    cache = cache_of(args)
    if args.draw is not None:
        return _draw(args, cache)
    base = _base(args, cache)
    configs = planted_audit.planted_configs(base, args.fraction, args.seeds)
    if args.folds is not None:
        configs += planted_audit.planted_configs(base, args.fraction, args.seeds, args.folds)
    planted_audit.check_planted(open_dataset(cache, args.data, base.fingerprint[:8]), configs[0])
    missing = [config for config in configs if not _is_done(cache, config)]
    if missing:
        jobs.launch(cache, missing, args.device)
        _resumed(cache, missing, args.device)
        print(f"{len(missing)} run(s) on planted labels in the queue", file=sys.stderr)
        if args.queue:
            return 0
        _await(cache, missing)
    groups = dict.fromkeys(config.group_id for config in configs) | _held_out_of(cache, configs[0])
    audits = [planted_audit.planted_audit(cache, args.data, group) for group in groups]
    return _tell(args, [made for made in audits if made.planted])


def _base(args, cache: Cache) -> RunConfig:
    """The run whose recipe is tried: of the newest recipe on real labels, of the architecture with most runs."""
    cache.current(args.data)
    found = [run for run in load_runs(cache, args.data) if run.config and run.looks and not run.problem and run.config.folds is None]
    found = [run for run in found if not is_trial(run.config) and run.config.origin is None]  # others cannot be trained here
    wanted = args.recipe or next((key for key in recipes(cache, args.data) if any(run.recipe == key for run in found)), None)
    usable = [run for run in found if run.recipe == wanted and args.arch in (None, run.config.arch)]
    if not usable:
        there = ", ".join(sorted({run.group for run in found})) or "none"
        wanted = f"{args.arch or 'any architecture'}{f' of recipe {args.recipe}' if args.recipe else ''}"
        raise InputError(
            f"no run of {wanted} on the labels of {args.data!r} to plant errors beside; trained here: {there}. "
            f"Train first: python -m learnability train --data {args.data} --arch {args.arch or 'resnet20'}"
        )
    return min(usable, key=lambda run: (-sum(other.group == run.group for other in usable), run.group, run.config.seed)).config


def _held_out_of(cache: Cache, config: RunConfig) -> dict[str, None]:
    """Held-out groups on the same labels and architecture that are there already."""
    groups = planted_audit.planted_groups(cache, config.data)
    same = {group: runs[0].config for group, runs in groups.items()}
    return {group: None for group, one in same.items() if one.folds and (one.labels, one.arch) == (config.labels, config.arch)}


def _is_done(cache: Cache, config: RunConfig) -> bool:
    return config.run_id in cache.run_ids(config.data) and jobs.state(cache, config.data, config.run_id).state == "done"


def _resumed(cache: Cache, configs: list[RunConfig], device: str) -> None:
    """What ended early goes on."""
    for config in configs:
        if "resume" in jobs.state(cache, config.data, config.run_id).actions:
            jobs.resume(cache, config.data, config.run_id, None if device == "auto" else device)


def _await(cache: Cache, configs: list[RunConfig]) -> None:
    """Shows how far they are until all are done; TrainingError where one ends otherwise."""
    total, bar = sum(config.epochs for config in configs), Bar("planted", "epoch")
    try:
        while True:
            states = [jobs.state(cache, config.data, config.run_id) for config in configs]
            bar(sum(state.looks for state in states), total)
            if all(state.state == "done" for state in states):
                return
            if bad := next((state for state in states if state.state in ("failed", "crashed", "stopped", "damaged")), None):
                raise TrainingError(f"{bad.name} {bad.state}: {bad.reason}. Go on: the same command again")
            time.sleep(1.0)
    finally:
        bar.close()


def _tell(args, audits: list[planted_audit.PlantedAudit]) -> int:
    if args.json:
        print_json([_as_dict(made, args.least) for made in audits])
        return 0
    for made in audits:
        print(f"\n{made.group}, {made.config.labels}: {made.planted} of {made.n:,} labels planted wrong. {made.told}")
        rows = [_row(made, one, args.least) for one in made.by_auroc]
        print(table(rows, list(rows[0])))
        stop = planted_audit.how_far(made.curves[made.first].found, least=args.least)
        print(planted_audit.how_far_told(made, made.first, stop))
    print("Errors that the labels had before stand among the first too, so in your own data a review finds more than the planted ones.")
    return 0


def _row(made: planted_audit.PlantedAudit, one: planted_audit.Curve, least: float) -> dict:
    stop, too_few = planted_audit.how_far(one.found, least=least), made.too_few(least)
    return {
        "score": METRICS[one.metric].label,
        "AUROC": f"{one.auroc:.3f}",
        f"in the first {made.planted}": f"{100 * one.share(made.planted):.0f} %",
        f"in the first {5 * made.planted}": f"{100 * one.share(5 * made.planted):.0f} %",
        "stop after": "unknown" if too_few else stop.reviewed if stop.reached else "never",
        "found by then": "unknown" if too_few else f"{stop.found:.1f}",
    }


def _as_dict(made: planted_audit.PlantedAudit, least: float) -> dict:
    return {
        "group": made.group,
        "labels": made.config.labels,
        "held_out": made.held_out,
        "seeds": made.seeds,
        "looks": made.looks,
        "samples": made.n,
        "planted": made.planted,
        "metrics": {
            one.metric: {
                "auroc": one.auroc,
                "stop": None if made.too_few(least) else planted_audit.how_far(one.found, least=least).reviewed,
                "found": one.found.tolist(),
            }
            for one in made.by_auroc
        },
    }


def _draw(args, cache: Cache) -> int:
    """Draws, or says how the draw before stands while it is not judged to its end."""
    original = open_dataset(cache, args.data)
    made = random_audit.random_audit(review.read_log(cache, args.data), original)
    if made is None or made.whole:
        for line in random_audit.told(made) if made else ():
            print(line, file=sys.stderr)
        random_audit.draw_random_audit(cache, args.data, by=user(), count=args.draw)
        made = random_audit.random_audit(review.read_log(cache, args.data), original)
    keys = [key for key, _ in identities(original).samples(made.sample_ids[made.judged :])]
    if args.json:
        print_json({"number": made.number, "judged": made.judged, "errors": made.errors, "unsure": made.unsure, "keys": keys})
        return 0
    print("\n".join(random_audit.told(made)))
    print(f"To be judged, in this order:\n{shlex.join(keys)}")
    return 0
