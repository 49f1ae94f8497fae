"""LIVEC and AGIQA-3K through the whole pipeline: 10 splits, ablation, across data sets.

About 50 minutes on two cores; an interrupted run is resumed.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import RELEASES, add_data, parser, write
from benchmarks.localization import localization, ordering
from benchmarks.pipeline import (
    RUN,
    SETS,
    STAGES,
    TEST_FRACTION,
    column,
    run_pipeline,
    seconds_per_image,
    wall_seconds,
    with_interval,
)
from rsfiqa import Scorer
from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.metrics import paired_test

ABLATION = {"mhf": "no_mhf", "mllm": "no_mllm", "rsa": "no_rsa", "probe": "probe"}


def accuracy(root: Path) -> dict[str, float]:
    """Medians over splits or seeds, with intervals, and what each part adds."""
    figures: dict[str, float] = {}
    for train in SETS:
        for test in SETS:
            name = train if train == test else f"{train}_to_{test}"
            for variant in ("full", *BASELINES):
                own = name if variant == "full" else f"baseline_{variant}_{name}"
                for metric in ("srcc", "plcc", "plcc_raw"):
                    values = column(root, train, test, variant, metric)
                    figures |= with_interval(f"{own}_{metric}", values)
    for name, variant in ABLATION.items():
        figures |= without(root, variant, name)
    return figures


def without(root: Path, variant: str, name: str) -> dict[str, float]:
    """How far the full model is above a variant on LIVEC, split by split, under this name."""
    full, other = (column(root, "livec", "livec", which, "srcc") for which in ("full", variant))
    found = with_interval(f"livec_srcc_minus_{name}", full - other)
    return found | {f"p_minus_{name}": paired_test(full - other, TEST_FRACTION)}


def main(arguments: Sequence[str]) -> None:
    """Run the pipeline and write the figures."""
    options = parser(__name__, __doc__)
    add_data(options, *SETS, "kodak")
    options.add_argument("--output", type=Path, default=RUN, help="folder of the products")
    given = options.parse_args(arguments)
    root = run_pipeline(given.data, given.output, baselines=list(BASELINES))
    seconds = {
        f"{stage}_s_per_image": seconds_per_image(root / "livec" / stage) for stage in STAGES
    }
    described = ("segment_s_per_image", "caption_s_per_image", "embed_s_per_image")
    scorer = Scorer(root / "train/livec.full/all-00")
    pristine = given.data / RELEASES["kodak"]
    figures = accuracy(root) | seconds | localization(scorer, pristine) | ordering(scorer, pristine)
    figures["stages_images_per_s_core"] = 1 / sum(seconds[name] for name in described)
    figures["bench_minutes"] = wall_seconds(root) / 60
    print((root / "report" / "headline.txt").read_text("utf-8"))
    print(f"Report: {root / 'report' / 'index.html'}")
    write("bench", figures, "make bench DATA=DIR")
