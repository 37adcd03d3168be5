"""curriculum: measure an order against its controls, show what came out, and write orders, weights and subsets for other loops."""

import argparse
import dataclasses
import math
import sys
import time

from learnability import experiments, jobs
from learnability.commands import architectures as own_architectures
from learnability.commands import curriculum_files
from learnability.commands.arguments import Bar, add_cluster, at_least_one, cache_of, command, device_of, print_json, table
from learnability.config import AUGMENTS, PRECISIONS, SCHEDULES, RunConfig, planted_name
from learnability.curriculum import ARMS, PACINGS, SeedMean
from learnability.errors import InputError
from learnability.experiments import Design, Launched, Proposal, Results
from learnability.experiments.design import RECIPE, design_from
from learnability.jobs import Estimate
from learnability.store.paths import Cache

POLL_S = 1.0
WAITS = ("queued", "running", "stalled", "stopping")


def add(commands) -> None:
    own = commands.add_parser("curriculum", help="Measure easy first against hard first, random and standard; export orders.")
    actions = own.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_run(actions)
    _add_show(actions)
    curriculum_files.add(actions)


def _add_run(actions) -> None:
    own = command(
        actions,
        "run",
        run,
        "Train the same network under four orders with equal updates, through the queue. The same command again starts nothing twice.",
        "  python -m learnability curriculum run --data digits --arch resnet20 --epochs 10 --wait\n"
        "  python -m learnability curriculum run --data cifar10 --arch resnet20 --seeds 5 --subset 10000\n"
        "  python -m learnability curriculum run --data cifar10 --arch resnet20 --label-noise 0.2 --pacing root,a=0.5,b=0.1\n"
        "The order rests on scores of other seeds than those evaluated; where there are none, two runs for them are trained first.\n"
        "A null result is the likeliest outcome, and a useful one: gains were seen with few updates, little data or noisy labels.",
    )
    defaults = RunConfig(data="x", fingerprint="0" * 64, arch="resnet20")
    own.add_argument("--data", required=True, metavar="NAME", help="a prepared data set with test samples")
    own.add_argument("--arch", default="resnet20", metavar="NAME", help="the network (default resnet20)")
    own.add_argument("--seeds", type=int, default=3, metavar="S", help="evaluated seeds of each arm, at least 3, better 5 (default 3)")
    own.add_argument("--first-seed", type=int, metavar="K", help="the first of them (default: the one after those of the scores)")
    own.add_argument("--arms", nargs="+", action="extend", choices=ARMS, metavar="ARM", help=f"some of {', '.join(ARMS)}; random always")
    order = own.add_argument_group("order")
    order.add_argument("--metric", default="learnability", metavar="METRIC", help="score that makes the order (default learnability)")
    order.add_argument("--easy-is", choices=("high", "low"), help="its easy end, for a metric without one of its own")
    order.add_argument("--scores", metavar="GROUP", help="group or run whose scores to take (default: this network's with most seeds)")
    order.add_argument("--score-seeds", type=int, default=2, metavar="S", help="runs trained for scores where there are none (default 2)")
    order.add_argument(
        "--no-balance", action="store_true", help="leave the classes as the scores have them, and in random as the shuffle does"
    )
    order.add_argument("--pacing", default="linear,a=0.8,b=0.2", metavar="NAME,a=..,b=..", help=f"one of {', '.join(PACINGS[:-3])} ...")
    recipe = own.add_argument_group("recipe", "the same in every arm, the learning rate too: it is not tuned for each")
    recipe.add_argument("--epochs", type=int, help=f"as many updates as so many epochs (default {defaults.epochs})")
    recipe.add_argument("--subset", type=int, metavar="N", help="train on N samples, the same share of every class")
    labels = recipe.add_mutually_exclusive_group()
    labels.add_argument("--labels", default="original", metavar="VERSION", help="label version (default original)")
    labels.add_argument("--label-noise", type=float, metavar="FRACTION", help="plant wrong labels in this share of the train samples")
    recipe.add_argument("--batch-size", type=int, metavar="B", help=f"default {defaults.batch_size}")
    recipe.add_argument("--lr", type=float, help="peak learning rate (default 0.1, VGG-16 0.05)")
    recipe.add_argument("--weight-decay", type=float, help=f"default {defaults.weight_decay}")
    recipe.add_argument("--schedule", choices=SCHEDULES, help="of the learning rate, by update (default cosine)")
    recipe.add_argument("--augment", choices=AUGMENTS, help="default crop-flip for colour, none for grey")
    recipe.add_argument("--precision", choices=PRECISIONS, help="default auto")
    recipe.add_argument("--deterministic", action="store_const", const=True, help="CUDA: the same bits at every run")
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    add_cluster(own)
    own.add_argument("--threads", type=at_least_one, help="CPU threads (default: all cores)")
    own.add_argument("--wait", action="store_true", help="stay until all runs are through, then show the result")
    own.add_argument("--json", action="store_true", help="for programs: which runs are new; with --wait the result")


