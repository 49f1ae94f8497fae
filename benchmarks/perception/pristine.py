"""Good photographs: false alarms, plain changes that must cost points, the lowest word."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.perception.assess import Assessment, assess, names_one_of
from benchmarks.perception.changes import CHANGES, blur
from benchmarks.perception.intervals import figure, mean_figure
from benchmarks.perception.measures import level_number
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench
from rsfiqa.datasets.kodak import HELD_OUT
from rsfiqa.images import load
from rsfiqa.vocabulary import ITU_LEVELS

BEST = 40  # of Unsplash in BIQ2021's test part
SANITY, BLURRED = 13, 24  # photographs
POOR = 2  # number of the ITU word


@dataclass(frozen=True)
class Changed:
    """A photograph and the name of a change of `CHANGES`; empty for none."""

    path: Path
    change: str


def assess_changed(models: Models, item: Changed) -> Assessment:
    """What the scorer says of a changed photograph."""
    image = load.load_rgb(item.path)
    return assess(models.scorer, CHANGES[item.change][0](image) if item.change else image)


def assess_blurred(models: Models, path: Path) -> Assessment:
    """What the scorer says of a blurred photograph."""
    return assess(models.scorer, blur(load.load_rgb(path)))


def false_alarms(bench: Bench) -> dict[str, float]:
    """The fraction of good photographs whose worst region names a distortion."""
    sets = {
        "kodak": bench.take(bench.kodak()[: len(HELD_OUT)]),
        "biq2021": bench.take(bench.best(), BEST),
    }
    alarms: dict[str, list[bool]] = {}
    for name, paths in sets.items():
        items = [Changed(path, "") for path in paths]
        found = bench.processes.map(assess_changed, items, f"false alarms, {name}")
        alarms[name] = [bool(one.named) for one in found]
    every = [alarm for own in alarms.values() for alarm in own]
    figures = mean_figure("false_alarms", every)
    for name, own in alarms.items():
        figures |= mean_figure(f"false_alarms_{name}", own)
    return figures


def sanity(bench: Bench) -> dict[str, float]:
    """The fraction of photographs whose score falls by each change, and that name it."""
    paths = bench.unseen(SANITY)
    before = bench.processes.map(assess_changed, [Changed(path, "") for path in paths], "sanity")
    figures: dict[str, float] = {}
    for name, (_, families) in CHANGES.items():
        after = bench.processes.map(assess_changed, [Changed(path, name) for path in paths], name)
        change = [b.quality - a.quality for a, b in zip(before, after, strict=True)]
        named = [names_one_of(one, families) for one in after]
        figures |= mean_figure(f"sanity_{name}_falls", [value < 0 for value in change])
        figures |= mean_figure(f"sanity_{name}_named", named)
        figures |= figure(f"sanity_{name}_change", partial(_median, change), range(len(change)))
    return figures


def word(bench: Bench) -> dict[str, float]:
    """The lowest word of the worst regions of blurred photographs, and their scores."""
    found = bench.processes.map(assess_blurred, bench.unseen(BLURRED), "word")
    words = [level_number(one.text) for one in found]
    scores = [one.score for one in found]
    return (
        figure("blur5_word", partial(_least, words), range(len(words)))
        | figure("blur5_median_score", partial(_median, scores), range(len(scores)))
        | mean_figure("blur5_bad_or_poor", [number <= POOR for number in words])
        | mean_figure(f"blur5_{ITU_LEVELS[0]}", [number == 1 for number in words])
    )


def _median(values: list[float], index: np.ndarray) -> float:
    return float(np.median(np.array(values)[index]))


def _least(values: list[int], index: np.ndarray) -> float:
    return float(np.array(values)[index].min())
