"""resume: puts runs that ended early back into the queue."""

from learnability import jobs
from learnability.commands.arguments import add_cluster, at_least_one, cache_of, command, device_of
from learnability.errors import InputError


def add(commands) -> None:
    own = command(
        commands,
        "resume",
        run,
        "Resume runs that were stopped, failed or cut off: each goes on from its checkpoint, in the background.",
        "  python -m learnability resume resnet20-s0-4f1c2a9b\n  python -m learnability resume --all --device cuda",
    )
    own.add_argument("runs", nargs="*", metavar="RUN", help="run ids, or prepare-<key>")
    own.add_argument("--all", action="store_true", help="all that was cut off by a crash or a restart of the machine")
    own.add_argument("--device", help="another device than before")
    add_cluster(own)
    own.add_argument("--threads", type=at_least_one, help="CPU threads; another number than before is not bit-exact")
    own.add_argument("--restart", action="store_true", help="begin again from epoch 0 where the checkpoint is damaged")


def run(args) -> int:
    cache, device = cache_of(args), device_of(args)
    if bool(args.runs) == args.all:
        raise InputError("expected run ids, or --all. See: python -m learnability runs")
    if args.all:
        resumed = jobs.resume_interrupted(cache, jobs.status(cache).interrupted)
        print("\n".join(f"{name}: queued" for _, name in resumed) or "nothing was interrupted")
        return 0
    for name in args.runs:
        key = jobs.find(cache, name)
        queued = jobs.resume(cache, *key, device=device, threads=args.threads, restart=args.restart)
        print(f"{key[1]}: {'queued' if queued else 'is queued or at work already'}")
    return 0
