"""A folder of images without scores."""

import logging
from pathlib import Path

from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import InputError
from rsfiqa.images.listing import expand_folder
from rsfiqa.products.image_ids import image_id_of

log = logging.getLogger("rsfiqa")


def read(root: Path) -> list[Entry]:
    """The images below a folder, sorted; each is its own group.

    Raises:
        InputError: the folder does not exist or cannot be read.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; set root to the folder of pictures")
    entries = []
    listing = expand_folder(root)
    if listing.skipped:
        log.info("%s: skipped %s", root, listing.summary())
    for path in map(Path, listing.paths):
        relative = path.relative_to(root)
        image_id = image_id_of(relative)
        location = ascii(relative.as_posix())  # tells Unicode forms apart that look alike
        entries.append(Entry(image_id=image_id, path=path, group=image_id, location=location))
    return sorted(entries, key=lambda entry: (entry.image_id, entry.path))
