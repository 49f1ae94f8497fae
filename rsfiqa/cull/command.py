"""The subcommand `rsfiqa cull`."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AliasChoices, Field
from pydantic_settings import CliPositionalArg

from rsfiqa.command import Command
from rsfiqa.errors import InputError

if TYPE_CHECKING:
    from rsfiqa.cull.conditions import Conditions

SKIPPED = 3  # exit status


class Cull(Command):
    """Cull pictures of a table of scores: list, copy, move or link them, or rate them in XMP.

    Reads TABLE, which `rsfiqa score -o` wrote. By default lists the chosen pictures, the worst
    first; a picture is chosen if it meets all conditions. Writes nothing without --apply: --copy,
    --move, --link and --xmp only say what would be done. Each action is noted in a journal beside
    TABLE before it is done, and --undo takes the last run back. Pictures themselves are never
    changed; sidecars go with them. Exit status 3: some pictures were skipped, because they are
    gone or have changed since they were scored, for example.
    """

    table: CliPositionalArg[Path] = Field(description="Table of scores: .parquet, .csv or .jsonl.")
    worst: str | None = Field(
        None, description="Choose the worst of all scored pictures: a percentage (5%) or a number."
    )
    below: str | None = Field(
        None,
        description="Choose scores worse than this one, in the units of the table: below it, or"
        " above it where lower scores are better.",
    )
    flag: tuple[str, ...] = Field(
        (),
        description="Choose by what is wrong, in quotes: 'blur>=3' for a severity of 1 (faint) to 5"
        " (extreme) of a rating or family of distortions, 'blur<=2' for a rating of 1 (bad) to 5"
        " (excellent), or a flag of the table, such as damaged; can be repeated.",
    )
    any: bool = Field(False, description="One condition is enough; by default all must be met.")
    output: Path | None = Field(
        None,
        validation_alias=AliasChoices("o", "output"),
        description="Table to write with the chosen rows: .csv, .parquet or .jsonl.",
    )
    null: bool = Field(
        False, description="End each listed path with a null byte, as xargs -0 reads."
    )
    copy_to: Path | None = Field(
        None,
        validation_alias=AliasChoices("copy"),
        description="Folder into which to copy the chosen pictures.",
    )
    move: Path | None = Field(None, description="Folder into which to move them.")
    link: Path | None = Field(None, description="Folder in which to make symbolic links to them.")
    xmp: bool = Field(
        False,
        description="Write a rating of 1 to 5 and keywords for each as an XMP sidecar; without a"
        " condition for all scored pictures. Sidecars that exist are kept and merged.",
    )
    naming: Literal["auto", "darktable", "lightroom"] = Field(
        "auto",
        description="Name of sidecars: a.jpg.xmp as darktable and digiKam, or a.xmp as Lightroom;"
        " auto takes those that exist, else a.jpg.xmp.",
    )
    overwrite_ratings: bool = Field(
        False, description="With --xmp: replace ratings that a person has set."
    )
    apply: bool = Field(False, description="Do it; by default only say what would be done.")
    undo: bool = Field(False, description="Take the last run on this table back.")

    def run(self) -> int:
        """Run the command; status 3 if a picture was skipped.

        Raises:
            InputError: options that do not go together, or a wrong condition.
        """
        self._check_together()
        from rsfiqa.cull import stage

        table = self.table.resolve() if self.table.is_symlink() else self.table
        conditions = self._conditions()
        if self.undo:
            complete = stage.undo(table)
        elif self.xmp:
            complete = stage.rate(
                table,
                conditions,
                self.naming,
                overwrite=self.overwrite_ratings,
                is_applied=self.apply,
            )
        elif filed := self._filed():
            ((kind, folder),) = filed.items()
            complete = stage.file_away(table, conditions, kind, folder, is_applied=self.apply)
        else:
            complete = stage.show(table, conditions, output=self.output, null=self.null)
        return 0 if complete else SKIPPED

    def _filed(self) -> dict[Literal["copy", "move", "link"], Path]:
        """The folders that are given, by action."""
        folders = {"copy": self.copy_to, "move": self.move, "link": self.link}
        return {kind: folder for kind, folder in folders.items() if folder is not None}  # type: ignore[misc]

    def _check_together(self) -> None:
        """Reject options that do not go together.

        Raises:
            InputError: two actions, no condition, or an option without the action it belongs to.
        """
        chosen = [f"--{kind}" for kind in self._filed()] + ["--xmp"] * self.xmp
        conditions = self.worst is not None or self.below is not None or bool(self.flag)
        if self.undo:
            others = chosen + ["--apply"] * self.apply + ["a condition"] * conditions
            if others:
                raise InputError(f"--undo: must stand alone, found {others[0]}; leave it out")
            return
        if len(chosen) > 1:
            raise InputError(
                f"needs one of --copy, --move, --link and --xmp, found {' and '.join(chosen)};"
                " run one after the other"
            )
        if not conditions and not self.xmp:
            raise InputError(
                "needs a condition, found none; give --worst 5%, --below SCORE or --flag 'blur>=3'"
            )
        self._check_belonging(chosen)

    def _check_belonging(self, chosen: list[str]) -> None:
        """Reject options whose action is not given.

        Raises:
            InputError: one.
        """
        if self.apply and not chosen:
            raise InputError(
                "--apply: needs --copy, --move, --link or --xmp, found none; a list is always"
                " written"
            )
        if not self.xmp and (self.overwrite_ratings or self.naming != "auto"):
            name = "--overwrite-ratings" if self.overwrite_ratings else "--naming"
            raise InputError(f"{name}: belongs to --xmp, found none; add it")
        if chosen and (self.output is not None or self.null):
            name = "--output" if self.output is not None else "--null"
            raise InputError(f"{name}: belongs to a list, found {chosen[0]}; leave one out")

    def _conditions(self) -> "Conditions":
        from rsfiqa.cull.conditions import Conditions, parse_below, parse_flag, parse_worst

        return Conditions(
            None if self.worst is None else parse_worst(self.worst),
            None if self.below is None else parse_below(self.below),
            tuple(map(parse_flag, self.flag)),
            self.any,
        )
