"""Options of the prepare stage."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.options import OPERATIONAL, Options
from rsfiqa.registry import choice

if TYPE_CHECKING:
    Layout = str
else:
    Layout = choice(DATASETS)


class PrepareOptions(Options):
    """The layout and the location of one data set."""

    layout: Layout = Field(
        "demo",
        description=f"Layout of the data set on disk: {', '.join(DATASETS)}. A published set has"
        " the layout in which its authors release it; csv is a table of scores, folder a folder of"
        " images without scores; demo is generated and needs no root.",
    )
    root: Annotated[str | None, OPERATIONAL] = Field(
        None, description="Folder of the data set; for csv, the CSV file. ~ is expanded."
    )
    mos_range: tuple[float, float] | None = Field(
        None,
        description="Lowest and highest possible MOS. Required for csv; fixed for all other"
        " layouts.",
    )
    lower_better: bool = Field(
        False,
        description="The column mos holds DMOS: a lower value is better. For csv only.",
    )
    near_duplicates: Literal["auto", "join", "keep"] = Field(
        "auto",
        description="Images that look the same, such as two exports of one photograph (difference"
        " hash of 16 x 16, at most 12 bits differ). join: they are one group, so no random split"
        " parts them; those of the official test part with one in the training part leave it, as"
        " the subset test_near_duplicate, and are trained on. keep: groups and official split stay"
        " as released. auto: join for"
        f" {', '.join(name for name, spec in DATASETS.items() if spec.near_duplicates)}, keep for"
        " all others.",
    )
