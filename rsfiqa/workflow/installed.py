"""The package as jobs find it where it is installed among others."""

import hashlib
import os
import secrets
from pathlib import Path


def link_package(package: Path, folder: Path) -> Path:
    """Make a folder that holds a link to a package and nothing else; returns it, absolute.

    The package's own folder holds others, which may be for another interpreter than a job's. Each
    package has a link of its own: the nodes of a cluster may have it at different paths, and share
    the working folder. Several processes may make the same link at once.

    Args:
        package: its folder.
        folder: takes a folder for each package, named after a digest of the package's path.
    """
    package, folder = package.absolute(), folder.absolute()
    digest = hashlib.sha256(os.fsencode(package)).hexdigest()[:16]
    link = folder / digest / package.name
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{digest}.{secrets.token_hex(8)}"
        partial.symlink_to(package)
        partial.replace(link)
    return link.parent
