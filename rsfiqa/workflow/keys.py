"""Keys that stand twice in a configuration file: YAML takes the last without a word."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from rsfiqa.errors import InputError


def check_keys(path: Path) -> None:
    """Raise where a section of a YAML file holds a key twice.

    Args:
        path: the file; one that cannot be read is left to who reads it.

    Raises:
        InputError: names the key and its line.
    """
    try:
        root = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    for node in _mappings(root):
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise InputError(
                    f"{path}: a section must hold each key once, found '{key.value}' again in line"
                    f" {key.start_mark.line + 1}; remove one"
                )
            seen.add(str(key.value))


def _mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """All sections in a node, at any depth."""
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _mappings(item)
