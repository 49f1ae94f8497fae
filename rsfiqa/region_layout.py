"""Where the regions of an image lie on the grid of a model, and their geometry."""

from dataclasses import dataclass

import numpy as np

GEOMETRY_SIZE = 7  # log area fraction, centroid x and y, box x0, y0, x1, y1


@dataclass(frozen=True)
class RegionLayout:
    """Where the regions of an image lie.

    Attributes:
        coverage: float32 (R, G * G), fraction in [0, 1] of each grid cell covered by each region.
        geometry: float32 (R, 7), as in `Batch`.
        present: bool (R,), False for regions that the image does not have.
    """

    coverage: np.ndarray
    geometry: np.ndarray
    present: np.ndarray

    def placed(self, rows: np.ndarray, count: int) -> "RegionLayout":
        """The same regions at other numbers, with absent regions at the numbers between.

        Args:
            rows: int (R,), number of each region, below `count`.
            count: regions of the result, those that are absent included.
        """
        coverage = np.zeros((count, self.coverage.shape[1]), np.float32)
        geometry = np.zeros((count, GEOMETRY_SIZE), np.float32)
        present = np.zeros(count, bool)
        coverage[rows], geometry[rows], present[rows] = self.coverage, self.geometry, self.present
        return RegionLayout(coverage, geometry, present)


def coverage(labels: np.ndarray, grid: int) -> np.ndarray:
    """Fraction of each grid cell that each region covers: float32 (R, G * G), columns sum to 1.

    Args:
        labels: uint16 (H, W), label map; one smaller than the grid is enlarged.
        grid: cells on each side, G. A cell consists of whole pixels.
    """
    repeat = [-(-grid // side) for side in labels.shape]
    labels = labels.repeat(repeat[0], axis=0).repeat(repeat[1], axis=1)
    height, width = labels.shape
    rows = (np.arange(height) * grid) // height
    columns = (np.arange(width) * grid) // width
    regions = int(labels.max()) + 1
    code = (labels.astype(np.intp) * grid + rows[:, None]) * grid + columns
    pixels = np.bincount(code.ravel(), minlength=regions * grid * grid)
    pixels = pixels.reshape(regions, grid * grid)
    coverage: np.ndarray = (pixels / pixels.sum(axis=0)).astype(np.float32)
    return coverage


def geometry(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Log area fraction, centroid x and y, box x0, y0, x1, y1 of each region: float32 (R, 7).

    Positions are fractions of the width and height, in [0, 1].

    Args:
        labels: uint16 (H, W), label map.
        table: (R,), region table with `area`, `centroid` and `box` in pixels of the label map.
    """
    height, width = labels.shape
    log_area = np.log(table["area"] / labels.size)
    size = np.array([width, height])
    centroid = (table["centroid"] + 0.5) / size
    box = table["box"] / np.tile(size, 2)
    return np.column_stack([log_area, centroid, box]).astype(np.float32)


def region_layout(labels: np.ndarray, table: np.ndarray, grid: int) -> RegionLayout:
    """Coverage and geometry of the regions of a label map, all of them present.

    Args:
        labels: uint16 (H, W), label map.
        table: (R,), its region table.
        grid: cells on each side, G.
    """
    present = np.ones(len(table), bool)
    return RegionLayout(coverage(labels, grid), geometry(labels, table), present)
