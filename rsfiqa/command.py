"""What the subcommands of the command line have in common."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin
from urllib.parse import quote, unquote_to_bytes

from pydantic import AliasChoices, BaseModel, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import CliPositionalArg

from rsfiqa.io.home import expand_home
from rsfiqa.options import Fraction, Options
from rsfiqa.products.paths import dataset_name
from rsfiqa.registry import names_in

T = TypeVar("T", bound=Options)
Folder = CliPositionalArg[Path]

DATASET = "Folder of the data set, results/<dataset>; its last part names the data set."
MAX_FAILED = "Largest fraction of unusable images that is accepted in a shard."
REPLACE = "Make products again that were made with other options, which is refused otherwise."
TEST_FRACTION = "Fraction of the images in the test part of a random split."
VERBATIM = "verbatim:"  # before a word that the parser of the command line shall leave as it is


def verbatim(word: str) -> str:
    """A word without commas, brackets, braces, quotes and spaces, at which lists are split."""
    return VERBATIM + quote(os.fsencode(word), safe="")


def _word(word: Any) -> Any:
    """The inverse of `verbatim`; anything else stays."""
    if isinstance(word, str) and word.startswith(VERBATIM):
        return os.fsdecode(unquote_to_bytes(word.removeprefix(VERBATIM)))
    return word


class Command(Options):
    """A subcommand: its fields are the options, its docstring is the help text.

    Attributes:
        extra: the extra of the package that brings the libraries which the stage needs beyond
            those of `rsfiqa score`.
        renamed: keys of config.yaml that errors may name, and the options that stand for them
            where the subcommand is not called as the config's section.
    """

    extra: ClassVar[str] = "pipeline"
    renamed: ClassVar[Mapping[str, str]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def _check_words(cls, value: Any, info: ValidationInfo) -> Any:
        """Restore words that were typed, and expand ~ in those that are paths.

        Raises:
            PydanticCustomError: an empty path, which would be the current folder.
        """
        field = cls.model_fields[info.field_name or ""]
        is_path = Path in (field.annotation, *_parts(field.annotation))
        if isinstance(value, list | tuple):
            return [_path(_word(item)) if is_path else _word(item) for item in value]
        return _path(value) if is_path else value

    def run(self) -> int | None:
        """Run the stage; the exit status, or None for success."""
        raise NotImplementedError

    def sections(self) -> tuple[str, ...]:
        """Sections of config.yaml whose keys are options of the same name here."""
        return ()

    def stage_options(self, options: type[T]) -> T:
        """The stage's own options among those of the subcommand."""
        return options(**self.model_dump(include=set(options.model_fields)))

    @classmethod
    def summary(cls) -> str:
        """The first line of the help text, as it stands in the list of subcommands."""
        line = (cls.__doc__ or "").splitlines()[0].rstrip(".")
        return line[0].lower() + line[1:]

    @classmethod
    def flags(cls, section: str) -> dict[str, str]:
        """The options as keys of a section of config.yaml, and as they are typed.

        For example `train.finetune.lr`: `--finetune.lr`.
        """
        flags = {f"{section}.{key}": _flag(key) for key in _keys(cls)}
        for name, field in cls.model_fields.items():
            if isinstance(field.validation_alias, AliasChoices):
                flags |= {
                    f"{section}.{alias}": _flag(name) for alias in field.validation_alias.choices
                }
        return flags

    @classmethod
    def choices(cls) -> dict[str, Sequence[str]]:
        """The options that take one of several words, and these words."""
        return {
            _flag(name): words
            for name, field in cls.model_fields.items()
            if (words := _words_of(field))
        }

    @classmethod
    def names_typed(cls, message: str, sections: tuple[str, ...]) -> str:
        """An error message in which keys of config.yaml are replaced by the options typed.

        Keys that are no options of this subcommand stay.

        Args:
            message: of the error.
            sections: whose keys are options of this subcommand.
        """
        flags = {key: _flag(name) for key, name in cls.renamed.items()}
        for section in sections:
            flags |= cls.flags(section)
        longest_first = sorted(map(re.escape, flags), key=len, reverse=True)
        pattern = rf"(?<![\w./-])({'|'.join(longest_first)})(?!\w)"
        return re.sub(pattern, lambda match: flags[match[0]], message)


def _parts(annotation: Any) -> Iterator[Any]:
    """The types that a type is made of."""
    for part in get_args(annotation):
        yield part
        yield from _parts(part)


def _words_of(field: FieldInfo) -> Sequence[str]:
    """The words that a field takes; none where it takes others too."""
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)
    return names_in(field.metadata)


def _path(value: Any) -> Any:
    """A path with ~ expanded.

    Raises:
        PydanticCustomError: an empty one.
    """
    if value == "":
        raise PydanticCustomError("empty_path", "Input should be a path")
    return expand_home(value) if isinstance(value, str) else value


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """The fields of a model and, with dots, of the models in it."""
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{key}" for key in _keys(field.annotation))


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


class ShardCommand(Command):
    """A stage that works shard by shard."""

    folder: Folder = Field(description=DATASET)
    shard: tuple[str, ...] = Field(
        (), description="Shard to process, such as 00000; can be given several times."
    )
    max_failed_fraction: Fraction = Field(0.01, description=MAX_FAILED)
    replace: bool = Field(False, description=REPLACE)

    @property
    def shard_arguments(self) -> dict[str, Any]:
        """The arguments that the `run` of each of these stages takes."""
        return {
            "only": self.shard,
            "max_failed_fraction": self.max_failed_fraction,
            "replace": self.replace,
        }


class DatasetCommand(Command):
    """A stage whose options describe one data set: `datasets.<name>` in config.yaml."""

    folder: Folder = Field(description=DATASET)

    def sections(self) -> tuple[str, ...]:
        """The data set's own section."""
        return (f"datasets.{dataset_name(self.folder)}",)
