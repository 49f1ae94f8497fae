"""What the score command prints about a picture, its regions and the pictures that failed."""

import textwrap
from collections.abc import Sequence

from rsfiqa.errors import printable
from rsfiqa.products.scores import Row, scale_of
from rsfiqa.scale import MosScale
from rsfiqa.score.result import Region

INDENT = " " * 10  # under the path of the picture
HEADER = f"{INDENT}{'region':>6} {'cost':>7} {'weight':>6} {'score':>7}  {'box':<23}  "
LEAST_WIDTH = 24  # columns for a sentence, on a terminal that is narrower than that
NAMED = 3  # pictures of the last line


def picture_line(row: Row) -> str:
    """The score of a picture within the scale, its word, and why; or why it failed."""
    path = printable(row["path"])
    if (score := row.get("score")) is None:
        return f"{'failed':>8}  {path}: {row['reason']}"
    damage = f"; damaged: {row['damage']}" if row["damage"] else ""
    region = "given" if row.get("inside") else "worst"
    why = f"{row['word']}: {row['reason']}{damage} ({region} region: {row['worst_caption']})"
    return f"{scale_of(row).clip(score):8.2f}  {path}  {why}"


def region_lines(
    regions: Sequence[Region],
    width: int | None,
    scale: MosScale,
    given: Sequence[int] | None = None,
) -> list[str]:
    """A table of the regions of a picture, the most costly first; empty without regions.

    Regions have the numbers that the page of the report shows: from 1, by falling area.

    Args:
        regions: of the picture, by falling area.
        width: columns of the terminal; None for one line per region.
        scale: of the scores, which are shown within it.
        given: box of the region that was given; None for none.
    """
    numbered = sorted(enumerate(regions, 1), key=lambda item: (-item[1].cost, item[0]))
    lines = [HEADER + "what"] if regions else []
    for number, region in numbered:
        box = "{},{} to {},{}".format(*region.box)
        score = scale.clip(region.score)
        figures = f"{number:>6} {region.cost:>7.2f} {region.weight:>6.1%} {score:>7.2f}"
        start = f"{INDENT}{figures}  {box:<23}  "
        mark = "given: " if given is not None and region.box == tuple(given) else ""
        lines += _wrapped(start, mark + _what(region), width)
    return lines


def _what(region: Region) -> str:
    ratings = ", ".join(f"{name} {value:.1f}" for name, value in region.ratings.items())
    return f"{region.text or 'caption failed'} [{ratings}]"


def _wrapped(start: str, text: str, width: int | None) -> list[str]:
    """A text behind the start of a line, further lines below it."""
    if width is None:
        return [start + text]
    rest = max(width - len(start), LEAST_WIDTH)
    first, *others = textwrap.wrap(text, rest, break_on_hyphens=False)
    return [start + first, *(" " * len(start) + other for other in others)]


def failed_line(failed: Sequence[Row], *, all_named: bool, table: str | None) -> str:
    """The pictures that failed, and why.

    Args:
        failed: at least one.
        all_named: name each of them, not only the first few.
        table: that holds them all; None for none.
    """
    named = failed if all_named else failed[:NAMED]
    text = "; ".join(f"{printable(row['path'])} ({row['reason']})" for row in named)
    if more := len(failed) - len(named):
        text += f"; and {more} more, {f'see {table}' if table else '--verbose names them'}"
    return f"failed: {text}"
