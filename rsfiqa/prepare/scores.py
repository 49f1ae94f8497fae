"""Opinion scores that do not fit the scale of their data set."""

import logging
from collections.abc import Sequence

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.scale import MosScale

log = logging.getLogger("rsfiqa")

NARROW = 0.2  # of mos_range; ratings of published sets cover more than half of their scale


def check_scores(entries: Sequence[Entry], scale: MosScale | None, options: PrepareOptions) -> None:
    """Raise if a MOS lies outside its scale; warn if all lie close together on one of the user's.

    Scores from 1 to 5 under a mos_range of [0, 100] would all mean bad quality. It is no error: a
    few images may honestly be alike.

    Args:
        entries: images of the data set.
        scale: of their MOS; None if they have no scores.
        options: layout and root, for messages.

    Raises:
        InputError: names the image and its MOS.
    """
    from_options = DATASETS[options.layout].scale_from_options
    scores = [entry.mos for entry in entries if entry.mos is not None]
    if scale is None or not scores:
        return
    for entry in entries:
        if entry.mos is not None and entry.mos not in scale:
            repair = "set mos_range" if from_options else "download the release again"
            raise InputError(
                f"{entry.location}: MOS must lie in [{scale.low:g}, {scale.high:g}], found"
                f" {entry.mos:g} for '{entry.image_id}'; {repair}"
            )
    low, high = min(scores), max(scores)
    covered = (high - low) / abs(scale.span)
    if from_options and covered <= NARROW:
        log.warning(
            f"{options.root}: MOS should cover mos_range [{scale.low:g}, {scale.high:g}], found"
            f" {low:g} to {high:g}, {covered:.0%} of it; set mos_range to the scale that people"
            " rated on, unless they did use so little of it"
        )
