"""Folders of small photographs, and what a folder holds."""

from pathlib import Path

from tests.sources.odd_files import encoded, picture


def photos(top: Path, size=(60, 45), kind="PNG", classes=("cat", "dog"), each=4, first=0, grey=False) -> Path:
    for c, name in enumerate(classes):
        (top / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            image = picture(first + 100 * c + i, *size)
            (top / name / f"{i}.{kind.lower()}").write_bytes(encoded(image.convert("L") if grey else image, kind))
    return top


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
