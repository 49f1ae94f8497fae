"""Options of the score command and of `Scorer`."""

from typing import Annotated, Literal

from pydantic import Field

from rsfiqa.backbones import PACKAGED
from rsfiqa.options import Device, Options


class ScoreOptions(Options):
    """Device of a checkpoint, and the models that it needs but does not contain."""

    device: Device = Field(
        "auto", description="Device of the models; auto uses a GPU if there is one."
    )
    runtime: Literal["auto", "torch", "onnx"] = Field(
        "auto",
        description="Library that runs the backbone: torch, or ONNX Runtime (rsfiqa[onnx]), which"
        " is faster on a CPU, with the same scores to 0.05 % of their range; auto takes it where"
        " it is installed and there are several images.",
    )
    weights: str = Field(
        PACKAGED,
        description="Weights of a backbone that was not fine-tuned: packaged, hub, or the path of"
        " a state dict.",
    )
    sam_checkpoint: str | None = Field(
        None,
        description="Path of the checkpoint of segment-anything, for a model trained on its"
        " regions.",
    )
    endpoint: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        (),
        description="Base URL of a server of the vision-language model, such as"
        " http://localhost:8000/v1, for a model trained on its captions; can be repeated.",
    )
    key_variable: str = Field(
        "RSFIQA_API_KEY", description="Environment variable that holds the servers' API key."
    )
