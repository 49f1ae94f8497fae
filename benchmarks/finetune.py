"""A fine-tuned backbone against the frozen one, on the same splits of LIVEC or AGIQA-3K.

A split of livec takes about a quarter of an hour on two cores, one of agiqa3k five minutes. A split
that is done is kept; an interrupted training is resumed from its last saved step.
"""

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import FOLDER, add_data, parser, write
from benchmarks.pipeline import RUN, SETS, SPLIT, run_pipeline, with_interval
from rsfiqa import checkpoints, samples, splits
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.checkpoints import Card
from rsfiqa.metrics import Metrics, compute_metrics
from rsfiqa.products.versions import VERSIONS
from rsfiqa.samples import Samples
from rsfiqa.train import stage as train
from rsfiqa.train.options import TrainOptions

FINETUNED = TrainOptions(finetune={"enabled": True, "threads": 2})
READERS = 2  # processes that read and crop for a GPU


def train_and_test(
    folder: Path,
    data: Samples,
    output: Path,
    options: TrainOptions,
    split: str,
    *,
    settings: Mapping[str, Any] = SPLIT,
) -> Metrics:
    """Train on a split, unless that is done with these options, and test.

    `data` are the samples of `folder`; `settings` are test fraction and seed of the splits.
    """
    if not is_trained(output, options, data, split, settings=settings):
        train.run(folder, output, options, variant="full", split=split, **settings)
    predict, part = benchmark.predictor(output, data, split, **settings)
    chosen = data.take(part)
    return compute_metrics(predict(chosen), chosen.quality)


def is_trained(
    output: Path,
    options: TrainOptions,
    data: Samples,
    split: str,
    *,
    settings: Mapping[str, Any] = SPLIT,
) -> bool:
    """Whether a checkpoint of these options, trained on these images and scores, is there."""
    if (card := card_of(output, options)) is None:
        return False
    training = ~data.test_mask(split, **settings)
    digests = data.image_digests(training)
    return card.lineage == data.lineage and digests.items() <= card.split.items()


def card_of(output: Path, options: TrainOptions) -> Card | None:
    """The card of a checkpoint of these options, if there is one."""
    if not (output / "card.json").is_file():
        return None
    card = checkpoints.read_card(output)[0]
    expected = {"version": VERSIONS["train"], **options.recorded()}
    return card if card.options == expected else None


def compare(folder: Path, output: Path, split: str) -> dict[str, Metrics]:
    """How well the frozen and the fine-tuned model do on a split; checkpoints go to `output`."""
    readers = READERS if torch.cuda.is_available() else 0
    finetune = FINETUNED.finetune.model_copy(update={"workers": readers})
    methods = {
        "frozen": TrainOptions(),
        "finetune": FINETUNED.model_copy(update={"finetune": finetune}),
    }
    data = samples.load(folder)
    metrics = {}
    for name, options in methods.items():
        metrics[name] = train_and_test(folder, data, output / name / split, options, split)
        print(f"{split} {name}: SRCC {metrics[name].srcc:.4f}", file=sys.stderr, flush=True)
    return metrics


def map_in_processes(work: Callable[[Any], Any], names: Iterable[Any], parallel: int) -> list[Any]:
    """Results of `work` for each name, in their order, `parallel` at a time."""
    if parallel == 1:
        return [work(name) for name in names]
    context = multiprocessing.get_context("spawn")  # a GPU is not inherited
    with ProcessPoolExecutor(parallel, context) as pool:
        return list(pool.map(work, names))


def main(arguments: Sequence[str]) -> None:
    """Train, test and write the figures."""
    options = parser(__name__, __doc__)
    add_data(options)
    options.add_argument("--set", choices=sorted(SETS), default="livec", help="data set")
    options.add_argument("--splits", type=int, default=3, help="number of splits; 10 to publish")
    options.add_argument("--parallel", type=int, default=1, help="splits at a time, on a GPU")
    given = options.parse_args(arguments)
    name, suffix = given.set, "" if given.set == "livec" else f"-{given.set}"
    products = run_pipeline(given.data, RUN, "--until", "embed", "extract", sets=[name]) / name
    names = [splits.split_name("split", i) for i in range(given.splits)]
    work = partial(compare, products, FOLDER / f"finetune{suffix}")
    results = map_in_processes(work, names, given.parallel)
    figures: dict[str, float] = {"splits": len(names)}
    for method in ("frozen", "finetune"):
        for metric in ("srcc", "plcc"):
            values = np.array([getattr(one[method], metric) for one in results])
            figures |= with_interval(f"{method}_{name}_{metric}", values)
        if len(names) == 10:
            figures[f"{method}_{name}_srcc10"] = figures[f"{method}_{name}_srcc"]
    gain = np.array([one["finetune"].srcc - one["frozen"].srcc for one in results])
    figures |= with_interval(f"finetune{suffix.replace('-', '_')}_gain", gain)
    command = f"python -m benchmarks finetune --data DIR --set {name} --splits {given.splits}"
    write(f"bench-finetune{suffix}", figures, command)
