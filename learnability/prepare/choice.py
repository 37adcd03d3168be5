"""Which rows become train and test samples, and how their images become square: decided from lists and headers."""

import dataclasses

import numpy as np

from learnability.datasets import stratified_ids
from learnability.errors import InputError, SourceError
from learnability.prepare.images import THUMBNAIL
from learnability.sources.source import Source

FITS = ("crop", "pad", "stretch")
SMALLEST, TINY, KEPT, PHOTOGRAPH = 32, 32, 64, 64  # sides in pixels
LARGEST = 1024


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Rows of the source in the order of the version: train rows first."""

    rows: np.ndarray
    train: int
    split: str  # how the test rows came about, in words


@dataclasses.dataclass(frozen=True)
class Plan:
    """How every image is fitted. `fit` is crop, pad or stretch as asked, or `whole` where all images are tiny."""

    size: int
    fit: str
    channels: int
    thumbnails: bool

    def job(self) -> dict:
        """What a worker has to know."""
        needed = 3 * max(self.size, THUMBNAIL if self.thumbnails else 0)
        return {"do": "decode", **dataclasses.asdict(self), "needed": needed}


@dataclasses.dataclass
class Facts:
    """What is known of P chosen rows: from their headers, then from their pixels."""

    width_P: np.ndarray
    height_P: np.ndarray
    grey_P: np.ndarray
    reasons: dict[int, str]  # position -> why it is no sample

    @classmethod
    def unknown(cls, count: int) -> "Facts":
        return cls(np.zeros(count, np.int32), np.zeros(count, np.int32), np.ones(count, bool), {})

    def note(self, position: int, answer: dict) -> bool:
        """Takes in an answer; False if it is a reject."""
        if "reject" in answer:
            self.reasons[position] = answer["reject"]
            return False
        self.width_P[position], self.height_P[position], self.grey_P[position] = answer["width"], answer["height"], answer["grey"]
        return True

    @property
    def good(self) -> np.ndarray:
        """Positions without a reason against them, rising."""
        good_P = np.ones(len(self.grey_P), bool)
        good_P[list(self.reasons)] = False
        return np.flatnonzero(good_P)


def chosen(source: Source, fraction: float | None, limit: int | None) -> Chosen:
    """Splits off `fraction` of the samples for testing, then keeps `limit` train rows and the same share of the test rows.

    Both are stratified by class with a fixed seed; the source's order is kept.
    """
    split = source.split
    test_M = np.zeros(source.M, bool) if source.test_M is None else source.test_M
    if fraction:
        count = int(fraction * source.M + 0.5)
        test_M[stratified_ids(source.labels_M, min(max(count, 1), source.M - 1), index=1, spare=True)] = True
        split = f"{fraction:g} of the samples, the same share of every class, chosen with a fixed seed"
    train, test = np.flatnonzero(~test_M), np.flatnonzero(test_M)
    if limit is not None and limit < len(train):
        classes = len(np.unique(source.labels_M[train]))
        if limit < classes:
            raise InputError(f"limit {limit}: expected at least {classes}, one sample for each class.")
        share = limit / len(train)
        train = train[stratified_ids(source.labels_M[train], limit)]
        if len(test):
            test = test[stratified_ids(source.labels_M[test], max(1, int(share * len(test) + 0.5)))]
    return Chosen(np.concatenate([train, test]), len(train), split)


def planned(facts: Facts, size: int | None, fit: str) -> Plan:
    """Size, fit, channels and thumbnails by the rules of docs/images.md, from the images that are usable."""
    good = facts.good
    if not len(good):
        first = next(iter(facts.reasons.values()))
        raise SourceError(f"none of {len(facts.grey_P):,} images can be used; the first: {first}. Nothing was prepared.")
    width, height = facts.width_P[good], facts.height_P[good]
    longest = int(max(width.max(), height.max()))
    tiny = longest <= TINY
    if size is None:
        alike = bool((width == width[0]).all() and (height == height[0]).all())
        keeps = tiny or (alike and longest <= KEPT)
        size = max(SMALLEST, min(int(width[0]), int(height[0]))) if keeps and not tiny else SMALLEST if tiny else PHOTOGRAPH
    return Plan(
        size=size,
        fit="whole" if tiny and fit == "crop" else fit,
        channels=1 if facts.grey_P[good].all() else 3,
        thumbnails=longest > size,
    )


def check_request(size: int | None, fit: str, limit: int | None) -> None:
    """InputError for what cannot be asked for."""
    if size is not None and not (isinstance(size, int) and SMALLEST <= size <= LARGEST):
        raise InputError(f"size {size!r}: expected {SMALLEST} to {LARGEST} pixels; networks need at least {SMALLEST}.")
    if fit not in FITS:
        raise InputError(f"fit {fit!r}: expected one of {', '.join(FITS)}.")
    if limit is not None and not (isinstance(limit, int) and limit >= 2):
        raise InputError(f"limit {limit!r}: expected a whole number of at least 2.")


def test_request(test: str | float | None) -> tuple[float | None, str | None]:
    """(fraction, None), (None, source) or (None, None) of what --test says; fraction 0 asks for no test rows."""
    if test is None:
        return None, None
    try:
        fraction = float(test)
    except ValueError:
        return None, str(test)
    if not 0 <= fraction < 1:
        raise InputError(f"test {test!r}: expected a source, or a fraction from 0 to below 1 such as 0.2.")
    return fraction, None
