"""Keys: a sample's name at its source as text that every file format can hold, and exactly back.

A file name need not be UTF-8. A byte that is not is written `\\xNN` (two lower-case hex digits), and a backslash `\\\\`,
so that every name has one key and every key one name. All other characters stay as they are, line breaks included.
"""

import re

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2}))")
_DIGITS = 8  # of row numbers; more are written in full


def key_of(path: str) -> str:
    """The key of a path as `os.fsdecode` gives it."""
    return _NOT_UTF8.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", path.replace("\\", "\\\\"))


def path_of(key: str) -> str:
    """The path that `key_of` made `key` from, for `os.fsencode`."""
    return _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)) if found[1] else "\\", key)


def row_key(row: int) -> str:
    """The key of a row that has no name of its own: its number, zero-padded."""
    return f"{row:0{_DIGITS}d}"
