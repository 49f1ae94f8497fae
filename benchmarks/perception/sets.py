"""Whether the reason agrees with the score on Kodak, LIVEC, BIQ2021; the score across sets."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.perception.assess import Assessment, assess
from benchmarks.perception.intervals import figure, mean_figure, mean_of
from benchmarks.perception.measures import is_unexplained
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench, shuffled
from rsfiqa import checkpoints
from rsfiqa.metrics import srcc
from rsfiqa.products.paths import split_path
from rsfiqa.splits import TEST

PICTURES = 200  # of each set
LOW = 0.45  # quality below which a picture needs a reason


def assess_path(models: Models, path: Path) -> Assessment:
    """What the scorer says of a picture."""
    return assess(models.scorer, path)


def measure(bench: Bench) -> dict[str, float]:
    """Agreement of the worst region with the score, low scores without reason, BIQ2021."""
    livec, biq2021 = bench.take(bench.livec_test(), PICTURES), bench.take(bench.biq2021_test())
    paths = {
        "kodak": bench.take(bench.kodak()),
        "livec": [Path(row["path"]) for row in livec],
        "biq2021": [Path(row["path"]) for row in biq2021],
    }
    figures = trained_fraction(bench.checkpoint, [row["image_id"] for row in livec])
    every: list[Assessment] = []
    for name, files in paths.items():
        found = bench.processes.map(assess_path, files, name)
        if name == "biq2021":
            mos = np.array([row["mos"] for row in biq2021], np.float64)
            figures |= _figure("biq2021_srcc", qualities_of(found), mos)
        found = found[:PICTURES]
        worst = np.array([one.worst_overall for one in found])
        figures |= _figure(f"worst_overall_score_srcc_{name}", worst, qualities_of(found))
        every += found
    return figures | low_without_reason(every)


def trained_fraction(checkpoint: Path | None, image_ids: Sequence[str]) -> dict[str, float]:
    """The fraction of these images of LIVEC that a checkpoint has learned from.

    The packaged one was trained on all of LIVEC: its reasons are compared with its scores there,
    not with opinions.

    Args:
        checkpoint: folder; None for the packaged one.
        image_ids: of LIVEC.
    """
    folder = checkpoints.folder_or_packaged(checkpoint)
    if "livec" not in checkpoints.read_card(folder)[0].datasets[:1]:
        return {}
    rows = pq.read_table(split_path(folder)).to_pylist()
    trained = {row["image_id"] for row in rows if row["part"] != TEST}
    return mean_figure("livec_trained", [image_id in trained for image_id in image_ids])


def low_without_reason(found: Sequence[Assessment]) -> dict[str, float]:
    """The fraction of pictures of low quality for which no reason is given."""
    low = [one for one in found if one.quality < LOW]
    missing = [is_unexplained(one.quality, one.named, one.text, limit=LOW) for one in low]
    return mean_figure("low_without_reason", missing)


def measure_generated(bench: Bench) -> dict[str, float]:
    """Rank correlation of score and MOS on AGIQA-3K, over all and within one generator."""
    rows = bench.take(shuffled(bench.rows("agiqa3k")))
    found = bench.processes.map(assess_path, [Path(row["path"]) for row in rows], "agiqa3k")
    scores, mos = qualities_of(found), np.array([row["mos"] for row in rows], np.float64)
    generators = np.array([generator_of(row["image_id"]) for row in rows])
    within = mean_of(
        {str(name): _within(generators == name, scores, mos) for name in np.unique(generators)}
    )
    groups = [row["group"] for row in rows]  # images of one prompt
    return _figure("agiqa3k_srcc", scores, mos, groups) | figure(
        "agiqa3k_within_generator", within, groups
    )


def generator_of(image_id: str) -> str:
    """The text-to-image model in a name such as `sd1.5_lowstep_012.jpg`."""
    return Path(image_id).name.partition("_")[0]


def qualities_of(found: Sequence[Assessment]) -> np.ndarray:
    """The qualities of pictures, which rank as their scores: float64 (N,)."""
    return np.array([one.quality for one in found])


def _figure(
    name: str, first: np.ndarray, second: np.ndarray, groups: Sequence[str] | None = None
) -> dict[str, float]:
    """The rank correlation of two arrays (N,), with its interval."""
    photographs = range(len(first)) if groups is None else groups
    return figure(name, lambda index: srcc(first[index], second[index]), photographs)


def _within(mask: np.ndarray, scores: np.ndarray, mos: np.ndarray) -> Callable[[np.ndarray], float]:
    """The rank correlation within the samples of a mask; NaN for fewer than two."""

    def correlation(index: np.ndarray) -> float:
        chosen = index[mask[index]]
        return srcc(scores[chosen], mos[chosen]) if len(chosen) > 1 else float("nan")

    return correlation
