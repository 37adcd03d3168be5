"""Where the files lie that a data set was prepared from, for sources that are files: image folders and CSV lists."""

import os
import re
import stat
from pathlib import Path

from learnability.datasets import Dataset
from learnability.sources.keys import path_of

_JOINED = ", test rows from "
_AGAIN = re.compile(r"#\d+$")  # a path that a CSV file names a second time


class Originals:
    """Finds samples' own files. The place in dataset.json is a hint: what is not there any more is simply not found.

    `root` says where the folder is now, if not where the hint says (for CSV: the folder of the CSV file).
    """

    def __init__(self, dataset: Dataset, root: Path | None = None):
        hint, _, test_hint = str(dataset.info.get("source", "")).partition(_JOINED)
        self._joined = bool(test_hint)
        self._listed = [_root(part) for part in (hint, test_hint) if part.startswith("folder ")]
        self._train = os.fspath(root.absolute()) if root is not None else _root(hint)
        self._test = _root(test_hint) if self._joined else self._train
        self._real: dict[str, bool] = {}  # folder -> whether it is one, and no link

    @property
    def known(self) -> bool:
        """Whether the source is made of files at all."""
        return self._train is not None or self._test is not None

    def folder_around(self, place: Path) -> str | None:
        """The image folder of the source that a place lies in: preparing it again would list what stands there."""
        real = place.resolve()
        return next((root for root in self._listed if root and real.is_relative_to(Path(root).resolve())), None)

    def path(self, key: str, is_test: bool) -> str | None:
        """The regular file behind a sample, or None: nothing outside the source's folder, no link on the way."""
        root = self._test if is_test else self._train
        if root is None:
            return None
        inside = path_of(key.removeprefix("test/") if is_test and self._joined else key)
        candidates = [inside, _AGAIN.sub("", inside)]
        return next((found for candidate in dict.fromkeys(candidates) if (found := self._regular(root, candidate))), None)

    def _regular(self, root: str, inside: str) -> str | None:
        parts = inside.split("/")
        if "\0" in inside or any(part in ("", ".", "..") for part in parts):
            return None
        for depth in range(len(parts)):
            if not self._is_folder(os.path.join(root, *parts[:depth]), root):
                return None
        path = os.path.join(root, *parts)
        try:
            is_file = stat.S_ISREG(os.lstat(path).st_mode)
        except OSError:
            return None
        return path if is_file and os.access(path, os.R_OK) else None

    def _is_folder(self, folder: str, root: str) -> bool:
        if folder not in self._real:
            self._real[folder] = os.path.isdir(folder) and (folder == root or not os.path.islink(folder))
        return self._real[folder]


def _root(hint: str) -> str | None:
    kind, _, place = hint.partition(" ")
    if kind == "folder" and place:
        return path_of(place)
    return os.path.dirname(path_of(place)) if kind == "csv" and place else None
