"""No-reference image quality assessment by region: a score, the worst region, and why."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsfiqa.score.metric import create_metric
    from rsfiqa.score.scorer import Scorer

    __version__: str

__all__ = ["Scorer", "create_metric"]

# ONNX Runtime 1.32 would otherwise send events, and leave a file among those of TMPDIR
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    """Import `Scorer` on first use, because torch takes seconds; look up the version likewise."""
    if name == "__version__":
        return _version()
    if name == "Scorer":
        from rsfiqa.score.scorer import Scorer

        return Scorer
    if name == "create_metric":
        from rsfiqa.score.metric import create_metric

        return create_metric
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _version() -> str:
    """The version that was installed; `unknown` in a tree that never was."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rsfiqa")
    except PackageNotFoundError:
        return "unknown"
