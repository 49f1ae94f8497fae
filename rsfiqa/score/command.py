"""The subcommand `rsfiqa score`."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from rsfiqa.command import MAX_FAILED, Command
from rsfiqa.errors import InputError
from rsfiqa.options import Fraction
from rsfiqa.score.options import ScoreOptions

PARTLY_FAILED = 3  # exit status


class Score(Command, ScoreOptions):
    """Score images: the quality of each, and the region that is to blame most.

    PATHS are images, folders, patterns, lists of paths (text files, or CSV and Parquet with a
    column path), or - to read paths from standard input. Reads a checkpoint, by default the one in
    the package. Prints a line per image, or writes a table (.parquet, .csv or .jsonl); the same
    command run again completes the table.
    Exit status 3: some images could not be scored.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "caption.endpoints": "endpoint",
        "caption.key_variable": "key_variable",
        "embed.device": "device",
        "extract.device": "device",
        "extract.weights": "weights",
        "segment.checkpoint": "sam_checkpoint",
        "segment.device": "device",
    }

    paths: CliPositionalArg[tuple[str, ...]] = Field(min_length=1, description="Images to score.")
    output: Path | None = Field(
        None,
        validation_alias=AliasChoices("o", "output"),
        description="Table to write: .parquet, .csv or .jsonl.",
    )
    checkpoint: Path | None = Field(
        None, description="Folder of a checkpoint; by default the one in the package."
    )
    heatmaps: Path | None = Field(None, description="Folder for heat maps of cost, MOS points.")
    box: str | None = Field(
        None,
        description="Score the inside of a box instead of the whole picture: x0,y0,x1,y1 in pixels"
        " of the upright picture, or, if none is above 1, in fractions of its sides.",
    )
    mask: Path | None = Field(
        None,
        description="Score the inside of a mask, whose dark pixels are outside: an image of the"
        " size of the picture, or a folder with a mask of each picture's name.",
    )
    explain: bool = Field(False, description="Print each region too, the most costly first.")
    verbose: bool = Field(
        False, description="Name each file that is skipped or cannot be scored, and why."
    )
    as_shard: bool = Field(
        False,
        description="Write the table as a shard of a larger run: without percentiles, with failures"
        " and statistics beside; replaces the table of another checkpoint. Status 0 also if images"
        " failed.",
    )
    max_failed_fraction: Fraction = Field(
        1.0, description="With --as-shard: " + MAX_FAILED[0].lower() + MAX_FAILED[1:]
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="Number of processes that score, or that read pictures for a GPU; 0 for one per"
        " core, or one where a GPU scores pictures one at a time.",
    )

    def run(self) -> int:
        """Score; status 3 if some images could not be scored.

        Raises:
            InputError: --as-shard without a Parquet file, with an option that it excludes or a list
                that is no file; an option that needs it.
        """
        from rsfiqa.score import inside, stage
        from rsfiqa.score.shard import Shard

        if self.as_shard:
            self._check_shard()
        elif self.max_failed_fraction < 1:
            raise InputError(
                "--max-failed-fraction: must come with --as-shard, found it alone; add --as-shard"
                " or leave it out"
            )
        lists = [Path(path) for path in self.paths if path.endswith(".parquet")]
        complete = stage.run(
            self.paths,
            self.stage_options(ScoreOptions),
            checkpoint=self.checkpoint,
            output=self.output,
            heatmaps=self.heatmaps,
            explain=self.explain,
            workers=self.workers,
            verbose=self.verbose,
            inside=inside.given(self.box, self.mask),
            shard=Shard(lists, self.max_failed_fraction) if self.as_shard else None,
        )
        return 0 if complete or self.as_shard else PARTLY_FAILED

    def _check_shard(self) -> None:
        if self.output is None or self.output.suffix != ".parquet":
            raise InputError(
                f"--as-shard: must come with a table in Parquet, found {self.output or 'none'};"
                " give -o SHARD.parquet"
            )
        for name in ("box", "mask", "heatmaps", "explain"):
            if getattr(self, name) not in (None, False):
                raise InputError(f"--as-shard: must stand without --{name}, found both; leave one")
        for path in self.paths:
            if path.endswith(".parquet") and not Path(path).is_file():
                raise InputError(
                    f"{path}: must be a list of pictures with --as-shard, found no such file; name"
                    " each list"
                )
