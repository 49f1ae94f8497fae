"""How severe each family of distortions is in a picture, from the table of its regions."""

from collections.abc import Mapping
from pathlib import Path

from rsfiqa.cull.conditions import Conditions, Severities
from rsfiqa.errors import InputError
from rsfiqa.products import region_scores, severities


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
    return severities.read(path, label)
