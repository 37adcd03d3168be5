"""train: every architecture x seed, one after the other, in the foreground."""

import contextlib
import os
import signal
import sys
import threading

from learnability import jobs
from learnability.commands import architectures as own_architectures
from learnability.commands import several
from learnability.commands.arguments import Bar, add_cluster, at_least_one, cache_of, command, device_of, print_json
from learnability.config import AUGMENTS, HEADS, PRECISIONS, RECORD_MODES, SCHEDULES, RunConfig, planted_name, side_by_side, study
from learnability.errors import ConfigError, TrainingError
from learnability.store.datasets import ensure_labels, open_dataset
from learnability.store.features import declare, feature_sets
from learnability.store.runs import load_run

ARCH = (
    "resnet20, vgg16, mobilenet; torchvision:NAME, timm:NAME, package.module:function or a registered name; with --start: "
    + " or ".join(HEADS)
)


def add(commands) -> None:
    own = command(
        commands,
        "train",
        run,
        "Train every architecture with every seed and record each sample at every epoch. Ctrl-C stops cleanly; the same command goes on.",
        "  python -m learnability train --data digits --arch resnet20 vgg16 mobilenet --epochs 10\n"
        "  python -m learnability train --data cifar10 --arch resnet20 --seeds 3 --subset 10000\n"
        "  python -m learnability train --data cifar10 --arch resnet20 --label-noise 0.05\n"
        "  python -m learnability train --data cifar10 --arch resnet20 vgg16 --seeds 3 --queue\n"
        "  python -m learnability train --data cifar10 --arch resnet20 --seeds 20 --queue --cluster 10.0.0.1:6379\n"
        "  python -m learnability train --data photos --arch timm:convnext_atto --lr 0.02\n"
        "  python -m learnability train --data photos --arch torchvision:resnet50 --batch-size 1024 --devices 8\n"
        "  python -m learnability train --data photos --arch linear --start timm:resnet10t --seeds 10\n"
        "A finished run is not repeated; --first-seed 3 --seeds 2 trains seeds 3 and 4.",
    )
    defaults = RunConfig(data="x", fingerprint="0" * 64, arch="resnet20")
    own.add_argument("--data", required=True, metavar="NAME", help="a prepared data set")
    own.add_argument("--arch", required=True, nargs="+", action="extend", metavar="NAME", help=ARCH)
    own.add_argument("--seeds", type=int, default=1, metavar="S", help="how many seeds of each architecture (default 1)")
    own.add_argument("--first-seed", type=int, default=0, metavar="K", help="the first of them (default 0)")
    recipe = own.add_argument_group("recipe", "what the scores depend on; runs with another recipe form another group")
    recipe.add_argument("--epochs", type=int, default=defaults.epochs, help=f"epochs, one look each (default {defaults.epochs})")
    recipe.add_argument("--subset", type=int, metavar="N", help="train on N samples, the same share of every class")
    recipe.add_argument(
        "--start",
        metavar="WEIGHTS",
        help="a frozen backbone, FILE.safetensors or timm:NAME, or the name of features made before: heads train on its features",
    )
    recipe.add_argument(
        "--record", choices=RECORD_MODES, default="train", help="note samples in the update's own pass, or in a pass after each epoch"
    )
    labels = recipe.add_mutually_exclusive_group()
    labels.add_argument("--labels", default="original", metavar="VERSION", help="label version (default original)")
    labels.add_argument("--label-noise", type=float, metavar="FRACTION", help="plant wrong labels in this share of the train samples")
    recipe.add_argument("--precision", choices=PRECISIONS, default="auto", help="auto measures once what is fastest here (default auto)")
    recipe.add_argument("--deterministic", action="store_true", help="CUDA: the same bits at every run; the CPU always is")
    recipe.add_argument("--augment", choices=AUGMENTS, default="auto", help="default crop-flip for colour, none for grey")
    recipe.add_argument("--batch-size", type=int, default=defaults.batch_size, metavar="B", help=f"default {defaults.batch_size}")
    recipe.add_argument("--lr", type=float, help="peak learning rate (default 0.1, VGG-16 0.05)")
    recipe.add_argument("--weight-decay", type=float, default=defaults.weight_decay, help=f"default {defaults.weight_decay}")
    recipe.add_argument(
        "--schedule", choices=SCHEDULES, default="cosine", help="of the learning rate, after a 10 %% warm-up (default cosine)"
    )
    recipe.add_argument(
        "--folds",
        type=int,
        metavar="F",
        help="hold out each F-th of the samples in turn: F runs a seed, scores from networks that never saw the label",
    )
    recipe.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="D",
        help="one run over D GPUs, or D processes on the CPU (default 1): each takes its share of every batch, batch norm sees that alone",
    )
    own.add_argument("--backbone", metavar="ARCH", help="of which architecture FILE.safetensors is, where the file does not say")
    own.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)")
    add_cluster(own)
    own.add_argument("--threads", type=at_least_one, help="CPU threads (default: all cores; side by side each run its share)")
    own.add_argument("--eager", action="store_true", help="nothing compiled, no CUDA graphs: the reference to check against")
    own.add_argument("--together", type=int, default=1, metavar="R", help="runs side by side (default 1), which share a GPU or the cores")
    own.add_argument("--restart", action="store_true", help="begin again from epoch 0 where a checkpoint is damaged")
    own.add_argument("--queue", action="store_true", help="put the runs into the queue and return: they train in the background")
    own.add_argument("--tracker", choices=("tensorboard", "mlflow"), help="tell every epoch's scalars to it too (not with --queue)")
    own.add_argument("--json", action="store_true", help="for programs: the state of each run at the end; with --queue, which are new")


