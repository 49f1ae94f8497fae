"""Options of the train stage."""

from typing import Any, Literal

from pydantic import Field

from rsfiqa.options import Device, Options


class TrainOptions(Options):
    """The RSA model: trained on frozen features, and then perhaps together with its backbone."""

    min_images: int = Field(20, ge=2, description="A data set with fewer images is refused.")
    epochs: int = Field(15, ge=1, le=10000, description="Passes over the training part.")
    validation_fraction: float = Field(
        0,
        ge=0,
        lt=1,
        description="Share of the training part, by group, that is held out to take the best epoch"
        " and to stop early; 0: the last epoch.",
    )
    patience: int = Field(
        3,
        ge=1,
        le=10000,
        description="validation_fraction: epochs without a better one, then stop.",
    )
    batch_size: int = Field(64, ge=2, le=4096, description="Images per step.")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="Peak rate of AdamW.")
    weight_decay: float = Field(0.05, ge=0, le=10, description="Of AdamW, on matrices only.")
    width: int = Field(
        64, ge=8, le=4096, multiple_of=4, description="Channels of mixed features and tokens."
    )
    ensemble_heads: int = Field(
        8, ge=1, le=64, description="Networks whose mean is the global term."
    )
    hidden: int = Field(128, ge=1, le=4096, description="Hidden units of each of them.")
    localization: float = Field(
        0.3,
        ge=0,
        le=100,
        description="Weight in the loss of telling the region that was spoilt; finetune: a tenth of"
        " it; 0: off.",
    )
    ema: float = Field(0.99, ge=0, lt=1, description="Decay of the averaged weights; 0: off.")
    finetune: bool = Field(
        False, description="Go on with the backbone's weights free, on crops of the images."
    )
    tune_epochs: int = Field(8, ge=1, le=1000, description="finetune: passes over the images.")
    tune_batch_size: int = Field(16, ge=2, le=4096, description="finetune: images per step.")
    tune_rate: float = Field(
        2e-4, gt=0, le=1, description="finetune: peak rate of the backbone's last layer."
    )
    tune_head_rate: float = Field(
        1e-3, gt=0, le=1, description="finetune: peak rate of the model on top of it."
    )
    layer_decay: float = Field(
        0.95, gt=0, le=1, description="finetune: rate of a layer, over that of the layer above."
    )
    crop: int = Field(352, ge=32, le=8192, description="finetune: side of the crops, pixels.")
    accumulate: int = Field(
        1,
        ge=1,
        le=4096,
        description="finetune: parts of a batch that are computed in turn; correlation"
        " and ranking are those of a part.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="finetune: of the backbone's arithmetic."
    )
    compile: bool = Field(False, description="finetune: compile the backbone (torch.compile).")
    device: Device = Field("auto", description="finetune: auto takes a GPU where there is one.")
    workers: int = Field(
        0, ge=0, le=64, description="finetune: processes that read and crop images."
    )
    threads: int = Field(1, ge=1, le=256, description="finetune: of a processor, without a GPU.")

    def recorded(self) -> dict[str, Any]:
        """The options that shape the weights; where and how fast they are made is left out."""
        return self.model_dump(exclude={"min_images", "device", "workers", "compile"})
