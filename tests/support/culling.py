"""Folders of pictures with a table of scores, and runs of `rsfiqa cull` on them."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from PIL import Image

from rsfiqa import cli
from rsfiqa.cull.journal import journal_path
from rsfiqa.images.location import display_path, file_state
from rsfiqa.products import score_tables
from rsfiqa.products.scores import Row, failed_row
from rsfiqa.scale import MosScale

LABEL = "livec 0123456789ab"
SCALE = MosScale(0, 100)


def make_picture(path: Path, tone: int = 0) -> Path:
    """Write a small JPEG; pictures of different tones differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (tone, 255 - tone, 7)).save(path, "JPEG")
    return path


def make_row(path: Path, score: float, scale: MosScale = SCALE, **changes: Any) -> Row:
    """The row of a picture as it is now."""
    row = failed_row(display_path(str(path)), file_state(str(path)), scale, LABEL)
    known = {
        "score": score,
        "quality": min(max(scale.to_quality(score), 0.0), 1.0),
        "worst_box": [0, 0, 16, 16],
        "worst_caption": "A grey area.",
        "worst_color": 5.0,
        "worst_noise": 5.0,
        "worst_artifact": 5.0,
        "worst_blur": 5.0,
        "worst_overall": 3.0,
        "status": "ok",
    }
    return cast(Row, dict(row) | known | changes)


def make_failed(path: Path) -> Row:
    """The row of a picture that could not be scored."""
    row = failed_row(display_path(str(path)), file_state(str(path)), SCALE, LABEL)
    return cast(Row, dict(row) | {"reason": "empty file (0 bytes)"})


def write_table(path: Path, rows: Iterable[Row]) -> Path:
    """Write a table of scores."""
    score_tables.write(path, rows, LABEL)
    return path


def make_photos(root: Path, scores: dict[str, float], suffix: str = ".jsonl") -> Path:
    """Write pictures below `root`/photos and their table; returns the table."""
    rows = [
        make_row(make_picture(root / "photos" / name, tone), score)
        for tone, (name, score) in enumerate(scores.items())
    ]
    return write_table(root / f"scores{suffix}", rows)


def cull(*words: object) -> int:
    """Run the command; its exit status."""
    return cli.main(["cull", *map(str, words)])


def tree(root: Path) -> dict[str, bytes | str | None]:
    """All below a folder by relative path: bytes of files, texts of links, None for folders."""
    return {
        str(path.relative_to(root)): _content(path)
        for path in sorted(root.rglob("*"))
        if "scores" not in path.name
    }


def _content(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return str(path.readlink())
    return None if path.is_dir() else path.read_bytes()


def kill_at_every_step(
    root: Path, prepare: Callable[[Path], list[str]], elsewhere: Path | None = None
) -> int:
    """Kill a run at its first call of the system that concerns files, at the second, and so on.

    After each kill the run is undone, and likewise after the same command has gone on. Both must
    restore every file. Needs a process without threads, so that it can fork.

    Args:
        root: an empty folder.
        prepare: makes files in a folder and returns the words of the command.
        elsewhere: a further folder into which files may go; each try has its own in it.

    Returns:
        The number of steps.
    """
    for step in range(1, 1000):
        outcomes = [
            _try(root / f"{step}-{end}", prepare, step, end, elsewhere) for end in ("undo", "go-on")
        ]
        if not any(outcomes):
            return step - 1
    raise AssertionError("the run does not end")


def _try(
    root: Path,
    prepare: Callable[[Path], list[str]],
    step: int,
    end: str,
    elsewhere: Path | None,
) -> bool:
    """Kill a run at a step and check what follows; False if the run ended before."""
    root.mkdir()
    words = prepare(root)
    table, before = Path(words[0]), tree(root)
    killed = _run_killed(words, step)
    found = [*tree(root).values(), *(tree(elsewhere / root.name) if elsewhere else {}).values()]
    lost = [name for name, content in before.items() if content not in found]
    assert not lost or "--xmp" in words, (step, lost)
    if end == "go-on":
        assert cull(*words) == 0, step
    if journal_path(table).is_file() and journal_path(table).read_bytes().count(b"\n") > 1:
        assert cull(table, "--undo") == 0, step
    assert tree(root) == before, (step, end)
    return killed


def _run_killed(words: list[str], step: int) -> bool:
    """Run the command in a process that is killed at a step; whether it was."""
    child = os.fork()
    if child == 0:
        steps = iter(range(1, step))
        kinds = ("open", "os.", "shutil.", "fcntl.")

        def count(event: str, _: object) -> None:
            if event.startswith(kinds) and next(steps, None) is None:
                os._exit(9)  # at once, as a kill: no handler runs, nothing is flushed

        sys.addaudithook(count)
        os._exit(cull(*words))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
