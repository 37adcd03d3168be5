"""prepare(): a source becomes an immutable data set version, whole or not at all."""

import contextlib
import dataclasses
import datetime
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from learnability.config import checked_name
from learnability.errors import DiskFull, InputError, SourceError
from learnability.prepare.choice import Chosen, Facts, Plan, check_request, chosen, planned, test_request
from learnability.prepare.pool import Answer, Pool, directly
from learnability.prepare.report import Prepared, rejects_by_reason, repeated, sentences
from learnability.prepare.staging import Staged
from learnability.prepare.tables import Content, settle
from learnability.sources.source import Options, Source, joined
from learnability.sources.spellings import open_source, takes_columns
from learnability.store.files import LEFTOVER, disk_errors, sweep
from learnability.store.locks import hold
from learnability.store.paths import Cache

_BEAT = 0.1  # seconds between two calls of `progress`
_ROUNDS = 5  # headers and pixels agree in the first or the second; a source that is being written may never


def prepare(
    cache: Cache,
    source: str,
    *,
    name: str | None = None,
    size: int | None = None,
    fit: str = "crop",
    limit: int | None = None,
    test: str | float | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    progress: Callable | None = None,
    workers: int | None = None,
    downloads: str | None = None,
) -> Prepared:
    """Decodes every image of `source` once and keeps it as a version of the data set `name` (default: from the source).

    size     side of the square images, at least 32; None: by the rules of docs/images.md
    fit      crop | pad | stretch: how other shapes become square
    limit    train samples to keep, the same share of every class; test samples are thinned alike
    test     a source of test samples, or the share of the samples that become test samples
    progress called as progress(done, total, **more) some ten times a second
    Identical content is found to be there and written no second time. Raises InputError, SourceError, StoreError.
    """
    started = time.monotonic()
    check_request(size, fit, limit)
    options = Options(image_column=image_column, label_column=label_column, downloads=downloads, progress=progress)
    opened, picked = _opened(source, test, limit, options)
    name = _name(opened, name)
    home = cache.dataset_home(name)
    with hold(cache, f"{name}--prepare"), _staging(home) as folder:
        pool = Pool(workers) if opened.encoded else None
        with pool or contextlib.nullcontext():
            decoding = _Decoding(opened, picked, pool, progress)
            facts, staged = decoding.run(folder, size, fit)
        content = _content(opened, picked, facts, staged, name)
        with disk_errors(home):
            final, new, rewritten = settle(home, folder, content)
    return Prepared(name=name, folder=final, info=content.info, new=new, rewritten=tuple(rewritten), seconds=time.monotonic() - started)


def _opened(spelling: str, test: str | float | None, limit: int | None, options: Options) -> tuple[Source, Chosen]:
    fraction, other = test_request(test)
    opened = open_source(spelling, options)
    if test is not None and opened.test_M is not None:
        raise InputError(f"test {test!r}: {opened.hint} has its own test rows ({opened.split}). Leave --test out.")
    if other is not None:
        without = dataclasses.replace(options, image_column=None, label_column=None)
        opened = joined(opened, open_source(other, options if takes_columns(other) else without))
    elif fraction is None and opened.test_M is None:
        fraction = opened.test_fraction
    if len(np.unique(opened.labels_M)) < 2:
        raise SourceError(
            f"{opened.hint} has one class ({opened.class_names[opened.labels_M[0]]!r}): expected at least two, there is nothing to learn."
        )
    return opened, chosen(opened, fraction, limit)


def _name(source: Source, asked: str | None) -> str:
    if asked is not None:
        return checked_name(asked, "data set")
    proposal = re.sub(r"[^A-Za-z0-9_-]+", "-", source.name).strip("-_")[:64]
    if not proposal:
        raise InputError(
            f"no name for the data set can be made of {source.name!r}: expected letters, digits, - or _. Give one with --name."
        )
    return checked_name(proposal, "data set")


@contextlib.contextmanager
def _staging(home: Path) -> Iterator[Path]:
    """A temporary folder beside the versions; what killed ones left is swept first, and this one goes in any case."""
    with disk_errors(home.parent):
        home.mkdir(parents=True, exist_ok=True)
        sweep(home)
        folder = home / f"{LEFTOVER}images-{secrets.token_hex(4)}"
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            home.rmdir()  # only where nothing was ever prepared


