"""The package as jobs find it where it is installed among others."""

from pathlib import Path


def alone(package: Path, folder: Path) -> Path:
    """A folder that holds a link to a package and nothing else, absolute.

    The package's own folder holds others, which may be for another interpreter than a job's.

    Args:
        package: its folder.
        folder: made if need be.
    """
    link = folder.absolute() / package.name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != package:
        link.unlink(missing_ok=True)
        link.symlink_to(package)
    return link.parent
