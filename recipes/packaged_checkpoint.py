"""The checkpoint that comes with the package: LIVEC, all images, backbone fine-tuned, float16.

About 20 minutes on two cores; an interrupted training is resumed from its last saved step. The card
states the metrics of the same training on held-out splits, from the finetune benchmark.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import FOLDER, add_data, parser
from benchmarks.finetune import FINETUNED, card_of, is_trained
from benchmarks.pipeline import RUN, SETS, SPLIT, run_pipeline
from rsfiqa import checkpoints, samples, splits
from rsfiqa.train import stage as train

METRICS = ("finetune_livec_srcc", "finetune_livec_plcc", "splits")
MOST_MB = 12.0


def held_out_metrics(path: Path, trainings: Path) -> dict[str, float]:
    """Metrics of the same training on held-out splits.

    Args:
        path: figures of the finetune benchmark.
        trainings: its checkpoints, which must be of this recipe.

    Raises:
        SystemExit: they are not known.
    """
    found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if missing := [name for name in METRICS if name not in found]:
        sys.exit(
            f"{path}: must hold {', '.join(missing)}, found nothing of it; run python -m benchmarks"
            " finetune first"
        )
    for i in range(int(found["splits"])):
        if card_of(folder := trainings / splits.split_name("split", i), FINETUNED) is None:
            sys.exit(
                f"{folder}: must be trained by the present recipe, found no such checkpoint; run"
                " python -m benchmarks finetune again"
            )
    return {name: found[name] for name in METRICS}


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


def main(arguments: Sequence[str]) -> None:
    """Train, unless that is done, and pack."""
    options = parser(__name__, __doc__)
    add_data(options, SETS["livec"])
    given = options.parse_args(arguments)
    metrics = held_out_metrics(FOLDER / "bench-finetune.json", FOLDER / "finetune" / "finetune")
    products = run_pipeline(given.data, RUN, "--until", "embed", "extract", sets=["livec"])
    folder, output = products / "livec", FOLDER / "checkpoint" / "livec.full" / "all-00"
    if not is_trained(output, FINETUNED, samples.load(folder), "all-00"):
        train.run(folder, output, FINETUNED, variant="full", split="all-00", **SPLIT)
    pack(output, checkpoints.PACKAGED, metrics)


if __name__ == "__main__":
    main(sys.argv[1:])
