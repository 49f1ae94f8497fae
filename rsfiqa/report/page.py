"""Pages from templates that escape all of their content."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from rsfiqa import __version__
from rsfiqa.cost_map import BRIGHTEST
from rsfiqa.io.atomic import atomic
from rsfiqa.report import formatting
from rsfiqa.report.tables import axis_limit

MAX_FAILURES = 500  # rows of the table; the products hold all failures
WRITTEN = b" UTC by rsfiqa "  # in the footer of every page


def write(path: Path, template: str, **content: Any) -> None:
    """Write a page, atomically.

    Args:
        path: of the page.
        template: its file in this package.
        content: variables of the template; `failures` are cut to the first `MAX_FAILURES`,
            and `failed` is their number if it is not given.
    """
    failures = content.pop("failures")
    failed = content.pop("failed", len(failures))
    text = (
        _environment()
        .get_template(template)
        .render(
            content,
            failures=failures[:MAX_FAILURES],
            failed=failed,
            brightest=BRIGHTEST,
            version=__version__,
            written=datetime.now(UTC),
        )
    )
    with atomic(path) as partial:
        partial.write_text(text, "utf-8")


def _environment() -> jinja2.Environment:
    """Escapes everything, as captions and file names come from outside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formatting.number,
        "interval": formatting.interval,
        "range": formatting.number_range,
        "signed": formatting.signed,
        "level": formatting.level,
        "p": formatting.p_value,
        "quantile": np.quantile,
        "axis_limit": axis_limit,
    }
    return environment
