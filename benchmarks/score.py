"""How fast and in what memory pictures are scored, and whether the package works once installed.

About an hour on two cores, of which 25 minutes are those of 100,000 small pictures, and 20 an
installation into an empty environment. Figures are written if all parts were measured; those of the
100,000 pictures have a file of their own.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import RELEASES, ROOT, add_data, parser, write
from rsfiqa.products import score_tables

SPEED_IMAGES = 200
GROWTH_IMAGES = 100_000
GROWTH_PART = 0.1  # of them, first and last
SMALL = 64  # pixels a side
PAUSE_S = 0.2
LARGE, LARGE_IMAGES = (4000, 3000), 40
COMPARED, FEW, ROUNDS = 8, 40, 3  # pictures of pyiqa's, of our shorter run, and rounds
MB = 1e6
Line = Sequence[str | Path]


@dataclass(frozen=True)
class Ran:
    """A command that ended.

    Attributes:
        seconds: that it took.
        first: seconds until its first line of output.
        peak: of the memory of its largest process, bytes.
        memory: of all its processes, bytes, every `PAUSE_S` with the rows finished by then.
    """

    seconds: float
    first: float
    peak: float
    memory: list[tuple[int, float]]


def score(words: Line, journal: Path | None = None) -> Ran:
    """Run `rsfiqa score` with these words; the rows of its journal are counted.

    Raises:
        SystemExit: it failed.
    """
    line = [sys.executable, "-m", "rsfiqa", "score", *map(str, words)]
    started, memory = time.perf_counter(), []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, env=environment)
    first = 0.0
    if journal is None and process.stdout is not None:
        process.stdout.readline()
        first = time.perf_counter() - started
        process.stdout.read()
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        if journal is not None:
            memory.append((_lines(journal), _resident(process.pid)))
        time.sleep(PAUSE_S)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(line)}: failed with status {process.returncode}")
    return Ran(time.perf_counter() - started, first, usage.ru_maxrss * 1024.0, memory)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def _resident(process: int) -> float:
    """Memory of a process and of those that it started, bytes."""
    folder = Path(f"/proc/{process}")
    try:
        pages = int((folder / "statm").read_text("ascii").split()[1])
        children = (folder / f"task/{process}/children").read_text("ascii").split()
    except (OSError, IndexError):  # it has just ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(_resident, map(int, children)))


def speed(data: Path, checkpoint: Line, folder: Path) -> dict[str, float]:
    """Pictures of 500 x 500 pixels a second, start included; seconds to the first score."""
    paths = sorted((data / RELEASES["livec"] / "Images").glob("*.*"))[:SPEED_IMAGES]
    (folder / "list.txt").write_text("\n".join(map(str, paths)), "utf-8")
    first = [score([paths[0], *checkpoint]).first for _ in range(3)]
    ran = score([folder / "list.txt", "-o", folder / "speed.parquet", *checkpoint])
    return {
        "images_per_s": len(paths) / ran.seconds,
        "first_score_s": float(np.median(first)),
    }


def memory(data: Path, checkpoint: Line, folder: Path) -> dict[str, float]:
    """Most memory that a photograph of 24 megapixels takes, and one of 100 in two formats."""
    photo = Image.open(sorted((data / RELEASES["kodak"]).glob("*.png"))[0]).convert("RGB")
    figures = {}
    for name, size in (
        ("24mp.jpg", (6000, 4000)),
        ("100mp.jpg", (12240, 8160)),
        ("100mp.png", (12240, 8160)),
    ):
        path = folder / name
        photo.resize(size).save(path, quality=92, compress_level=1)  # each format takes its own
        key = name.replace(".jpg", "").replace(".", "_")
        figures[f"peak_mb_{key}"] = score([path, *checkpoint]).peak / MB
        path.unlink()
    return figures


def growth(data: Path, checkpoint: Line, folder: Path) -> dict[str, float]:
    """By how much the memory of one process grows from the first tenth of pictures to the last."""
    photos = [
        np.asarray(Image.open(p).convert("RGB"))
        for p in sorted((data / RELEASES["kodak"]).glob("*"))
    ]
    random = np.random.default_rng(0)
    for i in range(GROWTH_IMAGES):
        photo = photos[i % len(photos)]
        top, left = (random.integers(side - SMALL) for side in photo.shape[:2])
        cut = photo[top : top + SMALL, left : left + SMALL]
        path = folder / "small" / f"{i // 1000:02d}" / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(cut).save(path)
    output = folder / "growth.jsonl"
    journal = output.with_name(f".{output.name}.journal")
    words = [folder / "small", "-o", output, "--workers=1", *checkpoint]
    ran = score(words, journal)
    bound = GROWTH_PART * GROWTH_IMAGES
    before, after = (
        float(np.median([size for rows, size in ran.memory if low <= rows <= high and size]))
        for low, high in ((1, bound), (GROWTH_IMAGES - bound, GROWTH_IMAGES))
    )
    if len(list(score_tables.read(output))) != GROWTH_IMAGES:
        sys.exit(f"{output}: must hold {GROWTH_IMAGES} rows, found others")
    return {"growth_fraction": after / before - 1, "growth_images": GROWTH_IMAGES}


def install(data: Path, checkpoint: Line, folder: Path) -> dict[str, float]:
    """Whether the package, installed by pip into an empty environment, scores from elsewhere."""
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT], check=True, env=plain)
    photo = sorted((data / RELEASES["kodak"]).glob("*.png"))[0].resolve()
    command = [environment / "bin" / "rsfiqa", "score", photo, *checkpoint]
    found = subprocess.run(
        command, cwd=folder, env=plain, capture_output=True, text=True, check=False
    )
    print(found.stdout, found.stderr, file=sys.stderr)
    works = found.returncode == 0 and re.match(r" *\d+\.\d\d  ", found.stdout) is not None
    return {"pip_install_ok": float(works)}


def large(data: Path, checkpoint: Line, folder: Path) -> dict[str, float]:
    """Pictures of 12 megapixels a second, start included."""
    paths = sorted((data / RELEASES["livec"] / "Images").glob("*.*"))[:LARGE_IMAGES]
    for number, path in enumerate(paths):
        photo = Image.open(path).convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:02d}.jpg", quality=92)
    ran = score([folder, "-o", folder / "large.parquet", *checkpoint])
    return {"images_per_s_12mp": len(paths) / ran.seconds}


def neighbours(python: Path, data: Path, checkpoint: Line, folder: Path) -> dict[str, float]:
    """Milliseconds a picture of 500 x 500 on two cores, ours and pyiqa's, in alternating rounds.

    Ours is the time that more pictures take longer than few, so that starts do not count.

    Args:
        python: of an environment with pyiqa.
        data: folder of the data sets.
        checkpoint: words that name one.
        folder: for tables.
    """
    paths = sorted((data / RELEASES["livec"] / "Images").glob("*.*"))[:SPEED_IMAGES]
    script = ROOT / "benchmarks" / "pyiqa_speed.py"
    rounds: list[dict[str, float]] = []
    with subprocess.Popen(
        [python, script, *paths[:COMPARED]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        if other.stdin is None or other.stdout is None or other.stdout.readline() != "ready\n":
            sys.exit(f"--pyiqa: must be the Python of an environment with pyiqa, found {python}")
        for number in range(ROUNDS):
            seconds = []
            for count in (FEW, len(paths)):
                table = folder / f"{number}-{count}.parquet"
                seconds.append(score([*paths[:count], "-o", table, *checkpoint]).seconds)
            own = 1000 * (seconds[1] - seconds[0]) / (len(paths) - FEW)
            other.stdin.write(f"{COMPARED}\n")
            other.stdin.flush()
            rounds.append({"rsfiqa": own} | json.loads(other.stdout.readline()))
            print(rounds[-1], file=sys.stderr, flush=True)
        other.stdin.close()
    medians = {name: float(np.median([each[name] for each in rounds])) for name in rounds[0]}
    figures = {f"{name}_ms": value for name, value in medians.items()}
    ratios = {f"{name}_over_rsfiqa": value / medians["rsfiqa"] for name, value in medians.items()}
    del ratios["rsfiqa_over_rsfiqa"]
    return figures | ratios


PARTS = {"speed": speed, "large": large, "memory": memory, "growth": growth, "install": install}


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the figures if all parts were measured, those of growth in any case."""
    options = parser(__name__, __doc__)
    add_data(options, "livec", "kodak")
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    options.add_argument("--part", nargs="*", choices=PARTS, default=list(PARTS))
    options.add_argument(
        "--pyiqa", type=Path, metavar="PYTHON", help="of an environment with pyiqa, to compare with"
    )
    given = options.parse_args(arguments)
    own = given.checkpoint
    checkpoint: Line = ["--checkpoint", own.resolve()] if own else []
    figures: dict[str, float] = {}
    for name in given.part:
        with tempfile.TemporaryDirectory() as folder:
            found = PARTS[name](given.data, checkpoint, Path(folder))
        print(f"{name}: {found}", file=sys.stderr, flush=True)
        if name == "growth":
            write(
                "bench-score-growth", found, "python -m benchmarks score --data DIR --part growth"
            )
        else:
            figures |= found
    if given.pyiqa is not None:
        with tempfile.TemporaryDirectory() as folder:
            compared = neighbours(given.pyiqa, given.data, checkpoint, Path(folder))
        write("bench-score-neighbours", compared, "python -m benchmarks score --data DIR --pyiqa P")
    if set(given.part) == set(PARTS):
        write("bench-score", figures, "python -m benchmarks score --data DIR")
