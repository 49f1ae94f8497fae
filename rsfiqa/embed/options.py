"""Options of the embed stage."""

from typing import Any, Literal

from pydantic import Field

from rsfiqa.options import Device, Options


class EmbedOptions(Options):
    """How captions become vectors."""

    encoder: str = Field(
        "packaged-minilm",
        description="packaged-minilm (all-MiniLM-L6-v2 from a Python package), the folder of any"
        " transformers text encoder, or its name on the Hugging Face hub.",
    )
    device: Device = Field("auto", description="auto takes a GPU where there is one.")
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="Of the encoder's weights and arithmetic."
    )
    batch_size: int = Field(
        64, ge=1, le=4096, description="Captions encoded at once; changes no vector by 0.001."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the vectors; where and how fast they are made is left out."""
        return self.model_dump(exclude={"device", "batch_size"})
