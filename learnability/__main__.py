"""python -m learnability: prepare, train, runs, stop, resume, scores, agreement, review, export, doctor and more from the shell."""

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence

from learnability import __version__
from learnability.commands import several
from learnability.errors import InputError, LearnabilityError, NotFound

COMMANDS = (
    "prepare", "train", "runs", "stop", "resume", "delete", "scores", "agreement", "review", "audit", "report", "paper", "curriculum",
    "import", "merge", "export", "doctor", "architectures", "worker", "trainer",
)  # fmt: skip
MODULES = {"import": "imports"}  # where a command cannot name its module


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """What the shell may say to these commands; each of them is imported for it."""
    top = argparse.ArgumentParser(
        prog="python -m learnability",
        description="Which training images does a network learn at once, which late, which never: trains networks and scores every sample.",
        epilog="Begin: python -m learnability prepare digits && python -m learnability train --data digits --arch resnet20 vgg16 mobilenet",
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        importlib.import_module(f"learnability.commands.{MODULES.get(name, name)}").add(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; 0 when it worked, 2 when what was asked cannot be, 1 when it failed, 130/143 when stopped."""
    given = sys.argv[1:] if arguments is None else arguments
    args = parser(given[:1] if given and given[0] in COMMANDS else COMMANDS).parse_args(given)
    args.arguments = given
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
    several.end(main())
