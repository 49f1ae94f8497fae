"""How severe each family of distortions is in a picture, from the table of its regions."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from rsfiqa.cull.conditions import Conditions, Severities
from rsfiqa.errors import InputError
from rsfiqa.products import region_scores

EXTENT = 0.1  # fraction of the picture for which a severity must hold
TOLERANCE = 1e-9  # areas are sums

Areas = dict[str, dict[int, float]]  # of the regions with a severity, by family


def read(table: Path, label: str, conditions: Conditions) -> Mapping[str, Severities]:
    """Severities by location of the picture; none where the table has no regions beside it.

    Args:
        table: of scores.
        label: of the checkpoint.
        conditions: for which they are read.

    Raises:
        InputError: a condition needs the regions and there are none, or those of another checkpoint
            or version.
    """
    path = region_scores.regions_path(table)
    if path is None or not path.is_file():
        needed = next((flag for flag in conditions.flags if flag.needs_regions), None)
        if needed is None:
            return {}
        beside = "a table of scores in .parquet" if path is None else str(path)
        raise InputError(
            f"--flag: the severity of {needed.name} needs the table of regions, found none beside"
            f" {table}; it comes with {beside}: run rsfiqa score PATH... -o x.parquet, or choose"
            " by ratings, such as 'blur>=3'"
        )
    region_scores.locations(path, label)  # of the same checkpoint
    areas: dict[str, Areas] = defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
    for row in region_scores.read(path):
        of_picture = areas[row["location"]]  # also of one without distortions
        for family, severity in zip(row["families"], row["severities"], strict=True):
            of_picture[family][severity] += row["area"]
    return {
        location: {family: _severity(found) for family, found in by_family.items()}
        for location, by_family in areas.items()
    }


def _severity(areas: Mapping[int, float]) -> int:
    """The highest severity that holds, or is exceeded, in `EXTENT` of the picture; 0 for none."""
    total = 0.0
    for severity in sorted(areas, reverse=True):
        total += areas[severity]
        if total >= EXTENT - TOLERANCE:
            return severity
    return 0
