"""CSIQ: 30 pristine images, 6 distortions at 4 or 5 levels.

Larson and Chandler, Most apparent distortion: full-reference image quality assessment and the role
of strategy, Journal of Electronic Imaging 2010. 866 images below `dst_imgs`, called
awgn/1600.AWGN.1.png by distortion, reference and level; `csiq.DMOS.xlsx` beside it, of which the
sheet all_by_image is read: image, dst_type, dst_lev, dmos_std, dmos. DMOS on [0, 1]: lower is
better.
"""

from pathlib import Path

from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry, image_id_of, inside
from rsfiqa.datasets.release import by_spelling, file_in, folder_in
from rsfiqa.datasets.spreadsheet import read_rows
from rsfiqa.errors import InputError

MOS_RANGE = (0.0, 1.0)
COLUMNS = frozenset({"image", "dst_type", "dst_lev", "dmos_std", "dmos"})
# by dst_type: the folder, what stands in the file name, and what it is
DISTORTIONS = {
    "noise": ("awgn", "AWGN", "white_noise"),
    "blur": ("blur", "BLUR", "gaussian_blur"),
    "contrast": ("contrast", "contrast", "contrast_decrement"),
    "fnoise": ("fnoise", "fnoise", "pink_noise"),
    "jpeg": ("jpeg", "JPEG", "jpeg"),
    "jpeg 2000": ("jpeg2000", "jpeg2000", "jpeg2000"),
}


def read(root: Path) -> list[Entry]:
    """The distorted images; images of one reference are one group.

    Raises:
        InputError: no such folder or table, or a row that cannot be read.
    """
    path = file_in(root, "csiq.DMOS.xlsx")
    images = folder_in(root, "dst_imgs")
    files = by_spelling(images)
    entries = []
    for location, row in read_rows(path, COLUMNS, "all_by_image"):
        if row["dst_type"] not in DISTORTIONS:
            raise InputError(
                f"{location}: 'dst_type' must be one of {', '.join(DISTORTIONS)}, found"
                f" '{row['dst_type']}'; get the release again"
            )
        folder, code, distortion = DISTORTIONS[row["dst_type"]]
        severity = int(number(row["dst_lev"], "dst_lev", location))
        relative = inside(images, f"{folder}/{row['image']}.{code}.{severity}.png", location)
        entries.append(
            Entry(
                image_id=image_id_of(relative),
                path=files.get(relative.as_posix().lower(), images / relative),
                group=row["image"],
                location=location,
                mos=number(row["dmos"], "dmos", location),
                mos_std=number(row["dmos_std"], "dmos_std", location),
                distortion=distortion,
                severity=severity,
            )
        )
    return entries
