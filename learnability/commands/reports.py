"""What the commands that write an HTML file share."""

from pathlib import Path

from learnability.errors import InputError
from learnability.store.files import write_file


def checked_out(out: Path) -> Path:
    """Where the file will lie, before anything takes time."""
    if out.suffix not in (".html", ".htm"):
        raise InputError(f"--out {out}: expected a name that ends in .html.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.absolute().parent} does not exist. Make it first.")
    return out.absolute()


def require_plotly() -> None:
    """InputError where the charts cannot be made: the engine alone is installed."""
    try:
        import plotly  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("a report needs the charts of the dashboard. Install them: pip install 'learnability[app]'") from error


def written(out: Path, content: str) -> None:
    write_file(out, content.encode())
    print(f"{out}: {len(content) / 1e6:.1f} MB, opens in any browser, without a server")
