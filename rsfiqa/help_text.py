"""The help of the command line: subcommands by use, types in words."""

import re
import textwrap
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Mapping, Sequence
from typing import Any

# Subcommands in the order of their use; those that are not here are stages of the pipeline.
USES: Mapping[str, Sequence[str]] = {
    "score pictures, and choose among them": ("score", "cull", "group", "report", "serve")
}
STAGES = "stages of the pipeline"
WIDTH, COLUMN = 78, 20  # of the list, and of its names
TYPES = {"str": "TEXT", "Path": "PATH", "int": "INTEGER", "float": "NUMBER"}
# Defaults that say nothing: an option that is not given, a flag that is off.
EMPTY = re.compile(r" ?\(default: (null|\(\)|False)\)")


class HelpText:
    """Hooks of `CliSettingsSource` that shape the help of a parser.

    Args:
        version: what --version prints.
    """

    def __init__(self, version: str) -> None:
        self.version = version
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
        """As `ArgumentParser.add_argument`, with the type in words."""
        if "metavar" in options:
            options["metavar"] = type_in_words(options["metavar"])
        if options.get("help"):
            options["help"] = EMPTY.sub("", options["help"])
        action: Action = ArgumentParser.add_argument(container, *names, **options)
        return action

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
        groups = {**USES, STAGES: [name for name in self._commands if name not in listed]}
        return "\n\n".join(
            "\n".join([f"{use}:", *(self._entry(name) for name in names if name in self._commands)])
            for use, names in groups.items()
        )

    def _entry(self, name: str) -> str:
        start = f"    {name} ".ljust(COLUMN)
        return textwrap.fill(
            self._commands[name], WIDTH, initial_indent=start, subsequent_indent=" " * COLUMN
        )


def type_in_words(metavar: Any) -> Any:
    """What an option takes: `TEXT` for `tuple[str,...]`; a choice as it is."""
    if not isinstance(metavar, str) or metavar.startswith("{"):
        return metavar
    inner = re.sub(r"^(?:tuple|list)\[(.*?)(?:,\.\.\.)?\]$", r"\1", metavar)
    return ",".join(TYPES.get(part, part) for part in inner.split(","))
