"""Options of the prepare stage."""

from typing import Literal

from pydantic import Field

from rsfiqa.options import Options

Layout = Literal[
    "live",
    "csiq",
    "tid2013",
    "kadid10k",
    "livec",
    "koniq10k",
    "spaq",
    "flive",
    "agiqa3k",
    "pipal",
    "bid",
    "kodak",
    "csv",
    "folder",
    "demo",
]


class PrepareOptions(Options):
    """One data set, as its authors released it, as a CSV, as a folder, or the demo set."""

    layout: Layout = Field(
        "demo",
        description="What the data set looks like on disk: a published set as its authors release"
        " it (live to kodak), a csv of scores, a folder of pictures, or demo, which needs no root.",
    )
    root: str | None = Field(
        None, description="The data set's folder; for csv, the CSV file. ~ is expanded."
    )
    mos_range: tuple[float, float] | None = Field(
        None,
        description="Lowest and highest possible MOS; needed for csv, known for published sets.",
    )
    lower_better: bool = Field(
        False,
        description="For csv: the column mos holds DMOS (a low value is good); known for"
        " published sets.",
    )
