"""The command line: the list of subcommands, one per stage, and what is done about errors."""

import errno
import inspect
import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSettingsSource,
    CliSubCommand,
    SettingsConfigDict,
    SettingsError,
    get_subcommand,
)

from rsfiqa import __version__
from rsfiqa.benchmark.command import Benchmark, Overlap
from rsfiqa.caption.command import Caption, CaptionServe
from rsfiqa.command import Command, verbatim
from rsfiqa.cull.command import Cull
from rsfiqa.embed.command import Embed
from rsfiqa.errors import InputError
from rsfiqa.extract.command import Extract
from rsfiqa.group.command import Group
from rsfiqa.help_text import Formatter, HelpText
from rsfiqa.io.folders import blocked, blocking_file
from rsfiqa.io.terminal import escape_unencodable
from rsfiqa.options import describe
from rsfiqa.prepare.command import Prepare
from rsfiqa.report.command import Report
from rsfiqa.score.command import Score
from rsfiqa.score.export.command import Export
from rsfiqa.score.plan.command import PlanScores
from rsfiqa.score.rank.command import Rank
from rsfiqa.score.serve.command import Serve
from rsfiqa.segment.command import Segment
from rsfiqa.teach.command import Teach
from rsfiqa.train.command import Train

# error numbers with which a disk refuses to write
REFUSALS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
)
NEAR = 0.7  # likeness of an option from which it is proposed, in [0, 1]
INPUT_ERROR, USAGE_ERROR, INTERRUPTED = 1, 2, 130  # exit statuses


class Rsfiqa(BaseSettings):
    """No-reference image quality by region: how good, which region is to blame, and why.

    Each stage reads and writes files in the results folder and runs on its own; snakemake runs
    all of them. `rsfiqa <stage> --help` describes what a stage reads and writes, and its defaults.
    """

    model_config = SettingsConfigDict(
        cli_prog_name="rsfiqa",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_parse_none_str="null",
        extra="forbid",
    )
    prepare: CliSubCommand[Prepare] = Field(description=Prepare.summary())
    segment: CliSubCommand[Segment] = Field(description=Segment.summary())
    caption: CliSubCommand[Caption] = Field(description=Caption.summary())
    # beside caption, whose own argument is a folder
    caption_serve: CliSubCommand[CaptionServe] = Field(
        alias="caption serve", description=CaptionServe.summary()
    )
    embed: CliSubCommand[Embed] = Field(description=Embed.summary())
    extract: CliSubCommand[Extract] = Field(description=Extract.summary())
    train: CliSubCommand[Train] = Field(description=Train.summary())
    overlap: CliSubCommand[Overlap] = Field(description=Overlap.summary())
    benchmark: CliSubCommand[Benchmark] = Field(description=Benchmark.summary())
    report: CliSubCommand[Report] = Field(description=Report.summary())
    score: CliSubCommand[Score] = Field(description=Score.summary())
    plan: CliSubCommand[PlanScores] = Field(description=PlanScores.summary())
    rank: CliSubCommand[Rank] = Field(description=Rank.summary())
    group: CliSubCommand[Group] = Field(description=Group.summary())
    cull: CliSubCommand[Cull] = Field(description=Cull.summary())
    export: CliSubCommand[Export] = Field(description=Export.summary())
    serve: CliSubCommand[Serve] = Field(description=Serve.summary())
    teach: CliSubCommand[Teach] = Field(description=Teach.summary())

    @classmethod
    def settings_customise_sources(cls, *_: Any, **__: Any) -> tuple[()]:
        """Nothing but the command line: no environment variables, no files."""
        return ()


