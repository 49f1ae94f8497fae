"""Options of the extract stage."""

from typing import Annotated

from pydantic import AfterValidator, Field

from rsfiqa.backbones import PACKAGED, timm_name
from rsfiqa.options import OPERATIONAL, Device, Options, Runtime


class ExtractOptions(Options):
    """Features of the frozen backbone."""

    backbone: Annotated[str, AfterValidator(timm_name)] = Field(
        "tf_efficientnet_lite0",
        description="Name of a timm model with feature maps, with or without hf-hub:timm/.",
    )
    weights: Annotated[str, OPERATIONAL] = Field(
        PACKAGED,
        description="Weights of the backbone: packaged (ImageNet weights of tf_efficientnet_lite0,"
        " lite1 or lite2, from Python packages), perception (those of the captioner classifier,"
        " tf_efficientnet_lite0 trained on BIQ2021), hub (timm's weights, from the Hugging Face"
        " hub or its cache), or the path of a state dict (.safetensors or .pth), whose"
        " classification layer is ignored.",
    )
    long_side: int = Field(
        1024,
        ge=64,
        le=8192,
        description="Images with a longer side are reduced to this, pixels; none is enlarged.",
    )
    grid: int = Field(8, ge=1, le=64, description="Grid cells per side of the feature grid.")
    augmented_views: bool = Field(
        True,
        description="Compute the features of a mirrored and a distorted view of each image too,"
        " for training; triples the time.",
    )
    runtime: Annotated[Runtime, OPERATIONAL] = Field(
        "auto",
        description="Library that runs the backbone: torch, or ONNX Runtime (rsfiqa[onnx]), which"
        " takes about half of the time on a CPU, with the same features to 1e-4 of the largest;"
        " auto takes it where it is installed.",
    )
    device: Annotated[Device, OPERATIONAL] = Field(
        "auto", description="Device of the backbone; auto takes a GPU if there is one."
    )
