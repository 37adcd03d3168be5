"""How a source is spelled: `digits`, `torchvision:CIFAR10`, `folder:PATH`, `parquet:PATH`, `csv:PATH`, or a plain path."""

from pathlib import Path

from learnability.errors import InputError, SourceError
from learnability.sources.archives import KNOWN, open_archive
from learnability.sources.digits import open_digits
from learnability.sources.folder import open_folder
from learnability.sources.listing import open_listing
from learnability.sources.parquet import open_parquet
from learnability.sources.source import Options, Source

SOURCES = {
    "digits": open_digits,
    "torchvision": open_archive,
    "folder": open_folder,
    "parquet": open_parquet,
    "csv": open_listing,
}
_WITH_COLUMNS = ("parquet", "csv")


def open_source(spelling: str, options: Options = Options()) -> Source:
    """Lists the samples of a source; no image is decoded. SourceError says what was expected."""
    kind, rest = _parted(spelling)
    asked = options.image_column or options.label_column
    if asked and kind not in _WITH_COLUMNS:
        raise InputError(f"column {asked!r}: only Parquet and CSV sources have columns, {spelling!r} has none. Leave the option out.")
    return SOURCES[kind](rest, options)


def takes_columns(spelling: str) -> bool:
    """Whether --image-column and --label-column mean something for this source."""
    return _parted(spelling)[0] in _WITH_COLUMNS


def _parted(spelling: str) -> tuple[str, str]:
    kind, colon, rest = spelling.partition(":")
    if kind == "digits" and not colon:
        return kind, ""
    if colon and kind in SOURCES and kind != "digits" and rest:
        return kind, rest
    path = Path(spelling).expanduser()
    if spelling and path.is_dir():
        return ("parquet" if any(path.glob("*.parquet")) else "folder"), spelling
    if path.is_file() and path.suffix.lower() in (".parquet", ".csv"):
        return path.suffix.lower()[1:], spelling
    meant = next((f" Did you mean torchvision:{name}?" for name in KNOWN if name.lower() == spelling.lower()), "")
    raise SourceError(
        f"source {spelling!r}: expected digits, torchvision:NAME, folder:PATH, parquet:PATH, csv:PATH, or the path of a folder, "
        f"a .parquet or a .csv file that is there. Images on the network have to be downloaded first.{meant}"
    )
