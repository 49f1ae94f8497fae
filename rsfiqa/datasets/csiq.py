"""CSIQ: 866 images, 30 pristine ones under 6 distortions at 4 or 5 severities.

The images lie in `dst_imgs`, named by distortion, reference and severity, such as
awgn/1600.AWGN.1.png. `csiq.DMOS.xlsx` beside it holds the scores in the sheet all_by_image, columns
image, dst_type, dst_lev, dmos_std, dmos. DMOS lies in [0, 1], lower is better.
"""

from collections.abc import Mapping
from pathlib import Path

from rsfiqa.datasets.csv_table import number
from rsfiqa.datasets.entry import Entry, inside
from rsfiqa.datasets.release import file_in, files_by_lowercase_path, folder_in
from rsfiqa.datasets.spreadsheet import read_rows
from rsfiqa.errors import InputError
from rsfiqa.products.image_ids import image_id_of

COLUMNS = frozenset({"image", "dst_type", "dst_lev", "dmos_std", "dmos"})
# by dst_type: the folder, the word in the file name, the name of the distortion
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
        InputError: the folder or the table does not exist, or a row cannot be read.
    """
    path = file_in(root, "csiq.DMOS.xlsx")
    images = folder_in(root, "dst_imgs")
    files = files_by_lowercase_path(images)
    rows = read_rows(path, COLUMNS, "all_by_image")
    return [_entry(row, location, images, files) for location, row in rows]


def _entry(row: Mapping[str, str], location: str, images: Path, files: Mapping[str, Path]) -> Entry:
    if row["dst_type"] not in DISTORTIONS:
        raise InputError(
            f"{location}: 'dst_type' must be one of {', '.join(DISTORTIONS)}, found"
            f" '{row['dst_type']}'; download the release again"
        )
    folder, code, distortion = DISTORTIONS[row["dst_type"]]
    severity = int(number(row["dst_lev"], "dst_lev", location))
    relative = inside(images, f"{folder}/{row['image']}.{code}.{severity}.png", location)
    return Entry(
        image_id=image_id_of(relative),
        path=files.get(relative.as_posix().lower(), images / relative),
        group=row["image"],
        location=location,
        mos=number(row["dmos"], "dmos", location),
        mos_std=number(row["dmos_std"], "dmos_std", location),
        distortion=distortion,
        severity=severity,
    )
