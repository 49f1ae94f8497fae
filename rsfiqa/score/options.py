"""Options of the score command and of `Scorer`."""

from typing import Annotated, Literal

from pydantic import Field

from rsfiqa.backbones import PACKAGED
from rsfiqa.options import Device, Fraction, Name, Options, Runtime


class ScoreOptions(Options):
    """Device of a checkpoint, and the models that it needs but does not contain."""

    device: Literal["auto", "cuda", "mps", "cpu"] = Field(
        "auto",
        description="Device of the models; auto uses a CUDA GPU if there is one; mps is that of a"
        " Mac.",
    )
    runtime: Runtime = Field(
        "auto",
        description="Library that runs the backbone: torch, or ONNX Runtime (rsfiqa[onnx]), which"
        " is faster on a CPU, with the same scores to 0.05 % of their range; auto takes it where"
        " it is installed, for a single image only where this avoids importing torch.",
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

    @property
    def stage_device(self) -> Device:
        """The device of segmenter and text encoder, which do not use mps."""
        return "cpu" if self.device == "mps" else self.device


class ScoreRun(Options):
    """Pictures without scores that are scored together."""

    paths: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1,
        description="Pictures: folders, patterns, files, and lists of paths (.txt, or .csv and"
        " .parquet with a column path).",
    )
    checkpoint: str | None = Field(
        None,
        min_length=1,
        description="Folder of a checkpoint; null for the one that comes with the package.",
    )


class ScoreRunsOptions(ScoreOptions):
    """What `snakemake score` scores, and how."""

    runs: dict[Name, ScoreRun] = Field(
        default_factory=dict, description="Pictures to score by name; see `ScoreRun`."
    )
    shard_size: int = Field(10_000, ge=1, description="Pictures of a shard, which is one job.")
    workers: int = Field(
        1, ge=1, le=256, description="Processes of a job, each on a core of its own."
    )
    max_failed_fraction: Fraction = Field(
        1.0,
        description="Largest fraction of a shard's pictures that may fail; 1 for any. A shard with"
        " more fails, such as on a machine without the pictures' disk.",
    )
    relist: bool = Field(
        True,
        description="List the pictures again whenever a run is planned, to find new and changed"
        " ones; false for a plan that stays as it is.",
    )
