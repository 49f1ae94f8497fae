"""Options of the group command."""

from pydantic import Field

from rsfiqa.options import Options


class GroupOptions(Options):
    """How similar the pictures of a group are."""

    similarity: float = Field(
        0.7,
        ge=0.3,
        le=1,
        description="Least correlation of two pictures of a group, at the best shift.",
    )
    burst_similarity: float = Field(
        0.6,
        ge=0.3,
        le=1,
        description="The same for two pictures that were taken within --burst-seconds.",
    )
    burst_seconds: float = Field(
        10.0,
        ge=0,
        description="Time between two pictures of a burst, by the cameras' clocks; 0 to ignore it.",
    )
