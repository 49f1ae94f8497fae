"""Segmenters: they divide an image into regions. Each is one entry of `SEGMENTERS`.

Importing this module imports no segmenter; `load` imports the chosen one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsfiqa.registry import Registry, resolve

if TYPE_CHECKING:
    from rsfiqa.segment.options import SegmentOptions
    from rsfiqa.segmenters.base import Segmenter


@dataclass(frozen=True, kw_only=True)
class SegmenterEntry:
    """A segmenter in the registry.

    Attributes:
        target: `package.module:function` that takes `SegmentOptions` and returns a `Segmenter`.
        shaping_options: options of the segment stage that shape its regions, beside those that
            every segmenter has (`SHARED_OPTIONS`).
        checkpoint: `package.module:function` that takes `SegmentOptions` and the option's name for
            messages, checks the file of weights and returns its path; None if there are no weights.
        needs_torch: it imports torch.
        uses_processes: it loads images in `workers` further processes.
    """

    target: str
    shaping_options: tuple[str, ...] = ()
    checkpoint: str | None = None
    needs_torch: bool = False
    uses_processes: bool = False

    @property
    def needs_checkpoint(self) -> bool:
        """Whether it needs a file of weights."""
        return self.checkpoint is not None


SEGMENTERS: Registry[SegmenterEntry] = Registry("segmenter")
SEGMENTERS.register(
    "superpixel",
    SegmenterEntry(
        target="rsfiqa.segmenters.superpixel:SuperpixelSegmenter",
        shaping_options=("superpixels",),
    ),
)
SEGMENTERS.register(
    "sam",
    SegmenterEntry(
        target="rsfiqa.segmenters.sam.segmenter:load",
        shaping_options=(
            "model_type",
            "mode",
            "points_per_side",
            "pred_iou_thresh",
            "stability_score_thresh",
            "stability_score_offset",
            "box_nms_thresh",
            "precision",
        ),
        checkpoint="rsfiqa.segmenters.sam.checkpoint:check",
        needs_torch=True,
        uses_processes=True,
    ),
)


def load(options: "SegmentOptions") -> "Segmenter":
    """The segmenter that the options name, with its weights.

    Raises:
        InputError: its checkpoint is missing or wrong, or there is no such device.
    """
    segmenter: Segmenter = resolve(SEGMENTERS[options.backend].target)(options)
    return segmenter


def checkpoint_of(options: "SegmentOptions", option: str = "segment.checkpoint") -> Path | None:
    """The checked file of the segmenter's weights; None if it needs none.

    Args:
        options: of the segment stage.
        option: name under which the user gives the file, for messages.

    Raises:
        InputError: the file is missing or holds something else.
    """
    check = SEGMENTERS[options.backend].checkpoint
    if check is None:
        return None
    path: Path = resolve(check)(options, option)
    return path
