"""The log of actions: what people decided about samples, one line an action, appended and never edited.

A line is a JSON object: format, id, samples ([key, hash] each), when, by, why, and either verdict (with class for a relabel),
or tags_added / tags_removed, or undo (the id of the action it takes back); last comes the crc32 of the object without it.
"""

import contextlib
import dataclasses
import datetime
import functools
import json
import os
import secrets
import zlib
from collections.abc import Sequence

from learnability.errors import InputError, NewerFormat, NotFound
from learnability.store.files import disk_errors, sync_folder, write_all
from learnability.store.identity import Sample
from learnability.store.locks import hold
from learnability.store.paths import Cache

FORMAT = 1
VERDICTS = ("keep", "relabel", "drop", "unsure")
CLASS_LIMIT = TAG_LIMIT = 200  # characters
WHY_LIMIT = 2000
PATIENCE = 10.0  # seconds to wait for another process that appends
_FIELDS = {"format", "id", "samples", "verdict", "class", "tags_added", "tags_removed", "undo", "by", "why", "when"}
_CRC = b',"crc32":'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One line of the log: a verdict on samples, or tags added to or removed from them, or the undo of another action."""

    id: str
    samples: tuple[Sample, ...] = ()
    verdict: str | None = None  # one of VERDICTS
    class_name: str | None = None  # of a relabel
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    undo: str | None = None  # id of the action taken back
    by: str = ""
    why: str = ""
    when: str = ""  # UTC, ISO 8601; for people, the order is that of the lines


@dataclasses.dataclass(frozen=True, eq=False)
class Log:
    """The actions of a data set in the order they were taken, as far as they can be read."""

    actions: tuple[Action, ...]
    undone: dict[str, str]  # id of an action -> id of the undo that took it back
    problems: tuple[str, ...] = ()  # one sentence for each line that is torn or damaged; the others stand
    length: int = 0  # bytes read

    @functools.cached_property
    def by_id(self) -> dict[str, Action]:
        return {action.id: action for action in self.actions}

    @property
    def holding(self) -> list[Action]:
        """Actions that were not taken back, oldest first, undos themselves left out."""
        return [action for action in self.actions if action.undo is None and action.id not in self.undone]


def log_length(cache: Cache, name: str) -> int:
    """Bytes in the log of a data set: it changes with every action, so it says whether there is something new."""
    try:
        return cache.reviews(name).stat().st_size
    except FileNotFoundError:
        return 0


def read_log(cache: Cache, name: str) -> Log:
    """The log of a data set; an empty one before the first action. Torn and damaged lines are told in `problems`."""
    path = cache.reviews(name)
    try:
        with disk_errors(path.parent):
            content = path.read_bytes()
    except FileNotFoundError:
        return Log((), {})
    actions, ids, undone, problems = [], set(), {}, []
    for number, found in _contents(content.split(b"\n")):
        try:
            action = _action(found, path.name)
        except (ValueError, TypeError, KeyError, AttributeError):
            problems.append(
                f"{path.name}, line {number} cannot be read (cut off by a crash or a full disk, or damaged): that action does not count, "
                "all others stand. Give it again if it is missing."
            )
            continue
        if action.id in ids or (action.undo is not None and (action.undo not in ids or action.undo in undone)):
            problems.append(f"{path.name}, line {number} repeats an action or takes back none that stands: it does not count.")
            continue
        if action.undo is not None:
            undone[action.undo] = action.id
        else:
            ids.add(action.id)
        actions.append(action)
    return Log(tuple(actions), undone, tuple(problems), len(content))


def decide(
    cache: Cache, name: str, samples: Sequence[Sample], verdict: str, *, class_name: str | None = None, by: str, why: str = ""
) -> Action:
    """Gives the samples a verdict, as one action; on disk when this returns. `class_name` is that of a relabel, also a new one."""
    if verdict not in VERDICTS:
        raise InputError(f"verdict {verdict!r}: expected one of {', '.join(VERDICTS)}.")
    if (verdict == "relabel") != (class_name is not None):
        raise InputError(f"verdict {verdict!r} with class {class_name!r}: expected a class with relabel, and with it alone.")
    if class_name is not None:
        checked_text(class_name, "class", CLASS_LIMIT)
    return _appended(cache, name, _new(samples, by, why, verdict=verdict, class_name=class_name))


def tag(
    cache: Cache, name: str, samples: Sequence[Sample], *, add: Sequence[str] = (), remove: Sequence[str] = (), by: str, why: str = ""
) -> Action:
    """Adds tags to samples or removes them, as one action; verdicts stay as they are. On disk when this returns."""
    added, removed = tuple(dict.fromkeys(add)), tuple(dict.fromkeys(remove))
    if not added and not removed or set(added) & set(removed):
        raise InputError(f"tags to add {list(added)}, to remove {list(removed)}: expected at least one, and none in both.")
    for one in added + removed:
        checked_text(one, "tag", TAG_LIMIT)
    return _appended(cache, name, _new(samples, by, why, tags_added=added, tags_removed=removed))


def undo(cache: Cache, name: str, action_id: str, *, by: str, why: str = "") -> Action:
    """Takes back one action as a whole. NotFound for an unknown one, InputError for one taken back already; then nothing is written."""

    def check() -> None:
        log = read_log(cache, name)
        taken = log.by_id.get(action_id)
        if taken is None:
            raise NotFound(f"no action {action_id!r} in the log of {name!r}. See: python -m learnability review --data {name} --list")
        if taken.undo is not None:
            raise InputError(f"action {action_id} is an undo, of {taken.undo}: expected a verdict or tags. Give those again instead.")
        if action_id in log.undone:
            raise InputError(f"action {action_id} was taken back already, by {log.undone[action_id]}. Nothing changed.")

    made = dataclasses.replace(_new([], by, why, empty=True), undo=action_id)
    return _appended(cache, name, made, check)


def checked_text(text: str, what: str, limit: int) -> str:
    """`text` itself, if it is not blank, at most `limit` characters and can be written as UTF-8."""
    if not isinstance(text, str) or not text.strip() or len(text) > limit:
        raise InputError(f"{what} {str(text)[:60]!r}: expected 1 to {limit} characters, not only spaces.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} {text[:60]!r}: expected text that UTF-8 can hold.") from None
    return text


def _new(samples: Sequence[Sample], by: str, why: str, empty: bool = False, **fields) -> Action:
    if not empty and not len(samples):
        raise InputError("no samples: expected at least one. Choose some first.")
    checked_text(by, "by", CLASS_LIMIT)
    if why:
        checked_text(why, "why", WHY_LIMIT)
    distinct = tuple(dict.fromkeys((key, hashed) for key, hashed in samples))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return Action(id=secrets.token_hex(6), samples=distinct, by=by, why=why, when=now, **fields)


def _appended(cache: Cache, name: str, action: Action, check=None) -> Action:
    """One line more, synced. Several processes may append: a lock is held from the check to the sync."""
    path = cache.reviews(name)
    line = _line(action)
    with reviewing(cache, name), disk_errors(path.parent, len(line)):
        if check is not None:
            check()
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            end = os.fstat(descriptor).st_size
            torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
            try:
                write_all(descriptor, b"\n" + line if torn else line)
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):  # what was refused must not hold; where this fails too, readers skip the torn line
                    os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
    return action


def reviewing(cache: Cache, name: str):
    """The lock that whoever adds to the reviews of a data set holds."""
    return hold(cache, f"{name}--reviews", wait=PATIENCE)


def _line(action: Action) -> bytes:
    content = {"format": FORMAT, "id": action.id}
    if action.undo is None:
        content["samples"] = action.samples
    if action.verdict is not None:
        content["verdict"] = action.verdict
    if action.class_name is not None:
        content["class"] = action.class_name
    for field in ("tags_added", "tags_removed", "undo"):
        if value := getattr(action, field):
            content[field] = value
    content |= {"by": action.by, "why": action.why, "when": action.when}
    body = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()
    return b"%s%s%d}\n" % (body[:-1], _CRC, zlib.crc32(body))


def _contents(lines: list[bytes]) -> list[tuple[int, dict | None]]:
    """(line number, its object) for each line that is not empty; None for a damaged one. Parsed in one go: that is fast."""
    sound = {}
    for number, line in enumerate(lines, 1):
        body, _, crc = line.rpartition(_CRC)
        if line:
            sound[number] = body + b"}" if crc[-1:] == b"}" and crc[:-1] == b"%d" % zlib.crc32(b"}", zlib.crc32(body)) else b"null"
    try:
        return list(zip(sound, json.loads(b"[" + b",".join(sound.values()) + b"]"), strict=True))
    except (ValueError, RecursionError):  # no object, under a right checksum: no line of ours
        return [(number, _parsed(body)) for number, body in sound.items()]


def _parsed(body: bytes) -> dict | None:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _action(content: dict | None, file: str) -> Action:
    """The action of a line; NewerFormat, or a ValueError, TypeError or KeyError for what is none."""
    if content["format"] != FORMAT:
        if isinstance(content["format"], int) and content["format"] > FORMAT:
            raise NewerFormat(f"{file} has actions of format {content['format']}; this version reads up to {FORMAT}. Update learnability.")
        raise ValueError("unknown format")
    if not content.keys() <= _FIELDS:
        raise ValueError("unknown fields")
    get = content.get
    verdict, class_name, undone, added, removed = get("verdict"), get("class"), get("undo"), get("tags_added", ()), get("tags_removed", ())
    if (verdict is not None) + bool(added or removed) + (undone is not None) != 1:
        raise ValueError("expected one of verdict, tags, undo")
    if (verdict is not None and verdict not in VERDICTS) or (verdict == "relabel") != (class_name is not None):
        raise ValueError("unknown verdict")
    samples = tuple([(key, hashed) for key, hashed in get("samples", ()) if type(key) is str is type(hashed)])
    if len(samples) != len(get("samples", ())) or (undone is None) != bool(samples):
        raise ValueError("expected samples by key and hash")
    for text in (content["id"], content["by"], content["why"], content["when"], class_name or "", undone or "", *added, *removed):
        if type(text) is not str:
            raise ValueError("expected text")
    return Action(
        id=content["id"], samples=samples, verdict=verdict, class_name=class_name, tags_added=tuple(added), tags_removed=tuple(removed),
        undo=undone, by=content["by"], why=content["why"], when=content["when"],
    )  # fmt: skip