class _Decoding:
    """Headers first, then pixels. If pixels tell another story than headers did, the pixels are read once more under the new plan."""

    def __init__(self, source: Source, picked: Chosen, pool: Pool | None, progress: Callable | None):
        self.source, self.picked, self.pool, self.progress = source, picked, pool, progress
        self.facts, self.beat = Facts.unknown(len(picked.rows)), 0.0

    def run(self, folder: Path, size: int | None, fit: str) -> tuple[Facts, Staged]:
        total = len(self.picked.rows)
        for position, (answer, _) in self._answers({"do": "measure"}):
            self.facts.note(position, answer)
            self._tell(0, total, sizes_read=position + 1)
        for _ in range(_ROUNDS):
            plan = planned(self.facts, size, fit)
            staged = self._decode(folder, plan)
            self._reject_orphans()
            if planned(self.facts, size, fit) == plan and len(staged.positions) == len(self.facts.good):
                if self.progress:
                    self.progress(total, total)
                return self.facts, staged
        raise SourceError(f"{self.source.hint} changes while it is read. Prepare it when nothing writes there any more.")

    def _decode(self, folder: Path, plan: Plan) -> Staged:
        total = len(self.picked.rows)
        needed = len(self.facts.good) * plan.size**2 * plan.channels
        missing = needed - shutil.disk_usage(folder).free
        if missing > 0:
            raise DiskFull(
                f"disk full: needs {missing / 1e6:.0f} MB more in {folder.parent} for {needed / 1e6:.0f} MB of images. "
                "Make space, or take fewer with --limit."
            )
        with disk_errors(folder.parent, needed), Staged(folder, plan, total) as staged:
            for position, (answer, blobs) in self._answers(plan.job()):
                if self.facts.note(position, answer) and blobs:
                    staged.add(position, answer["hash"], *blobs)
                self._tell(position + 1, total)
        return staged

    def _answers(self, job: dict) -> Iterator[tuple[int, Answer]]:
        """(position, answer) for every chosen row that has no reason against it yet."""
        good, rows = self.facts.good, self.picked.rows
        train, test = (good[good < self.picked.train], good[good >= self.picked.train])
        payloads = (payload for part in (train, test) if len(part) for payload in self.source.read(rows[part]))
        answers = self.pool.map(job, payloads) if self.pool else (directly(job, payload) for payload in payloads)
        yield from zip(good.tolist(), answers, strict=True)

    def _reject_orphans(self) -> None:
        """A test row of a class without any train row cannot be judged: it becomes a reject."""
        labels_P, good = self.source.labels_M[self.picked.rows], self.facts.good
        learnt = np.unique(labels_P[good[good < self.picked.train]])
        for position in good[(good >= self.picked.train) & ~np.isin(labels_P[good], learnt)].tolist():
            self.facts.reasons[position] = f"class without train samples: {self.source.class_names[labels_P[position]]!r}"

    def _tell(self, done: int, total: int, **more) -> None:
        now = time.monotonic()
        if self.progress and now - self.beat >= _BEAT:
            self.beat = now
            self.progress(done, total, **more)


def _content(source: Source, picked: Chosen, facts: Facts, staged: Staged, name: str) -> Content:
    """Everything of a version but its pixels: labels renumbered over the classes that have train rows, tables, dataset.json."""
    good = np.array(staged.positions)
    rows, train = picked.rows[good], int((good < picked.train).sum())
    present, labels = np.unique(source.labels_M[rows], return_inverse=True)
    class_names = tuple(source.class_names[i] for i in present)
    if len(class_names) < 2:
        raise SourceError(
            f"{source.hint}: only class {class_names[0]!r} has usable images, expected at least two classes. Rejected: {_kinds(facts)}."
        )
    rejects = [*((source.keys[picked.rows[i]], reason) for i, reason in sorted(facts.reasons.items())), *source.rejects]
    found = repeated(staged.hashes, labels, train)
    dropped = [other for i, other in enumerate(source.class_names) if i not in set(present.tolist())]
    plan = staged.plan
    info = {
        "name": name,
        "train": train,
        "test": len(rows) - train,
        "H": plan.size,
        "W": plan.size,
        "C": plan.channels,
        "class_names": list(class_names),
        "fit": plan.fit,
        "size": plan.size,
        "split": picked.split if train < len(rows) else "none",
        "source": source.hint,
        "rejects": len(rejects),
        "rejects_by_reason": rejects_by_reason(reason for _, reason in rejects),
        **found,
        "warnings": [*source.warnings, *sentences(labels[:train], class_names, dropped, found)],
        "thumbnails": plan.thumbnails,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    return Content(
        keys=[source.keys[i] for i in rows],
        hashes=staged.hashes,
        labels=labels.astype(np.int64),
        train=train,
        width=facts.width_P[good],
        height=facts.height_P[good],
        columns=None if source.columns is None else source.columns.take(rows),
        rejects=rejects,
        info=info,
    )


def _kinds(facts: Facts) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in rejects_by_reason(facts.reasons.values()).items()) or "nothing"
