"""A fine-tuned backbone against the frozen one, on the same splits of LIVEC or AGIQA-3K.

Usage: python benchmarks/finetune.py DATA [SPLITS [AT_ONCE [SET]]]. About a quarter of an hour a
split of livec on two cores, five minutes of agiqa3k; a split that is done is kept, and one that was
broken off goes on from its last saved step. AT_ONCE splits are trained at a time, for a machine
with a GPU and many cores.
"""

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench import RUN, SETS, TEST_FRACTION, made, spread
from figures import FOLDER, write

from rsfiqa import samples, splits
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.metrics import Metrics, compute_metrics
from rsfiqa.products import checkpoints
from rsfiqa.products.checkpoints import Card
from rsfiqa.products.versions import VERSIONS
from rsfiqa.samples import Samples
from rsfiqa.train import stage as train
from rsfiqa.train.options import TrainOptions

SPLIT: dict[str, Any] = {"test_fraction": TEST_FRACTION, "seed": 0}
TUNED = TrainOptions(finetune=True, threads=2)
READERS = 2  # processes that make the pictures for a GPU


def trained_and_tested(
    folder: Path,
    data: Samples,
    output: Path,
    options: TrainOptions,
    split: str,
    way: Mapping[str, Any] = SPLIT,
) -> Metrics:
    """Train on a split, unless that is done with these options, and test.

    `data` is what lies in `folder`; `way` is the share tested and the seed of the splits.
    """
    if not is_made(output, options, data, split, way):
        train.run(folder, output, options, variant="full", split=split, **way)
    predict, part = benchmark.predictor(output, data, split, **way)
    chosen = data.take(part)
    return compute_metrics(predict(chosen), chosen.quality)


def is_made(
    output: Path,
    options: TrainOptions,
    data: Samples,
    split: str,
    way: Mapping[str, Any] = SPLIT,
) -> bool:
    """Whether a checkpoint of these options, trained on these images and scores, is there."""
    if (card := card_of(output, options)) is None:
        return False
    learnt = ~data.test_mask(split, **way)
    return card.lineage == data.lineage and data.digests(learnt).items() <= card.split.items()


def card_of(output: Path, options: TrainOptions) -> Card | None:
    """The card of a checkpoint of these options, if there is one."""
    if not (output / "card.json").is_file():
        return None
    card = checkpoints.read_card(output)[0]
    wanted = {"version": VERSIONS["train"], **options.recorded()}
    return card if card.options == wanted else None


def compared(folder: Path, output: Path, split: str) -> dict[str, Metrics]:
    """How well the frozen and the fine-tuned model do on a split; checkpoints go to `output`."""
    readers = READERS if torch.cuda.is_available() else 0
    ways = {
        "frozen": TrainOptions(),
        "finetune": TUNED.model_copy(update={"workers": readers}),
    }
    data = samples.load(folder)
    found = {}
    for name, options in ways.items():
        found[name] = trained_and_tested(folder, data, output / name / split, options, split)
        print(f"{split} {name}: SRCC {found[name].srcc:.4f}", file=sys.stderr, flush=True)
    return found


def each(work: Callable[[Any], Any], names: Iterable[Any], at_once: int) -> list[Any]:
    """What `work` makes of the names in order, so many at a time."""
    if at_once == 1:
        return [work(name) for name in names]
    context = multiprocessing.get_context("spawn")  # a GPU is not inherited
    with ProcessPoolExecutor(at_once, context) as pool:
        return list(pool.map(work, names))


def main() -> None:
    """Train, test and write the figures."""
    given = sys.argv[2:]
    if not 1 < len(sys.argv) < 6 or not set(given[2:]) <= set(SETS):
        sys.exit(f"usage: python benchmarks/finetune.py DATA [SPLITS [AT_ONCE [{'|'.join(SETS)}]]]")
    number, at_once, dataset = given + ["3", "1", "livec"][len(given) :]
    folder = made(Path(sys.argv[1]), RUN, "--until", "embed", "extract", sets=[dataset]) / dataset
    own = "" if dataset == "livec" else f"-{dataset}"
    names = [splits.split_name("split", i) for i in range(int(number))]
    work = partial(compared, folder, FOLDER / f"finetune{own}")
    found = each(work, names, int(at_once))
    figures: dict[str, float] = {"splits": len(names)}
    for name in ("frozen", "finetune"):
        for metric in ("srcc", "plcc"):
            values = np.array([getattr(one[name], metric) for one in found])
            figures |= spread(f"{name}_{dataset}_{metric}", values)
        if len(names) == 10:
            figures[f"{name}_{dataset}_srcc10"] = figures[f"{name}_{dataset}_srcc"]
    gain = np.array([one["finetune"].srcc - one["frozen"].srcc for one in found])
    figures |= spread(f"finetune{own.replace('-', '_')}_gain", gain)
    command = "make bench-finetune DATA=DIR SPLITS=N" + (f" SET={dataset}" if own else "")
    write(f"bench-finetune{own}", figures, command)


if __name__ == "__main__":
    main()
