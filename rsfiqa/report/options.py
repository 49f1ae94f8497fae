"""Options of the report stage."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from rsfiqa.options import Options

TITLE = "RSFIQA"


class ReportOptions(Options):
    """What the report shows."""

    images: int = Field(
        24, ge=0, le=200, description="Number of images to show with regions and attention."
    )


def recorded_options(tables: Iterable[str], *, images: int, title: str = TITLE) -> dict[str, Any]:
    """The options that shape the page, as its statistics record them.

    Args:
        tables: names of the tables of results that it shows.
        images: number of images that it shows.
        title: of the page.
    """
    return {"images": images, "tables": sorted(tables), "title": title}
