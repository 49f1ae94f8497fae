"""Options of the extract stage."""

from pydantic import Field

from rsfiqa.options import Device, Options


class ExtractOptions(Options):
    """What is kept of the frozen backbone."""

    backbone: str = Field(
        "tf_efficientnet_lite0", description="Name of a timm model with feature maps."
    )
    weights: str = Field(
        "packaged",
        description="packaged (ImageNet weights of tf_efficientnet_lite0, lite1 or lite2, from"
        " Python packages), the path of a state dict (.safetensors or .pth), or hub (timm's"
        " weights, from the Hugging Face hub or its cache).",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Larger images are reduced to this; never enlarged."
    )
    grid: int = Field(8, ge=1, le=64, description="Cells on each side of the feature grid.")
    augmented_views: bool = Field(
        True,
        description="Also features of a mirrored and of a distorted copy of each image, for"
        " training; three times the time.",
    )
    device: Device = Field("auto", description="auto takes a GPU where there is one.")
