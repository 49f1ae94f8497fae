"""The checkpoint that comes with the package: LIVEC, all images, backbone fine-tuned, float16.

Usage: python benchmarks/checkpoint.py DATA. About 20 minutes on two cores; a training that was
broken off goes on from its last saved step. Its card tells what the same training reached on
held-out splits, from the figures of make bench-finetune.
"""

import json
import sys
from pathlib import Path

from bench import RUN, made
from figures import FOLDER
from finetune import is_made

from rsfiqa import checkpoints, samples, train
from rsfiqa.stages import TrainOptions

TESTED = ("finetune_livec_srcc", "finetune_livec_plcc", "splits")
MOST_MB = 12.0
OPTIONS = TrainOptions(finetune=True, threads=2)


def tested(path: Path) -> dict[str, float]:
    """What held-out splits gave.

    Raises:
        SystemExit: it is not known.
    """
    found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if missing := [name for name in TESTED if name not in found]:
        sys.exit(
            f"{path}: must hold {', '.join(missing)}, found nothing of it; run make bench-finetune"
            " DATA=DIR first"
        )
    return {name: found[name] for name in TESTED}


def pack(source: Path, target: Path, figures: dict[str, float]) -> None:
    """Put a trained checkpoint into the package.

    Raises:
        SystemExit: it is larger than a package should be.
    """
    checkpoints.pack(source, target, figures)
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    if size > MOST_MB:
        sys.exit(f"{target}: must take {MOST_MB:g} MB at most, found {size:.1f}; train a smaller")
    print(f"{target}: {size:.1f} MB, {figures}")


def main() -> None:
    """Train, unless that is done, and pack."""
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/checkpoint.py DATA")
    figures = tested(FOLDER / "bench-finetune.json")
    folder = made(Path(sys.argv[1]), RUN, "--until", "embed", "extract", sets=["livec"]) / "livec"
    output = FOLDER / "checkpoint" / "livec.full" / "all-00"
    if not is_made(output, OPTIONS, samples.load(folder)):
        train.run(folder, output, OPTIONS, variant="full", split="all-00", test_share=0.2, seed=0)
    pack(output, checkpoints.PACKAGED, figures)


if __name__ == "__main__":
    main()
