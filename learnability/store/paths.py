"""Where everything lies in the cache folder."""

import dataclasses
import os
import re
from pathlib import Path

from learnability.config import checked_name
from learnability.errors import DamagedFile, InputError, NotFound

_CHECKOUT = Path(__file__).resolve().parents[2]
_RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}-s\d{1,10}(f\d{1,3})?-[0-9a-f]{8}")


@dataclasses.dataclass(frozen=True)
class Cache:
    """The cache folder; knows every path in it and touches nothing."""

    root: Path

    @classmethod
    def at(cls, root: str | os.PathLike | None = None) -> "Cache":
        """The cache at `root`, else at LEARNABILITY_CACHE, else `cache/` of this checkout, else `./cache`."""
        chosen = root or os.environ.get("LEARNABILITY_CACHE")
        if not chosen:
            in_checkout = (_CHECKOUT / "app.py").is_file() and (_CHECKOUT / "pyproject.toml").is_file()
            chosen = _CHECKOUT / "cache" if in_checkout else Path("cache")
        return cls(Path(chosen).expanduser().resolve())

    # data sets
    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    def dataset_home(self, name: str) -> Path:
        return self.datasets / checked_name(name, "data set")

    def dataset_names(self) -> list[str]:
        """Names of the data sets that have a current version, sorted."""
        return sorted(entry.parent.name for entry in self.datasets.glob("*/current") if not entry.parent.name.startswith("."))

    def current(self, name: str) -> str:
        """fingerprint8 of the newest version of a data set."""
        file = self.dataset_home(name) / "current"
        if not file.is_file():
            there = ", ".join(self.dataset_names()) or "none yet"
            raise NotFound(
                f"no data set {name!r} in {self.root}; there is: {there}. Prepare it: python -m learnability prepare SOURCE --name {name}"
            )
        text = file.read_text(errors="replace").strip()
        if not re.fullmatch(r"[0-9a-f]{8}", text):
            raise DamagedFile(f"{file} is damaged: expected 8 hex digits, got {text[:40]!r}.")
        return text

    def versions(self, name: str) -> list[str]:
        """fingerprint8 of every version of a data set, oldest first."""
        folders = [entry for entry in self.dataset_home(name).glob("*/dataset.json") if re.fullmatch(r"[0-9a-f]{8}", entry.parent.name)]
        return [entry.parent.name for entry in sorted(folders, key=lambda file: (file.stat().st_mtime_ns, file.parent.name))]

    def dataset_folder(self, name: str, fingerprint8: str | None = None) -> Path:
        """Folder of one data set version, of the newest when none is named."""
        wanted = self.current(name) if fingerprint8 is None else fingerprint8[:8]
        folder = self.dataset_home(name) / wanted
        if not re.fullmatch(r"[0-9a-f]{8}", wanted) or not folder.is_dir():
            raise NotFound(f"data set {name!r} has no version {wanted!r}; it has {', '.join(self.versions(name)) or 'none'}.")
        return folder

    def features_folder(self, name: str, fingerprint8: str, features: str) -> Path:
        """Folder of one set of features of a data set version."""
        return self.dataset_folder(name, fingerprint8) / "features" / checked_name(features, "set of features")

    # runs
    def runs_folder(self, name: str) -> Path:
        return self.root / "runs" / checked_name(name, "data set")

    def run_folder(self, name: str, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise InputError(f"run {run_id!r}: expected <architecture>-s<seed>-<recipe key>, for example resnet20-s0-4f1c2a9b.")
        return self.runs_folder(name) / run_id

    def run_ids(self, name: str) -> list[str]:
        """Ids of the runs of a data set that have a config, sorted."""
        return sorted(entry.parent.name for entry in self.runs_folder(name).glob("*/config.json") if _RUN_ID.fullmatch(entry.parent.name))

    def run_data_names(self) -> list[str]:
        """Names of the data sets that have runs, sorted."""
        return sorted(entry.name for entry in (self.root / "runs").glob("*") if entry.is_dir() and not entry.name.startswith("."))

    # the rest
    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def probes(self) -> Path:
        return self.root / "probes.json"

    @property
    def queue(self) -> Path:
        """The queue of this machine; can be rebuilt from runs/."""
        return self.root / "jobs.sqlite"

    @property
    def logs(self) -> Path:
        """What workers and preparations printed; may be deleted."""
        return self.root / "logs"

    @property
    def architectures(self) -> Path:
        """Architectures of one's own: name -> what it stands for."""
        return self.root / "architectures.json"

    @property
    def recipes(self) -> Path:
        return self.root / "recipes.json"

    def reviews(self, name: str) -> Path:
        return self.root / "reviews" / f"{checked_name(name, 'data set')}.jsonl"

    def selection(self, name: str, selection: str) -> Path:
        return self.root / "selections" / checked_name(name, "data set") / f"{checked_name(selection, 'selection')}.json"

    def selection_names(self, name: str) -> list[str]:
        return sorted(entry.stem for entry in (self.root / "selections" / checked_name(name, "data set")).glob("*.json"))

    def order(self, name: str, order: str) -> Path:
        return self.root / "orders" / checked_name(name, "data set") / f"{checked_name(order, 'order')}.parquet"

    @property
    def tensorboard(self) -> Path:
        """What `train --tracker tensorboard` writes; may be deleted."""
        return self.root / "tensorboard"

    def imported_folder(self, name: str) -> Path:
        """Scores of a data set that were made elsewhere."""
        return self.root / "imported" / checked_name(name, "data set")

    def imported(self, name: str, score: str) -> Path:
        return self.imported_folder(name) / f"{checked_name(score, 'score')}.parquet"

    def export(self, name: str, export: str) -> Path:
        """A folder that the dashboard writes images into."""
        return self.root / "exports" / checked_name(name, "data set") / checked_name(export, "folder")

    def export_log(self, name: str, export: str) -> Path:
        return self.logs / f"export-{checked_name(name, 'data set')}-{checked_name(export, 'folder')}.txt"
