"""How much a median of ten splits depends on which ten: AGIQA-3K, the model and the probe.

Usage: python benchmarks/draws.py DATA [DRAWS]. The first draw of ten splits is that of make bench.
About half a minute of a core a split; one that is done is kept.
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
from bench import RUN, TEST_FRACTION, made, spread
from figures import FOLDER, write
from finetune import SPLIT, each, trained_and_tested

from rsfiqa import samples, splits
from rsfiqa.benchmark.baselines import probe
from rsfiqa.metrics import compute_metrics, paired_test
from rsfiqa.train.options import TrainOptions

SET = "agiqa3k"
SPLITS = 10  # of a draw


def compared(folder: Path, output: Path, number: int) -> tuple[float, float]:
    """SRCC of the model and of the probe on one of all splits; checkpoints go to `output`."""
    draw, number = divmod(number, SPLITS)
    way = SPLIT | {"seed": draw}
    split = splits.split_name("split", number)
    data = samples.load(folder)
    own = output / f"{draw:02d}" / split
    model = trained_and_tested(folder, data, own, TrainOptions(), split, way)
    part = data.test_mask(split, **way)
    tested = data.take(part)
    baseline = compute_metrics(probe(data.take(~part), tested), tested.quality)
    print(f"draw {draw} {split}: {model.srcc:.4f}, probe {baseline.srcc:.4f}", file=sys.stderr)
    return model.srcc, baseline.srcc


def main() -> None:
    """Train, test and write the figures."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python benchmarks/draws.py DATA [DRAWS]")
    draws = int(sys.argv[2]) if len(sys.argv) == 3 else 10
    folder = made(Path(sys.argv[1]), RUN, "--until", "embed", "extract", sets=[SET]) / SET
    work = partial(compared, folder, FOLDER / "draws")
    found = np.array(each(work, range(draws * SPLITS), os.cpu_count() or 1))  # (N, 2)
    figures: dict[str, float] = {"draws": draws}
    for own, values in zip(("", "baseline_probe_"), found.T, strict=True):
        medians = np.median(values.reshape(-1, SPLITS), axis=1)
        figures |= {
            f"{own}{SET}_srcc_first_draw": medians[0],
            f"{own}{SET}_srcc_lowest_draw": medians.min(),
            f"{own}{SET}_srcc_highest_draw": medians.max(),
            **spread(f"{own}{SET}_srcc_all_splits", values),
        }
    gain = found[:, 0] - found[:, 1]
    figures |= spread(f"{SET}_srcc_minus_probe_all_splits", gain)
    figures["p_minus_probe_all_splits"] = paired_test(gain, TEST_FRACTION)
    write("bench-draws", figures, "make bench-draws DATA=DIR DRAWS=N")


if __name__ == "__main__":
    main()
