"""How severe each family of distortions is in a picture, from the table of its regions."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from rsfiqa.products import region_scores

EXTENT = 0.1  # fraction of the picture for which a severity must hold
TOLERANCE = 1e-9  # areas are sums

Areas = dict[str, dict[int, float]]  # of the regions with a severity, by family


def read(path: Path, label: str) -> dict[str, dict[str, int]]:
    """Severities by location of the picture and by family; 0 if a family is in a smaller part.

    Args:
        path: table of regions.
        label: of the checkpoint.

    Raises:
        InputError: it cannot be read, or is of another checkpoint or version.
    """
    areas: dict[str, Areas] = defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
    for location, area, families, severities in region_scores.read_distortions(path, label):
        of_picture = areas[location]  # also of one without distortions
        for family, severity in zip(families, severities, strict=True):
            of_picture[family][severity] += area
    return {
        location: {family: severity_by_area(found) for family, found in by_family.items()}
        for location, by_family in areas.items()
    }


def severity_by_area(areas: Mapping[int, float]) -> int:
    """The highest severity that holds, or is exceeded, in `EXTENT` of the picture; 0 for none."""
    total = 0.0
    for severity in sorted(areas, reverse=True):
        total += areas[severity]
        if total >= EXTENT - TOLERANCE:
            return severity
    return 0
