"""No-reference image quality assessment by region: a score, the worst region, and why."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsfiqa.score.scorer import Scorer

__all__ = ["Scorer"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `Scorer` on first use; torch takes seconds to import."""
    if name == "Scorer":
        from rsfiqa.score.scorer import Scorer

        return Scorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
