"""The subcommand of the report stage."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from rsfiqa.command import Command
from rsfiqa.errors import InputError
from rsfiqa.report.options import TITLE, ReportOptions

if TYPE_CHECKING:
    from rsfiqa import Scorer


TableName = Annotated[str, Field(pattern=r"^[a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+$")]


class Report(Command, ReportOptions):
    """Write one self-contained page: tables, plots, images with regions and attention.

    Reads RESULTS/benchmark and, for the images, RESULTS/train and the products of the data sets.
    Writes RESULTS/report/index.html and prints the headline table. With --scores, reads a table
    written by `rsfiqa score` and the images that it names; by default writes the page beside it.
    """

    results: CliPositionalArg[Path | None] = Field(None, description="Folder of all results.")
    table: tuple[TableName, ...] = Field(
        (),
        description="Table of results to show, <train>.<test>.<method>; can be given several times;"
        " by default all in RESULTS/benchmark.",
    )
    title: str | None = Field(
        None,
        description=f"Title of the page; by default {TITLE}, or with --scores the name of the"
        " pictures' folder.",
    )
    scores: Path | None = Field(
        None,
        description="Table of scores (.parquet, .csv or .jsonl), or folder of a run's tables, to"
        " report instead of results.",
    )
    output: Path | None = Field(
        None,
        validation_alias=AliasChoices("o", "output"),
        description="With --scores: file of the page; by default the table's name with .html.",
    )
    folder: Path | None = Field(
        None,
        description="With --scores: folder to write instead of a single file, with thumbnails of"
        " all pictures beside the page; for more than 1,000 pictures.",
    )
    checkpoint: Path | None = Field(
        None,
        description="With --scores: folder of the checkpoint that scored them; by default searched"
        " for in results/train and the package.",
    )

    def run(self) -> None:
        """Run the stage.

        Raises:
            InputError: neither or both of the folder of results and a table of scores, or both of
                a file and a folder for the page.
        """
        if (self.results is None) == (self.scores is None):
            found = "neither" if self.results is None else "both"
            raise InputError(f"needs the folder of all results or --scores, found {found}")
        if self.output is not None and self.folder is not None:
            raise InputError(
                f"--folder {self.folder}: must stand without -o, found -o {self.output}; give one"
            )
        if self.folder is not None and self.scores is None:
            raise InputError(
                f"--folder {self.folder}: needs --scores, found the results {self.results};"
                " leave it out"
            )
        if self.results is not None:
            from rsfiqa.report import stage

            print(
                stage.run(
                    self.results, images=self.images, title=self.title or TITLE, names=self.table
                )
            )
        if self.scores is not None:
            from rsfiqa.report import scored

            page = scored.run(
                self.scores,
                output=self.output,
                checkpoint=self.checkpoint,
                trained=Path("results/train"),
                images=self.images,
                title=self.title,
                load_scorer=_load_scorer,
                folder=self.folder,
            )
            print(page)


def _load_scorer(checkpoint: Path) -> "Scorer":
    """The scorer of a checkpoint, for the pictures of a page; the stages know nothing of it."""
    from rsfiqa import Scorer

    return Scorer(checkpoint)
