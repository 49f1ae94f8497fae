"""Options of the score command and of `Scorer`."""

from typing import Annotated

from pydantic import Field

from rsfiqa.backbones import PACKAGED
from rsfiqa.options import Device, Options


class ScoreOptions(Options):
    """Device of a checkpoint, and the models that it needs but does not contain."""

    device: Device = Field(
        "auto", description="Device of the models; auto uses a GPU if there is one."
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
