"""Names and notes that people give to recipes and groups, in recipes.json: no part of a recipe, changed at any time."""

from learnability.config import FORMAT, checked_name
from learnability.errors import InputError, NotFound
from learnability.store.files import read_json, write_json
from learnability.store.locks import hold
from learnability.store.paths import Cache
from learnability.store.runs import check_format

LONGEST = 2000  # characters of a note


def notes(cache: Cache, data: str) -> dict[str, dict[str, str]]:
    """Recipe key or group id -> {"name", "note"}, both "" where not given. DamagedFile names the file."""
    return {key: {"name": "", "note": "", **kept} for key, kept in _read(cache).get(checked_name(data, "data set"), {}).items()}


def write_note(cache: Cache, data: str, key: str, name: str | None = None, note: str | None = None) -> None:
    """Gives a recipe or group a name (letters, digits, - and _; "" takes it away), a note, or both; None leaves it as it is."""
    if name:
        checked_name(name, "recipe name")
    if note is not None and len(note) > LONGEST:
        raise InputError(f"note of {len(note)} characters: expected at most {LONGEST}.")
    checked_name(data, "data set")
    with hold(cache, "recipes", wait=5.0):
        content = _read(cache)
        of_data = content.setdefault(data, {})
        if name and (other := next((one for one, kept in of_data.items() if one != key and kept.get("name") == name), None)):
            raise InputError(f"recipe name {name!r} is taken by {other}. Choose another one.")
        changed = {field: value for field, value in (("name", name), ("note", note)) if value is not None}
        of_data[key] = {**of_data.get(key, {}), **changed}
        write_json(cache.recipes, {"format": FORMAT, "data": content})


def _read(cache: Cache) -> dict:
    try:
        content = read_json(cache.recipes)
    except NotFound:
        return {}
    check_format(cache.recipes, content)
    return content.get("data", {})
