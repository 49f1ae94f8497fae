"""data.json: how the examples of a folder were made, and which photographs each part has.

version      of the stage
prompt       its version
options      of the stage; see `options.recorded_options`
photographs  digest of the photographs, their regions and their division; see `sources.digest_of`
examples     number of examples by part
sources      names of the photographs by part
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.io.provenance import Difference, first_difference
from rsfiqa.teach.options import PARTS, Part

NAME = "data.json"


def read(folder: Path) -> dict[str, Any]:
    """The description of the examples of a folder; empty if there is none that is whole."""
    try:
        content = read_json(folder / NAME)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(
    folder: Path,
    made_from: Mapping[str, Any],
    *,
    examples: Mapping[Part, int],
    sources: Mapping[Part, list[str]],
    kept: Collection[Part],
) -> None:
    """Describe the examples of a folder.

    Args:
        folder: of the examples.
        made_from: version, prompt, options and photographs.
        examples: number of examples of each part that was made.
        sources: names of its photographs.
        kept: parts whose entries are kept.
    """
    recorded = read(folder)
    content = dict(made_from)
    for key, made in (("examples", examples), ("sources", sources)):
        content[key] = {part: recorded[key][part] for part in kept} | dict(made)
    write_json(folder / NAME, content)


def kept_parts(folder: Path, parts: Collection[Part], made_from: Mapping[str, Any]) -> list[Part]:
    """The parts that a folder has beside those that are made now.

    Args:
        folder: of the examples.
        parts: to be made.
        made_from: see `write`.

    Raises:
        InputError: one was made from something else, so a photograph could lie in two parts.
    """
    kept = [part for part in PARTS if part not in parts and (folder / f"{part}.jsonl").is_file()]
    recorded = read(folder)
    for part in kept:
        if part not in recorded.get("examples", {}):
            found = f"no record of it in {NAME}"
        elif difference := _difference(recorded, made_from):
            found = _describe(difference)
        else:
            continue
        raise InputError(
            f"{folder / part}.jsonl: must be made as the other parts are, found {found}; make all"
            " parts (without --part), or give another folder"
        )
    return kept


def discard_others(folder: Path, parts: Collection[Part], made_from: Mapping[str, Any]) -> None:
    """Remove files of these parts that were made from something else; their images are replaced.

    Args:
        folder: of the examples.
        parts: to be made.
        made_from: see `write`.
    """
    if _difference(read(folder), made_from):
        for name in (NAME, *(f"{part}.jsonl" for part in parts)):
            (folder / name).unlink(missing_ok=True)


def _difference(recorded: Mapping[str, Any], made_from: Mapping[str, Any]) -> Difference | None:
    return first_difference({name: recorded.get(name) for name in made_from}, made_from)


def _describe(difference: Difference) -> str:
    if difference.name == "photographs":
        return "other photographs or regions"
    name = difference.name.removeprefix("options.")
    return f"{name} {difference.recorded}, now {difference.given}"