def run(args) -> int:
    if args.together < 1:
        raise ConfigError(f"--together {args.together}: expected at least 1.")
    if args.queue and args.tracker:
        raise ConfigError("--tracker with --queue: expected one of them. Train in the foreground, or see the runs page.")
    if args.cluster and not args.queue:
        raise ConfigError(f"--cluster {args.cluster} without --queue: expected both. Runs reach a cluster through the queue.")
    if args.devices < 1:
        raise ConfigError(f"--devices {args.devices}: expected at least 1.")
    if args.devices > 1 and args.together > 1:
        raise ConfigError(f"--devices {args.devices} with --together {args.together}: expected one of them above 1.")
    if args.queue:
        return _queue(args)
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as in the queue: cuda:1 is one device for both
    if args.devices > 1 and (code := several.start(args.devices, args.device, args.arguments)) is not None:
        return code
    from learnability.integrations.trackers import Tracker
    from learnability.pictures import Originals
    from learnability.training.run import train, train_together
    from learnability.training.stopping import Stop

    cache, stop = cache_of(args), Stop()
    ranks = several.joined(args.devices, args.device)
    given = {"device": args.device, "threads": args.threads, "restart": args.restart, "eager": args.eager, "pictures": Originals}
    if ranks is not None and not ranks.first:
        return several.follow(ranks, cache, stop=stop, **given)
    configs, outcomes = configs_of(args, cache), []
    configs = side_by_side(configs) if args.together > 1 else configs
    tracker = Tracker(args.tracker, cache) if args.tracker else None
    with several.leading(ranks, cache, args.device), contextlib.closing(tracker) if tracker else contextlib.nullcontext():
        for first in range(0, len(configs), args.together):
            part = [config for config in configs[first : first + args.together] if not _done_before(cache, config, outcomes)]
            place = f"[{first + len(part)}/{len(configs)}]"
            if len(part) > 1:
                print(f"{place} side by side: {', '.join(config.run_id for config in part)}", file=sys.stderr)
                with _one_bar(place, len(part)) as progress:
                    heads = train_together(part, cache, stop=stop, progress=progress, **given)
            else:
                for config in part:
                    several.lead(ranks, config)
                heads = [_with_bar(train, config, place, tracker, cache=cache, stop=stop, **given) for config in part]
            for config, head in zip(part, heads, strict=True):
                if tracker is not None:
                    tracker.follow(config)
                if isinstance(head, BaseException):
                    raise head
                if head.state == "failed":
                    raise TrainingError(f"{config.run_id}: {head.reason}")
            outcomes += [_outcome(load_run(cache, config.data, config.run_id)) for config in part]
            if stopped := [head for head in heads if head.state == "stopped"]:
                looks, epochs = stopped[0].looks, stopped[0].epochs
                print(f"stopped after {looks} of {epochs} looks; the same command goes on from there", file=sys.stderr)
                break
    return _report(args, outcomes, stop.signal)


def _done_before(cache, config: RunConfig, outcomes: list[dict]) -> bool:
    """Whether a run is done already; then it is told and noted. One that is not there yet is made once its network stands."""
    if config.run_id not in cache.run_ids(config.data):
        return False
    before = load_run(cache, config.data, config.run_id)
    if before.state != "done":
        return False
    outcomes.append(_outcome(before, repeated=False))
    print(f"{config.run_id} is done: {before.looks} looks", file=sys.stderr)
    return True


