"""Options of the report stage."""

from pydantic import Field

from rsfiqa.options import Options


class ReportOptions(Options):
    """What the report shows."""

    images: int = Field(
        24, ge=0, le=200, description="Number of images to show with regions and attention."
    )
