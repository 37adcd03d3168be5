"""python -m learnability: prepare, train, runs, stop, resume, scores, agreement, review, export, doctor and more from the shell."""

import argparse
import signal
import sys

from learnability import __version__
from learnability.commands import (
    agreement,
    architectures,
    audit,
    curriculum,
    delete,
    doctor,
    export,
    imports,
    merge,
    paper,
    prepare,
    report,
    resume,
    review,
    runs,
    scores,
    stop,
    train,
    trainer,
    worker,
)
from learnability.errors import InputError, LearnabilityError, NotFound

COMMANDS = (
    prepare, train, runs, stop, resume, delete, scores, agreement, review, audit, report, paper, curriculum, imports, merge,
    export, doctor, architectures, worker, trainer,
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m learnability",
        description="Which training images does a network learn at once, which late, which never: trains networks and scores every sample.",
        epilog="Begin: python -m learnability prepare digits && python -m learnability train --data digits --arch resnet20 vgg16 mobilenet",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0 when it worked, 2 when what was asked cannot be, 1 when it failed, 130/143 when stopped."""
    args = parser().parse_args(arguments)
    args.arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return args.run(args)
    except (InputError, NotFound) as error:
        print(f"learnability {args.command}: {error}", file=sys.stderr)
        return 2
    except LearnabilityError as error:
        print(f"learnability {args.command}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
