"""Options of the embed stage."""

from typing import Annotated, Any, Literal

from pydantic import Field

from rsfiqa.encoders.files import NO_TEXT, PACKAGED
from rsfiqa.io.home import absolute_folder
from rsfiqa.options import OPERATIONAL, Device, Options


class EmbedOptions(Options):
    """How captions are turned into vectors."""

    encoder: str = Field(
        NO_TEXT,
        description="Text encoder: none (the model gets the ratings alone), packaged-minilm"
        " (all-MiniLM-L6-v2 from a Python package), the folder of a transformers text encoder, or"
        " its name on the Hugging Face hub.",
    )
    device: Annotated[Device, OPERATIONAL] = Field(
        "auto", description="Device of the encoder; auto uses a GPU if there is one."
    )
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        "fp32", description="Precision of the encoder's weights and arithmetic."
    )
    batch_size: Annotated[int, OPERATIONAL] = Field(
        64,
        ge=1,
        le=4096,
        description="Captions in a batch; changes vectors by less than 0.001.",
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the vectors; a folder by its absolute path, however spelt."""
        named = self.encoder in (PACKAGED, NO_TEXT)
        encoder = self.encoder if named else absolute_folder(self.encoder)
        return super().recorded() | {"encoder": encoder}
