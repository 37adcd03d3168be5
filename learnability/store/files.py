"""Files that appear whole or not at all."""

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from learnability.errors import DamagedFile, DiskFull, NotFound, StoreError

LEFTOVER = ".tmp-"
GROUP = 65_536  # rows of a table that can be read without the others


@contextlib.contextmanager
def disk_errors(folder: Path, needed: int = 0) -> Iterator[None]:
    """Turns what the file system refuses into errors that name the folder; `needed` = bytes still to be written."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            with contextlib.suppress(OSError):
                needed = max(needed - shutil.disk_usage(folder).free, 0)
            missing = f"needs about {needed / 1e6:.0f} MB more" if needed else "needs more space"
            raise DiskFull(f"disk full: {missing} in {folder}. Make space, then resume; what was committed is kept.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StoreError(
                f"cannot write in {folder}: {os.strerror(error.errno)}. Make it writable or move the cache with --cache."
            ) from error
        if error.errno == errno.ENOTDIR or (error.errno == errno.EEXIST and folder.is_file()):
            raise StoreError(f"{folder} cannot be a folder: a file of that name, or above it, is there. Choose another place.") from error
        if error.errno == errno.EIO:
            raise StoreError(
                f"input/output error in {folder}: the disk refused. What was committed before is kept; check the disk."
            ) from error
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise StoreError(f"too many open files while working in {folder}. Raise the limit (ulimit -n) and resume.") from error
        raise


def write_file(path: Path, data: bytes, needed: int = 0) -> None:
    """Replaces `path` by `data` in one step: a reader sees the old file or the new one, also after a power loss."""
    with disk_errors(path.parent, needed or len(data)):
        temporary = _written_beside(path, data)
        try:
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_new_file(path: Path, data: bytes) -> None:
    """Like `write_file`, for a file that must never change: FileExistsError if it is there."""
    with disk_errors(path.parent, len(data)):
        temporary = _written_beside(path, data)
        try:
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def _written_beside(path: Path, data: bytes) -> Path:
    temporary = path.parent / f"{LEFTOVER}{path.name}-{secrets.token_hex(4)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    os.close(descriptor)
    return temporary


def write_all(descriptor: int, data: bytes, offset: int | None = None) -> None:
    """Writes every byte, also where the system takes them in parts; at `offset`, or at the file's own position."""
    view = memoryview(data)
    while view:
        done = os.write(descriptor, view) if offset is None else os.pwrite(descriptor, view, offset)
        if done == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[done:]
        offset = None if offset is None else offset + done


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{path.name} not found in {path.parent}.") from error


def write_json(path: Path, content: dict | list) -> None:
    write_file(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n")


def read_json(path: Path) -> dict | list:
    try:
        return json.loads(read_file(path))
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged: expected JSON, {error}.") from error


def table_bytes(table: pa.Table, metadata: dict[str, str] | None = None) -> bytes:
    """`table` as Parquet with a checksum on each page and `metadata` beside the schema."""
    sink = pa.BufferOutputStream()
    added = {key.encode(): value.encode() for key, value in (metadata or {}).items()}
    with_metadata = table.replace_schema_metadata({**(table.schema.metadata or {}), **added})
    pq.write_table(with_metadata, sink, row_group_size=GROUP, write_page_checksum=True, compression="zstd")
    return sink.getvalue().to_pybytes()


def write_table(path: Path, table: pa.Table, metadata: dict[str, str] | None = None) -> None:
    write_file(path, table_bytes(table, metadata))


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The table at `path`, page checksums verified. `columns` that are not in it are refused by name."""
    try:
        with pa.OSFile(os.fspath(path)) as file:  # opened once: by its name, parts of two files could be read where one replaces the other
            schema = pq.read_schema(file)
            if columns is not None and (missing := [name for name in columns if name not in schema.names]):
                raise NotFound(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(schema.names)}.")
            return pq.read_table(file, columns=columns, page_checksum_verification=True, partitioning=None)
    except FileNotFoundError as error:
        raise NotFound(f"{path.name} not found in {path.parent}.") from error
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def table_metadata(path: Path) -> dict[str, str]:
    """The metadata that `write_table` put beside the schema, as text; other keys (such as pandas') included."""
    try:
        return metadata_of(pq.read_schema(path))
    except FileNotFoundError as error:
        raise NotFound(f"{path.name} not found in {path.parent}.") from error
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def metadata_of(schema: pa.Schema) -> dict[str, str]:
    """What stands beside a schema, as text."""
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()}


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary sibling of `final` to fill; renamed to `final` when left without an error, else removed.

    FileExistsError if `final` is there and not empty by then: of several writers one wins.
    """
    temporary = final.parent / f"{LEFTOVER}{final.name}-{secrets.token_hex(4)}"
    with disk_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        os.mkdir(temporary)
        try:
            yield temporary
            _sync_tree(temporary)
            try:
                os.rename(temporary, final)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise FileExistsError(errno.EEXIST, f"{final} is there already") from error
                raise
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(final.parent)


def _sync_tree(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            descriptor = os.open(Path(root) / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(root))


def sweep(folder: Path) -> list[str]:
    """Removes what killed writers left in `folder`; to be called by the holder of its lock. Returns the names removed."""
    if not folder.is_dir():
        return []
    leftovers = [entry for entry in folder.iterdir() if entry.name.startswith(LEFTOVER)]
    for entry in leftovers:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return [entry.name for entry in leftovers]
