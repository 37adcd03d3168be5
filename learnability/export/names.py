"""Class names as folder names: any text becomes one name that is safe on every system, and back.

Written as it is, unless it says otherwise here; `%XX` stands for one byte of the name in UTF-8 (upper-case hex):
  %  /  \\  <  >  :  "  |  ?  *  and every character that cannot be printed (NUL, line breaks, direction marks)
  the first character, if it is a dot, a hyphen, a tilde or a space; the last, if it is a dot or a space
  the first character of what Windows or the reading of image folders reserves: con, prn, aux, nul, com1.., lpt1.., train,
  training, test, testing, val, valid, validation, __MACOSX (in any case of letters, also before a dot)
The empty name is `%`. A name that would take more than 180 bytes is cut and ends in `%~` and 16 hex digits of its blake2b;
what it was stands in the manifest.
"""

import hashlib
import re

_EVERYWHERE = frozenset('%/\\<>:"|?*')
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|train|training|test|testing|val|valid|validation|__macosx", re.IGNORECASE | re.DOTALL
)
_LONGEST, _CUT = 180, 150  # bytes
_ESCAPED = re.compile(r"(?:%[0-9A-F]{2})+")


def folder_name(name: str) -> str:
    """The folder name of a class."""
    if not name:
        return "%"
    reserved = _RESERVED.fullmatch(name.rstrip(" ."))
    parts = []
    for i, character in enumerate(name):
        at_start = i == 0 and (character in ".-~ " or reserved)
        at_end = i == len(name) - 1 and character in ". "
        parts.append(_bytes(character) if at_start or at_end or character in _EVERYWHERE or not character.isprintable() else character)
    if sum(len(part.encode()) for part in parts) <= _LONGEST:
        return "".join(parts)
    kept, size = [], 0
    for part in parts:
        size += len(part.encode())
        if size > _CUT:
            break
        kept.append(part)
    return "".join(kept) + "%~" + hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def name_of(folder: str) -> str | None:
    """The class name that `folder_name` made `folder` from; None where it was cut."""
    if "%~" in folder:
        return None
    return "" if folder == "%" else _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), folder)


def _bytes(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
