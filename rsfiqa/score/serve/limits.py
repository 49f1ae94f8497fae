"""What the service accepts, and how it refuses the rest."""

from dataclasses import dataclass

MB = 10**6
MAX_BATCH = 64  # pictures of a request
HELD_UPLOADS = 8  # uploads of the largest size that may be held in memory and on disk at once


@dataclass(frozen=True)
class Limits:
    """Bounds of the service.

    Attributes:
        upload: bytes of the body of a request.
        pixels: of a picture.
        queue: requests that may wait while all processes are busy.
        seconds: that a picture may take in its process.
        upload_seconds: in which the body of a request must have arrived.
    """

    upload: int = 64 * MB
    pixels: int = 100 * MB
    queue: int = 64
    seconds: float = 60.0
    upload_seconds: float = 120.0


class RefusalError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        detail: subject, rule, value found and way out, in one line.
        retry_after: seconds after which the same request may succeed; None if it never does.
    """

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})
