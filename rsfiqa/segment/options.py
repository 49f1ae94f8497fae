"""Options of the segment stage."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rsfiqa.options import OPERATIONAL, Device, Options
from rsfiqa.registry import choice
from rsfiqa.segmenters import SEGMENTERS

if TYPE_CHECKING:
    SegmenterName = str
else:
    SegmenterName = choice(SEGMENTERS)

SHARED_OPTIONS = ("backend", "long_side", "max_regions", "min_area_fraction")


class SegmentOptions(Options):
    """How images are divided into regions."""

    backend: SegmenterName = Field(
        "superpixel",
        description="Segmenter. superpixel: an oversegmentation whose neighbours are merged by"
        " color; needs no weights. sam: the automatic mask generator of segment-anything.",
    )
    long_side: int = Field(
        512,
        ge=32,
        le=4096,
        description="Longest side of label maps, pixels; smaller images are not enlarged.",
    )
    max_regions: int = Field(
        12, ge=1, le=1000, description="Largest number of regions in an image."
    )
    min_area_fraction: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="Smallest area of a region as a fraction of the image; smaller regions are"
        " merged into a neighbour.",
    )
    superpixels: int = Field(
        300,
        ge=2,
        le=4000,
        description="superpixel: approximate number of superpixels before merging.",
    )
    checkpoint: Annotated[str | None, OPERATIONAL] = Field(
        None, description="sam: path of a checkpoint of segment-anything; ~ is expanded."
    )
    model_type: Literal["auto", "vit_b", "vit_l", "vit_h"] = Field(
        "auto", description="sam: required architecture of the checkpoint; auto accepts any."
    )
    mode: Literal["exact", "adaptive"] = Field(
        "exact",
        description="sam: how masks are prompted. exact: at every point of the grid, as the"
        " package's generator does; adaptive: from a coarse grid to the full one, without points"
        " that lie in several accepted masks.",
    )
    points_per_side: int = Field(
        32, ge=1, le=128, description="sam: points along each side of the prompt grid."
    )
    pred_iou_thresh: float = Field(
        0.88, ge=-10, le=10, description="sam: least predicted IoU of a mask."
    )
    stability_score_thresh: float = Field(
        0.95,
        ge=0,
        le=1,
        description="sam: least stability of a mask, the IoU of the mask cut at a higher and a"
        " lower threshold.",
    )
    stability_score_offset: float = Field(
        1.0,
        gt=0,
        le=10,
        description="sam: shift of the threshold for the stability, logits.",
    )
    box_nms_thresh: float = Field(
        0.7, ge=0, le=1, description="sam: IoU of boxes above which the worse mask is removed."
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32",
        description="sam: precision of the model; masks are filtered in fp32.",
    )
    device: Annotated[Device, OPERATIONAL] = Field(
        "auto", description="sam: device of the model; auto uses a GPU if there is one."
    )
    compile: Annotated[bool, OPERATIONAL] = Field(
        False, description="sam: compile the image encoder (torch.compile)."
    )
    points_per_batch: Annotated[int, OPERATIONAL] = Field(
        64,
        ge=1,
        le=4096,
        description="sam: points in a batch; halved when memory runs out.",
    )
    images_per_batch: Annotated[int, OPERATIONAL] = Field(
        4, ge=1, le=64, description="sam: images in a batch of the image encoder."
    )
    workers: Annotated[int, OPERATIONAL] = Field(
        2, ge=0, le=64, description="sam: processes that load images ahead; 0 for none."
    )

    def recorded(self) -> dict[str, Any]:
        """Options that shape the regions, without those of location and speed."""
        shaping = SEGMENTERS[self.backend].shaping_options
        return self.model_dump(include={*SHARED_OPTIONS, *shaping})
