"""A fine-tuned backbone against the frozen one, on the same splits of LIVEC or AGIQA-3K.

A split of livec takes about a quarter of an hour on two cores, one of agiqa3k five minutes. A split
that is done is kept; an interrupted training is resumed from its last saved step.

With --weights perception, backbone and captions are those that were learned from BIQ2021 and have
seen no image of LIVEC: ten splits of LIVEC on its frozen features, half a minute each, and with
--methods frozen finetune fine-tuned further.
"""

import multiprocessing
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import FOLDER, add_data, parser, write
from benchmarks.pipeline import (
    PRETRAINED_RUN,
    RUN,
    SETS,
    SPLIT,
    run_pipeline,
    sections_of,
    with_interval,
)
from rsfiqa import checkpoints, samples, splits
from rsfiqa.backbones import PACKAGED
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.checkpoints import Card
from rsfiqa.metrics import Metrics, compute_metrics
from rsfiqa.products.versions import VERSIONS
from rsfiqa.samples import Samples
from rsfiqa.train import stage as train
from rsfiqa.train.added import record
from rsfiqa.train.options import TrainOptions

FINETUNED = TrainOptions(finetune={"enabled": True, "threads": 2})
READERS = 2  # processes that read and crop for a GPU
METHODS = ("frozen", "finetune")


def train_and_test(
    folder: Path,
    data: Samples,
    output: Path,
    options: TrainOptions,
    split: str,
    *,
    weights: str = PACKAGED,
    settings: Mapping[str, Any] = SPLIT,
) -> Metrics:
    """Train on a split, unless that is done with these options, and test.

    `data` are the samples of `folder`; `weights` those of the backbone; `settings` are test
    fraction and seed of the splits.
    """
    if not is_trained(output, options, data, split, settings=settings):
        arguments: dict[str, Any] = {"variant": "full", "split": split, **settings}
        train.run(folder, output, options, weights=weights, data=data, **arguments)
    predict, part = benchmark.predictor(output, data, split, **settings)
    chosen = data.take(part)
    return compute_metrics(predict(chosen), chosen.quality)


def is_trained(
    output: Path,
    options: TrainOptions,
    data: Samples,
    split: str,
    *,
    added: Sequence[Samples] = (),
    settings: Mapping[str, Any] = SPLIT,
) -> bool:
    """Whether a checkpoint of these options, trained on these images and scores, is there."""
    if (card := card_of(output, options)) is None:
        return False
    training = ~data.test_mask(split, **settings)
    digests = data.image_digests(training)
    same_added = card.added == [record(each) for each in added]
    return same_added and card.lineage == data.lineage and digests.items() <= card.split.items()


def card_of(output: Path, options: TrainOptions) -> Card | None:
    """The card of a checkpoint of these options, if there is one."""
    if not (output / "card.json").is_file():
        return None
    card = checkpoints.read_card(output)[0]
    expected = {"version": VERSIONS["train"], **options.recorded()}
    return card if card.options == expected else None


def compare(
    folder: Path, output: Path, methods: Sequence[str], weights: str, split: str
) -> dict[str, Metrics]:
    """How well the frozen and the fine-tuned model do on a split; checkpoints go to `output`."""
    readers = READERS if torch.cuda.is_available() else 0
    finetune = FINETUNED.finetune.model_copy(update={"workers": readers})
    options = {
        "frozen": TrainOptions(),
        "finetune": FINETUNED.model_copy(update={"finetune": finetune}),
    }
    data = samples.load(folder)
    metrics = {}
    for name in methods:
        own = output / name / split
        metrics[name] = train_and_test(folder, data, own, options[name], split, weights=weights)
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
    options.add_argument("--splits", type=int, help="number of splits; 3, or 10 with --weights")
    options.add_argument("--parallel", type=int, default=1, help="splits at a time, on a GPU")
    options.add_argument("--weights", default=PACKAGED, help="of the backbone, such as perception")
    options.add_argument("--captioner", default="classifier", help="beside --weights")
    options.add_argument("--run", type=Path, default=PRETRAINED_RUN, help="beside --weights")
    options.add_argument("--methods", nargs="+", choices=METHODS, help="beside --weights")
    given = options.parse_args(arguments)
    if given.weights == PACKAGED:
        _against_frozen(given)
    else:
        _pretrained(given)


def _against_frozen(given: Namespace) -> None:
    """Figures of the fine-tuned backbone against the frozen one."""
    name, suffix = given.set, "" if given.set == "livec" else f"-{given.set}"
    number = given.splits or 3
    products = run_pipeline(given.data, RUN, "--until", "embed", "extract", sets=[name]) / name
    results = _on_splits(given, products, FOLDER / f"finetune{suffix}", METHODS, number)
    figures: dict[str, float] = {"splits": number}
    for method in METHODS:
        for metric in ("srcc", "plcc"):
            values = _column(results, method, metric)
            figures |= with_interval(f"{method}_{name}_{metric}", values)
        if number == 10:
            figures[f"{method}_{name}_srcc10"] = figures[f"{method}_{name}_srcc"]
    gain = _column(results, "finetune", "srcc") - _column(results, "frozen", "srcc")
    figures |= with_interval(f"finetune{suffix.replace('-', '_')}_gain", gain)
    command = f"python -m benchmarks finetune --data DIR --set {name} --splits {number}"
    write(f"bench-finetune{suffix}", figures, command)


def _pretrained(given: Namespace) -> None:
    """Figures of a backbone that was trained on another set, frozen and fine-tuned further."""
    name, number, methods = given.set, given.splits or 10, given.methods or METHODS[:1]
    sections = sections_of(given.weights, given.captioner)
    stages = ("--until", "embed", "extract")
    root = run_pipeline(given.data, given.run, *stages, sets=[name], sections=sections)
    output = FOLDER / f"finetune-{name}-pretrained"
    results = _on_splits(given, root / name, output, methods, number)
    figures: dict[str, float] = {"splits": number}
    for method in methods:
        suffix = "pretrained" if method == "frozen" else "pretrained_finetuned"
        for metric in ("srcc", "plcc"):
            values = _column(results, method, metric)
            figures |= with_interval(f"{name}_{metric}_{suffix}", values)
    command = f"python -m benchmarks finetune --data DIR --set {name} --weights {given.weights}"
    write("bench-finetune-pretrained", figures, f"{command} --methods {' '.join(methods)}")


def _on_splits(
    given: Namespace, products: Path, output: Path, methods: Sequence[str], number: int
) -> list[dict[str, Metrics]]:
    """Metrics of each method on each split."""
    names = [splits.split_name("split", i) for i in range(number)]
    work = partial(compare, products, output, methods, given.weights)
    return map_in_processes(work, names, given.parallel)


def _column(results: Sequence[Mapping[str, Metrics]], method: str, metric: str) -> np.ndarray:
    """One metric of a method on each split: float64 (J,)."""
    return np.array([getattr(one[method], metric) for one in results])
