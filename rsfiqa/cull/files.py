"""Operations on files that neither replace a file of somebody's nor leave half of one behind."""

import errno
import filecmp
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path


def partial_of(path: Path) -> Path:
    """The temporary sibling in which `path` is written; its name follows from that of `path`."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".rsfiqa-{digest}.partial")


def remove_partial(path: Path) -> None:
    """Delete the temporary sibling of `path` if there is one.

    On a read-only file system it is an error to delete a file even if there is none.
    """
    if exists(partial := partial_of(path)):
        partial.unlink()


def exists(path: Path) -> bool:
    """Whether anything has that name, be it a link to nothing."""
    return os.path.lexists(path)


def is_empty(path: Path) -> bool:
    """Whether a path is a regular file of no bytes, as `reserve` makes one."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size == 0


def is_same(path: Path, other: Path) -> bool:
    """Whether two files have the same bytes, or two links the same target."""
    if path.is_symlink() or other.is_symlink():
        both = path.is_symlink() and other.is_symlink()
        return both and path.readlink() == other.readlink()
    return path.is_file() and other.is_file() and filecmp.cmp(path, other, shallow=False)


def reserve(path: Path) -> None:
    """Make an empty file that a rename may replace.

    Raises:
        FileExistsError: the name is taken.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def relocate(source: Path, target: Path) -> None:
    """Move a file over a reserved name, also to another file system.

    There the copy is complete and on the disk before the original is deleted.
    """
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(source, target)
        source.unlink()


def copy(source: Path, target: Path) -> None:
    """Copy a file with its times and permissions over a reserved name; links are followed.

    Raises:
        OSError: the disk refuses, or the file changed meanwhile.
    """
    partial = partial_of(target)
    before = source.stat()
    try:
        shutil.copyfile(source, partial)
        with suppress(PermissionError):  # FAT has no permissions
            shutil.copystat(source, partial)
        os.utime(partial, ns=(before.st_atime_ns, before.st_mtime_ns))
        _sync(partial)
        after = source.stat()
        changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
        if changed or partial.stat().st_size != before.st_size:
            raise OSError(errno.EBUSY, "changes while it is copied", str(source))
        partial.replace(target)
        _sync(target.parent)
    finally:
        remove_partial(target)


def write(path: Path, content: bytes) -> None:
    """Replace a file's content atomically; permissions stay."""
    partial = partial_of(path)
    try:
        partial.write_bytes(content)
        if path.exists():
            shutil.copymode(path, partial)
        _sync(partial)
        partial.replace(path)
    finally:
        remove_partial(path)


def read(path: Path) -> bytes | None:
    """The content of a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _sync(path: Path) -> None:
    """Wait until a file or the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)
