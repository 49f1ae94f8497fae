"""README's first output: `rsfiqa score photos/` of photographs of packages, one of them twice."""

import contextlib
import io
import re
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from PIL import Image

from docs.worst_region import photographs
from rsfiqa import cli

PHOTOGRAPHS = (
    "skimage/data/chelsea.png",
    "skimage/data/coffee.png",
    "sklearn/datasets/images/flower.jpg",
)
DEFOCUSED = "flower-defocused.png"  # that of docs/worst-region.png
BLOCK = re.compile(r"(```\n +)\d+\.\d+  photos/.*?(?=```)", re.DOTALL)


def main(page: Path) -> None:
    """Replace the output in a page."""
    text, count = BLOCK.subn(lambda _: f"```\n{output()}", page.read_text("utf-8"), count=1)
    if count != 1:
        sys.exit(f"{page}: must hold a block of scores of photos/, found none")
    page.write_text(text, "utf-8")


def output() -> str:
    """What the command prints on standard output."""
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("photos").mkdir()
        for source in PHOTOGRAPHS:
            package, _, inner = source.partition("/")
            shutil.copy(str(files(package) / inner), "photos")
        Image.fromarray(photographs()[1]).save(Path("photos", DEFOCUSED))
        with contextlib.redirect_stdout(printed):
            if status := cli.main(["score", "photos/"]):
                sys.exit(status)
    return printed.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
