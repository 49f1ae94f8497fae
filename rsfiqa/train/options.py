"""Options of the train stage."""

from typing import Annotated, Any, Literal

from pydantic import Field

from rsfiqa.options import OPERATIONAL, Device, Options


class FinetuneOptions(Options):
    """Fine-tuning of the backbone together with the model, on crops of the training images.

    It continues the training on frozen features.
    """

    enabled: bool = Field(
        False, description="Fine-tune the backbone after the training on frozen features."
    )
    epochs: int = Field(8, ge=1, le=1000, description="Passes over the training images.")
    batch_size: int = Field(16, ge=2, le=4096, description="Images per step.")
    lr: float = Field(
        2e-4, gt=0, le=1, description="Peak learning rate of the backbone's last layer."
    )
    head_lr: float = Field(
        1e-3, gt=0, le=1, description="Peak learning rate of the model on top of the backbone."
    )
    layer_decay: float = Field(
        0.95,
        gt=0,
        le=1,
        description="Learning rate of each layer of the backbone relative to the layer above it.",
    )
    crop: int = Field(352, ge=32, le=8192, description="Side of the square crops, pixels.")
    micro_batches: int = Field(
        1,
        ge=1,
        le=4096,
        description="Number of micro-batches that a batch is divided into, to save memory; the"
        " correlation and ranking losses are computed within a micro-batch.",
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Number format of the backbone.")
    compile: Annotated[bool, OPERATIONAL] = Field(
        False, description="Compile the backbone with torch.compile."
    )
    device: Annotated[Device, OPERATIONAL] = Field(
        "auto", description="Device of the fine-tuning; auto takes a GPU if there is one."
    )
    workers: Annotated[int, OPERATIONAL] = Field(
        0, ge=0, le=64, description="Number of processes that read and crop images; 0 for none."
    )
    threads: Annotated[int, OPERATIONAL] = Field(
        1, ge=1, le=256, description="Number of CPU threads per process."
    )

    def recorded(self) -> dict[str, Any]:
        """Return the options that shape the weights: none where the backbone stays frozen."""
        return super().recorded() if self.enabled else {"enabled": False}


class TrainOptions(Options):
    """Training of the RSA model on frozen features, and fine-tuning of its backbone."""

    min_images: Annotated[int, OPERATIONAL] = Field(
        20, ge=2, description="Smallest number of readable images of a data set to train on."
    )
    epochs: int = Field(15, ge=1, le=10000, description="Passes over the training images.")
    validation_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Fraction of the training images, in whole groups, held out to choose the best"
        " epoch and to stop early; 0 takes the last epoch.",
    )
    patience: int = Field(
        3,
        ge=1,
        le=10000,
        description="Epochs without improvement on the validation images before training stops.",
    )
    batch_size: int = Field(64, ge=2, le=4096, description="Images per step.")
    lr: float = Field(2e-3, gt=0, le=1, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(
        0.05, ge=0, le=10, description="Weight decay of AdamW, applied to matrices only."
    )
    width: int = Field(
        64,
        ge=8,
        le=4096,
        multiple_of=4,
        description="Channels of the fused features and of the region tokens.",
    )
    ensemble_heads: int = Field(
        8,
        ge=1,
        le=64,
        description="Number of heads; their mean prediction is part of every region's quality.",
    )
    hidden: int = Field(128, ge=1, le=4096, description="Hidden units of each head.")
    localization_weight: float = Field(
        0.3,
        ge=0,
        le=100,
        description="Weight of distorted-region localization in the loss; a tenth of it in"
        " fine-tuning; 0 turns it off.",
    )
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Decay of the exponential moving average of the weights; 0 turns it off.",
    )
    finetune: FinetuneOptions = Field(FinetuneOptions(), description="Fine-tuning of the backbone.")
