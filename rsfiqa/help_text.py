"""The help of the command line: subcommands and options by use, types in words."""

import re
import textwrap
from argparse import (
    SUPPRESS,
    Action,
    ArgumentParser,
    RawDescriptionHelpFormatter,
    _SubParsersAction,
)
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Subcommands by use, in the order in which they are listed.
USES: Mapping[str, Sequence[str]] = {
    "score pictures, and choose among them": ("score", "cull", "group", "report", "serve"),
    "stages of the pipeline": (
        *("prepare", "segment", "caption", "embed", "extract"),
        *("train", "benchmark", "teach"),
    ),
    "scoring in shards": ("plan", "rank"),
}
OTHER = "other"  # use of the subcommands that are not in `USES`
WIDTH, COLUMN = 78, 20  # of the list, and of its names
TYPES = {"str": "TEXT", "Path": "PATH", "int": "INTEGER", "float": "NUMBER"}
# Defaults that say nothing: an option that is not given, a flag that is off.
EMPTY = re.compile(r" ?\(default: (null|None|\(\)|False|)\)")
TUPLE = re.compile(r"\(default: \(('[^()]*'),?\)\)")  # of words, as Python writes it
QUOTES = re.compile("[',]")
# Beginning of the help of an option that one value of another option brings, such as `vllm: `.
OWNER = re.compile(r"^(\w+): ")


class HelpText:
    """Hooks of `CliSettingsSource` that shape the help of a parser.

    Args:
        version: what --version prints.
        choices: for each subcommand, as it is typed, the options that take one of several values,
            and these values.
    """

    def __init__(self, version: str, choices: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self.version = version
        self._choices = choices
        self._groups: dict[tuple[str, str], Any] = {}  # of options, by subcommand and value
        self._root: Any = None  # the subcommands of the root parser
        self._commands: dict[str, str] = {}  # their summaries

    def add_subparsers(self, parser: ArgumentParser, **options: Any) -> Any:
        """As `ArgumentParser.add_subparsers`; the first ones are those of the root parser."""
        subparsers = ArgumentParser.add_subparsers(parser, **options)
        if self._root is None:
            self._root = subparsers
        return subparsers

    def add_parser(self, subparsers: Any, name: str, **options: Any) -> ArgumentParser:
        """As `_SubParsersAction.add_parser`."""
        if subparsers is self._root:
            self._commands[name] = options.pop("help")
        parser: ArgumentParser = _SubParsersAction.add_parser(subparsers, name, **options)
        return parser

    def add_argument(self, container: Any, *names: str, **options: Any) -> Action:
        """As `ArgumentParser.add_argument`, with types and choices in words, in groups by use."""
        if "metavar" in options:
            options["metavar"] = type_in_words(options["metavar"])
        if options.get("help"):
            text = EMPTY.sub("", options["help"])
            # words as they are typed
            options["help"] = TUPLE.sub(
                lambda one: "(default: " + QUOTES.sub("", one[1]) + ")", text
            )
        if isinstance(container, ArgumentParser):
            if values := self._choices_of(container).get(names[0]):
                options["metavar"] = f"{{{','.join(values)}}}"
            container, options["help"] = self._group(container, options.get("help"))
        action: Action = ArgumentParser.add_argument(container, *names, **options)
        return action

    def add_argument_group(self, parser: ArgumentParser, **options: Any) -> Any:
        """As `ArgumentParser.add_argument_group`; names the value that brings the group."""
        option, text = self._owner(parser, options.get("description"))
        if option:
            options["description"] = f"With {option}: {text[0].lower()}{text[1:]}"
        return ArgumentParser.add_argument_group(parser, **options)

    def _group(self, parser: ArgumentParser, text: str | None) -> tuple[Any, str | None]:
        """Where an option is listed, and its help there."""
        option, text = self._owner(parser, text)
        if option is None:
            return parser, text
        key = parser.prog, option
        if key not in self._groups:
            self._groups[key] = ArgumentParser.add_argument_group(parser, f"options of {option}")
        return self._groups[key], text

    def _owner(self, parser: ArgumentParser, text: Any) -> tuple[str | None, Any]:
        """The value that brings an option, such as `--backend vllm`, and the option's help."""
        if not (match := OWNER.match(text or "")):
            return None, text
        for name, values in self._choices_of(parser).items():
            if match[1] in values:
                rest = text[match.end() :]
                return f"{name} {match[1]}", rest[0].upper() + rest[1:]
        return None, text

    def _choices_of(self, parser: ArgumentParser) -> Mapping[str, Sequence[str]]:
        return self._choices.get(parser.prog.partition(" ")[2], {})

    def complete(self, parser: ArgumentParser) -> None:
        """Add the list of subcommands and --version to the root parser."""
        parser.usage = f"{parser.prog} [-h] [--version] COMMAND ..."
        parser.epilog = self._list()
        parser.add_argument(
            "--version",
            action="version",
            version=f"{parser.prog} {self.version}",
            help="show the version and exit",
        )
        self._root.metavar, self._root.help = "COMMAND", SUPPRESS

    def _list(self) -> str:
        """The subcommands by use."""
        listed = {name for names in USES.values() for name in names}
        groups = {**USES, OTHER: [name for name in self._commands if name not in listed]}
        return "\n\n".join(
            "\n".join([f"{use}:", *(self._entry(name) for name in names if name in self._commands)])
            for use, names in groups.items()
        )

    def _entry(self, name: str) -> str:
        start = f"    {name} ".ljust(COLUMN)
        return textwrap.fill(
            self._commands[name], WIDTH, initial_indent=start, subsequent_indent=" " * COLUMN
        )


class Formatter(RawDescriptionHelpFormatter):
    """Help whose first line leaves the options to their lists."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[Action],
        groups: Iterable[Any],
        prefix: str | None = None,
    ) -> None:
        """As `HelpFormatter.add_usage`, with [OPTIONS] for all options."""
        actions = list(actions)
        arguments = [action for action in actions if not action.option_strings]
        if not any(isinstance(action, _SubParsersAction) for action in actions) and len(
            arguments
        ) < len(actions):
            actions = [OPTIONS, *arguments]
        super().add_usage(usage, actions, groups, prefix)


# argparse writes it as [OPTIONS]
OPTIONS = Action([], dest="options", nargs="?", metavar="OPTIONS")


def type_in_words(metavar: Any) -> Any:
    """What an option takes: `TEXT` for `tuple[str,...]`; a choice as it is."""
    if not isinstance(metavar, str) or metavar.startswith("{"):
        return metavar
    inner = re.sub(r"^(?:tuple|list)\[(.*?)(?:,\.\.\.)?\]$", r"\1", metavar)
    return ",".join(TYPES.get(part, part) for part in inner.split(","))
