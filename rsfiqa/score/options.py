"""Options of the score command."""

from typing import Annotated

from pydantic import Field

from rsfiqa.options import Device, Options


class ScoreOptions(Options):
    """Where a checkpoint scores pictures, and what it needs that it does not hold."""

    device: Device = Field("auto", description="auto takes a GPU where there is one.")
    weights: str = Field(
        "packaged", description="Of a backbone that was not fine-tuned, as of extract."
    )
    sam_checkpoint: str | None = Field(
        None, description="The checkpoint of segment-anything that made the regions trained on."
    )
    endpoint: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        (),
        description="Base URL of a server of the model that made the captions trained on, such as"
        " http://localhost:8000/v1; can be given several times.",
    )
    key_variable: str = Field(
        "RSFIQA_API_KEY", description="Environment variable that holds the servers' key."
    )
