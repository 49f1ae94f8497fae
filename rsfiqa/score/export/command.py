"""The subcommand `rsfiqa export`."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from rsfiqa.backbones import PACKAGED
from rsfiqa.command import Command
from rsfiqa.score.options import ScoreOptions


class Export(Command):
    """Export a checkpoint for programs without this package, or for the Hugging Face hub.

    Reads a checkpoint, by default the one in the package. onnx writes model.onnx, from pixels and a
    label map to scores, and card.json; it is compared with torch in ONNX Runtime and needs the
    extra onnx. hub writes the weights, their card and a README.md.
    """

    extra: ClassVar[str] = "onnx"

    output: Path = Field(
        validation_alias=AliasChoices("o", "output"),
        description="Folder to write; must not exist.",
    )
    format: Literal["onnx", "hub"] = Field("onnx", description="What is written.")
    checkpoint: Path | None = Field(
        None, description="Folder of a checkpoint; by default the one in the package."
    )
    weights: str = Field(
        PACKAGED,
        description="Weights of a backbone that was not fine-tuned: packaged, hub, or the path of"
        " a state dict.",
    )
    opset: int = Field(18, ge=18, le=20, description="Version of ONNX's operators.")

    def run(self) -> None:
        """Export."""
        from rsfiqa.score.export import stage

        if self.format == "hub":
            stage.run_hub(self.checkpoint, self.output)
            return
        options = ScoreOptions(device="cpu", weights=self.weights)
        found = stage.run_onnx(self.checkpoint, self.output, options, opset=self.opset)
        print(f"{self.output / 'model.onnx'}: differs from torch by {found:.1g} of the range")
