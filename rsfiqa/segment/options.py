"""Options of the segment stage."""

from typing import Any, Literal

from pydantic import Field

from rsfiqa.options import Device, Options


class SegmentOptions(Options):
    """How an image is cut into regions."""

    backend: Literal["superpixel", "sam"] = Field(
        "superpixel",
        description="superpixel needs no weights: an oversegmentation merged over its graph. sam:"
        " the automatic masks of segment-anything.",
    )
    long_side: int = Field(
        512, ge=32, le=4096, description="Long side of label maps in pixels; never enlarged."
    )
    max_regions: int = Field(12, ge=1, le=1000, description="Regions of an image at most.")
    min_area_fraction: float = Field(
        0.01, ge=0, le=0.5, description="Smaller regions join a neighbour; share of the image."
    )
    superpixels: int = Field(
        300, ge=2, le=4000, description="superpixel: pieces before merging, about this many."
    )
    checkpoint: str | None = Field(
        None, description="sam: path of a checkpoint of segment-anything. ~ is expanded."
    )
    model_type: Literal["auto", "vit_b", "vit_l", "vit_h"] = Field(
        "auto", description="sam: what the checkpoint must hold; auto takes what is there."
    )
    mode: Literal["exact", "adaptive"] = Field(
        "exact",
        description="sam: exact prompts all points of the grid, as the package's generator does;"
        " adaptive goes from a coarse to the whole grid and leaves out points that lie in"
        " several masks it has.",
    )
    points_per_side: int = Field(
        32, ge=1, le=128, description="sam: points along each side of the prompt grid."
    )
    pred_iou_thresh: float = Field(
        0.88, ge=-10, le=10, description="sam: masks that the model itself rates lower are dropped."
    )
    stability_score_thresh: float = Field(
        0.95, ge=0, le=1, description="sam: masks that depend more on the cutoff are dropped."
    )
    stability_score_offset: float = Field(
        1.0, gt=0, le=10, description="sam: by how much the cutoff is moved, in logits."
    )
    box_nms_thresh: float = Field(
        0.7, ge=0, le=1, description="sam: IoU of boxes above which the worse mask is dropped."
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="sam: of the model's arithmetic; masks are judged in fp32."
    )
    device: Device = Field("auto", description="sam: auto takes a GPU where there is one.")
    compile: bool = Field(False, description="sam: compile the image encoder (torch.compile).")
    points_per_batch: int = Field(
        64, ge=1, le=4096, description="sam: points at once; halved where memory runs out."
    )
    images_per_batch: int = Field(
        4, ge=1, le=64, description="sam: images at once through the image encoder."
    )
    workers: int = Field(
        2, ge=0, le=64, description="sam: processes that read the next images; 0 for none."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the regions; where and how fast they are made is left out."""
        names = {"backend", "long_side", "max_regions", "min_area_fraction"}
        if self.backend == "superpixel":
            return self.model_dump(include=names | {"superpixels"})
        speed = {"device", "compile", "points_per_batch", "images_per_batch", "workers"}
        return self.model_dump(exclude=speed | {"superpixels", "checkpoint"})