Rsfiqa.__doc__ = inspect.cleandoc(Rsfiqa.__doc__ or "")  # Python before 3.13 keeps indentation


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand.

    Returns:
        The exit status: 0 for success, 1 for an error of the input, 2 for one of the call.
    """
    escape_unencodable()
    logging.basicConfig(format="%(message)s", stream=sys.stderr)  # warnings of libraries
    logging.getLogger("rsfiqa").setLevel(logging.INFO)
    words = _joined(sys.argv[1:] if arguments is None else arguments)
    if old := _moved_option(words):
        print(
            f"rsfiqa serve: scores pictures and has no {old}; the model server is now"
            " rsfiqa caption serve",
            file=sys.stderr,
        )
        return USAGE_ERROR
    try:
        settings = parse(words or ["--help"])
    except SettingsError as error:
        print(f"rsfiqa: {error}; correct the command", file=sys.stderr)
        return USAGE_ERROR
    except ValidationError as error:
        path, command_type = _command_at(error.errors(include_url=False)[0]["loc"])
        message = describe(error, f"rsfiqa {path.replace('.', ' ')}")
        print(command_type.names_typed(message, (path,)), file=sys.stderr)
        return USAGE_ERROR
    path, command = _chosen(settings)
    try:
        return command.run() or 0
    except BrokenPipeError:  # whoever reads has enough; the exit of the interpreter must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INPUT_ERROR
    except (InputError, ImportError, OSError, KeyboardInterrupt) as error:
        if (cause := _message(error, command)) is None:
            raise
        message = command.names_typed(cause, (path, *command.sections()))
        print(f"rsfiqa {path.replace('.', ' ')}: {message}", file=sys.stderr)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else INPUT_ERROR


def _joined(words: list[str]) -> list[str]:
    """The words with a subcommand of two words as one, as the parser knows it."""
    return ["caption serve", *words[2:]] if words[:2] == ["caption", "serve"] else words


def _moved_option(words: Sequence[str]) -> str | None:
    """An option of the model server behind `serve`, which was once its name; None without any."""
    if words[:1] != ["serve"]:
        return None
    own, moved = (set(kind.flags("").values()) for kind in (Serve, CaptionServe))
    typed = (word.partition("=")[0] for word in words if word.startswith("--"))
    return next((word for word in typed if word in moved - own), None)


def parse(words: list[str]) -> Rsfiqa:
    """The options of a command line.

    Raises:
        ValidationError: a wrong value.
        SettingsError: a list of numbers that is none.
    """
    help_text = HelpText(__version__, _choices(Rsfiqa))

    def parse_args(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
        help_text.complete(parser)
        return _parse(parser, words)

    source = CliSettingsSource[Rsfiqa](
        Rsfiqa,
        parse_args_method=parse_args,
        add_argument_method=help_text.add_argument,
        add_parser_method=help_text.add_parser,
        add_subparsers_method=help_text.add_subparsers,
        add_argument_group_method=help_text.add_argument_group,
        formatter_class=Formatter,
    )
    return CliApp.run(Rsfiqa, cli_args=words, cli_settings_source=source)


def _parse(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """The words of a command line, each item of a list as it was typed.

    Otherwise the library splits items at commas and reads brackets, braces and quotes as JSON.
    """
    if words and not words[0].startswith("-") and words[0] not in _subcommands(Rsfiqa):
        raise SettingsError(_no_command(words[0]))
    parsed, unknown = parser.parse_known_args(words)
    if unknown:
        raise SettingsError(_unknown(words, unknown[0].partition("=")[0]))
    numbers = set(_number_lists(Rsfiqa))
    for name, value in vars(parsed).items():
        if isinstance(value, list) and name not in numbers:
            setattr(parsed, name, [verbatim(word) for word in value])
    return parsed


def _unknown(words: Sequence[str], word: str) -> str:
    """What is wrong with a word that a subcommand does not know, and the nearest option."""
    path, command = _command_at(words)
    if not path:
        meant = "--version" if word in ("-V", "-v") else word
        hint = _nearest(meant, ("--help", "--version"), "rsfiqa --help has its options")
        return f"no option {word} ({hint})"
    name = path.replace(".", " ")
    if not word.startswith("-"):
        return f"{name} takes no further argument, found {word}"
    hint = _nearest(word, command.flags("").values(), f"rsfiqa {name} --help has its options")
    return f"{name} has no option {word} ({hint})"


def _no_command(word: str) -> str:
    """What is wrong with a word that is no subcommand, and the nearest one."""
    hint = _nearest(word, _subcommands(Rsfiqa), "rsfiqa --help names the commands")
    return f"no command {word} ({hint})"


def _nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """The known word that is most like another, as a question; `otherwise` if none is."""
    near = get_close_matches(word, list(known), 1, NEAR)
    return f"did you mean {near[0]}" if near else otherwise


def _number_lists(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Options that are lists of numbers, as the parser names them: `prepare.mos_range`."""
    for name, field in model.model_fields.items():
        if "float" in str(field.annotation):
            yield f"{prefix}{name}"
    for name, command in _subcommands(model).items():
        yield from _number_lists(command, f"{prefix}{name}.")


