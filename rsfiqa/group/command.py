"""The subcommand `rsfiqa group`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from rsfiqa.command import Command
from rsfiqa.errors import ImageError, InputError
from rsfiqa.group.options import GroupOptions

if TYPE_CHECKING:
    from rsfiqa.group.sources import Scored

PARTLY_FAILED = 3  # exit status


class Group(Command, GroupOptions):
    """Group near-duplicates and bursts, and mark the best picture of each.

    PATHS are images, folders, patterns, text files of paths, - for paths from standard input, and
    tables that `rsfiqa score` wrote. A table alone stands for its pictures; beside other paths it
    only gives their scores. Without a table, the pictures of groups are scored now. Prints the
    groups, or writes a table (.parquet, .csv or .jsonl) of all pictures.
    Exit status 3: some images could not be read.
    """

    paths: CliPositionalArg[tuple[str, ...]] = Field(
        min_length=1, description="Images, and tables of scores."
    )
    output: Path | None = Field(
        None,
        validation_alias=AliasChoices("o", "output"),
        description="Table to write: .parquet, .csv or .jsonl.",
    )
    checkpoint: Path | None = Field(
        None,
        description="Folder of a checkpoint that scores pictures where no table is given; by"
        " default the one in the package.",
    )
    workers: int = Field(
        0, ge=0, le=256, description="Number of images read at a time; 0 for one per core."
    )

    def run(self) -> int:
        """Group; status 3 if some images could not be read.

        Raises:
            InputError: a checkpoint that cannot be used, or beside a table, which has its own.
        """
        from rsfiqa.checkpoints import folder_or_packaged, read_card
        from rsfiqa.group import sources, stage

        tables = sources.tables_of(self.paths)
        if not tables:
            read_card(folder_or_packaged(self.checkpoint))  # before all pictures are read
        elif self.checkpoint is not None:
            raise InputError(
                f"--checkpoint: needs paths without a table of scores, found {tables[0]}; leave"
                " out one of the two"
            )
        complete = stage.run(
            self.paths,
            self.stage_options(GroupOptions),
            output=self.output,
            workers=self.workers,
            score=self._score,
        )
        return 0 if complete else PARTLY_FAILED

    def _score(self, paths: Sequence[Path]) -> "Iterator[Scored | None]":
        """Scores of pictures, None for one that cannot be scored; the stage has no scorer."""
        from rsfiqa import Scorer
        from rsfiqa.group.sources import Scored

        scorer = Scorer.load(self.checkpoint)
        for found in scorer.score_many(paths):
            if isinstance(found, ImageError):
                yield None
                continue
            yield Scored.of(found.score, scorer.scale, found.ratings)