def _add_show(actions) -> None:
    own = command(
        actions,
        "show",
        show,
        "Test accuracy of each arm, differences within a seed with their intervals, updates to an accuracy; also while it trains.",
        "  python -m learnability curriculum show --data digits\n"
        "  python -m learnability curriculum show --data digits --target 0.9 --json",
    )
    own.add_argument("--data", required=True, metavar="NAME", help="the data set")
    own.add_argument("--experiment", metavar="ID", help="default: the one launched last")
    own.add_argument("--all", action="store_true", help="list the experiments there are")
    own.add_argument("--target", type=float, metavar="A", help="test accuracy, 0..1, to measure time to (default 0.95 of standard's last)")
    own.add_argument("--json", action="store_true", help="for programs: everything, look by look")


def design_of(args: argparse.Namespace) -> Design:
    """What the arguments ask for; `experiments.background` writes them."""
    return design_from(
        args.pacing, {field: getattr(args, field) for field in RECIPE}, data=args.data, arch=args.arch, metric=args.metric,
        easy_is=args.easy_is, scores=args.scores, score_seeds=args.score_seeds, balance=not args.no_balance, arms=tuple(args.arms or ARMS),
        seeds=args.seeds, first_seed=args.first_seed, subset=args.subset,
        labels=planted_name(args.label_noise) if args.label_noise is not None else args.labels,
    )  # fmt: skip


def run(args) -> int:
    cache, device, design = cache_of(args), device_of(args), design_of(args)
    own_architectures.remember(cache, design.arch)
    proposal = experiments.propose(cache, design, device)
    launched = _launch(cache, proposal, args)
    if not args.wait:
        return _told(proposal, launched, args)
    while not (unfinished := _wait(cache, args.data, launched.all, quiet=args.json)):
        if proposal.complete:
            return _show(cache, args.data, proposal.id, None, args.json)
        proposal = experiments.propose(cache, design, device)  # the scores are there now
        launched = _launch(cache, proposal, args)
    return _ended(unfinished)


def show(args) -> int:
    cache = cache_of(args)
    cache.current(args.data)
    if args.target is not None and not 0 < args.target <= 1:
        raise InputError(f"--target {args.target:g}: expected a test accuracy above 0 and at most 1, for example 0.9 for 90 %.")
    if args.all:
        found = experiments.experiments(cache, args.data)
        rows = [
            {"experiment": one.id, "pacing": one.pacing, "epochs": one.config.epochs, "subset": one.config.subset,
             "labels": one.config.labels, "arms": ", ".join(one.runs), "seeds": ", ".join(map(str, one.seeds))}
            for one in found
        ]  # fmt: skip
        print_json(rows) if args.json else print(table(rows, list(rows[0])) if rows else "No experiment yet.")
        return 0
    return _show(cache, args.data, args.experiment, args.target, args.json)


def _launch(cache: Cache, proposal: Proposal, args: argparse.Namespace) -> Launched:
    """Says what it is and what it will cost, and launches."""
    launched = experiments.launch(cache, proposal, device_of(args), args.threads)
    if not args.json:
        print(proposal.said)
        if proposal.scores is not None:
            print(f"experiment {proposal.id}; scores: {proposal.scores.said}")
        for note in proposal.notes:
            print(f"note: {note}")
        print(f"runs: {launched.said}. {_cost(proposal.estimate)}")
    return launched


