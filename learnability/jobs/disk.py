"""What lies on the disk: bytes of a folder, of each data set, of each run."""

import contextlib
import os
from pathlib import Path

from learnability.store.paths import Cache


def size(path: Path) -> int:
    """Bytes of a file or of all files in a folder; 0 where there is none. Links are not followed."""
    total, folders = 0, [path]
    while folders:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    with contextlib.suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total or (path.stat().st_size if path.is_file() else 0)


def used(cache: Cache) -> dict[str, dict]:
    """data set -> {"dataset": bytes of its versions, "runs": {run id: bytes}}, for all that lies in the cache."""
    names = sorted({*cache.dataset_names(), *cache.run_data_names()})
    return {
        name: {
            "dataset": size(cache.dataset_home(name)),
            "runs": {run_id: size(cache.run_folder(name, run_id)) for run_id in cache.run_ids(name)},
        }
        for name in names
    }


def removed(path: Path) -> int:
    """Removes a file; its bytes, 0 where it was gone."""
    try:
        freed = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return freed
