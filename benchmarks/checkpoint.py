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
from finetune import SPLIT, TUNED, card_of, is_made

from rsfiqa import samples, splits
from rsfiqa.products import checkpoints
from rsfiqa.train import stage as train

TEST = ("finetune_livec_srcc", "finetune_livec_plcc", "splits")
MOST_MB = 12.0


def reached(path: Path, trainings: Path) -> dict[str, float]:
    """What held-out splits gave.

    Args:
        path: figures of make bench-finetune.
        trainings: its checkpoints, which must be of this recipe.

    Raises:
        SystemExit: it is not known.
    """
    found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if missing := [name for name in TEST if name not in found]:
        sys.exit(
            f"{path}: must hold {', '.join(missing)}, found nothing of it; run make bench-finetune"
            " DATA=DIR first"
        )
    for i in range(int(found["splits"])):
        if card_of(folder := trainings / splits.split_name("split", i), TUNED) is None:
            sys.exit(
                f"{folder}: must be trained by the recipe of today, found no such checkpoint; run"
                " make bench-finetune DATA=DIR again"
            )
    return {name: found[name] for name in TEST}


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
    figures = reached(FOLDER / "bench-finetune.json", FOLDER / "finetune" / "finetune")
    folder = made(Path(sys.argv[1]), RUN, "--until", "embed", "extract", sets=["livec"]) / "livec"
    output = FOLDER / "checkpoint" / "livec.full" / "all-00"
    if not is_made(output, TUNED, samples.load(folder), "all-00"):
        train.run(folder, output, TUNED, variant="full", split="all-00", **SPLIT)
    pack(output, checkpoints.PACKAGED, figures)


if __name__ == "__main__":
    main()
