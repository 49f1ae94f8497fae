"""What the service answers about a picture: the models of its JSON."""

from typing import Literal

from pydantic import BaseModel, Field


class Distortion(BaseModel):
    """A distortion of a region."""

    family: str
    severity: int = Field(description="1 (slight) to 5 (extreme).")


class RegionResult(BaseModel):
    """A region of a picture."""

    box: tuple[int, int, int, int] = Field(description="x0, y0, x1, y1 in pixels of the picture.")
    outline: str = Field(description="SVG path in pixels of the label map, even-odd rule.")
    text: str = Field(description="Sentence about the region.")
    ratings: dict[str, float | None] = Field(description="1 (bad) to 5 (excellent).")
    distortions: list[Distortion] = Field(description="In the order of the caption.")
    score: float = Field(description="MOS units.")
    weight: float = Field(description="In [0, 1]; the weights of a picture sum to 1.")
    cost: float = Field(description="MOS points that the region takes from the picture.")


class Scored(BaseModel):
    """A picture that was scored."""

    name: str | None = Field(None, description="As given.")
    status: Literal["ok"] = "ok"
    score: float = Field(description="Predicted MOS in units of the checkpoint.")
    quality: float = Field(description="The score mapped to [0, 1], higher is better.")
    word: str = Field(description="bad, poor, fair, good or excellent.")
    direction: Literal["higher", "lower"] = Field(description="Which scores are better.")
    low: float = Field(description="Lower end of the scale.")
    high: float = Field(description="Upper end of the scale.")
    checkpoint: str
    reason: str = Field(description="Why the score is not higher, in one sentence.")
    worst_caption: str = Field(description="Sentence about the worst region.")
    worst_cost: float = Field(description="MOS points that the worst region takes.")
    worst: int = Field(description="Number of the worst region in regions.")
    regions: list[RegionResult] = Field(description="By decreasing area.")
    width: int = Field(description="Pixels of the upright picture.")
    height: int
    map_width: int = Field(description="Pixels of the label map, in which outlines are given.")
    map_height: int
    flags: list[str]
    damage: str | None = Field(description="What is damaged, if anything is.")
    taken: str | None = Field(description="Time of the camera's clock, ISO 8601 without a zone.")
    fingerprint: str = Field(description="256 bits as hex digits; similar pictures differ in few.")
    preview: str | None = Field(None, description="Data URI of a JPEG, if one was asked for.")


class Failed(BaseModel):
    """A picture that could not be scored."""

    name: str | None = Field(None, description="As given.")
    status: Literal["failed"] = "failed"
    code: int = Field(description="HTTP status that the picture alone would get.")
    detail: str


class Batch(BaseModel):
    """The answer to several pictures, in their order."""

    results: list[Scored | Failed]


class Detail(BaseModel):
    """An error."""

    detail: str = Field(description="Subject, rule, value found and way out, in one line.")


class Health(BaseModel):
    """State of the service."""

    status: Literal["ok"] = "ok"
    checkpoint: str
    version: str
    processes: int = Field(description="Pictures that are scored at once.")
    max_upload: int = Field(description="Bytes of a request.")
    max_pixels: int = Field(description="Of a picture.")
    needs_token: bool