def _with_bar(train, config: RunConfig, place: str, tracker, **given):
    bar = Bar(f"{place} {config.run_id}", "image")

    def progress(*done, **shown) -> None:
        bar(*done, **shown)
        if tracker is not None:
            tracker.follow(config)

    try:
        return train(config, progress=progress, **given)
    finally:
        bar.close()


@contextlib.contextmanager
def _one_bar(place: str, count: int):
    """One bar for runs side by side: the images of all of them."""
    bar, lock, images = Bar(f"{place} {count} runs", "image"), threading.Lock(), {}

    def progress(config: RunConfig):
        def told(done: int, total: int, **_shown) -> None:
            with lock:
                images[config.run_id] = done, total
                bar(*map(sum, zip(*images.values(), strict=True)))

        return told

    try:
        yield progress
    finally:
        bar.close()


def configs_of(args, cache) -> list[RunConfig]:
    labels = planted_name(args.label_noise) if args.label_noise is not None else args.labels
    fingerprint8 = cache.current(args.data)
    dataset = open_dataset(cache, args.data, fingerprint8)
    if dataset.images is None:
        raise ConfigError(f"data set {args.data!r} has no images to train on.")
    ensure_labels(cache, args.data, fingerprint8, labels)
    for arch in [*args.arch, *([args.backbone] if args.backbone else [])]:
        own_architectures.remember(cache, arch)
    start = _start(args, cache, fingerprint8)
    return study(
        args.data,
        dataset.fingerprint,
        dataset.C,
        dataset.N,
        args.arch,
        args.seeds,
        args.first_seed,
        labels=labels,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        weight_decay=args.weight_decay,
        schedule=args.schedule,
        augment=args.augment,
        subset=args.subset,
        record=args.record,
        precision=args.precision,
        deterministic=args.deterministic,
        folds=args.folds,
        start=start,
        devices=args.devices,
    )


def _start(args, cache, fingerprint8: str) -> str | None:
    """The name of the features that the runs start from; described now, made by the first run that needs them."""
    if args.start is None:
        if args.backbone is not None:
            raise ConfigError(
                f"--backbone {args.backbone} without --start: expected the file of its weights. Give --start FILE.safetensors."
            )
        return None
    if any(one.name == args.start for one in feature_sets(cache, args.data, fingerprint8)):
        return args.start
    from learnability.training.backbones import described
    from learnability.training.run import own_of

    backbone, _ = described(args.start, args.backbone, own_of(cache))
    return declare(cache, args.data, fingerprint8, backbone).name


def _queue(args) -> int:
    if args.restart:
        raise ConfigError("--restart with --queue: expected one of them. Use: python -m learnability resume RUN --restart")
    if args.eager:
        raise ConfigError("--eager with --queue: expected one of them. Train the reference in the foreground.")
    cache, device = cache_of(args), device_of(args)
    if args.devices > 1 and (args.cluster or args.device.partition(":")[2] not in ("", "0")):
        given = "--cluster" if args.cluster else f"--device {args.device}"
        raise ConfigError(
            f"--devices {args.devices} with {given}: expected the GPUs of this machine from cuda:0 on, or its processor. Use --device cuda "
            "or cpu."
        )
    launched = jobs.launch(cache, configs_of(args, cache), device, args.threads, args.together)
    if args.json:
        print_json([{"run": run_id, "created": created} for run_id, created in launched])
        return 0
    for run_id, created in launched:
        print(f"{run_id}: {'queued' if created else 'is there already: ' + jobs.state(cache, args.data, run_id).state}")
    print("They train in the background. Watch: python -m learnability runs --watch")
    return 0


def _outcome(run, repeated: bool = True) -> dict:
    return {"run": run.id, "state": run.state, "looks": run.looks, "epochs": run.config.epochs, "trained_now": repeated}


def _report(args, outcomes: list[dict], number: int | None) -> int:
    if args.json:
        print_json(outcomes)
    elif all(outcome["state"] == "done" for outcome in outcomes):
        print(f"{len(outcomes)} run(s) done. See them: streamlit run app.py, or python -m learnability scores --data {args.data}")
    return 128 + (number or signal.SIGINT) if any(outcome["state"] == "stopped" for outcome in outcomes) else 0
