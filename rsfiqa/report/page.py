"""The templates: everything that they are given is escaped."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from rsfiqa import __version__
from rsfiqa.io.atomic import atomic
from rsfiqa.report import gallery, tables

SHOWN_FAILURES = 500  # rows of the page's table; the product has them all


def write(path: Path, template: str, **content: Any) -> None:
    """Write a page, atomically.

    Args:
        path: of the page.
        template: its file in this package.
        content: what the template shows; `failures` are cut to the first `SHOWN_FAILURES`.
    """
    failures = content.pop("failures")
    text = (
        _environment()
        .get_template(template)
        .render(
            content,
            failures=failures[:SHOWN_FAILURES],
            failed=len(failures),
            kinds=gallery.KINDS,
            version=__version__,
            written=datetime.now(UTC),
        )
    )
    with atomic(path) as partial:
        partial.write_text(text, "utf-8")


def _environment() -> jinja2.Environment:
    """Templates that escape everything: captions and file names come from outside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": tables.number,
        "interval": tables.interval,
        "range": tables.number_range,
        "signed": tables.signed,
        "p": tables.p_value,
        "quantile": np.quantile,
        "reach": tables.reach,
    }
    return environment
