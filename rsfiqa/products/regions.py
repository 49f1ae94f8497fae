"""Label maps and region tables of one shard, in HDF5.

image_id  (N,)          string, sorted
size      (N, 2)        int32, height and width of the label map in pixels
labels    (N, S, S)     uint16, one zstd chunk per image, 65535 outside height x width
offsets   (N + 1,)      int64, rows of `table` that belong to image i: offsets[i]:offsets[i+1]
table     (total R,)    REGION
"""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import atomic
from rsfiqa.io.checksum import append_checksum, verify_checksum
from rsfiqa.io.provenance import Provenance
from rsfiqa.label_runs import LabelRuns

if TYPE_CHECKING:  # `rsfiqa score` has regions, but neither of the libraries
    import h5py

VERSION = 1
COMPRESSION = 15  # level of zstd: 4.1 KB per image, 5.7 at level 3, for 10 ms; reads as fast
OUTSIDE = np.iinfo(np.uint16).max  # label of padding

REGION = np.dtype(
    [
        ("area", np.int32),  # pixels of the label map
        ("box", np.int16, 4),  # x0, y0, x1, y1 in pixels, x1 and y1 exclusive
        ("centroid", np.float32, 2),  # x, y in pixels
        ("predicted_iou", np.float32),  # of SAM's mask; NaN if the segmenter gives none
        ("stability", np.float32),  # likewise
    ]
)


@dataclass(frozen=True)
class ImageRegions:
    """The regions of one image.

    Attributes:
        image_id: of the manifest.
        labels: label map uint16 (H, W), 0..R-1 by decreasing area.
        table: `REGION` (R,).
    """

    image_id: str
    labels: np.ndarray
    table: np.ndarray


def region_table(
    labels: np.ndarray, predicted_iou: np.ndarray | None = None, stability: np.ndarray | None = None
) -> np.ndarray:
    """The table of regions of a label map: `REGION` (R,).

    Args:
        labels: int (H, W), 0..R-1.
        predicted_iou: float (R,), IoU that the segmenter predicts for each region's mask.
        stability: float (R,), stability of each region's mask.
    """
    runs = LabelRuns(labels)
    table = np.zeros(runs.count, REGION)
    table["area"], table["centroid"], table["box"] = runs.areas, runs.centroids, runs.boxes
    table["predicted_iou"] = np.nan if predicted_iou is None else predicted_iou
    table["stability"] = np.nan if stability is None else stability
    return table


def write(path: Path, images: Sequence[ImageRegions], provenance: Provenance) -> None:
    """Write the regions of one shard, sorted by image_id, atomically."""
    import h5py
    import hdf5plugin

    images = sorted(images, key=lambda image: image.image_id)
    side = max((max(image.labels.shape) for image in images), default=1)
    padded = np.full((len(images), side, side), OUTSIDE, np.uint16)
    for row, image in zip(padded, images, strict=True):
        row[: image.labels.shape[0], : image.labels.shape[1]] = image.labels
    counts = [len(image.table) for image in images]
    # In memory (4 MB per 1,000 images): on a full disk HDF5 closes a file without an error.
    content = io.BytesIO()
    with h5py.File(content, "w", libver="latest") as file:
        file.attrs["sealed"] = True
        file.attrs["provenance"] = provenance.to_json()
        ids = [image.image_id for image in images]
        sizes = np.array([image.labels.shape for image in images], np.int32).reshape(-1, 2)
        offsets = np.cumsum([0, *counts], dtype=np.int64)
        table = np.concatenate([np.zeros(0, REGION), *(image.table for image in images)])
        file.attrs["sha256"] = _digest(ids, sizes, offsets, table)
        file.create_dataset("image_id", data=ids, dtype=h5py.string_dtype())
        file.create_dataset("size", data=sizes)
        file.create_dataset("offsets", data=offsets)
        file.create_dataset("table", data=table)
        file.create_dataset(
            "labels",
            data=padded,
            chunks=(1, side, side) if images else None,
            fletcher32=bool(images),
            **(hdf5plugin.Zstd(clevel=COMPRESSION) if images else {}),
        )
    with atomic(path) as partial:
        partial.write_bytes(content.getbuffer())
        append_checksum(partial)


def _digest(image_ids: list[str], *arrays: np.ndarray) -> str:
    """SHA-256 of everything but the label maps, whose chunks have checksums of HDF5."""
    digest = hashlib.sha256("\n".join(image_ids).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


class Reader:
    """Random access to the regions of a shard, also from forked processes.

    Args:
        path: file of the product.

    Raises:
        InputError: missing, damaged or of another schema.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._open() as file:
                self._load(file)
        except InputError:
            raise
        except (OSError, KeyError, ValueError) as error:  # of HDF5, anywhere in the file
            raise InputError(
                f"{path}: damaged ({first_line(error)}); delete it and run again"
            ) from error
        self._rows = {image_id: row for row, image_id in enumerate(self.image_ids)}
        self._file: h5py.File | None = None
        self._process = 0

    def _open(self) -> "h5py.File":
        import h5py
        import hdf5plugin  # noqa: F401 - adds zstd to HDF5

        if not self.path.is_file():
            raise InputError(f"{self.path}: no such file; run the segment stage first")
        return h5py.File(self.path, "r")

    def _load(self, file: "h5py.File") -> None:
        """Read everything but the label maps."""
        verify_checksum(self.path, has_checksum="sealed" in file.attrs)
        text = file.attrs.get("provenance")
        if text is None:
            raise InputError(f"{self.path}: not written by rsfiqa; delete it and run again")
        self.provenance = Provenance.from_json(text).expect(self.path, "regions", VERSION)
        self.image_ids: list[str] = list(file["image_id"].asstr()[:])
        self._sizes, self._offsets = file["size"][:], file["offsets"][:]
        self._table = file["table"][:]
        digest = _digest(self.image_ids, self._sizes, self._offsets, self._table)
        if digest != file.attrs["sha256"]:
            raise ValueError("checksum differs")

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_file": None}

    def __len__(self) -> int:
        return len(self.image_ids)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._rows

    def table(self, image_id: str) -> np.ndarray:
        """The table of regions of one image: `REGION` (R,)."""
        row = self._rows[image_id]
        table: np.ndarray = self._table[self._offsets[row] : self._offsets[row + 1]]
        return table

    def __getitem__(self, image_id: str) -> ImageRegions:
        row = self._rows[image_id]
        height, width = self._sizes[row]
        try:
            if self._file is None or self._process != os.getpid():  # not shared across a fork
                self._file, self._process = self._open(), os.getpid()
            labels = self._file["labels"][row, :height, :width]
        except (OSError, KeyError) as error:
            raise InputError(
                f"{self.path}: damaged at {image_id} ({first_line(error)}); delete it and run again"
            ) from error
        return ImageRegions(image_id, labels, self.table(image_id))
