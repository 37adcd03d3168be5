"""Which folders a page may prepare images from: those the server was started with, and nothing above or beside them."""

import os
from pathlib import Path

from learnability.errors import InputError

VARIABLE = "LEARNABILITY_ROOTS"  # folders, separated as in PATH


def roots() -> list[Path]:
    """The folders of LEARNABILITY_ROOTS, else the one the server was started in and the home folder."""
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return [Path(part).expanduser().resolve() for part in named] or list(dict.fromkeys([Path.cwd().resolve(), Path.home().resolve()]))


def inside(text: str) -> Path:
    """The folder or file that `text` names, links resolved, if it lies in one of the roots; InputError that tells nothing else."""
    refused = InputError("There is no such folder or file in the folders this server may read. See: LEARNABILITY_ROOTS in the README.")
    text = text.strip()
    if not text or "\0" in text or len(text) > 4096:
        raise refused
    for root in roots():
        try:
            found = (root / Path(text).expanduser()).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            continue
        if found.is_relative_to(root) or any(found.is_relative_to(other) for other in roots()):
            return found
    raise refused