def _message(error: BaseException, command: Command) -> str | None:
    """What a person can do about an error, in one line; None for an error of the program."""
    match error:
        case InputError():
            return str(error)
        case KeyboardInterrupt():
            return f"interrupted; {error}" if str(error) else "interrupted"
        case ModuleNotFoundError(name=str(name)) if not name.startswith("rsfiqa"):
            return (
                f"needs the package {name.partition('.')[0]}, found none; install it with pip"
                f" install 'rsfiqa[{command.extra}]'"
            )
        case OSError():
            return _refusal(error)
    return None


def _refusal(error: OSError) -> str | None:
    """What a person can do about a path or a disk; None for an error of the program."""
    match error.errno:
        case errno.EEXIST | errno.ENOTDIR if (file := _blocking(error)) is not None:
            return f"{file}: {blocked(file)}"
        case errno.ENAMETOOLONG:
            return (
                f"{error.filename or 'a file'}: must have a name that the file system takes, found"
                " one that is too long; give a shorter name"
            )
        case number if number in REFUSALS:
            return (
                f"{error.filename or 'a file'}: cannot be written ({os.strerror(number)});"
                " make room or change permissions, and run the same command again"
            )
    return None


def _blocking(error: OSError) -> Path | None:
    """The file because of which a path could not be made."""
    name = error.filename
    return blocking_file(Path(os.fsdecode(name))) if isinstance(name, str | bytes) else None


def _subcommands(model: type[BaseModel]) -> dict[str, type[Command]]:
    """The subcommands among the fields of a model, by the word that is typed."""
    return {
        field.alias or name: kind
        for name, field in model.model_fields.items()
        for kind in get_args(field.annotation)
        if isinstance(kind, type) and issubclass(kind, Command)
    }


def _choices(model: type[BaseModel], path: str = "") -> dict[str, dict[str, Sequence[str]]]:
    """For each subcommand, as it is typed, its options that take one of several words."""
    choices = {}
    for name, kind in _subcommands(model).items():
        choices[f"{path}{name}"] = kind.choices()
        choices |= _choices(kind, f"{path}{name} ")
    return choices


def _chosen(settings: BaseModel) -> tuple[str, Command]:
    """The subcommand that was called, and its name with dots, such as `teach.data`."""
    names: list[str] = []
    model: Any = settings
    while subcommands := _subcommands(type(model)):
        model = get_subcommand(model)
        names.append(next(name for name, kind in subcommands.items() if kind is type(model)))
    assert isinstance(model, Command)
    return ".".join(names), model


def _command_at(location: Iterable[int | str]) -> tuple[str, type[Command]]:
    """The subcommand of a finding at a location among the arguments, and its name with dots."""
    names: list[str] = []
    command: type[Command] = Command
    subcommands = _subcommands(Rsfiqa)
    for part in map(str, location):
        if part not in subcommands:
            break
        names.append(part)
        command = subcommands[part]
        subcommands = _subcommands(command)
    return ".".join(names), command
