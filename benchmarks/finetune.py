"""LIVEC with a fine-tuned backbone against the frozen one, on the same splits.

Usage: python benchmarks/finetune.py DATA [SPLITS]. About a quarter of an hour a split on two cores;
a split that is done is kept, and one that was broken off goes on from its last saved step.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from bench import RUN, TEST_SHARE, made
from figures import FOLDER, write

from rsfiqa import benchmark, checkpoints, samples, splits, train
from rsfiqa.correlation import Agreement, agreement, median_interval
from rsfiqa.stages import TrainOptions

SPLIT: dict[str, Any] = {"test_share": TEST_SHARE, "seed": 0}
THREADS = 2


def tested(folder: Path, output: Path, options: TrainOptions, split: str) -> Agreement:
    """Train on a split, unless that is done, and test."""
    if not (output / "card.json").is_file():
        train.run(folder, output, options, variant="full", split=split, **SPLIT)
    model, card = checkpoints.read(output)
    data = samples.load(folder)
    data = data.take(data.tested_part(split, **SPLIT))
    tuned = checkpoints.read_backbone(output, card)
    predicted = benchmark.predict_quality(model, data, tuned, card.backbone["long_side"])
    return agreement(predicted, data.quality)


def main() -> None:
    """Train, test and write the figures of the splits that are done."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python benchmarks/finetune.py DATA [SPLITS]")
    number = int(sys.argv[2]) if len(sys.argv) == 3 else 3
    folder = made(Path(sys.argv[1]), RUN, "--until", "embed", "extract") / "livec"
    frozen, tuned = TrainOptions(), TrainOptions(finetune=True, threads=THREADS)
    found: dict[str, list[Agreement]] = {"frozen": [], "finetune": []}
    for split in (splits.split_name("split", i) for i in range(number)):
        for name, options in (("frozen", frozen), ("finetune", tuned)):
            output = FOLDER / "finetune" / name / split
            found[name].append(tested(folder, output, options, split))
            print(f"{split} {name}: SRCC {found[name][-1].srcc:.4f}", file=sys.stderr, flush=True)
    figures: dict[str, float] = {"splits": number}
    for name, each in found.items():
        median, low, high = median_interval(np.array([one.srcc for one in each]))
        figures[f"{name}_livec_srcc"] = median
        if number == 10:
            figures[f"{name}_livec_srcc10"] = median
        figures |= {f"{name}_livec_srcc_low": low, f"{name}_livec_srcc_high": high}
        figures[f"{name}_livec_plcc"] = float(np.median([one.plcc for one in each]))
    gain = [a.srcc - b.srcc for a, b in zip(found["finetune"], found["frozen"], strict=True)]
    figures["finetune_gain"] = float(np.median(gain))
    write("bench-finetune", figures, "make bench-finetune DATA=DIR SPLITS=N")


if __name__ == "__main__":
    main()