def _told(proposal: Proposal, launched: Launched, args: argparse.Namespace) -> int:
    if args.json:
        print_json({"experiment": proposal.id, **dataclasses.asdict(launched)})
    elif proposal.complete:
        print(f"They train in the background. Result so far: python -m learnability curriculum show --data {args.data}")
    else:
        print("They train in the background. When they are done, the same command launches the arms; --wait does both in one.")
    return 0


def _cost(estimate: Estimate) -> str:
    seconds = "time unknown" if estimate.seconds is None else f"about {estimate.seconds / 60:.0f} min one after the other"
    return f"To train: {estimate.runs}, {seconds}, {estimate.bytes / 1e6:.0f} MB on disk ({estimate.basis})." if estimate.runs else ""


def _wait(cache: Cache, data: str, run_ids: tuple[str, ...], quiet: bool) -> list[jobs.JobState]:
    """Until none of the runs is queued or at work; those that did not end well. Ctrl-C leaves them to the queue."""
    bar = None if quiet else Bar("training", "epoch")
    try:
        while True:
            states = [jobs.state(cache, data, run_id) for run_id in run_ids]
            if bar is not None:
                bar(
                    sum(one.looks for one in states), sum(one.epochs for one in states), finished=sum(one.state == "done" for one in states)
                )
            if not any(one.state in WAITS and not one.interrupted for one in states):
                return [one for one in states if one.state != "done"]
            time.sleep(POLL_S)
    finally:
        if bar is not None:
            bar.close()


def _ended(unfinished: list[jobs.JobState]) -> int:
    for one in unfinished:
        print(f"{one.name}: {one.state}{f', {one.reason}' if one.reason else ''}", file=sys.stderr)
    print("The same command goes on from where they stand.", file=sys.stderr)
    return 1


def _show(cache: Cache, data: str, id: str | None, target: float | None, as_json: bool) -> int:
    results = experiments.measured(cache, experiments.experiment(cache, data, id), target)
    if as_json:
        print_json(experiments.to_json(results))
    else:
        _print(results)
    return 0


def _print(results: Results) -> None:
    one, scores = results.experiment, results.scores
    labels = "" if one.config.labels == "original" else f", labels {one.config.labels}"
    classes = "" if one.balanced else ", classes not balanced"
    print(f"{one.id}: {one.config.arch} on {results.samples:,} samples of {one.config.data}{labels}, {one.pacing}{classes}")
    print(f"{results.step_E[-1]:,} updates in every arm, peak learning rate {one.config.peak_lr:g} in all of them")
    if scores:
        minutes = float(scores.get("score_seconds", "nan")) / 60
        print(f"order by {scores.get('score')} of {scores.get('of')}, seeds {scores.get('score_seeds')}: {minutes:.1f} min of training")
    target = "" if results.target is None else f"updates to {results.target:.1%}"
    rows = []
    for arm, own in results.arms.items():
        time = results.times.get(arm)
        reached = time and (_number(time.mean, ",.0f") if time.mean else time.standing)
        accuracy = own.last and _number(own.last, ".2f", 100)
        first, last = results.shown[arm]
        rows.append(
            {"arm": arm, "seeds done": f"{int(own.finished_S.sum())} of {len(own.seeds)}", "test accuracy, %": accuracy,
             target: reached, "shown, first tenth": f"{first:.1f}", "last tenth": f"{last:.1f}", "minutes": f"{own.seconds / 60:.1f}"}
        )  # fmt: skip
    print(table(rows, [name for name in rows[0] if name]))
    for contrast in results.contrasts:
        print(contrast.sentence)


def _number(found: SeedMean, spec: str, scale: float = 1) -> str:
    """A mean over seeds and, from two on, its interval: `90.30 +- 0.25`."""
    return f"{scale * found.mean:{spec}}" + ("" if math.isnan(found.half) else f" +- {scale * found.half:{spec}}")
