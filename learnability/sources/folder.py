"""An image folder: one folder a class, files nested in it as one likes, train/ and test/ (or val/) above the classes.

Its own walk: no link is followed, no FIFO, socket or device opened; whatever is no regular file is listed with its reason.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from learnability.errors import SourceError
from learnability.sources.keys import key_of
from learnability.sources.labels import MAX_CLASSES
from learnability.sources.source import Options, Source

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "val": "val", "valid": "val", "validation": "val"}


def open_folder(place: str, options: Options) -> Source:
    """Samples are the regular files beneath a class folder, in sorted order; the key is the path in the folder."""
    root = Path(place).expanduser()
    if not root.is_dir():
        raise SourceError(
            f"folder {place!r}: expected a folder with one folder a class, got {'a file' if root.exists() else 'nothing there'}."
        )
    top = os.fspath(root.absolute())
    paths, classes, tests, rejects, empty, inner = [], [], [], [], [], {}
    try:
        splits, left_out = _splits(top)
        class_folders = [(path, problem, split) for prefix, split in splits for path, problem in _class_folders(top, prefix)]
    except OSError as error:
        raise SourceError(f"folder {place!r} cannot be listed: {error.strerror}.") from error
    for folder, problem, split in class_folders:
        if problem:
            rejects.append((key_of(folder), problem))
            continue
        before = len(paths)
        inner[folder] = set()
        for path, problem in walk(top, folder):
            if problem:
                rejects.append((key_of(path), problem))
            else:
                paths.append(path)
                inner[folder].add(path[len(folder) + 1 :].rpartition("/")[0].partition("/")[0])
                classes.append(os.path.basename(folder))
                tests.append(split != "train")
        if len(paths) == before:
            empty.append(key_of(folder))
    class_names = sorted(set(classes))
    if len(class_names) > MAX_CLASSES:
        raise SourceError(f"{len(class_names):,} class folders in {place}: expected at most {MAX_CLASSES:,}, the first {class_names[:5]}.")
    number = {name: i for i, name in enumerate(class_names)}
    return Source(
        hint=f"folder {key_of(top)}",
        name=root.resolve().name,
        keys=[key_of(path) for path in paths],
        labels_M=np.array([number[name] for name in classes], np.int64),
        class_names=tuple(key_of(name) for name in class_names),
        read=lambda rows: (os.path.join(top, paths[i]) for i in rows),
        test_M=np.array(tests, bool) if any(tests) else None,
        split=f"the folder's own {' and '.join(key_of(prefix) for prefix, _ in splits)}" if any(tests) else "none",
        rejects=(*rejects, *left_out),
        warnings=(*((f"{len(empty)} class folders hold no files: {', '.join(empty[:5])}.",) if empty else ()), *_same_inside(inner)),
    )


def _same_inside(inner: dict[str, set[str]]) -> tuple[str, ...]:
    """What to look at where class folders hold no file of their own and folders of the same names: those may be the classes.

    `inner`: class folder -> names of the folders directly in it that hold files, "" for a file directly in it.
    """
    names = sorted(set.intersection(*inner.values())) if len(inner) > 1 else []
    if len(names) < 2 or any("" in held for held in inner.values()):
        return ()
    above = ", ".join(dict.fromkeys(key_of(os.path.basename(folder)) for folder in inner))
    return (
        f"the classes are the folders {above}, and all of them hold {', '.join(map(key_of, names[:5]))}. If those are the classes, "
        "call the folders above them train and test, or prepare one of them.",
    )


def _splits(top: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Folders that hold the class folders, each with its split: the root itself, or train/ and test/ (else val/) in it.

    Also what stands in the root beside train/ and is left out, as rejects.
    """
    listed = _sorted_entries(top)
    folders = [entry.name for entry in listed if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")]
    found = {}
    for name in folders:
        found.setdefault(_SPLITS.get(name.lower()), name)
    found.pop(None, None)
    if "train" not in found or (len(found) == 1 and len(folders) > 1):
        return [("", "train")], []
    chosen = [(found[split], split) for split in ("train", "test" if "test" in found else "val") if split in found]
    beside = " and ".join(key_of(prefix) for prefix, _ in chosen)
    taken = {prefix for prefix, _ in chosen}
    return chosen, [(_shown(entry), f"left out: stands beside {beside}") for entry in listed if entry.name not in taken]


def _class_folders(top: str, prefix: str) -> Iterator[tuple[str, str | None]]:
    """What stands directly in a folder of classes: (path, None) for a class folder, else (path, reason)."""
    for entry in _sorted_entries(os.path.join(top, prefix)):
        path = os.path.join(prefix, entry.name)
        if not entry.is_dir(follow_symlinks=False):
            yield path, irregular(entry.stat(follow_symlinks=False).st_mode) or "outside: no class folder above it"
        elif entry.name.startswith(".") or entry.name == "__MACOSX":
            yield path + "/", "hidden folder: not a class"
        else:
            yield path, None


def _sorted_entries(folder: str) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _shown(entry: os.DirEntry) -> str:
    return key_of(entry.name) + ("/" if entry.is_dir(follow_symlinks=False) else "")


def walk(top: str, start: str) -> Iterator[tuple[str, str | None]]:
    """Every entry beneath top/start in sorted order, as (path beneath top, None) or (path, reason why it is no regular file)."""
    stack = [start]
    while stack:
        relative = stack.pop()
        try:
            listed = _sorted_entries(os.path.join(top, relative))
        except OSError as error:
            yield relative + "/", f"unreadable folder: {error.strerror}"
            continue
        deeper = []
        for entry in listed:
            path = os.path.join(relative, entry.name)
            if entry.is_dir(follow_symlinks=False):
                deeper.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path, None
            else:
                yield path, irregular(entry.stat(follow_symlinks=False).st_mode)
        stack += reversed(deeper)


def irregular(mode: int) -> str | None:
    """Why something with this st_mode is not read as a file; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    kinds = {stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    kind = kinds.get(stat.S_IFMT(mode), "no regular file")
    return f"{kind}: not followed, put the file itself or a hard link here" if kind == "symbolic link" else f"{kind}: not opened"
